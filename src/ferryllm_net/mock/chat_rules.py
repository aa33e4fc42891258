"""What Chat Completions refuses; the sentences are OpenAI's. Pure."""

from __future__ import annotations

import re

from .complaint import Complaint, Json, function_schema, known, listed, missing, one_of, short, typed, within, words
from .proofs import is_encrypted, is_signature

MAX_TOOLS = 128
MAX_CALL_ID = 40
MAX_NAME = 64

_FIELDS = words(
    "model messages audio frequency_penalty function_call functions logit_bias logprobs top_logprobs"
    " max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty"
    " prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier"
    " seed service_tier stop store stream stream_options temperature tool_choice tools top_p user verbosity"
    " web_search_options"
)
_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_PARTS = {
    "system": ("text",),
    "developer": ("text",),
    "tool": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "function": ("text",),
}
"""Content parts by role."""
_NAME = re.compile(r"[a-zA-Z0-9_-]+")


def check(body: dict[str, Json]) -> None:
    """Raises `Complaint` with the first thing that is wrong."""
    if body.get("model") is None:
        raise missing("model")
    known(body, _FIELDS)
    if body.get("messages") is None:
        raise missing("messages")
    messages = listed(body["messages"], "messages", least=1)
    _options(body)
    tools = _tools(body)
    for n, message in enumerate(messages):
        _message(message, f"messages[{n}]")
    _pairs(messages)
    if not tools and body.get("functions") is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None:
                raise Complaint(f"'{name}' is only allowed when 'tools' are specified.", param=name)
    _choice(body.get("tool_choice"), tools)


def _options(body: dict[str, Json]) -> None:
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Complaint(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", param="max_tokens"
        )
    if body.get("max_tokens") is not None and re.match(r"(o\d|gpt-5|gpt-6)", str(body["model"])):
        raise Complaint(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Complaint(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if isinstance(body.get("stop"), list):
        listed(body["stop"], "stop", most=4)
    within(body, "temperature", 0, 2)
    within(body, "top_p", 0, 1)
    within(body, "n", 1, 128, sort="integer")
    within(body, "max_tokens", 1, sort="integer")
    within(body, "max_completion_tokens", 1, sort="integer")
    if body.get("metadata") is not None:
        for name, value in typed(body["metadata"], "metadata", "object").items():
            short(name, "metadata", 64)
            short(value, f"metadata.{name}", 512)


def _tools(body: dict[str, Json]) -> set[str]:
    """The names of the tools."""
    if body.get("tools") is None:
        return set()
    names: set[str] = set()
    for n, tool in enumerate(listed(body["tools"], "tools", least=1, most=MAX_TOOLS)):
        at = f"tools[{n}]"
        sort = one_of(typed(tool, at, "object").get("type"), f"{at}.type", ("function", "custom"))
        inner = tool.get(sort)
        if inner is None:
            raise missing(f"{at}.{sort}")
        name = _name(typed(inner, f"{at}.{sort}", "object").get("name"), f"{at}.{sort}.name")
        if sort == "function":
            function_schema(inner.get("parameters"), name, f"{at}.function.parameters")
        names.add(name)
    return names


def _name(value: Json, path: str) -> str:
    if value is None:
        raise missing(path)
    name = short(value, path, MAX_NAME)
    if not _NAME.fullmatch(name):
        raise Complaint(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            param=path,
            code="invalid_value",
        )
    return name


def _choice(choice: Json, tools: set[str]) -> None:
    if not isinstance(choice, dict):
        if choice is not None:
            one_of(choice, "tool_choice", ("none", "auto", "required"))
        return
    sort = one_of(choice.get("type"), "tool_choice.type", ("function", "custom", "allowed_tools"))
    inner = choice.get(sort)
    if inner is None:
        raise missing(f"tool_choice.{sort}")
    if sort != "allowed_tools" and str(typed(inner, f"tool_choice.{sort}", "object").get("name")) not in tools:
        raise Complaint(
            "Invalid value for 'tool_choice': the tool it names is not among the 'tools'.",
            param="tool_choice",
            code="invalid_value",
        )


def _message(message: Json, path: str) -> None:
    role = one_of(typed(message, path, "object").get("role"), f"{path}.role", _ROLES)
    content = message.get("content")
    if role == "assistant":
        _assistant(message, path)
    elif content is None:
        raise Complaint(
            "Invalid value for 'content': expected a string, got null.", param=f"{path}.content", code="invalid_type"
        )
    if role == "tool":
        if message.get("tool_call_id") is None:
            raise missing(f"{path}.tool_call_id")
        typed(message["tool_call_id"], f"{path}.tool_call_id", "string")
    if content is None or isinstance(content, str):
        return
    for n, part in enumerate(listed(content, f"{path}.content", least=1)):
        at = f"{path}.content[{n}]"
        sort = one_of(typed(part, at, "object").get("type"), f"{at}.type", _PARTS[role])
        if sort in ("text", "refusal"):
            typed(part.get(sort), f"{at}.{sort}", "string")
        elif part.get(sort) is None:
            raise missing(f"{at}.{sort}")


def _assistant(message: dict[str, Json], path: str) -> None:
    calls = message.get("tool_calls")
    said = any(message.get(name) is not None for name in ("tool_calls", "function_call", "refusal", "audio"))
    if message.get("content") is None and not said:
        raise Complaint(
            "Invalid value for 'content': expected a string, got null.", param=f"{path}.content", code="invalid_type"
        )
    for n, call in enumerate(listed(calls, f"{path}.tool_calls", least=1) if calls is not None else ()):
        at = f"{path}.tool_calls[{n}]"
        if typed(call, at, "object").get("id") is None:
            raise missing(f"{at}.id")
        short(call["id"], f"{at}.id", MAX_CALL_ID)
        sort = one_of(call.get("type"), f"{at}.type", ("function", "custom"))
        inner = typed(call.get(sort), f"{at}.{sort}", "object")
        _name(inner.get("name"), f"{at}.{sort}.name")
        field = "arguments" if sort == "function" else "input"
        typed(inner.get(field), f"{at}.{sort}.{field}", "string")
    details = message.get("reasoning_details")
    for n, entry in enumerate(details if isinstance(details, list) else ()):
        if isinstance(entry, dict) and not _genuine(entry):
            raise Complaint(
                f"{path}.reasoning_details[{n}]: the signature does not match the reasoning",
                param=f"{path}.reasoning_details[{n}]",
                code="invalid_value",
            )


def _genuine(entry: dict[str, Json]) -> bool:
    if entry.get("type") == "reasoning.encrypted":
        data = entry.get("data")
        return isinstance(data, str) and is_encrypted(data)
    signature = entry.get("signature")
    return isinstance(signature, str) and is_signature(signature, str(entry.get("text") or ""))


def _pairs(messages: list[dict[str, Json]]) -> None:
    """Each call is answered by a tool message right behind its message, and nothing else stands there."""
    waiting: list[str] = []
    allowed: set[str] = set()
    caller = ""
    for n, message in enumerate([*messages, None]):
        if message is not None and message["role"] == "tool":
            if message["tool_call_id"] not in allowed:
                raise Complaint(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'.",
                    param=f"messages[{n}].role",
                )
            waiting = [id_ for id_ in waiting if id_ != message["tool_call_id"]]
            continue
        if waiting:
            raise Complaint(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
                param=caller,
            )
        calls = (message or {}).get("tool_calls") or ()
        waiting, caller = [call["id"] for call in calls], f"messages[{n}].role"
        allowed = set(waiting)
