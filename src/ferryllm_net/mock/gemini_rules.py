"""What Gemini's generateContent refuses; the sentences are Google's. Pure.

The API reads JSON as protojson: every key in camelCase and in snake_case, enums by name or number, null as absent. What
schemas hold is in `gemini_schemas`.
"""

from __future__ import annotations

import base64
import binascii
import re

from .complaint import Complaint, Json, kind, words
from .gemini_schemas import check_schema, fields
from .proofs import is_signature

MAX_STOP = 5
DUMMY = "skip_thought_signature_validator"
"""What Google documents for calls of a history no Gemini has made."""

_TOP = words(
    "model contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent labels serviceTier"
    " store modelArmorConfig generateContentRequest"
)
_CONFIG = words(
    "temperature topP topK candidateCount maxOutputTokens stopSequences responseLogprobs logprobs presencePenalty"
    " frequencyPenalty seed responseMimeType responseSchema responseJsonSchema responseModalities mediaResolution"
    " speechConfig thinkingConfig imageConfig audioTimestamp routingConfig modelSelectionConfig enableAffectiveDialog"
    " enableEnhancedCivicAnswers responseFormat translationConfig audioTranscriptionConfig"
)
_PAYLOADS = words(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall toolResponse"
)
_PART = _PAYLOADS | words("thought thoughtSignature videoMetadata mediaResolution partMetadata mediaProcessing")
_TOOL = words(
    "functionDeclarations googleSearch googleSearchRetrieval urlContext codeExecution googleMaps fileSearch computerUse"
    " mcpServers retrieval enterpriseWebSearch parallelAiSearch exaAiSearch"
)
_FUNCTION = words("name description parameters parametersJsonSchema response responseJsonSchema behavior")
_MODES = words("AUTO ANY NONE VALIDATED MODE_UNSPECIFIED")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")

_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "candidateCount": (1, 8),
    "logprobs": (0, 20),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
}


def check(body: dict[str, Json], model: str, *, counting: bool = False) -> None:
    """Raises `Complaint` with the first thing that is wrong.

    ``model`` is the path's; ``counting``: the body may be a whole request under one key.
    """
    top = fields(body, "", _TOP)
    if counting and "generateContentRequest" in top:
        inner = _object(top["generateContentRequest"], "generate_content_request")
        check({name: value for name, value in inner.items() if name != "model"}, model)
        return
    found = _VERSION.search(model)
    version = (int(found[1]), int(found[2] or 0)) if found is not None else (0, 0)
    contents = top.get("contents")
    contents = [contents] if isinstance(contents, dict) else contents
    if not isinstance(contents, list) or not contents:
        raise Complaint("* GenerateContentRequest.contents: contents is not specified\n")
    turns = [_content(content, f"contents[{n}]") for n, content in enumerate(contents)]
    _system(top.get("systemInstruction"))
    names = _tools(top.get("tools"))
    _choice(top.get("toolConfig"), names)
    _config(top.get("generationConfig"), version, model)
    merged = _merged(turns)
    _pairs(merged)
    if version >= (3, 0):
        _signed(merged)


