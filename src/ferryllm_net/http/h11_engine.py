"""The engines for what is not common: h11 behind the guard, one for each side.

h11 gives the states, the framing of what we send and the parsing of heads; the guard in front of it gives strictness
and stops at the end of each message. h11's types and exceptions do not leave this module.
"""

from __future__ import annotations

import abc
import re

import h11

from ferryllm_proto.http1 import REASONS, Sent, check_trailers

from .engine import Body, EndOfMessage, Event, Fault, Headers, InformationalHead, Misuse, RequestHead, ResponseHead
from .guard import Guard, Role
from .limits import Limits

_REASONS = {status: phrase.encode("ascii") for status, phrase in REASONS.items()}
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]")
_BLANK = bytes(64 * 1024)


def _fields_out(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Bytes of the fields, or Misuse: h11 alone lets control characters other than CR, LF and NUL pass."""
    fields = []
    names = {name.lower() for name, _ in headers}
    if "content-length" in names and "transfer-encoding" in names:
        raise Misuse("content-length and transfer-encoding in one message")
    for name, value in headers:
        if _NAME.fullmatch(name) is None:
            raise Misuse(f"{name!r} is not a header name")
        if _NOT_IN_VALUE.search(value) is not None:
            raise Misuse(f"the value of header {name!r} holds a control or non-latin-1 character")
        fields.append((name.encode("ascii"), value.strip(" \t").encode("latin-1")))
    return fields


def _fields_in(headers: h11._headers.Headers) -> Headers:
    return [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers]


class BaseEngine(abc.ABC):
    """What both sides share: events in, vetted bytes through h11 out."""

    def __init__(self, role: type[h11.SERVER] | type[h11.CLIENT], guard: Guard, limits: Limits) -> None:
        # The guard hands over whole heads and whole chunk lines, so that this bound of h11 never decides.
        self._h11 = h11.Connection(role, max_incomplete_event_size=2 * limits.head_bytes)
        self._guard = guard
        self._fault_status = 400 if role is h11.SERVER else 502
        self._failed = False
        self._chunked = False
        """The message that we send is: only then it has room for trailers."""
        self.ended = False
        """`receive_eof` has been called within or after a message."""

    def receive_data(self, data: bytes) -> list[Event]:
        return [] if self._failed or not data else self._events(self._guard.receive_data(data))

    def receive_body(self, data: bytes) -> tuple[bytes, bool] | None:
        return None

    def receive_eof(self) -> list[Event]:
        if self._failed or self.ended:
            return []
        self.ended = True
        if self._guard.within_head:
            return [self._fail(Fault(self._fault_status, "the connection ended within a head"))]
        if self._guard.done:
            return []
        self._h11.receive_data(b"")
        return self._pull()

    def next_message(self) -> list[Event]:
        if not self.reusable:
            raise Misuse("next_message() while a message is not complete")
        self._h11.start_next_cycle()
        return self._events(self._guard.next_message())

    def turn(self) -> list[Event] | None:
        """`next_message` where the connection is `reusable`, else None."""
        return self.next_message() if self.reusable else None

    @property
    def reusable(self) -> bool:
        states = self._h11.states
        return not self._failed and not self.ended and states[h11.CLIENT] is h11.DONE and states[h11.SERVER] is h11.DONE

    @property
    def held(self) -> int:
        return self._guard.held

    def send(self, event: Event) -> bytes:
        try:
            data = self._h11.send(self._outgoing(event))
        except h11.LocalProtocolError as exc:
            raise Misuse(f"{type(event).__name__}: {exc}") from exc
        return data or b""

    def frame(self, data: bytes) -> bytes:
        return self.send(Body(data))

    @abc.abstractmethod
    def take_over(self, before: bytes, sent: Sent) -> None:
        """Go on in the middle of a connection whose current message another engine has begun.

        ``before`` are bytes of it whose events have been given, ``sent`` is our side of it. Call it first.
        """

    def _replay(self, sent: Sent) -> None:
        """Bring h11 to where it had been if it had framed what was sent."""
        if sent.head is None:
            return
        self.send(sent.head)
        for start in range(0, sent.size, len(_BLANK)):
            # Which bytes they were is nothing to h11: it counts them.
            self.send(Body(_BLANK[: sent.size - start]))
        if sent.ended:
            self.send(EndOfMessage())

    def _outgoing(self, event: Event) -> h11.Event:
        match event:
            case Body(data):
                return h11.Data(data=data)
            case EndOfMessage(trailers):
                check_trailers(trailers)
                return h11.EndOfMessage(headers=_fields_out(trailers) if self._chunked else [])
            case ResponseHead(status, headers):
                # As h11 frames it: its own word for that is private.
                declared = any(name.lower() == "content-length" for name, _ in headers)
                bodyless = declared or status in (204, 304)
                self._chunked = not bodyless and self._h11.their_http_version == b"1.1"
                reason = _REASONS.get(status, b"")
                return h11.Response(status_code=status, headers=_fields_out(headers), reason=reason)
            case InformationalHead(status, headers):
                reason = _REASONS.get(status, b"")
                return h11.InformationalResponse(status_code=status, headers=_fields_out(headers), reason=reason)
            case RequestHead(method, target, headers):
                self._chunked = any(name.lower() == "transfer-encoding" for name, _ in headers)
                if _NAME.fullmatch(method) is None:
                    raise Misuse("the method is not a token")
                if not target or _NOT_IN_TARGET.search(target) is not None:
                    raise Misuse("the request target holds a character that is not visible ASCII")
                return h11.Request(method=method, target=target, headers=_fields_out(headers))
            case Fault():
                raise Misuse("a Fault cannot be sent")

    def _events(self, vetted: bytes) -> list[Event]:
        events: list[Event] = []
        if vetted:
            self._h11.receive_data(vetted)
            events = self._pull()
        fault = self._guard.fault
        if fault is not None and not self._failed:
            events.append(self._fail(fault))
        return events

    def _pull(self) -> list[Event]:
        events: list[Event] = []
        try:
            while True:
                event = self._h11.next_event()
                if type(event) is h11.Data:
                    events.append(Body(bytes(event.data)))
                elif type(event) is h11.EndOfMessage:
                    events.append(EndOfMessage(self._guard.trailers))
                elif type(event) is h11.Request:
                    version = event.http_version.decode("ascii")
                    method, target = event.method.decode("ascii"), event.target.decode("ascii")
                    events.append(RequestHead(method, target, _fields_in(event.headers), version))
                elif type(event) is h11.Response:
                    version = event.http_version.decode("ascii")
                    events.append(ResponseHead(event.status_code, _fields_in(event.headers), version))
                elif type(event) is h11.InformationalResponse:
                    events.append(InformationalHead(event.status_code, _fields_in(event.headers)))
                else:  # NEED_DATA, PAUSED, ConnectionClosed
                    return events
        except h11.RemoteProtocolError as exc:
            status = exc.error_status_hint if self._fault_status == 400 else self._fault_status
            events.append(self._fail(Fault(status, str(exc))))
            return events

    def _fail(self, fault: Fault) -> Fault:
        self._failed = True
        return fault


class ServerEngine(BaseEngine):
    """Requests in, responses out."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(h11.SERVER, Guard(Role.REQUESTS, limits), limits)

    def take_over(self, before: bytes, sent: Sent) -> None:
        self.receive_data(before)
        self._replay(sent)

    @property
    def expects_continue(self) -> bool:
        """The client waits for 100 (Continue) before it sends the body."""
        return self._h11.they_are_waiting_for_100_continue

    @property
    def within_head(self) -> bool:
        """Some bytes of the next head have come, not all."""
        return self._guard.within_head

    def switch(self, headers: Headers) -> tuple[bytes, bytes]:
        """The head of a 101 (Switching Protocols), and what the client has sent behind its request; HTTP ends here.

        Raises `Misuse` for a request that asked for no switch (RFC 9110 section 7.8) or is not complete.
        """
        if not self._guard.done:
            raise Misuse("switch() before the request is complete")
        head = self.send(InformationalHead(101, headers))
        return head, self._guard.release()


class ClientEngine(BaseEngine):
    """Requests out, responses in."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(h11.CLIENT, Guard(Role.RESPONSES, limits), limits)

    def send(self, event: Event) -> bytes:
        if type(event) is RequestHead:
            self._guard.expect(event.method)
        return super().send(event)

    def take_over(self, before: bytes, sent: Sent) -> None:
        self._replay(sent)
        self.receive_data(before)

    def _events(self, vetted: bytes) -> list[Event]:
        # h11 alone would take it for the answer to what is sent next.
        if self._h11.our_state is h11.IDLE and not self._failed and (vetted or self._guard.within_head):
            return [self._fail(Fault(self._fault_status, "an answer that nobody asked for"))]
        return super()._events(vetted)
