"""Items of the input of a Responses request (wire.md 3.2; the types of the official SDK)."""

# A row is a line, so that the marks stand under each other:
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from .openai_responses import ASK, TOOL, body, place
from .row import Place, Row

_PNG = "data:image/png;base64,iVBORw0KGgo="
_OTHER_PNG = "data:image/png;base64,iVBORw0KGgoA"
_PDF = "data:application/pdf;base64,JVBERi0x"
_MARK = {"mode": "explicit"}
_CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"x":1}'}
_FOUND = {"type": "function_call_output", "call_id": "call_1", "output": "found"}
_EDIT = {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": "x"}
_EDITED = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"}
_CITED = {"type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0, "end_index": 1}


def _said(part: dict[str, Any]) -> dict[str, Any]:
    return body({"type": "message", "role": "user", "content": [part, {"type": "input_text", "text": "see"}]})


def _gave(part: dict[str, Any], call: dict[str, Any], result: dict[str, Any], tool: dict[str, Any]) -> dict[str, Any]:
    return body(ASK, call, {**result, "output": [part, {"type": "input_text", "text": "see"}]}, tools=[tool])


def _answered(part: dict[str, Any]) -> dict[str, Any]:
    return body(ASK, {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}, ASK)


_ITEMS = place("", "", body())
_USER = place("input[message]", "input[0]", body())
_ROLE = place("input[message]", "input[1]", body(ASK, {"type": "message", "role": "user", "content": "go on"}))
_SYSTEM = place("input[message]", "input[0]", body({"type": "message", "role": "developer", "content": "be brief"}, ASK))
_LATE = place("input[message]", "input[1]", body(ASK, {"type": "message", "role": "developer", "content": "be brief"}, ASK))
_TEXT = place("input[message].content[input_text]", "input[0].content[0]", _said({"type": "input_text", "text": "look"}))
_IMAGE = place("input[message].content[input_image]", "input[0].content[0]", _said({"type": "input_image", "image_url": _PNG}))
_FILE = place("input[message].content[input_file]", "input[0].content[0]", _said({"type": "input_file", "file_data": _PDF}))
_IMAGE_FILE = place("input[message].content[input_image]", "input[0].content[0]", _said({"type": "input_image", "file_id": "file-1"}))
_FILE_ID = place("input[message].content[input_file]", "input[0].content[0]", _said({"type": "input_file", "file_id": "file-1"}))
_FILE_URL = place("input[message].content[input_file]", "input[0].content[0]", _said({"type": "input_file", "file_url": "https://example.com/a.pdf"}))
_AUDIO = place(
    "input[message].content[input_audio]",
    "input[0].content[0]",
    _said({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
)
_ANSWER = place("input[message]", "input[1]", _answered({"type": "output_text", "text": "yes", "annotations": []}))
_OUTPUT = place("input[message].content[output_text]", "input[1].content[0]", _ANSWER.body)
_REFUSAL = place("input[message].content[refusal]", "input[1].content[0]", _answered({"type": "refusal", "refusal": "no"}))
_FUNCTION_CALL = place("input[function_call]", "input[1]", body(ASK, _CALL, _FOUND, tools=[TOOL]))
_FUNCTION_OUTPUT = place("input[function_call_output]", "input[2]", _FUNCTION_CALL.body)
_PATCH = {"type": "custom", "name": "patch"}
_CUSTOM_CALL = place("input[custom_tool_call]", "input[1]", body(ASK, _EDIT, _EDITED, tools=[_PATCH]))
_CUSTOM_OUTPUT = place("input[custom_tool_call_output]", "input[2]", _CUSTOM_CALL.body)
_REASONING = place(
    "input[reasoning]",
    "input[1]",
    body(
        ASK,
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "abc"},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "yes", "annotations": []}]},
        ASK,
    ),
)


def _outputs(kind: str, call: dict[str, Any], result: dict[str, Any], tool: dict[str, Any]) -> tuple[Row, ...]:
    """Rows of the parts of a call's output: both kinds of calls have the same."""

    def part(type_: str, found: dict[str, Any]) -> Place:
        return place(f"input[{kind}].output[{type_}]", "input[2].output[0]", _gave({"type": type_, **found}, call, result, tool))

    text, image, file = part("input_text", {"text": "found"}), part("input_image", {"image_url": _PNG}), part("input_file", {"file_data": _PDF})
    return (
        text("text", "lost", "=====", instead="found"),
        text("prompt_cache_breakpoint", _MARK, "-==--"),
        part("input_image", {"file_id": "file-1"})("file_id", "file-2", "!=!!!", instead="file-1"),
        part("input_file", {"file_id": "file-1"})("file_id", "file-2", "~=!!!", instead="file-1"),
        part("input_file", {"file_url": "https://example.com/a.pdf"})("file_url", "https://example.com/b.pdf", "!==!!", instead="https://example.com/a.pdf"),
        image("image_url", _OTHER_PNG, "~==~=", newer="~====", instead=_PNG),
        image("detail", "high", "~=---"),
        image("prompt_cache_breakpoint", _MARK, "-==--", newer="~==--"),
        file("file_data", "data:application/pdf;base64,JVBERi0y", "~==~!", newer="~===!", instead=_PDF),
        file("filename", "a.pdf", "~==-!"),
        file("detail", "high", "-=--!"),
        file("prompt_cache_breakpoint", _MARK, "-==-!", newer="~==-!"),
    )


