"""Fields of a Messages request but for its content blocks (wire.md 4.1; the types of the official SDK, beta included)."""

# A row is a line, so that the marks stand under each other:
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from .row import Place, Row

SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
_OPEN = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]}
TOOL = {"name": "look", "input_schema": SCHEMA}
_OTHER = {"name": "find", "input_schema": SCHEMA}
ASK = {"role": "user", "content": "hi"}
EPHEMERAL = {"type": "ephemeral"}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 20000, "messages": list(messages) or [ASK], **fields}


def place(path: str, at: str, found: dict[str, Any]) -> Place:
    return Place("anthropic", path, at, found)


_BODY = place("", "", body())
_TOOLED = place("", "", body(tools=[TOOL, _OTHER]))
_TOOL = place("tools[custom]", "tools[0]", body(tools=[TOOL]))
_SYSTEM = place("system[text]", "system[0]", body(system=[{"type": "text", "text": "be brief"}]))
_THINKING = place("thinking(enabled)", "thinking", body(thinking={"type": "enabled", "budget_tokens": 2048}))
_ADAPTIVE = place("thinking(adaptive)", "thinking", body(thinking={"type": "adaptive"}))
_FORMAT = place("output_config.format", "output_config.format", body(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}))
_CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}

BODY: tuple[Row, ...] = (
    _BODY("model", "claude-opus-5", "....."),
    _BODY("billing_policy", {"bill_to": "x"}, "--=--"),
    _BODY("cache_control", EPHEMERAL, "--=--"),
    _BODY("compaction", {"instructions": "short"}, "--=--"),
    _BODY("container", "container_1", "--=--"),
    _BODY("context_management", {"edits": [{"type": "clear_tool_uses_20250919"}]}, "--=--"),
    _BODY("diagnostics", {"previous_message_id": "msg_1"}, "--=--"),
    _BODY("fallback_credit_token", "token", "--=--"),
    _BODY("fallbacks", [{"model": "claude-haiku-4-5"}], "--=--"),
    _BODY("inference_geo", "us", "--=--"),
    _BODY("max_tokens", 4000, "=====", instead=5000),
    _BODY("max_tokens", 0, "!!=!!", instead=5000, when="0"),
    _BODY("mcp_servers", [{"type": "url", "name": "deep", "url": "https://example.com/mcp"}], "--=--"),
    _BODY("metadata.user_id", "u-7", "===--"),
    _BODY("metadata.user_id", "u" * 200, "~~=--", when="longer than 128 characters"),
    _BODY("output_config.effort", "high", "--==-", newer="====="),
    _BODY("output_config.effort", "max", "--==-", newer="===~~", when="max"),
    _FORMAT("schema", _CLOSED, "=====", instead=SCHEMA),
    _FORMAT("schema", _OPEN, "~~===", instead=SCHEMA, when="with optional properties"),
    _BODY("output_config.task_budget", {"type": "tokens", "total": 20000}, "--=--"),
    _BODY("output_format", {"type": "json_schema", "schema": SCHEMA}, "=====", extension=True),
    _BODY("service_tier", "auto", "===.."),
    _BODY("service_tier", "standard_only", "===-.", when="standard_only"),
    _BODY("speed", "fast", "--=--"),
    _BODY("stop_sequences", ["END"], "=!==="),
    _BODY("stop_sequences", ["1", "2", "3", "4", "5", "6"], "!!=!=", when="more than 5"),
    _BODY("stream", True, "====="),
    _BODY("system", "be brief", "====="),
    _BODY("system", "x-anthropic-billing-header: cch=1;", "--=--", when="a billing note"),
    _SYSTEM("text", "be kind", "=====", instead="be brief"),
    _SYSTEM("cache_control", EPHEMERAL, "--=--", newer="=-=--"),
    _SYSTEM("citations", [{"type": "char_location", "cited_text": "b", "document_index": 0, "document_title": None, "start_char_index": 0, "end_char_index": 1}], "--=.-"),
    _BODY("temperature", 0.5, "=====", newer="--===", extension=True),
    _BODY("temperature", 1, "=====", newer="=.===", when="1", extension=True),
    _BODY("thinking(adaptive)", {}, "--==-", newer=".===="),
    _ADAPTIVE("block_binding", {"prefix_mismatch_behavior": "x"}, "--=--"),
    _ADAPTIVE("display", "omitted", "--==-", newer=".===."),
    _ADAPTIVE("display", "summarized", "--=.-", newer="-.=.-", when="summarized"),
    _BODY("thinking(between_tools)", {}, "--==-", newer="~===~"),
    _BODY("thinking(disabled)", {}, "..==.", newer="===~="),
    _THINKING("block_binding", {"prefix_mismatch_behavior": "x"}, "--=--"),
    _THINKING("budget_tokens", 9000, "--==-", newer="~~=~~", instead=2048),
    _THINKING("display", "omitted", "--==-", newer=".===."),
    _THINKING("display", "summarized", "--=.-", newer="-.=.-", when="summarized"),
    _BODY("thread", {"type": "continue", "previous_message_id": "msg_1"}, "!!=!!"),
    _TOOLED("tool_choice(any)", {}, "====!"),
    _TOOLED("tool_choice(any).disable_parallel_tool_use", True, "===-!"),
    _TOOLED("tool_choice(auto)", {}, "====."),
    _TOOLED("tool_choice(auto).disable_parallel_tool_use", True, "===--"),
    _TOOLED("tool_choice(none)", {}, "====="),
    _TOOLED("tool_choice(tool)", {"name": "look"}, "====!"),
    _TOOLED("tool_choice(tool).name", "look", "====!"),
    _TOOLED("tool_choice(tool).disable_parallel_tool_use", True, "===-!", beside={"tool_choice": {"name": "look", "type": "tool"}}),
    _BODY("top_k", 4, "--===", extension=True),
    _BODY("top_p", 0.5, "=====", newer="--===", extension=True),
)