def _object(value: Json, path: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise Complaint(f"Invalid value at '{path}': expected an object, but got {kind(value)}")
    return value


def _listed(value: Json, path: str) -> list[Json]:
    """A repeated field; protojson takes no single value, but the API does for ``parts`` and ``tools``."""
    if isinstance(value, dict):
        return [value]
    if value is None:
        return []
    if not isinstance(value, list):
        raise Complaint(f"Invalid value at '{path}': expected an array, but got {kind(value)}")
    return value


def _text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise Complaint(f"Invalid value at '{path}' (TYPE_STRING), but got {kind(value)}")
    return value


# --- contents --------------------------------------------------------------------------------------------

_Turn = tuple[str, str, list[dict[str, Json]]]
"""Path, role and parts, their keys in camelCase."""


def _content(content: Json, path: str) -> _Turn:
    found = fields(_object(content, path), path, words("role parts"))
    role = found.get("role") or "user"
    if role not in ("user", "model", "function", "tool"):
        raise Complaint("Please use a valid role: user, model.")
    parts = [_part(part, f"{path}.parts[{n}]") for n, part in enumerate(_listed(found.get("parts"), f"{path}.parts"))]
    if not parts:
        raise Complaint(f"* GenerateContentRequest.{path}.parts: contents.parts must not be empty.\n")
    return path, "model" if role == "model" else "user", parts


def _part(part: Json, path: str) -> dict[str, Json]:
    found = fields(_object(part, path), path, _PART)
    present = _PAYLOADS & found.keys()
    if len(present) > 1:
        raise Complaint(f"Invalid value at '{path}' (oneof), oneof field 'data' is already set.")
    if not present and "thoughtSignature" not in found:
        raise Complaint(
            f"* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field\n"
        )
    if "text" in found:
        _text(found["text"], f"{path}.text")
    signature = found.get("thoughtSignature")
    if signature is not None:
        _signature(signature, f"{path}.thought_signature")
    if "inlineData" in found:
        _blob(found["inlineData"], f"{path}.inline_data")
    if "functionCall" in found:
        call = _object(found["functionCall"], f"{path}.function_call")
        _named(call, f"{path}.function_call")
        if call.get("args") is not None:
            _object(call["args"], f"{path}.function_call.args")
    if "functionResponse" in found:
        result = _object(found["functionResponse"], f"{path}.function_response")
        _named(result, f"{path}.function_response")
        if result.get("response") is not None:
            _object(result["response"], f"{path}.function_response.response")
    return found


def _named(value: dict[str, Json], path: str) -> None:
    if not value.get("name"):
        raise Complaint(f"* GenerateContentRequest.{path}.name: Name cannot be empty.\n")
    _text(value["name"], f"{path}.name")


def _blob(value: Json, path: str) -> None:
    found = fields(_object(value, path), path, words("mimeType data displayName"))
    if not found.get("mimeType"):
        raise Complaint(f"* GenerateContentRequest.{path}.mime_type: mime_type must be set\n")
    if not _BASE64.fullmatch(_text(found.get("data"), f"{path}.data")):
        raise Complaint(f"Invalid value at '{path}.data' (TYPE_BYTES), Base64 decoding failed")


def _signature(value: Json, path: str) -> None:
    text = _text(value, path)
    if text == DUMMY:
        return
    if not _BASE64.fullmatch(text):
        raise Complaint(f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed")
    try:
        plain = text.replace("-", "+").replace("_", "/").rstrip("=")
        data = base64.b64decode(plain + "=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        raise Complaint(f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed") from None
    # Of real signatures only their form can be judged; the mock's own, and what a gateway has packed, are known.
    own = data.decode("latin-1")
    if own.startswith("ferry1.") or (own.startswith("mocksig_") and not is_signature(own, "")):
        raise Complaint("Corrupted thought signature.")


def _system(value: Json) -> None:
    if value is None or isinstance(value, str):
        return
    found = fields(_object(value, "system_instruction"), "system_instruction", words("role parts"))
    for n, part in enumerate(_listed(found.get("parts"), "system_instruction.parts")):
        if not isinstance(_part(part, f"system_instruction.parts[{n}]").get("text"), str):
            raise Complaint("* GenerateContentRequest.system_instruction.parts: only text is supported\n")


def _merged(turns: list[_Turn]) -> list[_Turn]:
    """Contents of one role in a row are one turn."""
    out: list[_Turn] = []
    for path, role, parts in turns:
        if out and out[-1][1] == role:
            out[-1][2].extend(parts)
        else:
            out.append((path, role, list(parts)))
    return out


def _pairs(turns: list[_Turn]) -> None:
    """Calls follow the user, and their results, as many as they are, come in the very next turn."""
    calls = 0
    for n, (_, role, parts) in enumerate(turns):
        answered = sum("functionResponse" in part for part in parts)
        if answered != calls:
            if answered and calls:
                raise Complaint(
                    "Please ensure that the number of function response parts is equal to the number of function call "
                    "parts of the function call turn."
                )
            raise Complaint("Please ensure that function response turn comes immediately after a function call turn.")
        calls = sum("functionCall" in part for part in parts)
        if calls and role == "model" and n == 0:
            raise Complaint(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
    if calls:
        raise Complaint("Please ensure that function response turn comes immediately after a function call turn.")


def _signed(turns: list[_Turn]) -> None:
    """Gemini 3: the first call of each step since the user's last words has its signature."""
    start = max(
        (n for n, (_, role, parts) in enumerate(turns) if role == "user" and any("text" in part for part in parts)),
        default=0,
    )
    for path, role, parts in turns[start:]:
        first = next(((n, part) for n, part in enumerate(parts) if "functionCall" in part), None)
        if role == "model" and first is not None and not first[1].get("thoughtSignature"):
            name = first[1]["functionCall"]["name"]
            raise Complaint(
                f"Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                f"work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}`, position {path}.parts[{first[0]}]."
            )


# --- tools -----------------------------------------------------------------------------------------------


def _tools(tools: Json) -> set[str]:
    names: set[str] = set()
    for n, tool in enumerate(_listed(tools, "tools")):
        at = f"tools[{n}]"
        found = fields(_object(tool, at), at, _TOOL)
        functions = _listed(found.get("functionDeclarations"), f"{at}.function_declarations")
        for m, function in enumerate(functions):
            _function(function, f"{at}.function_declarations[{m}]", names)
    return names


def _function(function: Json, path: str, names: set[str]) -> None:
    found = fields(_object(function, path), path, _FUNCTION)
    name = found.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Complaint(
            f"* GenerateContentRequest.{path}.name: [Invalid function name. Must start with a letter or an underscore. "
            "Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a "
            "maximum length of 64.]\n"
        )
    if name in names:
        raise Complaint(f"Duplicate function declaration found: {name}")
    names.add(name)
    if "parameters" in found and "parametersJsonSchema" in found:
        raise Complaint(f"* GenerateContentRequest.{path}: parameters and parameters_json_schema are both set\n")
    if found.get("parameters") is not None:
        check_schema(found["parameters"], f"{path}.parameters", outermost=True)
    plain = found.get("parametersJsonSchema")
    if plain is not None and _object(plain, f"{path}.parameters_json_schema").get("type", "object") != "object":
        raise Complaint(f"* GenerateContentRequest.{path}.parameters_json_schema: schema must be of an object\n")


def _choice(value: Json, names: set[str]) -> None:
    if value is None:
        return
    top = words("functionCallingConfig retrievalConfig includeServerSideToolInvocations")
    found = fields(_object(value, "tool_config"), "tool_config", top)
    at = "tool_config.function_calling_config"
    calling = found.get("functionCallingConfig")
    if calling is None:
        return
    inner = fields(_object(calling, at), at, words("mode allowedFunctionNames streamFunctionCallArguments"))
    mode = inner.get("mode", "AUTO")
    if isinstance(mode, str) and mode.upper() not in _MODES:
        raise Complaint(f"Invalid value at '{at}.mode' (type.googleapis.com/...Mode), \"{mode[:40]}\"")
    allowed = _listed(inner.get("allowedFunctionNames"), f"{at}.allowed_function_names")
    if allowed and str(mode).upper() not in ("ANY", "VALIDATED", "2", "4"):
        raise Complaint("Allowed function names should be set only when function calling mode is ANY.")
    missing = [name for name in allowed if _text(name, f"{at}.allowed_function_names") not in names]
    if missing:
        raise Complaint(f"* {at}.allowed_function_names: {str(missing[0])[:64]} is not in function_declarations\n")


# --- parameters ------------------------------------------------------------------------------------------


def _config(value: Json, version: tuple[int, int], model: str) -> None:
    if value is None:
        return
    at = "generation_config"
    config = fields(_object(value, at), at, _CONFIG)
    for name, (least, most) in _RANGES.items():
        found = config.get(name)
        if found is None:
            continue
        if kind(found) not in ("integer", "decimal"):
            raise Complaint(f"Invalid value at '{at}.{name}', but got {kind(found)}")
        if not least <= found <= most:
            raise Complaint(f"* GenerateContentRequest.{at}.{name}: {name} must be in the range [{least}, {most}].\n")
    limit = config.get("maxOutputTokens")
    if limit is not None and (kind(limit) != "integer" or limit < 1):
        raise Complaint(f"* GenerateContentRequest.{at}.max_output_tokens: max_output_tokens must be positive.\n")
    if len(_listed(config.get("stopSequences"), f"{at}.stop_sequences")) > MAX_STOP:
        raise Complaint(f"* GenerateContentRequest.{at}.stop_sequences: at most {MAX_STOP} stop sequences\n")
    mime = config.get("responseMimeType")
    for name in ("responseSchema", "responseJsonSchema"):
        if config.get(name) is not None and mime not in ("application/json", "text/x.enum"):
            raise Complaint(f"Unable to submit request because {name} is set without a JSON response_mime_type.")
    if config.get("responseSchema") is not None:
        check_schema(config["responseSchema"], f"{at}.response_schema")
    _thinking(config.get("thinkingConfig"), version, model)


def _thinking(value: Json, version: tuple[int, int], model: str) -> None:
    if value is None:
        return
    at = "generation_config.thinking_config"
    config = fields(_object(value, at), at, words("includeThoughts thinkingBudget thinkingLevel"))
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level is not None and budget is not None:
        raise Complaint("You can only set only one of thinking budget and thinking level.")
    if level is not None:
        if isinstance(level, str) and level.upper() not in words("MINIMAL LOW MEDIUM HIGH XHIGH"):
            raise Complaint(f"Invalid value at '{at}.thinking_level' (...ThinkingLevel), \"{level[:40]}\"")
        if (0, 0) < version < (3, 0):
            raise Complaint("Thinking level is not supported for this model.")
    if budget is None:
        return
    if kind(budget) != "integer" or budget < -1:
        raise Complaint(f"Invalid value at '{at}.thinking_budget' (TYPE_INT32)")
    if (0, 0) < version < (2, 5):
        raise Complaint("Thinking is not supported for this model.")
    if budget == 0 and "2.5-pro" in model:
        raise Complaint("Budget 0 is invalid. This model only works in thinking mode.")
