"""Fields of a request to Ollama, ``/api/chat`` and the thin ``/api/generate`` (wire.md 6; the types of its client)."""

# A row is a line, so that the marks stand under each other:
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from .row import Place, Row

_SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
_TOOL = {"type": "function", "function": {"name": "look", "description": "looks", "parameters": _SCHEMA}}
_ASK = {"role": "user", "content": "hi"}
_PNG = "iVBORw0KGgo="
_CALL = {"function": {"name": "look", "arguments": {"x": 1}}}


def _body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages) or [_ASK], "stream": False, **fields}


def _place(path: str, at: str, body: dict[str, Any]) -> Place:
    return Place("ollama", path, at, body)


_BODY = _place("", "", _body())
_OPTIONS = _place("options", "options", _body(options={}))
_FUNCTION = _place("tools[].function", "tools[0].function", _body(tools=[_TOOL]))
_ENTRY = _place("tools[]", "tools[0]", _body(tools=[_TOOL]))
_MESSAGE = _place("messages[]", "messages[0]", _body())
_SYSTEM = _place("messages[]", "messages[0]", _body({"role": "system", "content": "be brief"}, _ASK))
_LATER = _place("messages[]", "messages[1]", _body(_ASK, {"role": "user", "content": "go on"}, _ASK))
_ANSWER = _place("messages[]", "messages[1]", _body(_ASK, {"role": "assistant", "content": "yes"}, _ASK))
_CALLER = _place("messages[]", "messages[1]", _body(_ASK, {"role": "assistant", "content": "", "tool_calls": [_CALL]}, {"role": "tool", "content": "found"}, tools=[_TOOL]))
_CALLED = _place("messages[].tool_calls[]", "messages[1].tool_calls[0]", _CALLER.body)
_RESULT = _place("messages[]", "messages[2]", _CALLER.body)
_NUMBERED = _place("messages[]", "messages[2]", _body(_ASK, {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", **_CALL}]}, {"role": "tool", "content": "found"}, tools=[_TOOL]))
_GENERATE = Place("ollama", "", "", {"model": "m", "prompt": "hi", "stream": False}, "/api/generate")

CHAT: tuple[Row, ...] = (
    _BODY("model", "llama3.2", "....."),
    _BODY("format", "json", "==!==", when="json"),
    _BODY("format", _SCHEMA, "=====", when="a schema"),
    _BODY("keep_alive", "5m", "----="),
    _BODY("logprobs", True, "==!=="),
    _BODY("logprobs", False, "....=", when="false"),
    _BODY("shift", True, "----=", extension=True),
    _BODY("stream", True, "=====", instead=False),
    _BODY("think", True, "--===", newer=".===="),
    _BODY("think", False, "..===", newer="===~=", when="false"),
    _BODY("think", "high", "--===", newer="=====", when="a level"),
    _BODY("top_logprobs", 3, "==!=="),
    _BODY("truncate", True, "-=--=", extension=True),
    _BODY("truncate", False, ".=..=", when="false", extension=True),
)

OPTIONS: tuple[Row, ...] = (
    _OPTIONS("embedding_only", True, "----="),
    _OPTIONS("f16_kv", True, "----="),
    _OPTIONS("frequency_penalty", 0.5, "=--==", newer="---=="),
    _OPTIONS("logits_all", True, "----="),
    _OPTIONS("low_vram", True, "----="),
    _OPTIONS("main_gpu", 1, "----="),
    _OPTIONS("min_p", 0.1, "----=", extension=True),
    _OPTIONS("mirostat", 1, "----="),
    _OPTIONS("mirostat_eta", 0.1, "----="),
    _OPTIONS("mirostat_tau", 5.0, "----="),
    _OPTIONS("num_batch", 512, "----="),
    _OPTIONS("num_ctx", 8192, "----="),
    _OPTIONS("num_gpu", 1, "----="),
    _OPTIONS("num_keep", 5, "----="),
    _OPTIONS("num_predict", 4000, "====="),
    _OPTIONS("num_predict", -1, "....=", when="-1"),
    _OPTIONS("num_thread", 8, "----="),
    _OPTIONS("numa", True, "----="),
    _OPTIONS("penalize_newline", True, "----="),
    _OPTIONS("presence_penalty", 0.5, "=--==", newer="---=="),
    _OPTIONS("repeat_last_n", 64, "----="),
    _OPTIONS("repeat_penalty", 1.1, "----="),
    _OPTIONS("seed", 7, "=--=="),
    _OPTIONS("stop", ["END"], "=!==="),
    _OPTIONS("temperature", 0.5, "=====", newer="---=="),
    _OPTIONS("tfs_z", 0.5, "----="),
    _OPTIONS("top_k", 4, "--===", newer="---=="),
    _OPTIONS("top_p", 0.5, "=====", newer="---=="),
    _OPTIONS("typical_p", 0.5, "----="),
    _OPTIONS("use_mlock", True, "----="),
    _OPTIONS("use_mmap", True, "----="),
    _OPTIONS("vocab_only", True, "----="),
)

MESSAGES: tuple[Row, ...] = (
    _ENTRY("type", "function", "....."),
    _FUNCTION("name", "seek", "=====", instead="look"),
    _FUNCTION("description", "seeks", "====="),
    _FUNCTION("parameters", {**_SCHEMA, "title": "t"}, "=====", instead=_SCHEMA),
    _LATER("role", "assistant", "=====", instead="user"),
    _MESSAGE("content", "hello", "=====", instead="hi"),
    _SYSTEM("content", "be kind", "=====", instead="be brief", when="of the system"),
    _MESSAGE("images", [_PNG], "====="),
    _ANSWER("content", "no", "=====", instead="yes", when="of the assistant"),
    _ANSWER("thinking", "hm", "----="),
    _CALLER("thinking", "hm", "----=", when="beside tool_calls"),
    _CALLED("function.name", "find", "=====", newer="===~=", instead="look"),
    _CALLED("function.arguments", {"x": 2}, "=====", newer="===~=", instead={"x": 1}),
    _CALLED("id", "call_1", "=====", newer="===~=", extension=True),
    _RESULT("content", "lost", "=====", instead="found", when="of a tool"),
    _RESULT("tool_name", "look", "....="),
    _NUMBERED("tool_call_id", "call_1", "....=", extension=True),
)

GENERATE: tuple[Row, ...] = (
    _GENERATE("prompt", "hello", "=====", instead="hi"),
    _GENERATE("suffix", "the end", "!!!!="),
    _GENERATE("system", "be brief", "====="),
    _GENERATE("template", "{{ .Prompt }}", "!!!!="),
    _GENERATE("context", [1, 2, 3], "!!!!="),
    _GENERATE("raw", True, "!!!!="),
    _GENERATE("raw", False, "....=", when="false"),
    _GENERATE("images", [_PNG], "====="),
    _GENERATE("width", 512, "!!!!="),
    _GENERATE("height", 512, "!!!!="),
    _GENERATE("steps", 4, "!!!!="),
)

FIELDS: tuple[Row, ...] = (*CHAT, *OPTIONS, *MESSAGES, *GENERATE)
