"""Both directions of one connection: who may say what when, and whether the connection can be used again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

from .encode import encode_informational, encode_plain, encode_request, encode_response
from .events import (
    Body,
    EndOfMessage,
    Event,
    Headers,
    HeadLimits,
    InformationalHead,
    Misuse,
    NotMine,
    RequestHead,
    ResponseHead,
    Sent,
)
from .heads import CHUNKED
from .reader import Inbound, Reader, RequestReader, ResponseReader
from .repeats import Shape
from .writer import Outbound, Writer

_Senders: TypeAlias = Mapping[type[Any], Callable[[Any, Any], bytes | None]]

# Names of this module: a member looked up in its class costs as much as ten look-ups in an instance.
_IN_HEAD = Inbound.HEAD
_IN_DONE = Inbound.DONE
_OUT_HEAD = Outbound.HEAD
_OUT_DONE = Outbound.DONE


class _Machine:
    """Common to both sides."""

    __slots__ = ("__weakref__", "_reader", "writer")

    _senders: ClassVar[_Senders]
    """How each event is sent that may be: of the class, since a machine that held its own methods would stay until the
    collector looks."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.writer = Writer()

    # Of the directions: who has no call to spare asks those.

    def receive_data(self, data: bytes) -> list[Event | NotMine]:
        """Take bytes of the peer. The events never go beyond the current message, and a `NotMine` is the last one."""
        return self._reader.receive_data(data)

    def receive_whole(self, data: bytes) -> tuple[RequestHead | ResponseHead, bytes] | None:
        """See `Reader.receive_whole`."""
        return self._reader.receive_whole(data)

    def receive_body(self, data: bytes) -> tuple[bytes, bool] | None:
        """See `Reader.receive_body`."""
        return self._reader.receive_body(data)

    def frame(self, data: bytes) -> bytes:
        """See `Writer.frame`."""
        return self.writer.frame(data)

    def receive_eof(self) -> list[Event | NotMine]:
        """The peer ended its direction: the end of a close-delimited body, a `Fault` within a message, nothing between
        messages. Idempotent."""
        return self._reader.receive_eof()

    def next_message(self) -> list[Event | NotMine]:
        """Begin the next message with the bytes held so far. Raises `Misuse` when not `reusable`."""
        events = self.turn()
        if events is None:
            raise Misuse("next_message() while a message is not complete")
        return events

    def turn(self) -> list[Event | NotMine] | None:
        """`next_message` where the connection is `reusable`; else None, and nothing has changed."""
        reader, writer = self._reader, self.writer
        if (
            reader.state is not _IN_DONE
            or writer.state is not _OUT_DONE
            or reader.closes
            or writer.closes
            or reader.ended
        ):
            return None
        writer.state = _OUT_HEAD
        return reader.next_message()

    def send(self, event: Event) -> bytes | None:
        """Bytes to write for one event; None when such an event is not for this machine: then nothing has changed.

        Raises `Misuse`, and changes nothing, for what is not possible now or would not be one well-formed message.
        """
        send = self._senders.get(type(event))
        if send is None:
            raise Misuse(f"{type(event).__name__} cannot be sent from this side")
        return send(self, event)

    @property
    def reusable(self) -> bool:
        """Both messages are complete and both sides keep the connection."""
        reader, writer = self._reader, self.writer
        return (
            reader.state is _IN_DONE
            and writer.state is _OUT_DONE
            and not (reader.closes or writer.closes or reader.ended)
        )

    @property
    def held(self) -> int:
        """Bytes that came after the end of the current message."""
        return self._reader.held

    @property
    def ended(self) -> bool:
        """`receive_eof` has been called."""
        return self._reader.ended

    @property
    def within_head(self) -> bool:
        """Some bytes of the next head have come, not all."""
        return self._reader.within_head

    def retire(self) -> Sent:
        """Somebody else goes on with the connection, from what has been sent of the current message. Whoever still
        holds a method of this machine gets nothing from it but `Misuse`, None and no events."""
        sent = self.writer.sent
        self.writer.state = _OUT_DONE
        self._reader.state = Inbound.OVER
        self._reader.shape = None
        return sent

    def _send_body(self, event: Body) -> bytes:
        return self.writer.frame(event.data)

    def _send_end(self, event: EndOfMessage) -> bytes:
        return self.writer.end(event.trailers)

    def _expect_head(self, event: Event) -> None:
        if self.writer.state is not _OUT_HEAD:
            raise Misuse(f"{type(event).__name__} when the message is at: {self.writer.state.value}")


