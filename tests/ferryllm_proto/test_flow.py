"""An answer that comes read by read is what an exchange makes of it, wherever one has to take over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import Exchange, Gateway
from ferryllm_proto.actions import Abort, Action, Cut, Finish, Note, Outcome, Record, Release, SendBody, SendHead
from ferryllm_proto.dialect import Headers
from ferryllm_proto.flow import Flow
from ferryllm_proto.inputs import (
    ClientLost,
    DeadlinePassed,
    Input,
    Stopping,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.stages import State
from support import spoilt, strategies
from support.answers import ROLE, STREAM, WHOLE, chunk

from .test_usual import ENTRIES, NAMES, NOW, begin, body_of, calm, driven, gateway, slots

TYPES = {False: "application/json", True: "text/event-stream"}
INTERRUPTIONS: tuple[Input, ...] = (DeadlinePassed(), Stopping(), UpstreamLost("it is gone"), ClientLost())
OWN = ("_flow", "_flow_state", "_taken", "saved up")
"""What an exchange remembers to save work; and of whom it was counted."""


def head_of(backend: str, *, stream: bool) -> UpstreamHead:
    kind = "application/x-ndjson" if stream and backend == "ollama" else TYPES[stream]
    return UpstreamHead(200, (("content-type", kind),))


class Client:
    """What somebody has got."""

    def __init__(self) -> None:
        self.head: tuple[int, Headers] | None = None
        self.body = b""
        self.end: type | None = None
        self.record: Record | None = None
        self.notes: list[Note] = []

    def take(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case SendHead():
                    assert self.head is None
                    self.head = action.status, action.headers
                case SendBody():
                    self.body += action.data
                case Finish() | Cut():
                    self.end = type(action)
                case Record():
                    self.record = action
                case Note():
                    self.notes.append(action)
                case _:
                    assert isinstance(action, (Release, Abort))

    def seen(self) -> Any:
        return self.head, self.body, self.end


class Both:
    """The same answer on both ways: by an exchange from its start, and by a `Flow` up to where one goes on."""

    def __init__(self, one: Gateway, entry: str, head: UpstreamHead, *, stream: bool) -> None:
        body = body_of(entry, stream=stream)
        opened = begin(one, entry, body, stream=stream)
        assert opened is not None
        self.opened = opened
        self.routing = calm()
        self.flow = Flow(opened, head, NOW + 1, self.routing)
        self.after: Exchange | None = None
        self.usual, self.other = Client(), Client()
        self.exchange, _ = driven(one, entry, body, stream=stream)
        self.other.take(self.exchange.receive(head, NOW + 1))
        self.other.notes.clear()  # that of the head

    @property
    def over(self) -> bool:
        return self.exchange.state is State.DONE

    def tell(self, event: Input, now: float) -> None:
        """``event`` happens to both."""
        self.other.take(self.exchange.receive(event, now))
        if self.after is None:
            self._flow_on(event, now)
        else:
            self.usual.take(self.after.receive(event, now))

    def _flow_on(self, event: Input, now: float) -> None:
        flow, usual = self.flow, self.usual
        assert not flow.over
        out = None
        if isinstance(event, UpstreamData):
            out = flow.receive(event.data, now)
        elif isinstance(event, UpstreamEnd):
            out = flow.receive_end()
        if out is None:
            self.after = flow.exchange(self.routing, None, lambda: 0.5)
            usual.take(self.after.receive(event, now))
            return
        if (out or flow.over) and usual.head is None:
            usual.head = flow.head
        usual.body += out
        if flow.over:
            usual.end = Finish


@st.composite
def reads(draw: st.DrawFn, backend: str, *, stream: bool) -> list[bytes]:
    """What a provider sends, in the pieces in which it comes: good, cut, or with something else in it."""
    data = STREAM[backend] if stream else WHOLE[backend]
    match draw(st.sampled_from(["good", "any", "any", "cut", "garbage", "other"])):
        case "any" if stream:
            data = spoilt.streamed(backend, draw(strategies.responses()))
        case "cut":
            data = data[: draw(st.integers(0, len(data)))]
        case "garbage":
            at = draw(st.integers(0, len(data)))
            data = data[:at] + draw(st.sampled_from([b"\n\ndata: {\n\n", b"}", b"\xff", b"\n\n"])) + data[at:]
        case "other":
            data = draw(spoilt.bodies(backend))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return [piece for piece in pieces if piece]


@pytest.mark.parametrize("stream", [True, False])
@given(data=st.data(), entry=st.sampled_from(ENTRIES), backend=st.sampled_from(NAMES))
def test_it_goes_as_an_exchange_does(data: st.DataObject, entry: str, backend: str, stream: bool) -> None:
    both = Both(gateway(backend), entry, head_of(backend, stream=stream), stream=stream)
    events: list[Input] = [*map(UpstreamData, data.draw(reads(backend, stream=stream))), UpstreamEnd()]
    at = data.draw(st.integers(0, len(events)))
    if data.draw(st.booleans()):
        events[at:] = [data.draw(st.sampled_from(INTERRUPTIONS)), *events[at:]]
    now = NOW + 1
    for event in events:
        now += 0.25
        if isinstance(event, DeadlinePassed):
            deadline = both.exchange.next_deadline()
            assert deadline is not None
            if both.after is None:
                assert both.flow.next_deadline() == deadline
            now = deadline
        if isinstance(event, UpstreamLost) and both.exchange.state is not State.ANSWERING:
            break
        both.tell(event, now)
        if both.flow.over or both.over:
            break
        if both.after is not None:
            found, expected = slots(both.after), slots(both.exchange)
        else:
            assert both.flow.next_deadline() == both.exchange.next_deadline()
            found, expected = slots(both.flow.exchange(both.routing, None, lambda: 0.5)), slots(both.exchange)
        for name in OWN:
            del found[name], expected[name]
        assert found == expected
    if both.flow.over and not both.over:
        # Bytes that pass may have an end that is still to come; who knows the last event does not wait for it.
        both.other.take(both.exchange.receive(UpstreamEnd(), now))
    assert both.usual.seen() == both.other.seen()
    record, flow = both.other.record, both.flow
    if flow.over:
        assert record is not None
        assert record.outcome is Outcome.OK
        talk = both.opened.talk
        assert (record.usage, list(record.losses)) == (talk.usage, talk.losses)
        assert (record.stream, record.status, record.attempts) == (both.opened.way.stream, flow.head[0], 1)
        first = now if flow.first_byte is None else flow.first_byte
        assert record.first_byte == first - both.opened.now
    else:
        assert both.usual.record == record
        assert both.usual.notes == both.other.notes


@pytest.mark.parametrize("backend", NAMES)
def test_nothing_of_the_request_is_kept_once_its_answer_has_begun(backend: str) -> None:
    both = Both(gateway(backend), "anthropic", head_of(backend, stream=True), stream=True)
    assert both.opened.body
    both.tell(UpstreamData(STREAM[backend][:-1]), NOW + 2)
    assert both.flow.first_byte is not None
    assert (both.opened.body, both.opened.request.body) == (b"", b"")


@pytest.mark.parametrize("at_once", [True, False])
def test_in_times_of_trouble_an_exchange_tells_the_breaker(at_once: bool) -> None:
    both = Both(gateway("openai"), "anthropic", head_of("openai", stream=True), stream=True)
    both.routing.health.troubled = [("up", "other")]
    data = STREAM["openai"] if at_once else STREAM["openai"][:-20]
    assert both.flow.receive(data, NOW + 2) is None
    exchange = both.flow.exchange(both.routing, None, lambda: 0.5)
    usual = Client()
    usual.take(exchange.receive(UpstreamData(data), NOW + 2))
    assert exchange._trying is not None
    both.other.take(both.exchange.receive(UpstreamData(data), NOW + 2))
    assert usual.seen() == both.other.seen()


def test_what_a_client_took_to_read_is_not_the_providers_silence() -> None:
    both = Both(gateway("openai"), "anthropic", head_of("openai", stream=False), stream=False)
    before = both.flow.idle_at
    both.flow.postpone(3.0)
    assert both.flow.idle_at == before + 3.0


@pytest.mark.parametrize("entry", ["gemini", "ollama"])
def test_a_head_that_is_decided_before_there_are_bytes_goes_out(entry: str) -> None:
    """Clients to whom a call is said whole get their head with its first piece."""
    both = Both(gateway("openai"), entry, head_of("openai", stream=True), stream=True)
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
    more = {"index": 0, "function": {"arguments": '":1'}}
    for n, piece in enumerate([ROLE, chunk({"tool_calls": [call]}), chunk({"tool_calls": [more]})]):
        both.tell(UpstreamData(piece), NOW + 2 + n)
        assert both.usual.seen() == both.other.seen()
    assert both.other.head is not None
    assert both.other.body == b""
