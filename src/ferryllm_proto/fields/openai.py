"""Fields of a Chat Completions request (wire.md 2.1 and 2.4; the types of the official SDK)."""

# A row is a line, so that the marks stand under each other:
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from .row import Place, Row

_SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
_OPEN = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]}
_PNG = "data:image/png;base64,iVBORw0KGgo="
_OTHER_PNG = "data:image/png;base64,iVBORw0KGgoA"
_TOOL = {"type": "function", "function": {"name": "look", "parameters": _SCHEMA}}
_OTHER = {"type": "function", "function": {"name": "find", "parameters": _SCHEMA}}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}
_ASK = {"role": "user", "content": "hi"}
_ANSWER = {"role": "tool", "tool_call_id": "call_1", "content": "found"}


def _body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **fields}


def _said(part: dict[str, Any]) -> dict[str, Any]:
    return _body({"role": "user", "content": [part, {"type": "text", "text": "see"}]})


def _place(path: str, at: str, body: dict[str, Any]) -> Place:
    return Place("openai", path, at, body)


_BODY = _place("", "", _body(_ASK))
_TOOLED = _place("", "", _body(_ASK, tools=[_TOOL, _OTHER]))
_FUNCTION = _place("tools[function]", "tools[0]", _body(_ASK, tools=[_TOOL]))
_CUSTOM = _place("tools[custom]", "tools[0]", _body(_ASK, tools=[{"type": "custom", "custom": {"name": "patch"}}]))
_CUSTOM_TOOLED = _place("", "", _CUSTOM.body)
_SYSTEM = _place("messages[system]", "messages[0]", _body({"role": "system", "content": "be brief"}, _ASK))
_SYSTEM_TEXT = _place(
    "messages[system].content[text]",
    "messages[0].content[0]",
    _body({"role": "system", "content": [{"type": "text", "text": "be brief"}]}, _ASK),
)
_DEVELOPER_TEXT = _place(
    "messages[developer].content[text]",
    "messages[0].content[0]",
    _body({"role": "developer", "content": [{"type": "text", "text": "be brief"}]}, _ASK),
)
_DEVELOPER = _place("messages[developer]", "messages[0]", _body({"role": "developer", "content": "be brief"}, _ASK))
_USER = _place("messages[user]", "messages[0]", _body(_ASK))
_ASSISTANT = _place("messages[assistant]", "messages[1]", _body(_ASK, {"role": "assistant", "content": "yes"}, _ASK))
_ASSISTANT_TEXT = _place(
    "messages[assistant].content[text]",
    "messages[1].content[0]",
    _body(_ASK, {"role": "assistant", "content": [{"type": "text", "text": "yes"}]}, _ASK),
)
_CALLER = _place(
    "messages[assistant]",
    "messages[1]",
    _body(_ASK, {"role": "assistant", "content": None, "tool_calls": [_CALL]}, _ANSWER, tools=[_TOOL]),
)
_CALLED = _place("messages[assistant].tool_calls[function]", "messages[1].tool_calls[0]", _CALLER.body)
_CUSTOM_CALLED = _place(
    "messages[assistant].tool_calls[custom]",
    "messages[1].tool_calls[0]",
    _body(
        _ASK,
        {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": "x"}}]},
        _ANSWER,
        tools=[{"type": "custom", "custom": {"name": "patch"}}],
    ),
)
_TOOL_MESSAGE = _place("messages[tool]", "messages[2]", _CALLER.body)
_TOOL_TEXT = _place(
    "messages[tool].content[text]",
    "messages[2].content[0]",
    {
        **_CALLER.body,
        "messages": [
            *_CALLER.body["messages"][:2],
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "found"}]},
        ],
    },
)
_LEGACY = _body(
    _ASK,
    {"role": "assistant", "function_call": {"name": "look", "arguments": '{"x":1}'}},
    {"role": "function", "name": "look", "content": "found"},
    functions=[_TOOL["function"]],
)
_FUNCTIONS = _place("functions[]", "functions[0]", _LEGACY)
_LEGACY_CALL = _place("messages[assistant].function_call", "messages[1].function_call", _LEGACY)
_LEGACY_ANSWER = _place("messages[function]", "messages[2]", _LEGACY)
_LATE = _place(
    "messages[system]", "messages[1]", _body(_ASK, {"role": "system", "content": "be brief"}, _ASK)
)
_TEXT = _place("messages[user].content[text]", "messages[0].content[0]", _said({"type": "text", "text": "look"}))
_IMAGE = _place(
    "messages[user].content[image_url]",
    "messages[0].content[0]",
    _said({"type": "image_url", "image_url": {"url": _PNG}}),
)
_AUDIO = _place(
    "messages[user].content[input_audio]",
    "messages[0].content[0]",
    _said({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
)
_FILE = _place(
    "messages[user].content[file]",
    "messages[0].content[0]",
    _said({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0x"}}),
)
_FORMAT = _place(
    "response_format(json_schema).json_schema",
    "response_format.json_schema",
    _body(_ASK, response_format={"type": "json_schema", "json_schema": {"name": "out", "schema": _SCHEMA}}),
)
_STREAM = _place("stream_options", "stream_options", _body(_ASK, stream=True, stream_options={}))
_MARK = {"mode": "explicit"}
_GRAMMAR = {"custom": {"format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}}}
_CITED = {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1}}
_ALLOWED = {"mode": "required", "tools": [{"type": "function", "function": {"name": "look"}}]}

BODY: tuple[Row, ...] = (
    _BODY("model", "gpt-5.4", "....."),
    _BODY("audio", {"format": "wav", "voice": "alloy"}, "=!!!!"),
    _BODY("frequency_penalty", 0.5, "=--=="),
    _BODY("frequency_penalty", 0, "=...=", when="0"),
    _TOOLED("function_call", "auto", "====."),
    _TOOLED("function_call", {"name": "look"}, "====!", when="a name"),
    _BODY("logit_bias", {"50256": -100}, "=----"),
    _BODY("logprobs", True, "==!=="),
    _BODY("logprobs", False, "=...=", when="false"),
    _BODY("max_completion_tokens", 4000, "====="),
    _BODY("max_tokens", 4000, "====="),
    _BODY("max_tokens", 500, "=----", beside={"max_completion_tokens": 4000}, when="beside max_completion_tokens"),
    _BODY("metadata", {"job": "7"}, "==---"),
    _BODY("modalities", ["text", "audio"], "=!!!!"),
    _BODY("modalities", ["text"], "=....", when='["text"]'),
    _BODY("moderation", {"model": "omni-moderation-latest"}, "==---"),
    _BODY("n", 2, "=!!!!"),
    _BODY("n", 1, "=....", when="1"),
    _TOOLED("parallel_tool_calls", False, "===--"),
    _TOOLED("parallel_tool_calls", True, "==...", when="true"),
    _BODY("prediction", {"type": "content", "content": "x = 1"}, "=----"),
    _BODY("presence_penalty", 0.5, "=--=="),
    _BODY("presence_penalty", 0, "=...=", when="0"),
    _BODY("prompt_cache_key", "session-7", "==---"),
    _BODY("prompt_cache_options", {"mode": "explicit", "ttl": "30m"}, "==---"),
    _BODY("prompt_cache_retention", "24h", "==---"),
    _BODY("reasoning_effort", "high", "=-==-", newer="====="),
    _BODY("reasoning_effort", "none", "=.==.", newer="===~=", when="none"),
    _BODY("reasoning_effort", "xhigh", "=-==-", newer="===~~", when="xhigh"),
    _BODY("response_format(json_object)", {}, "==!=="),
    _FORMAT("description", "a number", "==---"),
    _FORMAT("name", "number", "==---", instead="out"),
    _FORMAT("schema", {"type": "object", "properties": {}, "required": [], "additionalProperties": False}, "=====", instead=_SCHEMA),
    _FORMAT("strict", True, "==..."),
    _BODY("response_format(text)", {}, "==..."),
    _BODY("safety_identifier", "u-7", "===--"),
    _BODY("seed", 7, "=--=="),
    _BODY("service_tier", "flex", "==-=-"),
    _BODY("service_tier", "auto", "===..", when="auto"),
    _BODY("service_tier", "default", "===..", when="default"),
    _BODY("stop", ["END"], "=!==="),
    _BODY("stop", ["1", "2", "3", "4", "5", "6"], "=!=!=", when="more than 5"),
    _BODY("store", True, "==---"),
    _BODY("store", False, "=....", when="false"),
    _BODY("stream", True, "====="),
    _STREAM("include_obfuscation", False, "==---"),
    _STREAM("include_usage", True, "=...."),
    _BODY("temperature", 0.5, "=====", newer="=--=="),
    _BODY("temperature", 1.5, "==~==", newer="=--==", when="above 1"),
    _BODY("temperature", 1, "==.==", newer="=..==", when="1"),
    _TOOLED("tool_choice", "required", "====!"),
    _TOOLED("tool_choice", "none", "=====", when="none"),
    _TOOLED("tool_choice", "auto", "====.", when="auto"),
    _TOOLED("tool_choice(function).function.name", "look", "====!"),
    _CUSTOM_TOOLED("tool_choice(custom).custom.name", "patch", "====!"),
    _TOOLED("tool_choice(allowed_tools)", {"allowed_tools": _ALLOWED}, "==~=!"),
    _TOOLED("tool_choice", "any", "====!", when="any", extension=True),
    _BODY("top_logprobs", 3, "==!=="),
    _BODY("top_p", 0.5, "=====", newer="=--=="),
    _BODY("user", "u-7", "===--"),
    _BODY("verbosity", "low", "==---"),
    _BODY("web_search_options", {"search_context_size": "low"}, "=----"),
)

TOOLS: tuple[Row, ...] = (
    _FUNCTION("function.description", "looks", "====="),
    _FUNCTION("function.name", "seek", "=====", instead="look"),
    _FUNCTION("function.parameters", _OPEN, "=====", instead=_SCHEMA),
    _FUNCTION("function.strict", True, "===--"),
    _FUNCTION("cache_control", {"type": "ephemeral"}, "=-=--", extension=True),
    _CUSTOM("custom.name", "edit", "==~~~", instead="patch"),
    _CUSTOM("custom.description", "patches", "==~~~"),
    _CUSTOM("custom.format(grammar).grammar.definition", "start: B", "==~~~", beside=_GRAMMAR, instead="start: A"),
    _CUSTOM("custom.format(grammar).grammar.syntax", "regex", "==~~~", beside=_GRAMMAR, instead="lark"),
    _CUSTOM("custom.format(text)", {}, "=.~~~"),
    _FUNCTIONS("description", "looks", "====="),
    _FUNCTIONS("name", "seek", "=====", instead="look"),
    _FUNCTIONS("parameters", _OPEN, "=====", instead=_SCHEMA),
)

MESSAGES: tuple[Row, ...] = (
    _SYSTEM("content", "be kind", "=====", instead="be brief"),
    _SYSTEM_TEXT("text", "be kind", "=====", instead="be brief"),
    _SYSTEM_TEXT("prompt_cache_breakpoint", _MARK, "=-=--"),
    _SYSTEM("name", "ops", "=----"),
    _DEVELOPER("content", "be kind", "=====", instead="be brief"),
    _DEVELOPER_TEXT("text", "be kind", "=====", instead="be brief"),
    _DEVELOPER_TEXT("prompt_cache_breakpoint", _MARK, "=-=--"),
    _DEVELOPER("name", "ops", "=----"),
    _LATE("content", "be kind", "==~~~", instead="be brief", when="later"),
    _USER("content", "hello", "=====", instead="hi"),
    _USER("name", "ann", "=----"),
    _TEXT("text", "hello", "=====", instead="hi"),
    _TEXT("prompt_cache_breakpoint.mode", "explicit", "===--", told="prompt_cache_breakpoint"),
    _TEXT("prompt_cache_breakpoint.ttl", "30m", "==~--", beside={"prompt_cache_breakpoint": _MARK}),
    _TEXT("cache_control", {"type": "ephemeral"}, "===--", extension=True),
    _IMAGE("image_url.url", _OTHER_PNG, "=====", instead=_PNG),
    _IMAGE("image_url.url", "https://example.com/a.png", "===!!", when="an address"),
    _IMAGE("image_url.detail", "high", "==---"),
    _IMAGE("image_url.detail", "auto", "=....", when="auto"),
    _IMAGE("prompt_cache_breakpoint", _MARK, "===--"),
    _AUDIO("input_audio", {"data": "AAAB", "format": "mp3"}, "==!=!", instead={"data": "AAAA", "format": "wav"}),
    _AUDIO("prompt_cache_breakpoint", _MARK, "=-!-!"),
    _FILE("file.file_data", "data:application/pdf;base64,JVBERi0y", "====!", instead="data:application/pdf;base64,JVBERi0x"),
    _USER("content[file].file.file_id", "file-1", "==!!!", beside={"content": []}),
    _FILE("file.filename", "a.pdf", "===-!"),
    _FILE("prompt_cache_breakpoint", _MARK, "===-!"),
    _USER("content[video_url]", {"video_url": {"url": "https://example.com/a.mp4"}}, "=!!!!", beside={"content": []}, extension=True),
    _ASSISTANT("content", "no", "=====", instead="yes"),
    _ASSISTANT_TEXT("text", "no", "=====", instead="yes"),
    _ASSISTANT_TEXT("prompt_cache_breakpoint", _MARK, "===--"),
    _ASSISTANT("content[refusal].refusal", "no", "==~~~", beside={"content": []}, instead="never"),
    _ASSISTANT("refusal", "no", "==~~~", beside={"content": None}, instead="never"),
    _ASSISTANT("audio", {"id": "audio_1"}, "=----"),
    _ASSISTANT("name", "bob", "=----"),
    _ASSISTANT("reasoning_content", "hm", "=---=", extension=True),
    _ASSISTANT("reasoning", "hm", "=---=", extension=True),
    _ASSISTANT("reasoning_details", [{"type": "reasoning.text", "text": "hm", "signature": "s"}], "=----", extension=True),
    _ASSISTANT("annotations", [_CITED], "=----", extension=True),
    _CALLER("content", "so", "=====", when="beside tool_calls"),
    _CALLER("reasoning_content", "hm", "=---=", when="beside tool_calls", extension=True),
    _CALLED("id", "call_1", ".....", newer="...~."),
    _CALLED("function.name", "find", "=====", newer="===~=", instead="look"),
    _CALLED("function.arguments", '{"x":2}', "=====", newer="===~=", instead='{"x":1}'),
    _CALLED("function.arguments", '{"x":', "==~~~", instead='{"x":1}', when="no JSON object"),
    _CALLED("extra_content", {"google": {"thought_signature": "c2ln"}}, "=--=-", extension=True),
    _CUSTOM_CALLED("id", "call_1", ".....", newer="...~."),
    _CUSTOM_CALLED("custom.name", "edit", "=====", newer="===~=", instead="patch"),
    _CUSTOM_CALLED("custom.input", "y", "=====", newer="===~=", instead="x"),
    _LEGACY_CALL("name", "find", "=====", newer="===~=", instead="look"),
    _LEGACY_CALL("arguments", '{"x":2}', "=====", newer="===~=", instead='{"x":1}'),
    _TOOL_MESSAGE("tool_call_id", "call_1", "....."),
    _TOOL_MESSAGE("content", "lost", "=====", instead="found"),
    _TOOL_TEXT("text", "lost", "=====", instead="found"),
    _TOOL_TEXT("prompt_cache_breakpoint", _MARK, "===--"),
    _TOOL_MESSAGE("content[image_url].image_url.url", _OTHER_PNG, "===~=", newer="=====", beside={"content": []}, instead=_PNG, extension=True),
    _LEGACY_ANSWER("content", "lost", "=====", instead="found"),
    _LEGACY_ANSWER("name", "look", "....."),
)

FIELDS: tuple[Row, ...] = (*BODY, *TOOLS, *MESSAGES)
