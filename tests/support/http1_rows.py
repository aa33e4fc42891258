"""What a row of the table of HTTP/1.1 messages is, and how an engine's verdict over its bytes is taken."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ferryllm_net.http.engine import (
    Body,
    EndOfMessage,
    Engine,
    Event,
    Fault,
    Headers,
    InformationalHead,
    RequestHead,
    ResponseHead,
)
from ferryllm_net.http.limits import Limits

LIMITS = Limits(request_line_bytes=120, head_bytes=600, head_fields=10, chunk_overhead_bytes=100, interim_responses=3)
"""Small, so that messages beyond them can be cut at every byte."""


class Asked(msgspec.Struct, frozen=True):
    """One request as it is meant."""

    method: str = "GET"
    target: str = "/"
    body: bytes = b""
    stays: bool = True
    """The connection, once an answer is out."""
    trailers: Headers = []
    version: str = "1.1"


class Answered(msgspec.Struct, frozen=True):
    """One answer as it is meant."""

    status: int = 200
    body: bytes = b""
    stays: bool = True
    trailers: Headers = []
    version: str = "1.1"


class Verdict(msgspec.Struct, frozen=True):
    """Of all the bytes of one peer: the messages that are complete, and what came of the rest."""

    messages: tuple[Asked | Answered, ...] = ()
    refused: int | None = None
    pending: bool = False
    """A message has begun and more of it is waited for."""
    interim: tuple[int, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """Bytes and what must come of them. ``section`` is where it is written."""

    name: str
    section: str
    data: bytes
    verdict: Verdict
    method: str = "GET"
    """Of the request, where the row is an answer."""
    eof: bool = False
    """The peer ends its direction behind the bytes."""
    common: bool = False
    """The fast machine takes all of it."""
    fields: Headers = []
    """Some that the first head has."""


class _Server(Engine, Protocol):
    @property
    def within_head(self) -> bool: ...


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """``data`` cut before the given offsets."""
    ends = [*cuts, len(data)]
    return [data[a:b] for a, b in zip([0, *cuts], ends, strict=True)]


class _Judge:
    """Collects the events of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.messages: list[Asked | Answered] = []
        self.interim: list[int] = []
        self.refused: int | None = None
        self.head: RequestHead | ResponseHead | None = None
        self.fields: list[Headers] = []
        self.body = b""

    def take(self, events: list[Event]) -> None:
        for event in events:
            assert self.refused is None, "nothing comes after a fault"
            if isinstance(event, RequestHead | ResponseHead):
                assert self.head is None
                self.head, self.body = event, b""
                self.fields.append(event.headers)
            elif isinstance(event, InformationalHead):
                self.interim.append(event.status)
            elif isinstance(event, Body):
                self.body += event.data
            elif isinstance(event, Fault):
                self.refused = event.status
            else:
                self.complete(event)

    def complete(self, event: EndOfMessage) -> None:
        head, self.head = self.head, None
        if isinstance(head, RequestHead):
            self.engine.send(ResponseHead(200, [("content-length", "0")]))
            self.engine.send(EndOfMessage())
            stays = self.engine.reusable
            self.messages.append(Asked(head.method, head.target, self.body, stays, event.trailers, head.http_version))
            if stays:
                self.take(self.engine.next_message())
        else:
            assert isinstance(head, ResponseHead)
            stays = self.engine.reusable
            self.messages.append(Answered(head.status, self.body, stays, event.trailers, head.http_version))


def judge_requests(engine: _Server, parts: list[bytes], eof: bool) -> tuple[Verdict, list[Headers]]:
    """What a server makes of what a client sent; each complete request is answered at once. And the fields
    of every head."""
    judge = _Judge(engine)
    for part in parts:
        judge.take(engine.receive_data(part))
    if eof:
        judge.take(engine.receive_eof())
    pending = judge.refused is None and (judge.head is not None or engine.within_head)
    return Verdict(tuple(judge.messages), judge.refused, pending, tuple(judge.interim)), judge.fields


def judge_response(engine: Engine, method: str, parts: list[bytes], eof: bool) -> tuple[Verdict, list[Headers]]:
    """What a client makes of the answer to one request of ``method``, and the fields of its head."""
    engine.send(RequestHead(method, "/", [("host", "a")]))
    engine.send(EndOfMessage())
    judge = _Judge(engine)
    for part in parts:
        judge.take(engine.receive_data(part))
    if eof:
        judge.take(engine.receive_eof())
    pending = judge.refused is None and not judge.messages
    return Verdict(tuple(judge.messages), judge.refused, pending, tuple(judge.interim)), judge.fields