TOOLS: tuple[Row, ...] = (
    _TOOL("allowed_callers", ["direct"], "--=--"),
    _TOOL("cache_control", EPHEMERAL, "--=--"),
    _TOOL("defer_loading", True, "--=--"),
    _TOOL("description", "looks", "====="),
    _TOOL("eager_input_streaming", True, "--=--"),
    _TOOL("input_examples", [{"x": 1}], "--=--"),
    _TOOL("input_schema", {**SCHEMA, "title": "t"}, "=====", instead=SCHEMA),
    _TOOL("name", "seek", "=====", instead="look"),
    _TOOL("strict", True, "===--"),
    _TOOL("strict", True, "~~=--", beside={"input_schema": _OPEN}, when="with optional parameters"),
    _BODY("tools[advisor_*]", {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5"}, "--=--"),
    _BODY("tools[bash_*]", {"type": "bash_20250124", "name": "bash"}, "--=--"),
    _BODY("tools[browser_toolset_*]", {"type": "browser_toolset_20260801"}, "--=--"),
    _BODY("tools[code_execution_*]", {"type": "code_execution_20250825", "name": "code_execution"}, "--=--"),
    _BODY("tools[computer_*]", {"type": "computer_20250124", "name": "computer", "display_width_px": 9, "display_height_px": 9}, "--=--"),
    _BODY("tools[mcp_toolset]", {"mcp_server_name": "deep"}, "--=--"),
    _BODY("tools[memory_*]", {"type": "memory_20250818", "name": "memory"}, "--=--"),
    _BODY("tools[text_editor_*]", {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}, "--=--"),
    _BODY("tools[tool_search_tool_*]", {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}, "--=--"),
    _BODY("tools[web_fetch_*]", {"type": "web_fetch_20250910", "name": "web_fetch"}, "--=--"),
    _BODY("tools[web_search_*]", {"type": "web_search_20250305", "name": "web_search"}, "-===-"),
)

FIELDS: tuple[Row, ...] = (*BODY, *TOOLS)