FIELDS: tuple[Row, ...] = (
    _ROLE("role", "developer", "==~~~", instead="user", told=""),
    _USER("content", "hello", "=====", instead="hi"),
    _SYSTEM("content", "be kind", "=====", instead="be brief", when="of a developer"),
    _LATE("content", "be kind", "==~~~", instead="be brief", when="of a developer, later"),
    _USER("id", "msg_1", ".=..."),
    _USER("status", "completed", ".=..."),
    _ANSWER("phase", "commentary", "-=---"),
    _TEXT("text", "hello", "=====", instead="look"),
    _TEXT("prompt_cache_breakpoint.mode", "explicit", "-==--", newer="===--", told="prompt_cache_breakpoint"),
    _TEXT("prompt_cache_breakpoint.ttl", "30m", "-=~--", newer="~=~--", beside={"prompt_cache_breakpoint": _MARK}),
    _IMAGE("image_url", _OTHER_PNG, "=====", instead=_PNG),
    _IMAGE("image_url", "https://example.com/a.png", "===!!", instead=_PNG, when="an address"),
    _IMAGE_FILE("file_id", "file-2", "!=!!!", instead="file-1"),
    _IMAGE("detail", "high", "==---"),
    _IMAGE("detail", "auto", "==...", when="auto"),
    _IMAGE("prompt_cache_breakpoint", _MARK, "-==--", newer="===--"),
    _FILE("file_data", "data:application/pdf;base64,JVBERi0y", "====!", instead=_PDF),
    _FILE_ID("file_id", "file-2", "==!!!", instead="file-1"),
    _FILE_URL("file_url", "https://example.com/b.pdf", "!==!!", instead="https://example.com/a.pdf"),
    _FILE("filename", "a.pdf", "===-!"),
    _FILE("detail", "high", "-=--!"),
    _FILE("prompt_cache_breakpoint", _MARK, "-==-!", newer="===-!"),
    _AUDIO("input_audio", {"data": "AAAB", "format": "mp3"}, "==!=!", instead={"data": "AAAA", "format": "wav"}, extension=True),
    _OUTPUT("text", "no", "=====", instead="yes"),
    _OUTPUT("annotations", [_CITED], "-=---"),
    _OUTPUT("logprobs", [{"token": "y", "logprob": -1, "bytes": [], "top_logprobs": []}], "-=---"),
    _REFUSAL("refusal", "never", "==~~~", instead="no"),
    _FUNCTION_CALL("arguments", '{"x":2}', "=====", newer="===~=", instead='{"x":1}'),
    _FUNCTION_CALL("async", True, "-=---"),
    _FUNCTION_CALL("call_id", "call_1", ".....", newer="...~."),
    _FUNCTION_CALL("caller", {"type": "direct"}, "-=---"),
    _FUNCTION_CALL("id", "fc_1", ".=...", newer=".=.~."),
    _FUNCTION_CALL("name", "find", "=====", newer="===~=", instead="look"),
    _FUNCTION_CALL("namespace", "fs", "=====", newer="===~="),
    _FUNCTION_CALL("status", "completed", ".=...", newer=".=.~."),
    _FUNCTION_OUTPUT("call_id", "call_1", "....."),
    _FUNCTION_OUTPUT("caller", {"type": "direct"}, "-=---"),
    _FUNCTION_OUTPUT("id", "fc_2", ".=..."),
    _FUNCTION_OUTPUT("name", "look", ".=..."),
    _FUNCTION_OUTPUT("namespace", "fs", ".=..."),
    _FUNCTION_OUTPUT("output", "lost", "=====", instead="found"),
    _FUNCTION_OUTPUT("status", "completed", ".=..."),
    *_outputs("function_call_output", _CALL, _FOUND, TOOL),
    _CUSTOM_CALL("async", True, "-=---"),
    _CUSTOM_CALL("call_id", "call_1", ".....", newer="...~."),
    _CUSTOM_CALL("caller", {"type": "direct"}, "-=---"),
    _CUSTOM_CALL("id", "ctc_1", ".=...", newer=".=.~."),
    _CUSTOM_CALL("input", "y", "=====", newer="===~=", instead="x"),
    _CUSTOM_CALL("name", "edit", "=====", newer="===~=", instead="patch"),
    _CUSTOM_CALL("namespace", "fs", "=====", newer="===~="),
    _CUSTOM_OUTPUT("call_id", "call_1", "....."),
    _CUSTOM_OUTPUT("caller", {"type": "direct"}, "-=---"),
    _CUSTOM_OUTPUT("id", "cto_1", ".=..."),
    _CUSTOM_OUTPUT("output", "lost", "=====", instead="done"),
    *_outputs("custom_tool_call_output", _EDIT, _EDITED, _PATCH),
    _REASONING("content", [{"type": "reasoning_text", "text": "hm, well"}], "-=---"),
    _REASONING("encrypted_content", "abd", "-=---", instead="abc"),
    _REASONING("id", "rs_2", "-=---", instead="rs_1"),
    _REASONING("status", "completed", "-=---"),
    _REASONING("summary", [{"type": "summary_text", "text": "well"}], "-=---", instead=[{"type": "summary_text", "text": "hm"}]),
    _ITEMS("input[additional_tools]", {"role": "developer", "tools": [{**TOOL, "strict": False}]}, "====="),
    _ITEMS("input[apply_patch_call]", {"call_id": "call_9", "status": "completed", "operation": {"type": "delete_file", "path": "a"}}, "~=~~~"),
    _ITEMS("input[apply_patch_call_output]", {"call_id": "call_9", "status": "completed", "output": "done"}, "~=~~~"),
    _ITEMS("input[code_interpreter_call]", {"id": "ci_1", "code": "1", "container_id": "c", "outputs": [], "status": "completed"}, "~=~~~"),
    _ITEMS("input[compaction]", {"encrypted_content": "abc"}, "!=!!!"),
    _ITEMS("input[compaction_trigger]", {}, "-=---"),
    _ITEMS("input[computer_call]", {"id": "cu_1", "call_id": "call_9", "action": {"type": "wait"}, "pending_safety_checks": [], "status": "completed"}, "~=~~~"),
    _ITEMS("input[computer_call_output]", {"call_id": "call_9", "output": {"type": "computer_screenshot", "image_url": _PNG}}, "~=~~~"),
    _ITEMS("input[configuration_update]", {"reasoning": {"effort": "low"}}, "~=~~~"),
    _ITEMS("input[file_search_call]", {"id": "fs_1", "queries": ["q"], "status": "completed", "results": []}, "~=~~~"),
    _ITEMS("input[image_generation_call]", {"id": "ig_1", "result": "iVBORw0KGgo=", "status": "completed"}, "~=~~~"),
    _ITEMS("input[item_reference]", {"id": "msg_9"}, "!=!!!"),
    _ITEMS("input[local_shell_call]", {"id": "ls_1", "call_id": "call_9", "status": "completed", "action": {"type": "exec", "command": ["ls"], "env": {}}}, "~=~~~"),
    _ITEMS("input[local_shell_call_output]", {"id": "call_9", "output": "a"}, "~=~~~"),
    _ITEMS("input[mcp_approval_request]", {"id": "ma_1", "arguments": "{}", "name": "n", "server_label": "deep"}, "~=~~~"),
    _ITEMS("input[mcp_approval_response]", {"approval_request_id": "ma_1", "approve": True}, "~=~~~"),
    _ITEMS("input[mcp_call]", {"id": "mc_1", "arguments": "{}", "name": "n", "server_label": "deep", "output": "a"}, "~=~~~"),
    _ITEMS("input[mcp_list_tools]", {"id": "ml_1", "server_label": "deep", "tools": []}, "~=~~~"),
    _ITEMS("input[program]", {"id": "pr_1", "call_id": "call_9", "code": "1", "fingerprint": "f"}, "~=~~~"),
    _ITEMS("input[program_output]", {"id": "po_1", "call_id": "call_9", "result": "1", "status": "completed"}, "~=~~~"),
    _ITEMS("input[shell_call]", {"call_id": "call_9", "action": {"commands": ["ls"]}}, "~=~~~"),
    _ITEMS("input[shell_call_output]", {"call_id": "call_9", "output": []}, "~=~~~"),
    _ITEMS("input[tool_search_call]", {"arguments": {"q": "x"}}, "~=~~~"),
    _ITEMS("input[tool_search_output]", {"tools": []}, "-=---"),
    _ITEMS("input[web_search_call]", {"id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}, "~=~~~"),
)
