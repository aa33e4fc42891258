"""Messages and content blocks of a Messages request (wire.md 4.1; the types of the official SDK, beta included)."""

# A row is a line, so that the marks stand under each other:
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from .anthropic import ASK, EPHEMERAL, TOOL, body, place
from .row import Place, Row

_PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
_PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
_LOCATION = {"type": "char_location", "cited_text": "y", "document_index": 0, "document_title": None, "start_char_index": 0, "end_char_index": 1}
_USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"x": 1}}
_RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"}
_CALL = body(ASK, {"role": "assistant", "content": [_USE]}, {"role": "user", "content": [_RESULT]}, tools=[TOOL])


def _block(type_: str, **fields: Any) -> Place:
    """A block of the user's first message."""
    found = body({"role": "user", "content": [{"type": type_, **fields}, {"type": "text", "text": "see"}]})
    return place(f"messages[].content[{type_}]", "messages[0].content[0]", found)


def _answer(type_: str, **fields: Any) -> Place:
    """A block of an answer of the model in the middle of the conversation."""
    found = body(ASK, {"role": "assistant", "content": [{"type": type_, **fields}, {"type": "text", "text": "so"}]}, ASK)
    return place(f"messages[].content[{type_}]", "messages[1].content[0]", found)


def _inside(type_: str, **fields: Any) -> Place:
    """A block inside the result of a call."""
    result = {**_RESULT, "content": [{"type": type_, **fields}]}
    found = {**_CALL, "messages": [*_CALL["messages"][:2], {"role": "user", "content": [result]}]}
    return place(f"messages[].content[tool_result].content[{type_}]", "messages[2].content[0].content[0]", found)


_USER = place("messages[]", "messages[0]", body())
_ROLE = place("messages[]", "messages[1]", body(ASK, {"role": "user", "content": "go on"}, ASK))
_LATE = place("messages[]", "messages[1]", body(ASK, {"role": "system", "content": "be brief"}, ASK))
_TEXT = _block("text", text="look")
_ANSWER = _answer("text", text="yes")
_IMAGE = _block("image", source=_PNG)
_DOCUMENT = _block("document", source=_PDF)
_TEXT_DOCUMENT = _block("document", source={"type": "text", "media_type": "text/plain", "data": "words"})
_IMAGE_URL = _block("image", source={"type": "url", "url": "https://example.com/a.png"})
_IMAGE_FILE = _block("image", source={"type": "file", "file_id": "file_1"})
_DOCUMENT_URL = _block("document", source={"type": "url", "url": "https://example.com/a.pdf"})
_DOCUMENT_FILE = _block("document", source={"type": "file", "file_id": "file_1"})
_WORDS = [{"type": "text", "text": "words"}]
_BLOCKS = _block("document", source={"type": "content", "content": _WORDS})
_THINKING = _answer("thinking", thinking="hm", signature="c2ln")
_REDACTED = _answer("redacted_thinking", data="c2ln")
_TOOL_USE = place("messages[].content[tool_use]", "messages[1].content[0]", _CALL)
_TOOL_RESULT = place("messages[].content[tool_result]", "messages[2].content[0]", _CALL)
_RESULT_TEXT = _inside("text", text="found")
_RESULT_IMAGE = _inside("image", source=_PNG)
_RESULT_DOCUMENT = _inside("document", source=_PDF)
_IN = place("messages[]", "messages[0]", body({"role": "user", "content": [{"type": "text", "text": "see"}]}))
_OUT = place("messages[]", "messages[1]", body(ASK, {"role": "assistant", "content": [{"type": "text", "text": "so"}]}, ASK))
_IN_RESULT = place("messages[].content[tool_result]", "messages[2].content[0]", {**_CALL, "messages": [*_CALL["messages"][:2], {"role": "user", "content": [{**_RESULT, "content": []}]}]})

