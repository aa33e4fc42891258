"""Fields of a Responses request but for its input (wire.md 3.1; the types of the official SDK)."""

# A row is a line, so that the marks stand under each other:
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from .row import Place, Row

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
_OPEN = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]}
TOOL = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": True}
_OTHER = {"type": "function", "name": "find", "parameters": SCHEMA, "strict": True}
ASK = {"type": "message", "role": "user", "content": "hi"}


def body(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "input": list(items) or [ASK], "store": False, **fields}


def place(path: str, at: str, found: dict[str, Any]) -> Place:
    return Place("openai_responses", path, at, found)


_BODY = place("", "", body())
_TOOLED = place("", "", body(tools=[TOOL, _OTHER]))
_FUNCTION = place("tools[function]", "tools[0]", body(tools=[TOOL]))
_CUSTOM = place("tools[custom]", "tools[0]", body(tools=[{"type": "custom", "name": "patch"}]))
_CUSTOM_TOOLED = place("", "", _CUSTOM.body)
_SPACE = place("tools[namespace]", "tools[0]", body(tools=[{"type": "namespace", "name": "fs", "description": "files", "tools": [TOOL]}]))
_SPACED = place("tools[namespace].tools[function]", "tools[0].tools[0]", _SPACE.body)
_SPACED_CUSTOM = place(
    "tools[namespace].tools[custom]",
    "tools[0].tools[0]",
    body(tools=[{"type": "namespace", "name": "fs", "description": "files", "tools": [{"type": "custom", "name": "patch"}]}]),
)
_FORMAT = place("text.format(json_schema)", "text.format", body(text={"format": {"type": "json_schema", "name": "out", "schema": SCHEMA}}))
_STRING = place("", "", {"model": "m", "input": "hi", "store": False})
_GRAMMAR = {"format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}}
_ALLOWED = {"mode": "required", "tools": [{"type": "function", "name": "look"}]}

BODY: tuple[Row, ...] = (
    _BODY("model", "gpt-5.4", "....."),
    _STRING("input", "hello", "=====", instead="hi", when="a string"),
    _BODY("access_programs", {"cyber": "x"}, "-=---"),
    _BODY("background", True, "!=!!!"),
    _BODY("background", False, ".=...", when="false"),
    _BODY("background_options", {"completion_window": "2h"}, "-=---"),
    _BODY("context_management", [{"type": "compaction", "compact_threshold": 100000}], "-=---"),
    _BODY("conversation", "conv_1", "!=!!!"),
    _BODY("image", {"context_compression": "auto"}, "-=---"),
    _BODY("include[]", "web_search_call.action.sources", "-=---"),
    _BODY("include[]", "reasoning.encrypted_content", "-=..-", when="reasoning.encrypted_content"),
    _BODY("include[]", "message.output_text.logprobs", "==!==", when="message.output_text.logprobs"),
    _BODY("instructions", "be brief", "====="),
    _BODY("max_output_tokens", 4000, "====="),
    _BODY("max_tool_calls", 3, "-=---"),
    _BODY("metadata", {"job": "7"}, "==---"),
    _BODY("moderation", {"model": "omni-moderation-latest"}, "==---"),
    _TOOLED("parallel_tool_calls", False, "===--"),
    _TOOLED("parallel_tool_calls", True, ".=...", when="true"),
    _BODY("previous_response_id", "resp_1", "!=!!!"),
    _BODY("prompt", {"id": "pmpt_1"}, "!=!!!"),
    _BODY("prompt_cache_key", "session-7", "==---"),
    _BODY("prompt_cache_options", {"mode": "explicit", "ttl": "30m"}, "==---"),
    _BODY("prompt_cache_retention", "24h", "==---"),
    _BODY("reasoning.context", "all_turns", "-=---"),
    _BODY("reasoning.effort", "high", "-===-", newer="====="),
    _BODY("reasoning.effort", "none", ".===.", newer="===~=", when="none"),
    _BODY("reasoning.generate_summary", "auto", "-=---"),
    _BODY("reasoning.mode", "pro", "-=---"),
    _BODY("reasoning.summary", "auto", "-=-=-", newer="-===-"),
    _BODY("safety_identifier", "u-7", "===--"),
    _BODY("service_tier", "flex", "==-=-"),
    _BODY("service_tier", "auto", "===..", when="auto"),
    _BODY("service_tier", "default", "===..", when="default"),
    _BODY("store", True, "-=---"),
    _BODY("store", False, ".....", when="false"),
    _BODY("stream", True, "====="),
    _BODY("stream_options.include_obfuscation", False, "==---", beside={"stream": True}),
    _BODY("temperature", 0.5, "=====", newer="-=-=="),
    _BODY("temperature", 1.5, "==~==", newer="-=-==", when="above 1"),
    _BODY("temperature", 1, "==.==", when="1"),
    _BODY("text.format(json_object)", {}, "==!=="),
    _FORMAT("description", "a number", "==---"),
    _FORMAT("name", "number", "==---", instead="out"),
    _FORMAT("schema", {"type": "object", "properties": {}, "required": [], "additionalProperties": False}, "=====", instead=SCHEMA),
    _FORMAT("strict", True, ".=..."),
    _BODY("text.format(text)", {}, ".=..."),
    _BODY("text.verbosity", "low", "==---"),
    _TOOLED("tool_choice", "required", "====!"),
    _TOOLED("tool_choice", "none", "=====", when="none"),
    _TOOLED("tool_choice", "auto", "====.", when="auto"),
    _TOOLED("tool_choice(function).name", "look", "====!"),
    _CUSTOM_TOOLED("tool_choice(custom).name", "patch", "====!"),
    _TOOLED("tool_choice(allowed_tools)", _ALLOWED, "==~=!"),
    _TOOLED("tool_choice(apply_patch)", {}, "!=!!!"),
    _TOOLED("tool_choice(code_interpreter)", {}, "!=!!!"),
    _TOOLED("tool_choice(computer*)", {"type": "computer"}, "!=!!!"),
    _TOOLED("tool_choice(file_search)", {}, "!=!!!"),
    _TOOLED("tool_choice(image_generation)", {}, "!=!!!"),
    _TOOLED("tool_choice(mcp)", {"server_label": "deep"}, "!=!!!"),
    _TOOLED("tool_choice(programmatic_tool_calling)", {}, "!=!!!"),
    _TOOLED("tool_choice(shell)", {}, "!=!!!"),
    _BODY("tool_choice(web_search_preview*)", {"type": "web_search_preview"}, "!=!!!", beside={"tools": [{"type": "web_search_preview"}]}),
    _BODY("top_logprobs", 3, "==!=="),
    _BODY("top_p", 0.5, "=====", newer="-=-=="),
    _BODY("truncation", "auto", "-=--="),
    _BODY("truncation", "disabled", ".=..=", when="disabled"),
    _BODY("user", "u-7", "===--"),
)

TOOLS: tuple[Row, ...] = (
    _FUNCTION("allowed_callers", ["direct"], "-=---"),
    _FUNCTION("async", True, "-=---"),
    _FUNCTION("defer_loading", True, "-=---"),
    _FUNCTION("description", "looks", "====="),
    _FUNCTION("name", "seek", "=====", instead="look"),
    _FUNCTION("output_schema", SCHEMA, "-=---"),
    _FUNCTION("parameters", {**SCHEMA, "title": "t"}, "=====", instead=SCHEMA),
    _FUNCTION("strict", True, "===--", instead=False),
    _FUNCTION("strict", True, "~==--", beside={"parameters": _OPEN}, instead=False, when="with optional parameters"),
    _CUSTOM("allowed_callers", ["direct"], "-=---"),
    _CUSTOM("async", True, "-=---"),
    _CUSTOM("defer_loading", True, "-=---"),
    _CUSTOM("description", "patches", "~=~~~"),
    _CUSTOM("format(grammar).definition", "start: B", "~=~~~", beside=_GRAMMAR, instead="start: A"),
    _CUSTOM("format(grammar).syntax", "regex", "~=~~~", beside=_GRAMMAR, instead="lark"),
    _CUSTOM("format(text)", {}, "~=~~~"),
    _CUSTOM("name", "edit", "~=~~~", instead="patch"),
    _SPACE("description", "trees", "-=---", instead="files"),
    _SPACE("name", "tree", "=====", instead="fs"),
    _SPACED("allowed_callers", ["direct"], "-=---"),
    _SPACED("async", True, "-=---"),
    _SPACED("defer_loading", True, "-=---"),
    _SPACED("description", "looks", "====="),
    _SPACED("name", "seek", "=====", instead="look"),
    _SPACED("output_schema", SCHEMA, "-=---"),
    _SPACED("parameters", {**SCHEMA, "title": "t"}, "=====", instead=SCHEMA),
    _SPACED("strict", True, "===--", instead=False),
    _SPACED_CUSTOM("allowed_callers", ["direct"], "-=---"),
    _SPACED_CUSTOM("async", True, "-=---"),
    _SPACED_CUSTOM("defer_loading", True, "-=---"),
    _SPACED_CUSTOM("description", "patches", "~=~~~"),
    _SPACED_CUSTOM("format", _GRAMMAR["format"], "~=~~~"),
    _SPACED_CUSTOM("name", "edit", "~=~~~", instead="patch"),
    _BODY("tools[apply_patch]", {}, "-=---"),
    _BODY("tools[code_interpreter]", {"container": {"type": "auto"}}, "-=---"),
    _BODY("tools[computer]", {}, "-=---"),
    _BODY("tools[computer_use_preview]", {"display_height": 9, "display_width": 9, "environment": "linux"}, "-=---"),
    _BODY("tools[file_search]", {"vector_store_ids": ["vs_1"]}, "-=---"),
    _BODY("tools[image_generation]", {}, "-=---"),
    _BODY("tools[local_shell]", {}, "-=---"),
    _BODY("tools[mcp]", {"server_label": "deep", "server_url": "https://example.com/mcp"}, "-=---"),
    _BODY("tools[programmatic_tool_calling]", {}, "-=---"),
    _BODY("tools[shell]", {}, "-=---"),
    _BODY("tools[tool_search]", {}, "-=---"),
    _BODY("tools[web_search]", {}, "-===-"),
    _BODY("tools[web_search_2025_08_26]", {}, "-===-"),
    _BODY("tools[web_search_preview]", {}, "-===-"),
    _BODY("tools[web_search_preview_2025_03_11]", {}, "-===-"),
)

FIELDS: tuple[Row, ...] = (*BODY, *TOOLS)
