"""Blocks of one dialect for another one's model."""

from __future__ import annotations

import pytest

from ferryllm_proto import hosted, ir
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Report


def told(type_: str, raw: bytes) -> tuple[str | None, list[str]]:
    report = Report()
    text = hosted.as_text(ir.Hosted("anthropic", type_, raw, "messages[1].content[0]"), "openai", report)
    return text, [str(loss).partition(":")[0] for loss in report.losses]


def test_a29_a_search_and_its_result_are_told_without_what_no_one_else_can_read() -> None:
    assert told(
        "server_tool_use", b'{"type":"server_tool_use","id":"s1","name":"web_search","input":{"query":"x"}}'
    ) == (
        '[server_tool_use] {"name":"web_search","input":{"query":"x"}}',
        ["degraded messages[1].content[0]"],
    )
    text, _ = told(
        "web_search_tool_result",
        b'{"type":"web_search_tool_result","tool_use_id":"s1","content":[{"title":"t","encrypted_content":"Z"}]}',
    )
    assert text == '[web_search_tool_result] {"content":[{"title":"t"}]}'


@pytest.mark.parametrize(
    "raw", [b'{"type":"thing","encrypted_content":"x"}', b"{}", b'{"a":"data:image/png;base64,AA"}', b"{"]
)
def test_a30_what_is_unreadable_is_dropped_and_reported(raw: bytes) -> None:
    assert told("thing", raw) == (None, ["dropped messages[1].content[0]"])


def test_r17_a_sealed_summary_of_the_conversation_is_refused_and_one_that_failed_is_dropped() -> None:
    with pytest.raises(RemoteProtocolError, match="send the conversation it stands for") as caught:
        told("compaction", b'{"type":"compaction","id":"cmp_1","encrypted_content":"x"}')
    assert caught.value.error.param == "messages[1].content[0]"
    assert told("compaction", b'{"type":"compaction","content":null}') == (None, ["dropped messages[1].content[0]"])
    text, _ = told("compaction", b'{"type":"compaction","content":"so far","encrypted_content":"x"}')
    assert text == '[compaction] {"content":"so far"}'


@pytest.mark.parametrize("type_", ["video_url", "item_reference"])
def test_c12_r10_media_and_references_are_refused(type_: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        told(type_, b'{"type":"x","id":"y"}')
    assert caught.value.error.param == "messages[1].content[0]"
