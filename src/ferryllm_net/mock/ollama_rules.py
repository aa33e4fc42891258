"""What an Ollama server refuses; the sentences are Ollama's, and those of Go's JSON decoder in front of it. Pure.

Unknown fields and options pass: the server ignores them.
"""

from __future__ import annotations

import base64
import binascii
import re

from .complaint import Complaint, Json, kind

MAX_TOP_LOGPROBS = 20

_ROLES = ("system", "user", "assistant", "tool")
_LEVELS = ("high", "medium", "low", "max")
_DURATION = re.compile(r"[-+]?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+|[-+]?0")
_INTEGERS = frozenset(
    (
        "num_keep",
        "seed",
        "num_predict",
        "top_k",
        "repeat_last_n",
        "mirostat",
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "num_thread",
    )
)
_NUMBERS = frozenset(
    (
        "top_p",
        "min_p",
        "typical_p",
        "temperature",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "mirostat_tau",
        "mirostat_eta",
    )
)
_GO = {
    "array": "array",
    "object": "object",
    "string": "string",
    "boolean": "bool",
    "integer": "number",
    "decimal": "number",
}


def check(body: dict[str, Json], *, generate: bool = False) -> None:
    """Raises `Complaint` with the first thing that is wrong; ``generate``: the body is of ``/api/generate``."""
    request = "GenerateRequest" if generate else "ChatRequest"
    _typed(body.get("model"), f"{request}.model", "string")
    _typed(body.get("stream"), f"{request}.stream", "boolean")
    if generate:
        for name in ("prompt", "suffix", "system", "template"):
            _typed(body.get(name), f"{request}.{name}", "string")
        _typed(body.get("raw"), f"{request}.raw", "boolean")
        _images(body.get("images"), f"{request}.images")
    else:
        for message in _list(body.get("messages"), f"{request}.messages"):
            _message(message, f"{request}.messages")
        for tool in _list(body.get("tools"), f"{request}.tools"):
            _tool(tool, f"{request}.tools")
    _options(_object(body.get("options"), f"{request}.options"))
    _keep_alive(body.get("keep_alive"))
    _think(body.get("think"), str(body.get("model") or ""))
    if not body.get("model"):
        raise Complaint("model is required")
    _format(body.get("format"))
    if not 0 <= (_typed(body.get("top_logprobs"), f"{request}.top_logprobs", "integer") or 0) <= MAX_TOP_LOGPROBS:
        raise Complaint("top_logprobs must be between 0 and 20")
    if body.get("raw") and (body.get("template") or body.get("system") or body.get("context")):
        raise Complaint("raw mode does not support template, system, or context")


def _typed(value: Json, path: str, *kinds: str) -> Json:
    """``value``, which is of one of ``kinds`` or null."""
    if value is not None and kind(value) not in kinds:
        raise Complaint(f"json: cannot unmarshal {_GO[kind(value)]} into Go struct field {path} of type {kinds[0]}")
    return value


def _object(value: Json, path: str) -> dict[str, Json]:
    """``value``, an object; null is an empty one."""
    return _typed(value, path, "object") or {}


def _list(value: Json, path: str) -> list[Json]:
    """``value``, an array; null is an empty one."""
    return _typed(value, path, "array") or []


def _message(value: Json, path: str) -> None:
    message = _object(value, path)
    role = _typed(message.get("role"), f"{path}.role", "string") or ""
    if role.lower() not in _ROLES:
        raise Complaint(f"invalid role: {role[:40]!r}, must be one of {', '.join(_ROLES)}")
    for name in ("content", "thinking", "tool_name", "tool_call_id"):
        _typed(message.get(name), f"{path}.{name}", "string")
    _images(message.get("images"), f"{path}.images")
    at = f"{path}.tool_calls"
    for one in _list(message.get("tool_calls"), at):
        call = _object(one, at)
        _typed(call.get("id"), f"{at}.id", "string")
        function = _object(call.get("function"), f"{at}.function")
        _typed(function.get("name"), f"{at}.function.name", "string")
        _typed(function.get("arguments"), f"{at}.function.arguments", "object")


def _images(images: Json, path: str) -> None:
    for one in _list(images, path):
        image = _typed(one, path, "string") or ""
        try:
            base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError):
            bad = next((n for n, sign in enumerate(image) if not re.match(r"[A-Za-z0-9+/=]", sign)), len(image))
            raise Complaint(f"illegal base64 data at input byte {bad}") from None


def _tool(value: Json, path: str) -> None:
    tool = _object(value, path)
    _typed(tool.get("type"), f"{path}.type", "string")
    function = _object(tool.get("function"), f"{path}.function")
    for name in ("name", "description"):
        _typed(function.get(name), f"{path}.function.{name}", "string")
    at = f"{path}.function.parameters"
    parameters = _object(function.get("parameters"), at)
    _typed(parameters.get("type"), f"{at}.type", "string")
    for name in _list(parameters.get("required"), f"{at}.required"):
        _typed(name, f"{at}.required", "string")
    for member in _object(parameters.get("properties"), f"{at}.properties").values():
        _property(member, f"{at}.properties")


def _property(value: Json, path: str) -> None:
    """A property of the server's own type for them; what else a schema may say it ignores."""
    found = _object(value, path)
    _typed(found.get("type"), f"{path}.type", "string", "array")
    _typed(found.get("description"), f"{path}.description", "string")
    _typed(found.get("enum"), f"{path}.enum", "array")
    for one in _list(found.get("anyOf"), f"{path}.anyOf"):
        _property(one, f"{path}.anyOf")


def _options(options: dict[str, Json]) -> None:
    for name, value in options.items():
        if value is None:
            continue
        if name in _INTEGERS and kind(value) not in ("integer", "decimal"):
            raise Complaint(f'option "{name}" must be of type integer')
        if name in _NUMBERS and kind(value) not in ("integer", "decimal"):
            raise Complaint(f'option "{name}" must be of type float32')
        if name == "stop" and (kind(value) != "array" or any(kind(one) != "string" for one in value)):
            raise Complaint('option "stop" must be of type array')


def _keep_alive(value: Json) -> None:
    if value is None or kind(value) in ("integer", "decimal"):
        return
    if not isinstance(value, str):
        raise Complaint(f"unsupported type: {_GO[kind(value)]!r}")
    if not _DURATION.fullmatch(value):
        raise Complaint(f'time: invalid duration "{value[:40]}"')


def _think(value: Json, model: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if value not in _LEVELS:
        found = value[:40] if isinstance(value, str) else _GO[kind(value)]
        raise Complaint(f'invalid think value: "{found}" (must be "high", "medium", "low", "max", true, or false)')
    if "gpt-oss" not in model:
        raise Complaint(f'think value "{value}" is not supported for this model')


def _format(value: Json) -> None:
    if value in (None, "", "json") or isinstance(value, dict):
        return
    raise Complaint(f'invalid format: {str(value)[:40]!r}; expected "json" or a valid JSON Schema object')
