"""What the Responses API refuses; the sentences are OpenAI's. Pure.

A request comes here as `stored` has made it whole: what still refers to something stored (``previous_response_id``, an
item by its id) is not there. Reasoning may be without its encrypted content where its id is kept.
"""

from __future__ import annotations

import re
from collections.abc import Container

from ferryllm_proto import ir

from .complaint import Complaint, Json, function_schema, known, listed, missing, one_of, short, typed, within, words
from .proofs import is_encrypted

MAX_TOOLS = 128
MAX_ID = 64
MIN_OUTPUT = 16
"""The API's smallest ``max_output_tokens``."""

_FIELDS = words(
    "model input instructions background context_management conversation include max_output_tokens max_tool_calls"
    " metadata moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options"
    " prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature text"
    " tool_choice tools top_logprobs top_p truncation user access_programs image client_metadata"
)
_MOVED = {
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
}
"""Fields of Chat, by their place here."""
_ROLES = ("assistant", "system", "developer", "user")
_PARTS = {"assistant": ("output_text", "refusal")}
_INPUT_PARTS = ("input_text", "input_image", "input_file", "input_audio")
_PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs", "custom_tool_call": "ctc"}
_ITEMS = words(
    "message function_call function_call_output custom_tool_call custom_tool_call_output reasoning item_reference"
    " compaction compaction_trigger configuration_update additional_tools tool_search_call tool_search_output program"
    " program_output local_shell_call local_shell_call_output shell_call shell_call_output apply_patch_call"
    " apply_patch_call_output file_search_call web_search_call computer_call computer_call_output"
    " image_generation_call code_interpreter_call mcp_list_tools mcp_call mcp_approval_request"
    " mcp_approval_response"
)
_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_WORDS = {"function_call": "function call", "custom_tool_call": "custom tool call"}
_NAME = re.compile(r"[a-zA-Z0-9_-]+")


