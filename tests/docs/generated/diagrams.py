"""State diagrams, drawn from the transition tables of the machines.

The encoders but for Responses have tables from state and event to state. The Exchange's and the Responses encoder's
tables say what is legal, and their methods decide where it leads; the Translator has methods instead of events. Those
are run here, and where they go is what is drawn: a diagram cannot show a way that the code does not take.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator

import msgspec

from ferryllm_proto import (
    DIALECTS,
    Answer,
    Exchange,
    Gateway,
    Provider,
    Route,
    RouteTable,
    Translator,
    ir,
    lifecycle,
    stages,
)
from ferryllm_proto.dialects.anthropic import stream_encoder as messages
from ferryllm_proto.dialects.openai_responses import stream_encoder as responses
from ferryllm_proto.events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    End,
    Event,
    Finish,
    Logprobs,
    OpaqueDelta,
    Ping,
    Raw,
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ferryllm_proto.inputs import (
    Admitted,
    Booked,
    BookedUp,
    ClientBody,
    ClientFault,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Input,
    Recalled,
    Refused,
    Stopping,
    Stored,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.responses.kept import KeptResponse
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import FULL, Booking, ProviderBounds, Routing
from ferryllm_proto.routing.keys import Admission, Refusal
from ferryllm_proto.routing.limits import Charge
from ferryllm_proto.routing.quota import Reserved
from ferryllm_proto.routing.retry import RetryRules
from ferryllm_proto.translate import State as TranslatorState

Edge = tuple[enum.Enum, str, enum.Enum]
"""From, what happens, to."""

_PAGE = """\
# State diagrams

Drawn from the code by `python docs/generate.py`. What is not drawn is illegal and raises `LocalProtocolError`, unless
the text says otherwise.

## Exchange: one client request

Inputs of `Exchange.receive`. In `done` every input is ignored: the driver may learn that the client has left after the
last action was returned.

```mermaid
{exchange}
```

## Translator: one request between two dialects

Methods of `Translator`. `relay` is the same dialect on both sides; `fail` is possible in every state and leads to
`failed`, as do `receive_request` when the request is refused and `receive_data` when a limit is reached. In `done` and
`failed` data is ignored, and `receive_eof` returns what is left to send.

```mermaid
{translator}
```

## Stream encoders

What an encoder accepts, after blocks that overlap were put in a row. `StreamFailed` is accepted in every state but the
last ones, writes the dialect's own error and ends the stream.

### `openai`, `gemini`, `ollama`

These protocols have no beginning and no end of a block, so there is no state for an open one.

```mermaid
{blockless}
```

### `openai_responses`

```mermaid
{responses}
```

### `anthropic`

