"""`Exchange.relay` is a shorter way to the same: bytes, record and deadlines are those of `Exchange.receive`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.streams import DIALECTS, HEAD, LINES_HEAD, PATHS, body, exchanged, gateway, stream
from ferryllm_proto import Exchange
from ferryllm_proto.actions import Action, Note, Record, SendBody
from ferryllm_proto.inputs import (
    ClientBody,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.stages import State

_KEY = (("authorization", "Bearer sk-ferryllm-0123456789abcdef0123456789abcdef"), ("content-type", "application/json"))


def _begun(entry: str, backend: str, *, notes: bool = True) -> Exchange:
    exchange = Exchange(gateway(backend, notes=notes), id="req_1", seed=7, created=1_760_000_000.0)
    exchange.receive(ClientRequest("POST", PATHS[entry], _KEY), 0.0)
    exchange.receive(ClientBody(body(entry)), 0.0)
    exchange.receive(UpstreamHead(200, tuple(LINES_HEAD if backend == "ollama" else HEAD)), 0.0)
    return exchange


class _Run:
    """What one exchange did with the same reads, by one way or by the other."""

    def __init__(self, entry: str, backend: str, *, short: bool) -> None:
        self.exchange = _begun(entry, backend)
        self.short = short
        self.relayed = 0
        self.out: list[object] = []
        self.deadlines: list[float | None] = []

    def data(self, data: bytes, now: float) -> None:
        if self.short:
            out = self.exchange.relay(data, now)
            if out is not None:
                self.relayed += 1
                if out:
                    self.out.append(out)
                self.deadlines.append(self.exchange.next_deadline())
                return
        self.do(self.exchange.receive(UpstreamData(data), now))

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            self.out.append(action.data if isinstance(action, SendBody) else action)
        self.deadlines.append(self.exchange.next_deadline())


@pytest.mark.parametrize("backend", DIALECTS)
@pytest.mark.parametrize("entry", DIALECTS)
@given(
    kind=st.sampled_from(["text", "thoughts", "calls"]),
    sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=12),
    end=st.sampled_from([UpstreamEnd(), UpstreamLost("gone"), ClientLost()]),
    keep=st.integers(1, 100),
)
def test_both_ways_do_the_same(entry: str, backend: str, kind: str, sizes: list[int], end: object, keep: int) -> None:
    whole = b"".join(stream(backend, kind, 12))
    whole = whole[: max(1, len(whole) * keep // 100)]
    runs = [_Run(entry, backend, short=short) for short in (True, False)]
    for run in runs:
        at, now, n = 0, 1.0, 0
        while at < len(whole):
            size = sizes[n % len(sizes)]
            run.data(whole[at : at + size], now)
            at, now, n = at + size, now + 0.5, n + 1
        run.do(run.exchange.receive(end, now))  # type: ignore[arg-type]  # one of three inputs
        run.do(run.exchange.receive(DeadlinePassed(), now + 1000.0) if run.exchange.state is not State.DONE else [])
    assert runs[0].out == runs[1].out
    assert runs[0].deadlines == runs[1].deadlines


@pytest.mark.parametrize("backend", DIALECTS)
@pytest.mark.parametrize("entry", DIALECTS)
def test_most_reads_take_the_short_way(entry: str, backend: str) -> None:
    run = _Run(entry, backend, short=True)
    events = stream(backend, "text", 40)
    for data in events:
        run.data(data, 1.0)
    assert run.relayed > 35


def test_nothing_is_relayed_before_the_answer_has_begun_and_after_it_is_over() -> None:
    run = _Run("anthropic", "openai", short=True)
    events = stream("openai", "text", 3)
    assert run.exchange.relay(events[0], 1.0) is None
    for data in events:
        run.data(data, 1.0)
    assert isinstance(run.out[-1], Record)
    assert run.exchange.relay(b"more", 1.0) is None


def test_a_read_that_relay_leaves_is_not_read_twice() -> None:
    run = _Run("anthropic", "openai", short=True)
    *events, last, usage, done = stream("openai", "text", 3)
    for data in events:
        run.data(data, 1.0)
    assert run.exchange.relay(last + usage + done, 1.0) is None
    actions = run.exchange.receive(UpstreamData(last + usage + done), 1.0)
    (sent,) = [action.data for action in actions if isinstance(action, SendBody)]
    assert sent.count(b"message_stop") == 2  # the event's name and its type


def test_without_listeners_only_faults_are_noted() -> None:
    for notes in (True, False):
        exchange = Exchange(gateway("openai", notes=notes), id="req_1")
        actions = exchange.receive(ClientRequest("POST", PATHS["openai"], _KEY), 0.0)
        actions += exchange.receive(ClientBody(body("openai")), 0.0)
        assert any(isinstance(action, Note) for action in actions) is notes
        failed = exchange.receive(UpstreamLost("refused"), 0.0)
        assert [action.level for action in failed if isinstance(action, Note)] == ["warn", "warn"]


def test_the_bench_of_an_exchange_ends_in_a_record() -> None:
    record = exchanged("anthropic", "openai", stream("openai", "text", 5))()
    assert isinstance(record, Record)
    assert record.error is None