FIELDS: tuple[Row, ...] = (
    _ROLE("role", "assistant", "=====", instead="user"),
    _USER("content", "hello", "=====", instead="hi"),
    _LATE("content", "be kind", "===~~", instead="be brief", when="of the system"),
    _LATE("clear_at", "x", "--=--"),
    _LATE("output_config", {"effort": "low"}, "--=--"),
    _TEXT("text", "hello", "=====", instead="look"),
    _TEXT("cache_control", EPHEMERAL, "--=--", newer="=-=--"),
    _TEXT("cache_control.ttl", "1h", "--=--", newer="~-=--", beside={"cache_control": EPHEMERAL}),
    _ANSWER("citations", [_LOCATION], "--=--"),
    _IMAGE("source(base64).data", "iVBORw0KGgoA", "=====", instead="iVBORw0KGgo="),
    _IMAGE("source(base64).media_type", "image/webp", "====.", instead="image/png"),
    _IMAGE_FILE("source(file).file_id", "file_2", "!!=!!", instead="file_1"),
    _IMAGE_URL("source(url).url", "https://example.com/b.png", "===!!", instead="https://example.com/a.png"),
    _IMAGE("cache_control", EPHEMERAL, "--=--", newer="=-=--"),
    _IMAGE("transformations", {"oversized_image": "x"}, "--=--"),
    _DOCUMENT("source(base64).data", "JVBERi0y", "====!", instead="JVBERi0x"),
    _DOCUMENT("source(base64).media_type", "application/pdf", "....!"),
    _DOCUMENT_URL("source(url).url", "https://example.com/b.pdf", "!==!!", instead="https://example.com/a.pdf"),
    _DOCUMENT_FILE("source(file).file_id", "file_2", "!!=!!", instead="file_1"),
    _BLOCKS("source(content).content", "other words", "=====", instead=_WORDS, when="a string"),
    _BLOCKS("source(content).content[text]", {"text": "more"}, "====="),
    _BLOCKS("source(content).content[image]", {"source": _PNG}, "!!=!!", told=""),
    _TEXT_DOCUMENT("source(text).media_type", "text/plain", "....."),
    _TEXT_DOCUMENT("source(text).data", "more", "=====", instead="words"),
    _DOCUMENT("title", "a.pdf", "===-!"),
    _TEXT_DOCUMENT("title", "a.txt", "~~=~~", when="of a text"),
    _DOCUMENT("context", "old", "--=-!"),
    _TEXT_DOCUMENT("context", "old", "~~=~~", when="of a text"),
    _DOCUMENT("citations", {"enabled": True}, "--=-!"),
    _DOCUMENT("cache_control", EPHEMERAL, "--=-!", newer="=-=-!"),
    _IN("content[search_result]", {"source": "https://example.com", "title": "t", "content": [{"type": "text", "text": "words"}]}, "~~=~~"),
    _IN("content[container_upload]", {"file_id": "file_1"}, "--=--"),
    _IN("content[tool_addition]", {"tool": {"type": "tool_reference", "name": "look"}}, "~~=~~"),
    _IN("content[tool_removal]", {"tool": {"type": "tool_reference", "name": "look"}}, "~~=~~"),
    _THINKING("thinking", "well", "--=--", instead="hm"),
    _THINKING("signature", "c2lo", "--=--", instead="c2ln"),
    _REDACTED("data", "c2lo", "--=--", instead="c2ln"),
    _TOOL_USE("id", "toolu_1", ".....", newer="...~."),
    _TOOL_USE("name", "find", "=====", newer="===~=", instead="look"),
    _TOOL_USE("input", {"x": 2}, "=====", newer="===~=", instead={"x": 1}),
    _TOOL_USE("caller", {"type": "direct"}, "--=--"),
    _TOOL_USE("toolset_name", "browser", "--=--"),
    _TOOL_USE("cache_control", EPHEMERAL, "--=--"),
    _TOOL_RESULT("tool_use_id", "toolu_1", "....."),
    _TOOL_RESULT("content", "lost", "=====", instead="found"),
    _TOOL_RESULT("is_error", True, "~~==~"),
    _TOOL_RESULT("is_error", False, "..=..", when="false"),
    _TOOL_RESULT("toolset_name", "browser", "--=--"),
    _TOOL_RESULT("cache_control", EPHEMERAL, "--=--"),
    _RESULT_TEXT("text", "lost", "=====", instead="found"),
    _RESULT_TEXT("cache_control", EPHEMERAL, "--=--"),
    _RESULT_TEXT("citations", [_LOCATION], "--=.-"),
    _RESULT_IMAGE("source", {**_PNG, "data": "iVBORw0KGgoA"}, "~==~=", newer="~====", instead=_PNG),
    _RESULT_IMAGE("cache_control", EPHEMERAL, "--=--", newer="~-=--"),
    _RESULT_IMAGE("transformations", {"oversized_image": "x"}, "--=--"),
    _RESULT_DOCUMENT("source", {**_PDF, "data": "JVBERi0y"}, "~==~!", newer="~===!", instead=_PDF),
    _RESULT_DOCUMENT("title", "a.pdf", "~==-!"),
    _RESULT_DOCUMENT("context", "old", "--=-!"),
    _RESULT_DOCUMENT("citations", {"enabled": True}, "--=-!"),
    _RESULT_DOCUMENT("cache_control", EPHEMERAL, "--=-!", newer="~-=-!"),
    _IN_RESULT("content[search_result]", {"source": "https://example.com", "title": "t", "content": [{"type": "text", "text": "words"}]}, "~~=~~"),
    _IN_RESULT("content[tool_reference]", {"tool_name": "look"}, "~~=~~"),
    _IN_RESULT("content[browser_state]", {"tabs": [], "state_changes": []}, "--=--"),
    _OUT("content[server_tool_use]", {"id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}, "~~=~~"),
    _OUT("content[web_search_tool_result]", {"tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "url": "https://example.com", "title": "t", "encrypted_content": "e"}]}, "~~=~~"),
    _OUT("content[web_fetch_tool_result]", {"tool_use_id": "srvtoolu_1", "content": {"type": "web_fetch_tool_result_error", "error_code": "unavailable"}}, "~~=~~"),
    _OUT("content[code_execution_tool_result]", {"tool_use_id": "srvtoolu_1", "content": {"type": "code_execution_result", "stdout": "1", "stderr": "", "return_code": 0, "content": []}}, "~~=~~"),
    _OUT("content[bash_code_execution_tool_result]", {"tool_use_id": "srvtoolu_1", "content": {"type": "bash_code_execution_result", "stdout": "1", "stderr": "", "return_code": 0, "content": []}}, "~~=~~"),
    _OUT("content[text_editor_code_execution_tool_result]", {"tool_use_id": "srvtoolu_1", "content": {"type": "text_editor_code_execution_create_result", "is_file_update": True}}, "~~=~~"),
    _OUT("content[tool_search_tool_result]", {"tool_use_id": "srvtoolu_1", "content": {"type": "tool_search_tool_search_result", "tool_references": [{"type": "tool_reference", "tool_name": "look"}]}}, "~~=~~"),
    _OUT("content[advisor_tool_result]", {"tool_use_id": "srvtoolu_1", "content": {"type": "advisor_result", "text": "do"}}, "~~=~~"),
    _OUT("content[mcp_tool_use]", {"id": "mcptoolu_1", "name": "n", "server_name": "deep", "input": {"q": 1}}, "~~=~~"),
    _OUT("content[mcp_tool_result]", {"tool_use_id": "mcptoolu_1", "content": "found", "is_error": False}, "~~=~~"),
    _OUT("content[mcp_tool_listing]", {"server_name": "deep", "tools": [{"name": "n"}]}, "~~=~~"),
    _OUT("content[compaction]", {"content": "so far"}, "~~=~~"),
    _OUT("content[fallback]", {"from": {"model": "a"}, "to": {"model": "b"}}, "~~=~~"),
)