class ServerMachine(_Machine):
    """Requests in, answers out."""

    __slots__ = ("requests",)

    def __init__(self, limits: HeadLimits) -> None:
        self.requests = RequestReader(limits)
        super().__init__(self.requests)

    def finish(self, data: bytes) -> bytes | None:
        """See `Writer.finish`."""
        return self.writer.finish(data)

    @property
    def shape(self) -> Shape | None:
        """What the head of the current request has in common with others of the connection; None where nobody knows."""
        return self.requests.shape

    def _send_response(self, event: ResponseHead) -> bytes:
        self._expect_request(event)
        reader = self.requests
        data, length, closes = encode_response(event.status, event.headers, reader.method, not reader.closes)
        self.writer.begin(event, length, closes)
        return data

    def answer(self, status: int, headers: Headers, body: bytes, date: str) -> bytes | None:
        """`send` of a head with ``headers``, a content-length and ``date``, of ``body`` and of the end, in one; None,
        and nothing has changed, where one of them is not common, or the request not complete. Raises `Misuse` as `send`
        does, but for ``date``, which is the server's own."""
        reader, writer = self.requests, self.writer
        if writer.state is not _OUT_HEAD or reader.state is not _IN_DONE or reader.closes or reader.method == "HEAD":
            return None
        head = encode_plain(status, headers, f"content-length: {len(body)}\r\ndate: {date}")
        if head is None:
            return None
        # What it was need not be known: the request is complete, and nobody goes on behind it with this answer.
        writer.state, writer.head, writer.whole = _OUT_DONE, None, True
        return head + body

    def answer_and_turn(self, status: int, headers: Headers, body: bytes, date: str) -> bytes | None:
        """`answer`, and the next message begins. None, and nothing has changed, also where something has come behind
        the request."""
        reader = self.requests
        if (
            self.writer.state is not _OUT_HEAD
            or reader.state is not _IN_DONE
            or reader.buffer
            or reader.closes
            or reader.ended
            or reader.method == "HEAD"
        ):
            return None
        head = encode_plain(status, headers, f"content-length: {len(body)}\r\ndate: {date}")
        if head is None:
            return None
        # What `turn` leaves: that this message had an end is nothing that anybody asks for any more.
        reader.state = _IN_HEAD
        return head + body

    def begin(self, status: int, headers: Headers, data: bytes, date: str) -> bytes | None:
        """As `answer` for the beginning of an answer without a length: its head and ``data``, which are not empty."""
        reader, writer = self.requests, self.writer
        if writer.state is not _OUT_HEAD or reader.state is not _IN_DONE or reader.closes or reader.method == "HEAD":
            return None
        head = encode_plain(status, headers, f"date: {date}\r\ntransfer-encoding: chunked")
        if head is None:
            return None
        writer.begin(None, CHUNKED, False)
        return head + writer.frame(data)

    def _send_informational(self, event: InformationalHead) -> bytes:
        self._expect_request(event)
        return encode_informational(event.status, event.headers)

    def _expect_request(self, event: Event) -> None:
        self._expect_head(event)
        if self.requests.state is _IN_HEAD:
            raise Misuse(f"{type(event).__name__} before a request has come")

    _senders: ClassVar[_Senders] = {
        Body: _Machine._send_body,
        EndOfMessage: _Machine._send_end,
        ResponseHead: _send_response,
        InformationalHead: _send_informational,
    }


class ClientMachine(_Machine):
    """Requests out, answers in."""

    __slots__ = ("responses",)

    def __init__(self, limits: HeadLimits) -> None:
        self.responses = ResponseReader(limits)
        super().__init__(self.responses)

    def _send_request(self, event: RequestHead) -> bytes | None:
        self._expect_head(event)
        found = encode_request(event.method, event.target, event.headers)
        if found is None:
            return None
        data, length, closes = found
        self.responses.method = event.method
        self.writer.begin(event, length, closes)
        return data

    def renew(self) -> bool:
        """`turn` where nothing has come behind the answer; False is that nothing has changed."""
        reader, writer = self.responses, self.writer
        if (
            reader.state is not _IN_DONE
            or writer.state is not _OUT_DONE
            or reader.closes
            or writer.closes
            or reader.ended
            or reader.buffer
        ):
            return False
        reader.state, reader.method, writer.state = _IN_HEAD, "", _OUT_HEAD
        return True

    def announce(self, head: RequestHead) -> None:
        """A request without a body whose bytes are made elsewhere: sent, and complete. Raises `Misuse`."""
        writer = self.writer
        if writer.state is not _OUT_HEAD:
            self._expect_head(head)
        self.responses.method = head.method
        writer.state, writer.head, writer.whole = _OUT_DONE, head, True

    _senders: ClassVar[_Senders] = {
        Body: _Machine._send_body,
        EndOfMessage: _Machine._send_end,
        RequestHead: _send_request,
    }
