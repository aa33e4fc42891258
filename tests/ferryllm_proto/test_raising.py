"""Answers in the client's terms: names, ids and kinds of calls, proofs."""

from __future__ import annotations

import json as stdlib
import re

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialect import ToolRules
from ferryllm_proto.events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    End,
    Event,
    Finish,
    OpaqueDelta,
    StreamFailed,
    TextDelta,
)
from ferryllm_proto.raising import Raiser
from ferryllm_proto.tools import ToolTable

CHAT = ToolRules()
MESSAGES = ToolRules(name_pattern=r"[a-zA-Z0-9_-]{1,128}", max_name=128, id_prefix="toolu_")
RESPONSES = ToolRules(custom=True, namespaces=True, name_pattern=r"[a-zA-Z0-9_-]{1,128}", max_name=128)
LETTER_FIRST = ToolRules(name_pattern=r"[a-zA-Z_][a-zA-Z0-9_]{0,62}", max_name=63)

F = ir.Function
C = ir.Custom
FUNCTION, CUSTOM = ir.ToolKind.FUNCTION, ir.ToolKind.CUSTOM


def request(*tools_: ir.Tool) -> ir.Request:
    return ir.Request("anthropic", "m", tools=tools_)


def raiser(*tools_: ir.Tool, rules: ToolRules = CHAT, client: ToolRules = MESSAGES, seed: int = 1) -> Raiser:
    return Raiser(request(*tools_), rules, client, seed)


def tool_start(name: str, ix: int = 0, id_: str | None = "toolu_1", namespace: str | None = None) -> BlockStart:
    return BlockStart(ix, BlockKind.TOOL, id=id_, name=name, namespace=namespace)


def started(machine: Raiser, event: BlockStart) -> BlockStart:
    (out,) = machine.send(event)
    assert isinstance(out, BlockStart)
    return out


def test_a13_an_answers_names_are_the_clients_again() -> None:
    named = (F("x" * 70), F("run", namespace="ns"))
    table = ToolTable(named, CHAT)
    machine = raiser(*named)
    assert started(machine, tool_start(table.wire_name(None, "x" * 70))).name == "x" * 70
    out = started(machine, tool_start("ns__run", 1, "toolu_2"))
    assert (out.name, out.namespace, out.tool_kind) == ("run", "ns", FUNCTION)
    assert started(machine, tool_start("invented", 2, "toolu_3")).name == "invented"


def test_r6_the_namespace_a_provider_says_decides() -> None:
    machine = raiser(F("run", namespace="a"), F("run", namespace="b"), rules=RESPONSES, client=RESPONSES)
    assert started(machine, tool_start("run", 0, "call_1", "b")).namespace == "b"


def test_other_events_pass_a_raiser_untouched() -> None:
    machine = raiser(C("patch"))
    text: list[Event] = [BlockStart(0, BlockKind.TEXT), TextDelta(0, "a"), BlockEnd(0), End()]
    assert machine.idle
    assert [out for event in text for out in machine.send(event)] == text
    started(machine, tool_start("patch", 1))
    assert not machine.idle
    other: list[Event] = [
        TextDelta(0, "a"),
        ArgsDelta(0, "a"),
        BlockEnd(0),
        StreamFailed(ir.Error(ir.ErrorKind.SERVER, "")),
    ]
    assert [out for event in other for out in machine.send(event)] == other


def test_a14_ids_fit_are_minted_when_missing_and_never_given_twice() -> None:
    machine = raiser(F("f"))
    given = [
        started(machine, tool_start("f", ix, id_)).id or ""
        for ix, id_ in enumerate(["ok-1", "a.b", "", None, "ok-1", "ok-1"])
    ]
    assert given[0] == "ok-1"
    assert len(set(given)) == 6
    assert all(re.fullmatch(r"toolu_[A-Za-z0-9]+", id_) for id_ in given[1:])
    machine = raiser(F("f"))
    assert given == [
        started(machine, tool_start("f", ix, id_)).id
        for ix, id_ in enumerate(["ok-1", "a.b", "", None, "ok-1", "ok-1"])
    ]
    other = raiser(F("f"), seed=2)
    assert started(other, tool_start("f", 0, None)).id != given[2]


