"""An exchange, driven by a test: told what happened, and asked what it did."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeVar

from ferryllm_proto import Route, RouteTable
from ferryllm_proto.actions import (
    Action,
    Cut,
    Finish,
    Note,
    Record,
    SendBody,
    SendHead,
)
from ferryllm_proto.exchange import Exchange
from ferryllm_proto.inputs import (
    ClientBody,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Input,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
)
from ferryllm_proto.routing.choice import Routing
from ferryllm_proto.routing.keys import Desk
from ferryllm_proto.snapshot import Gateway, Provider
from ferryllm_proto.stages import State

GATEWAY = Gateway(
    RouteTable((Route("claude-", "chat", rewrite_model="gpt-5.4"), Route("same-", "messages"), Route("chat-", "chat"))),
    {
        "chat": Provider("chat", "openai", first_byte_secs=30, request_secs=60, idle_secs=10, total_secs=100),
        "messages": Provider("messages", "anthropic", first_byte_secs=30, request_secs=60, idle_secs=10),
    },
    body_limit=10_000,
)
A = TypeVar("A")
HOST = ("host", "127.0.0.1:3000")
JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream")


def chunk(delta: dict[str, object], finish: str | None = None) -> bytes:
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5.4-2026",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(value).encode() + b"\n\n"


ROLE, PONG, STOP = chunk({"role": "assistant", "content": ""}), chunk({"content": "pong"}), chunk({}, "stop")
DONE = b"data: [DONE]\n\n"
WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5.4-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "pong"}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }
).encode()


class Driver:
    """Feeds an exchange and keeps what it did."""

    def __init__(
        self,
        gateway: Gateway = GATEWAY,
        *,
        routing: Routing | None = None,
        desk: Desk | None = None,
        now: float = 100.0,
    ) -> None:
        self.exchange = Exchange(
            gateway, id="req_1", seed=7, created=1_760_000_000.0, routing=routing, desk=desk, chance=lambda: 0.0
        )
        self.now = now
        self.actions: list[Action] = []

    def feed(self, event: Input, after: float = 0.0) -> list[Action]:
        self.now += after
        actions = self.exchange.receive(event, self.now)
        self.actions.extend(actions)
        return actions

    def ask(
        self, *headers: tuple[str, str], model: str = "claude-x", stream: bool = True, path: str = "/v1/messages"
    ) -> list[Action]:
        """Up to the request that goes to the provider."""
        body = {"model": model, "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        self.feed(ClientRequest("POST", path, (HOST, JSON, *headers)))
        return self.feed(ClientBody(json.dumps(body).encode()))

    def wait(self) -> list[Action]:
        """Let the next deadline pass."""
        deadline = self.exchange.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        return self.feed(DeadlinePassed())

    def notes(self) -> list[str]:
        return [note.name for note in only(self.actions, Note)]

    @property
    def tries(self) -> list[tuple[str, str]]:
        """Who was asked, and what came of it."""
        return [(one.provider, one.outcome) for one in self.record.tries]

    @property
    def status(self) -> int:
        (head,) = only(self.actions, SendHead)
        return head.status

    @property
    def body(self) -> bytes:
        return b"".join(action.data for action in only(self.actions, SendBody))

    @property
    def record(self) -> Record:
        (record,) = only(self.actions, Record)
        return record


def refuse(driver: Driver, status: int = 503, *headers: tuple[str, str]) -> None:
    """What a provider does that answers with an error."""
    driver.feed(UpstreamHead(status, (("content-type", "text/plain"), *headers)))
    driver.feed(UpstreamData(b"no"))
    driver.feed(UpstreamEnd())


def answer(driver: Driver, *, stream: bool = True) -> None:
    """What a good provider of Chat does."""
    driver.feed(UpstreamHead(200, (SSE if stream else JSON,)))
    for data in (ROLE, PONG, STOP, DONE) if stream else (WHOLE,):
        driver.feed(UpstreamData(data))
    if driver.exchange.state is not State.DONE:
        driver.feed(UpstreamEnd())


def only(actions: Iterable[Action], kind: type[A]) -> list[A]:
    return [action for action in actions if isinstance(action, kind)]


def kinds(actions: Iterable[Action]) -> list[type]:
    return [type(action) for action in actions if not isinstance(action, Note)]


def assert_invariants(driver: Driver) -> None:
    """What holds for every exchange that is over (design.md, section 3)."""
    names = kinds(driver.actions)
    assert driver.exchange.state is State.DONE
    assert names.count(Record) == 1
    assert names[-1] is Record
    assert names.count(SendHead) <= 1
    assert names.count(Finish) + names.count(Cut) <= 1
    if SendHead in names:
        assert SendBody not in names[: names.index(SendHead)]
    for terminal in (Finish, Cut):
        if terminal in names:
            assert SendBody not in names[names.index(terminal) :]
    assert driver.exchange.next_deadline() is None
    assert driver.exchange.receive(ClientLost(), driver.now) == []
