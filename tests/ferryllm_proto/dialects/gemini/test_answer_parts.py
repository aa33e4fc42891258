from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialects.gemini import carrier
from ferryllm_proto.dialects.gemini.answer_parts import AnswerParts
from ferryllm_proto.errors import LocalProtocolError
from ferryllm_proto.events import BlockEnd, UsageUpdate

from .build import FOREIGN, signature


def _parts(*parts: ir.Part) -> tuple[list[dict[str, Any]], AnswerParts]:
    writer = AnswerParts(0)
    written = [part for event in play(ir.Response("", "", parts)) for part in writer.send(event)]
    return [json.loads(part) for part in written], writer


def test_several_proofs_before_a_call_keep_their_order() -> None:
    found, writer = _parts(ir.Reasoning(opaque=(FOREIGN, signature())), ir.ToolCall("1", "f", ""))
    assert found[0] == {"text": "", "thought": True, "thoughtSignature": carrier.written(FOREIGN)}
    assert found[1]["thoughtSignature"] == "c2ln"
    assert writer.report.losses == []


def test_a_call_has_room_for_its_own_proof_alone() -> None:
    found, writer = _parts(ir.Reasoning(opaque=(FOREIGN,)), ir.ToolCall("1", "f", "", opaque=(signature(),)))
    assert found[0] == {"text": "", "thought": True, "thoughtSignature": carrier.written(FOREIGN)}
    assert found[1]["thoughtSignature"] == "c2ln"
    found, _ = _parts(ir.Reasoning(opaque=(signature(),)), ir.ToolCall("1", "f", "", opaque=(FOREIGN,)))
    assert found[0] == {"text": "", "thoughtSignature": "c2ln"}
    assert found[1]["thoughtSignature"] == carrier.written(FOREIGN)
    assert writer.report.losses == []


def test_a_freeform_input_is_one_argument() -> None:
    found, _ = _parts(ir.ToolCall("1", "f", "a\nb", kind=ir.ToolKind.CUSTOM))
    assert found[0]["functionCall"]["args"] == {"input": "a\nb"}


def test_s14_arguments_are_on_one_line() -> None:
    writer = AnswerParts(0)
    events = play(ir.Response("", "", (ir.ToolCall("1", "f", '{\r\n"a": 1\n}'),)))
    (part,) = [part for event in events for part in writer.send(event)]
    assert b"\n" not in part
    assert b"\r" not in part


def test_usage_is_merged() -> None:
    writer = AnswerParts(0)
    writer.send(UsageUpdate(ir.Usage(input=3)))
    writer.send(UsageUpdate(ir.Usage(output=4)))
    assert writer.usage == ir.Usage(input=3, output=4)
    assert AnswerParts(0).usage_metadata() == b""


def test_a_block_that_never_began_does_not_end() -> None:
    with pytest.raises(LocalProtocolError):
        AnswerParts(0).send(BlockEnd(0))