```mermaid
{messages}
```
"""


def page() -> str:
    """The page as Markdown."""
    return _PAGE.format(
        exchange=mermaid(exchange_edges(), stages.State),
        translator=mermaid(translator_edges(), TranslatorState),
        blockless=mermaid(_table_edges(lifecycle.TRANSITIONS), lifecycle.State),
        responses=mermaid(responses_edges(), responses.State),
        messages=mermaid(_table_edges(messages.TRANSITIONS), messages.State),
    )


def mermaid(edges: Iterable[Edge], states: type[enum.Enum]) -> str:
    """A Mermaid state diagram: one arrow for each pair of states, with everything that leads along it."""
    order = {state: n for n, state in enumerate(states)}
    arrows: dict[tuple[enum.Enum, enum.Enum], list[str]] = {}
    for before, label, after in edges:
        labels = arrows.setdefault((before, after), [])
        if label not in labels:
            labels.append(label)
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(states)).value}"]
    for before, after in sorted(arrows, key=lambda pair: (order[pair[0]], order[pair[1]])):
        lines.append(f"    {before.value} --> {after.value}: {', '.join(sorted(arrows[before, after]))}")
    leaving = {before for before, after in arrows if before is not after}
    lines += [f"    {state.value} --> [*]" for state in states if state not in leaving]
    return "\n".join(lines)


def _table_edges(
    table: dict[tuple[lifecycle.State, type], lifecycle.State] | dict[tuple[messages.State, type], messages.State],
) -> Iterator[Edge]:
    for (before, event), after in table.items():
        yield before, event.__name__, after


# --- the Exchange ----------------------------------------------------------------------------------------

_CHAT = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
_CHUNK = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
_LAST = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
_ANSWER = b'{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}'
_REPORTED = b'data: {"error":{"message":"no","code":500}}\n\n'
_POST = ClientRequest("POST", "/v1/messages", (("host", "localhost"), ("content-type", "application/json")))
_RESPOND = ClientRequest("POST", "/v1/responses", (("host", "localhost"), ("content-type", "application/json")))
_INPUT = b'{"model":"m","stream":true,"input":"hi"}'
_MORE = b'{"model":"m","stream":true,"input":"hi","previous_response_id":"resp_1"}'
_KEPT = KeptResponse("resp_1", "", 0.0, "p")
_MESSAGES = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'
_HEAD_OK = UpstreamHead(200, (("content-type", "text/event-stream"),))

_WAYS: dict[stages.State, tuple[tuple[Input, ...], ...]] = {
    stages.State.IDLE: ((),),
    stages.State.READING: ((_POST,), (_RESPOND,)),
    stages.State.WAITING: ((_POST, ClientBody(_MESSAGES)),),
    stages.State.ANSWERING: (
        (_POST, ClientBody(_MESSAGES), _HEAD_OK),
        (_POST, ClientBody(_MESSAGES), _HEAD_OK, UpstreamData(_CHUNK)),
        (_POST, ClientBody(_MESSAGES), UpstreamHead(500, ())),
        (_RESPOND, ClientBody(_INPUT), _HEAD_OK),
    ),
    stages.State.ADMITTING: ((_POST, ClientBody(_MESSAGES)), (_RESPOND, ClientBody(_MORE))),
    stages.State.PAUSING: ((_POST, ClientBody(_MESSAGES), UpstreamLost("reset")),),
    stages.State.RECALLING: ((_RESPOND, ClientBody(_MORE)),),
    stages.State.KEEPING: ((_RESPOND, ClientBody(_INPUT), _HEAD_OK, UpstreamData(_LAST)),),
}
"""Inputs that lead to each state."""

_BOOKED = Booked(Booking("p", Charge(())))
_SHARED: dict[stages.State, tuple[tuple[Input, ...], ...]] = {
    stages.State.READING: ((_POST,),),
    stages.State.RECALLING: ((_RESPOND, ClientBody(_MORE)),),
    stages.State.BOOKING: (
        (_POST, ClientBody(_MESSAGES)),
        (_POST, ClientBody(_MESSAGES), _BOOKED, UpstreamLost("reset")),
    ),
    stages.State.WAITING: ((_POST, ClientBody(_MESSAGES), _BOOKED),),
    stages.State.ANSWERING: ((_POST, ClientBody(_MESSAGES), _BOOKED, _HEAD_OK),),
    stages.State.ADMITTING: ((_POST, ClientBody(_MESSAGES)),),
    stages.State.PAUSING: ((_POST, ClientBody(_MESSAGES), _BOOKED, UpstreamLost("reset")),),
}
"""The same where bounds of providers are counted for many processes."""

_TRIED: tuple[Input, ...] = (
    _POST,
    ClientRequest("POST", "/nowhere", (("host", "localhost"),)),
    ClientBody(_MESSAGES),
    ClientBody(_MORE),
    ClientBody(b"{"),
    ClientFault(413, "too large"),
    ClientLost(),
    Admitted(Admission(None, Charge(()), Reserved(()), {})),
    Refused(Refusal(ir.Error(ir.ErrorKind.RATE_LIMIT, "later"), {}, "limit")),
    _BOOKED,
    BookedUp(FULL),
    Recalled(_KEPT),
    Recalled(None),
    Stored(ok=True),
    _HEAD_OK,
    UpstreamHead(500, ()),
    UpstreamData(_CHUNK),
    UpstreamData(_LAST),
    UpstreamEnd(),
    UpstreamLost("reset"),
    DeadlinePassed(),
    Stopping(),
)


_GATEWAY = Gateway(RouteTable((Route("*", "p"),)), {"p": Provider("p", "openai")}, keeps_responses=True)
_ADMITTING = msgspec.structs.replace(_GATEWAY, admits=True)
_PAUSING = msgspec.structs.replace(_GATEWAY, retry=RetryRules(retries=1, backoff=0.5))
_AT_ONCE = msgspec.structs.replace(_GATEWAY, retry=RetryRules(retries=1, backoff=0.0))
_BOOKING = msgspec.structs.replace(
    _AT_ONCE,
    routes=RouteTable((Route("*", "p", fallbacks=(Target("q"),)),)),
    providers={"p": Provider("p", "openai", total_secs=100.0), "q": Provider("q", "openai")},
    shares_bounds=True,
)
_SHARING = {
    stages.State.ADMITTING: (msgspec.structs.replace(_BOOKING, admits=True),),
    stages.State.PAUSING: (msgspec.structs.replace(_BOOKING, retry=_PAUSING.retry),),
}
_BOUNDS = {"p": ProviderBounds(1), "q": ProviderBounds(1)}
_GATEWAYS = {
    stages.State.READING: (_GATEWAY, _ADMITTING),
    stages.State.ADMITTING: (_ADMITTING,),
    stages.State.PAUSING: (_PAUSING,),
}


def exchange_edges() -> Iterator[Edge]:
    """Where each legal input of each state leads. Raises AssertionError when one was never tried."""
    seen: set[tuple[stages.State, type]] = set()
    shared = (msgspec.structs.replace(_BOOKING, routes=_GATEWAY.routes), _BOOKING)
    tried = [(state, _GATEWAYS.get(state, (_GATEWAY, _PAUSING, _AT_ONCE)), ways) for state, ways in _WAYS.items()]
    tried += [(state, _SHARING.get(state, shared), ways) for state, ways in _SHARED.items()]
    for state, gateways, ways in tried:
        for gateway, way, event in itertools.product(gateways, ways, _TRIED):
            if (state, type(event)) not in stages.TRANSITIONS:
                continue
            routing = Routing(BreakerRules(), bounds=_BOUNDS) if gateway.shares_bounds else None
            run = Exchange(gateway, id="r", routing=routing)
            for step in way:
                run.receive(step, 0.0)
            assert run.state is state, (state, run.state)
            seen.add((state, type(event)))
            # One call handles one of the deadlines that have passed; the driver comes back for the next.
            for now in (1.0, 10_000.0, 10_000.0) if isinstance(event, DeadlinePassed) else (1.0,):
                before = run.state
                run.receive(event, now)
                if before is state:
                    yield state, type(event).__name__, run.state
    assert seen == set(stages.TRANSITIONS), set(stages.TRANSITIONS) - seen


# --- the Translator --------------------------------------------------------------------------------------

_T = TranslatorState


def translator_edges() -> Iterator[Edge]:
    """Where the methods lead, over pairs of dialects, forms of answers and faults."""
    for entry in ("openai", "anthropic"):
        for whole in (False, True):
            body = (_CHAT if entry == "openai" else _MESSAGES).replace(b"true", b"false" if whole else b"true")
            for status, answer in (
                (200, (_ANSWER,) if whole else (_CHUNK, _LAST)),
                (200, (b" ", _CHUNK, _LAST)),
                (200, (b'{"error":{"message":"no"}}',)),
                (200, ()),
                (200, (_CHUNK,)),
                (200, (_CHUNK + _LAST,)),
                (200, (_REPORTED,)),
                (200, (_CHUNK, _REPORTED)),
                (500, (b'{"error":{"message":"no"}}',)),
            ):
                yield from _conversation(Translator(entry=entry, backend="openai"), body, status, answer)


def _conversation(machine: Translator, body: bytes, status: int, answer: tuple[bytes, ...]) -> Iterator[Edge]:
    before = machine.state
    machine.receive_request(body)
    yield before, "receive_request", machine.state
    before = machine.state
    machine.receive_response_head(status, ())
    yield before, "receive_response_head", machine.state
    for data in answer:
        before = machine.state
        machine.receive_data(data)
        if before not in (_T.DONE, _T.FAILED):
            yield before, "receive_data", machine.state
    before = machine.state
    machine.receive_eof()
    if before not in (_T.DONE, _T.FAILED):
        yield before, "receive_eof", machine.state


# --- the Responses encoder -------------------------------------------------------------------------------

_R = responses.State
_START, _TEXT, _STOP = Start("r", "m"), BlockStart(0, BlockKind.TEXT), Finish(ir.FinishReason.END)
_TO: dict[responses.State, tuple[Event, ...]] = {
    _R.BEFORE: (),
    _R.OPEN: (_START,),
    _R.BLOCK: (_START, _TEXT),
    _R.FINISHED: (_START, _STOP),
}
_OPAQUE = OpaqueDelta(0, ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "data"))
_EVENTS: tuple[tuple[BlockKind, Event], ...] = (
    (BlockKind.TEXT, _START),
    (BlockKind.TEXT, _TEXT),
    (BlockKind.TEXT, TextDelta(0, "hi")),
    (BlockKind.REFUSAL, RefusalDelta(0, "no")),
    (BlockKind.REASONING, ReasoningDelta(0, "hm")),
    (BlockKind.TOOL, ArgsDelta(0, "{}")),
    (BlockKind.REASONING, _OPAQUE),
    (BlockKind.TEXT, Citation(0, "openai_responses", b'{"type":"url_citation","url":"https://example.org"}')),
    (BlockKind.TEXT, Logprobs(0, b"[]")),
    (BlockKind.TEXT, BlockEnd(0)),
    (BlockKind.TEXT, UsageUpdate(ir.Usage())),
    (BlockKind.TEXT, Ping()),
    (BlockKind.TEXT, Raw("openai_responses", "response.queued", b'{"type":"response.queued"}')),
    (BlockKind.TEXT, _STOP),
    (BlockKind.TEXT, End()),
    (BlockKind.TEXT, StreamFailed(ir.Error(ir.ErrorKind.TRUNCATED, "cut"))),
)
"""One of each event, with the kind of block it belongs in."""


def responses_edges() -> Iterator[Edge]:
    """Where each legal event of each state leads. Raises AssertionError when one was never tried."""
    seen: dict[responses.State, set[type]] = {state: set() for state in _R}
    for state, way in _TO.items():
        for kind, event in _EVENTS:
            if type(event) not in responses._LEGAL[state] and type(event) is not StreamFailed:
                continue
            encoder = DIALECTS["openai_responses"].stream_encoder(Answer(model="m"))
            assert isinstance(encoder, responses.StreamEncoder)
            for step in way:
                name = "call" if kind is BlockKind.TOOL else None
                encoder.send(BlockStart(0, kind, id=name, name=name) if step is _TEXT else step)
            assert encoder.state is state, (state, encoder.state)
            encoder.send(event)
            seen[state].add(type(event))
            yield state, type(event).__name__, encoder.state
    for state, legal in responses._LEGAL.items():
        assert legal <= seen[state], (state, legal - seen[state])