PATCH = '*** Begin "Patch"\n\\n é\n*** End'


def stream(arguments: list[str], *end: Event) -> tuple[BlockStart, str, list[Event]]:
    machine = raiser(C("patch", namespace="ns"), client=RESPONSES)
    start = started(machine, tool_start("ns__patch"))
    out = [event for part in arguments for event in machine.send(ArgsDelta(0, part))]
    out += [event for last in end for event in machine.send(last)]
    text = "".join(event.text for event in out if isinstance(event, ArgsDelta))
    assert machine.idle is bool(end)
    return start, text, [event for event in out if not isinstance(event, ArgsDelta)]


def test_r5_a_function_call_streams_back_as_freeform_input_at_every_cut() -> None:
    arguments = stdlib.dumps({"input": PATCH})
    for cut in range(len(arguments) + 1):
        start, text, rest = stream([arguments[:cut], arguments[cut:]], BlockEnd(0))
        assert (start.name, start.namespace, start.tool_kind) == ("patch", "ns", CUSTOM)
        assert (text, rest) == (PATCH, [BlockEnd(0)])


def test_r5_arguments_of_another_shape_come_out_before_the_end_of_the_block() -> None:
    _, text, rest = stream(["*** Begin", " Patch"], BlockEnd(0))
    assert (text, rest) == ("*** Begin Patch", [BlockEnd(0)])


def test_r5_they_come_out_before_the_finish_of_a_stream_without_ends() -> None:
    finish = Finish(ir.FinishReason.TOOL_USE)
    _, text, rest = stream(["*** Begin", " Patch"], finish)
    assert (text, rest) == ("*** Begin Patch", [finish])


def test_r5_a_provider_with_freeform_tools_is_not_unwrapped() -> None:
    machine = raiser(C("patch"), rules=RESPONSES, client=RESPONSES)
    start = BlockStart(0, BlockKind.TOOL, id="call_1", name="patch", tool_kind=CUSTOM)
    assert machine.send(start) == [start]
    assert machine.idle


def test_a_whole_answer_is_raised_like_its_stream() -> None:
    named = (C("patch", namespace="ns"), F("f"))
    calls = (
        ir.ToolCall("a", "ns__patch", stdlib.dumps({"input": PATCH}), item_id="fc_1"),
        ir.ToolCall("a", "f", "{ }"),
        ir.ToolCall("", "f", ""),
    )
    whole = raiser(*named, client=RESPONSES).response(ir.Response("i", "m", (ir.Text("t"), *calls)))
    assert whole.parts[0] == ir.Text("t")
    patch, second, third = whole.parts[1:]
    assert patch == ir.ToolCall("a", "patch", PATCH, CUSTOM, namespace="ns", item_id="fc_1")
    assert isinstance(second, ir.ToolCall)
    assert second.arguments == "{ }"
    machine = raiser(*named, client=RESPONSES)
    ids = [started(machine, tool_start(call.name, ix, call.id)).id for ix, call in enumerate(calls)]
    assert [part.id for part in (patch, second, third) if isinstance(part, ir.ToolCall)] == ids


MINTED = ir.Opaque("anthropic", "claude-opus-4-20250514", ir.OpaqueKind.SIGNATURE, "SIG")


def test_a26_proofs_belong_to_the_name_that_was_asked_whatever_the_answer_calls_it() -> None:
    machine = Raiser(request(), CHAT, MESSAGES, 1, model="my-deployment")
    (found,) = machine.send(OpaqueDelta(0, MINTED))
    assert isinstance(found, OpaqueDelta)
    assert opaque.usable(found.opaque, "anthropic", "my-deployment")
    assert not opaque.usable(found.opaque, "anthropic", "another")
    whole = machine.response(ir.Response("id", "m", (ir.Reasoning("t", opaque=(MINTED,)),)))
    assert isinstance(whole.parts[0], ir.Reasoning)
    assert whole.parts[0].opaque == (found.opaque,)
    assert Raiser(request(), CHAT, MESSAGES, 1).send(OpaqueDelta(0, MINTED)) == [OpaqueDelta(0, MINTED)]