def check(body: dict[str, Json], stored: Container[str] = ()) -> None:
    """Raises `Complaint` with the first thing that is wrong; ``stored`` are the ids of items that are kept."""
    if body.get("model") is None and body.get("prompt") is None:
        raise missing("model")
    for name, place in _MOVED.items():
        if name in body:
            raise Complaint(
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{place}'.",
                param=name,
                code="unsupported_parameter",
            )
    known(body, _FIELDS)
    if all(body.get(name) is None for name in ("input", "previous_response_id", "prompt", "conversation")):
        raise missing("input")
    if body.get("previous_response_id") is not None:
        raise Complaint(
            f"Previous response with id '{str(body['previous_response_id'])[:80]}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    _options(body)
    tools = _tools(body.get("tools"), "tools")
    _choice(body.get("tool_choice"), tools, body)
    if isinstance(body.get("input"), str) or body.get("input") is None:
        return
    items = listed(body["input"], "input", least=1)
    for n, item in enumerate(items):
        _item(item, f"input[{n}]", stored)
    _pairs(items)
    _followed(items)


def _options(body: dict[str, Json]) -> None:
    within(body, "temperature", 0, 2)
    within(body, "top_p", 0, 1)
    within(body, "max_output_tokens", MIN_OUTPUT, sort="integer")
    within(body, "top_logprobs", 0, 20, sort="integer")
    for name in ("reasoning", "text", "metadata"):
        if body.get(name) is not None:
            typed(body[name], name, "object")
    format_ = (body.get("text") or {}).get("format")
    if format_ is not None:
        sort = one_of(
            typed(format_, "text.format", "object").get("type"),
            "text.format.type",
            ("text", "json_object", "json_schema"),
        )
        for name in ("name", "schema") if sort == "json_schema" else ():
            if format_.get(name) is None:
                raise missing(f"text.format.{name}")


def _tools(tools: Json, path: str) -> set[str]:
    names: set[str] = set()
    if tools is None:
        return names
    for n, tool in enumerate(listed(tools, path, most=MAX_TOOLS)):
        at = f"{path}[{n}]"
        sort = typed(tool, at, "object").get("type")
        if sort is None:
            raise missing(f"{at}.type")
        if sort == "namespace":
            names |= {_name(tool.get("name"), f"{at}.name")} | _tools(tool.get("tools"), f"{at}.tools")
        elif sort in ("function", "custom"):
            name = _name(tool.get("name"), f"{at}.name")
            names.add(name)
            if sort == "function":
                function_schema(tool.get("parameters"), name, f"{at}.parameters")
        else:
            names.add(str(sort))
    return names


def _name(value: Json, path: str) -> str:
    if value is None:
        raise missing(path)
    name = short(value, path, 128)
    if not _NAME.fullmatch(name):
        raise Complaint(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            param=path,
            code="invalid_value",
        )
    return name


def _choice(choice: Json, tools: set[str], body: dict[str, Json]) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        word = one_of(choice, "tool_choice", ("none", "auto", "required"))
        given = tools or _brings_tools(body.get("input"))
        if word == "required" and not given:
            raise Complaint("Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")
        return
    sort = typed(choice, "tool_choice", "string", "object").get("type")
    if sort is None:
        raise missing("tool_choice.type")
    if sort in ("function", "custom") and str(choice.get("name")) not in tools:
        raise Complaint(
            f"Tool choice '{sort}' not found in 'tools' parameter.", param="tool_choice", code="invalid_value"
        )


def _brings_tools(items: Json) -> bool:
    """Codex's newest models get their tools in an item of the input."""
    return isinstance(items, list) and any(
        isinstance(item, dict) and item.get("type") == "additional_tools" for item in items
    )


# --- items -----------------------------------------------------------------------------------------------


def _item(item: Json, path: str, stored: Container[str]) -> None:
    sort = typed(item, path, "object").get("type") or ("message" if "role" in item else None)
    if sort is None and item.get("id") is not None:
        sort = "item_reference"
    if sort is None:
        raise missing(f"{path}.type")
    one_of(sort, f"{path}.type", sorted(_ITEMS))
    _id(item.get("id"), sort, f"{path}.id")
    if sort == "message":
        _message(item, path)
    elif sort in _CALLS:
        for name in ("call_id", "name", "arguments" if sort == "function_call" else "input"):
            if item.get(name) is None:
                raise missing(f"{path}.{name}")
            typed(item[name], f"{path}.{name}", "string")
        short(item["call_id"], f"{path}.call_id", MAX_ID)
    elif sort in _CALLS.values():
        for name in ("call_id", "output"):
            if item.get(name) is None:
                raise missing(f"{path}.{name}")
        typed(item["call_id"], f"{path}.call_id", "string")
        typed(item["output"], f"{path}.output", "string", "array")
        if isinstance(item["output"], list):
            _parts(item["output"], f"{path}.output", _INPUT_PARTS)
    elif sort == "reasoning":
        _reasoning(item, path, stored)
    elif sort == "item_reference":
        words_ = f"Item with id '{str(item.get('id'))[:80]}' not found."
        raise Complaint(words_, param="input", error_kind=ir.ErrorKind.NOT_FOUND)
    elif sort == "additional_tools":
        _tools(item.get("tools"), f"{path}.tools")


def _id(value: Json, sort: str, path: str) -> None:
    if value is None:
        return
    text = short(value, path, MAX_ID)
    prefix = _PREFIXES.get(sort)
    if prefix is not None and not text.startswith(prefix):
        raise Complaint(
            f"Invalid '{path}': '{text}'. Expected an ID that begins with '{prefix}'.", param=path, code="invalid_value"
        )


def _message(item: dict[str, Json], path: str) -> None:
    role = one_of(item.get("role"), f"{path}.role", _ROLES)
    content = item.get("content")
    if content is None:
        raise missing(f"{path}.content")
    if not isinstance(content, str):
        _parts(typed(content, f"{path}.content", "string", "array"), f"{path}.content", _PARTS.get(role, _INPUT_PARTS))


def _parts(parts: list[Json], path: str, sorts: tuple[str, ...]) -> None:
    for n, part in enumerate(parts):
        at = f"{path}[{n}]"
        sort = one_of(typed(part, at, "object").get("type"), f"{at}.type", sorts)
        field = "refusal" if sort == "refusal" else "text"
        if sort in ("input_text", "output_text", "refusal"):
            typed(part.get(field), f"{at}.{field}", "string")


def _reasoning(item: dict[str, Json], path: str, stored: Container[str]) -> None:
    listed(item.get("summary"), f"{path}.summary")
    token = item.get("encrypted_content")
    id_ = str(item.get("id"))[:MAX_ID]
    if token is None and id_ in stored:
        return
    if token is None:
        raise Complaint(
            f"Item with id '{id_}' not found. Items are not persisted when `store` is set to false. Try again with "
            "`store` set to true, or remove this item from your input.",
            param="input",
            error_kind=ir.ErrorKind.NOT_FOUND,
        )
    if not is_encrypted(typed(token, f"{path}.encrypted_content", "string")):
        raise Complaint(
            f"The encrypted content for item {id_} could not be verified. Reason: Encrypted content could not be "
            "decrypted or parsed.",
            param=f"{path}.encrypted_content",
            code="invalid_encrypted_content",
        )


def _pairs(items: list[dict[str, Json]]) -> None:
    """Each call has its output somewhere behind it, each output its call before it."""
    for call, output in _CALLS.items():
        waiting: set[str] = set()
        others: set[str] = (
            set()
        )  # calls of the API's own tools (tool_search_call), which a function's output may answer
        for n, item in enumerate(items):
            sort, id_ = item.get("type"), str(item.get("call_id"))
            if sort == call:
                waiting.add(id_)
            elif sort == output and id_ in waiting | others:
                waiting.discard(id_)
            elif sort == output:
                raise Complaint(
                    f"No tool call found for {_WORDS[call]} output with call_id {id_[:MAX_ID]}.", param=f"input[{n}]"
                )
            elif sort not in _CALLS and str(sort).endswith("_call"):
                others.add(id_)
        if waiting:
            raise Complaint(f"No tool output found for {_WORDS[call]} {min(waiting)}.", param="input")


def _followed(items: list[dict[str, Json]]) -> None:
    """A reasoning item stands before what it led to."""
    for item, behind in zip(items, [*items[1:], None], strict=True):
        if item.get("type") != "reasoning":
            continue
        sort = None if behind is None else behind.get("type", "message")
        if (
            sort is None
            or sort in _CALLS.values()
            or (sort == "message" and behind and behind.get("role") != "assistant")
        ):
            raise Complaint(
                f"Item '{str(item.get('id'))[:MAX_ID]}' of type 'reasoning' was provided without its required "
                "following item.",
                param="input",
            )
