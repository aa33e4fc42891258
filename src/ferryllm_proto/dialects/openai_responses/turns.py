"""The turns of one WebSocket connection of the Responses API: which request a client's message stands for, and the
messages that its answer becomes.

Apart from exchanges because a turn is an ordinary exchange: this says what to ask and puts the answer's events into
messages, nothing else. It also remembers the connection's last responses, so that a turn may go on from one that
nobody keeps (``store: false``). API reference: guide "WebSocket mode", Responses client and server events.
"""

from __future__ import annotations

from collections import deque

import msgspec

from ... import ids, ir, json
from ...dialect import Answer, Headers
from ...errors import RemoteProtocolError
from ...events import End, Finish, Start, UsageUpdate
from ...sse import FrameDecoder
from . import errors, history
from .decode_request import decode_request
from .memory import Budget, Memory, replayable
from .messages import LOSS, error_message, failed_message, placed, steer_failed, with_members
from .stream_encoder import StreamEncoder

MAX_WAITING = 16
"""Turns that wait for the one under way: Codex sends one at a time, an SDK's user rarely more than a few."""
MAX_LANE = 256
"""Characters of a ``stream_id``, which every event of its turn repeats."""
MAX_ANSWER = 1 << 20
"""Bytes of an answer that is no stream: an error; none is as long."""

_STORED = frozenset({"response.completed", "response.incomplete"})
_LAST = _STORED | {"response.failed", "error"}
_LOST = f": {LOSS}: ".encode()


class _Message(msgspec.Struct, frozen=True):
    type: str = ""
    stream_id: str | None = None


class _Create(msgspec.Struct, frozen=True):
    """What decides about a turn; the rest of it is the request's."""

    model: str = ""
    generate: bool | None = None
    background: bool | None = None
    store: bool | None = None
    conversation: msgspec.Raw = msgspec.Raw(b"null")
    prompt_cache_options: msgspec.Raw = msgspec.Raw(b"null")


class _CacheOptions(msgspec.Struct, frozen=True):
    prewarm: bool | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw(b"")
    item: msgspec.Raw = msgspec.Raw(b"")


class _Response(msgspec.Struct, frozen=True):
    id: str = ""


_message_decoder = json.decoder(_Message)
_create_decoder = json.decoder(_Create)
_cache_decoder = json.decoder(_CacheOptions)
_event_decoder = json.decoder(_Event)
_response_decoder = json.decoder(_Response)

# Of the message itself, not of the request in it. Realtime clients number their messages with event_id.
_ENVELOPE = ("type", "stream_id", "event_id", "generate", "background")


class Turns:
    """The turns of one connection. Feed messages to `receive`; run what `next` gives, one after the other.

    ``body_limit`` is the bytes of a request, which bounds what is remembered, together with what ``budget`` allows all
    connections; ``seed`` is what minted ids derive from. Call `close` when the connection has ended.
    """

    def __init__(self, *, body_limit: int, seed: int = 0, budget: Budget | None = None) -> None:
        self.count = 0
        """Turns begun."""
        self._limit = body_limit
        self._seed = seed
        self._memory = Memory(2 * body_limit, budget)
        self._waiting: deque[tuple[bytes, str | None]] = deque()
        self._size = 0

    def close(self) -> None:
        """Forget what was remembered."""
        self._memory.close()

    def receive(self, message: bytes) -> bytes | None:
        """Take a client's message: a turn for `next`, or what to say at once. Never raises."""
        try:
            found = json.decode(message, _message_decoder)
        except RemoteProtocolError:
            found = _Message()  # refused when its turn has come
        if found.type == "response.steer":
            return steer_failed(message)
        if found.stream_id is not None and len(found.stream_id) > MAX_LANE:
            what = f"stream_id: at most {MAX_LANE} characters"
            return error_message(ir.Error(ir.ErrorKind.BAD_REQUEST, what, param="stream_id", code="invalid_value"))
        if len(self._waiting) >= MAX_WAITING or self._size + len(message) > self._limit:
            return error_message(
                ir.Error(
                    ir.ErrorKind.RATE_LIMIT,
                    f"too many turns wait on this connection (at most {MAX_WAITING}, together {self._limit} bytes): "
                    "send the next one when an answer is complete",
                    code="too_many_pending_responses",
                ),
                found.stream_id,
            )
        self._waiting.append((message, found.stream_id))
        self._size += len(message)
        return None

    def next(self, now: float) -> Turn | None:
        """The next turn; None when there is none. ``now`` is Unix seconds."""
        if not self._waiting:
            return None
        message, lane = self._waiting.popleft()
        self._size -= len(message)
        self.count += 1
        turn = Turn(self._memory, lane)
        try:
            self._begin(turn, message, now)
        except RemoteProtocolError as exc:
            turn.body = b""
            turn.messages = [error_message(exc.error, lane)]
        return turn

    def _begin(self, turn: Turn, message: bytes, now: float) -> None:
        fields = _request_fields(message)
        wishes = json.decode(json.encode(fields), _create_decoder)
        if wishes.background:
            raise RemoteProtocolError(
                "background: not possible on a WebSocket; POST /v1/responses", param="background", code="invalid_value"
            )
        for name in _ENVELOPE:
            fields.pop(name, None)
        fields["stream"] = json.raw(b"true")
        body = json.encode(fields)
        found = self._memory.find_items(history.references(body))
        if found:
            body = history.put_back(body, found)
        own = history.input_items(body)
        previous = history.previous_id(body)
        earlier: tuple[bytes, ...] | None = ()
        if previous is not None:
            earlier = self._memory.find(previous)
            if earlier is not None:
                body = history.resume(body, earlier)
                turn.previous, turn.earlier = previous, len(earlier)
        if earlier is not None and json.kind(wishes.conversation) == "null":
            # What came before is known whole, so that the next turn can go on from this one.
            turn.items = (*earlier, *own)
        turn.stored = wishes.store is not False
        if not _is_warming(wishes):
            turn.body = body
        elif earlier is None:
            raise _not_found(previous or "")
        else:
            self._warm(turn, body, wishes, now)

    def _warm(self, turn: Turn, body: bytes, wishes: _Create, now: float) -> None:
        """Answer a turn that only prepares the next one (``generate: false``): no provider has anything to say."""
        if not wishes.model:
            raise RemoteProtocolError("model: this field is required", param="model", code="missing_required_parameter")
        try:
            request = decode_request(body)
        except RemoteProtocolError:
            request = None  # it only fills the echo; the turn that asks for an answer says what is wrong
        seed = self._seed + self.count
        encoder = StreamEncoder(Answer(wishes.model, int(now), seed, request))
        events = (
            Start(ids.mint("resp_", seed, "warm"), wishes.model, int(now)),
            UsageUpdate(ir.Usage(input=0, output=0)),
            Finish(ir.FinishReason.END),
            End(),
        )
        turn.receive_head(200, (("content-type", "text/event-stream"),))
        for event in events:
            turn.messages.extend(turn.receive_data(encoder.send(event)))
        turn.messages.extend(turn.receive_eof())


class Turn:
    """One turn: what to ask, and the messages its answer becomes.

    Send `messages`. When there is a `body`, POST it, feed the answer to `receive_head`, `receive_data` and
    `receive_eof`, and send what they return.
    """

    def __init__(self, memory: Memory, lane: str | None) -> None:
        self.body = b""
        """The request; empty when `messages` are the whole answer."""
        self.messages: list[bytes] = []
        self.previous: str | None = None
        """The response of this connection it goes on from."""
        self.earlier = 0
        """How many items come before its own input."""
        self.items: tuple[bytes, ...] | None = None
        """All that came before its output, where that is known."""
        self.stored = True
        self._memory = memory
        self._lane = lane
        self._status = 0
        self._headers: Headers = ()
        self._decoder: FrameDecoder | None = None
        self._whole = bytearray()
        self._loss = ""
        self._output: list[bytes] = []
        self._output_size = 0
        self._sent = 0
        self._over = False

    def receive_head(self, status: int, headers: Headers) -> None:
        """The head of the answer."""
        fields = {name.lower(): value for name, value in headers}
        self._status, self._headers = status, headers
        self._loss = placed(fields.get(LOSS, ""), self.earlier)
        if status < 300 and fields.get("content-type", "").startswith("text/event-stream"):
            self._decoder = FrameDecoder()

    def receive_data(self, data: bytes) -> list[bytes]:
        """Messages for bytes of the answer."""
        if self._decoder is None:
            self._whole += data[: max(0, MAX_ANSWER - len(self._whole))]
            return []
        if _LOST in data:
            self._note_losses(data)
        try:
            frames = self._decoder.receive_data(data)
        except RemoteProtocolError as exc:
            out = self._messages([frame.data for frame in self._decoder.frames_before_fault])
            return [*out, *self._fail(exc.error)]
        return self._messages([frame.data for frame in frames])

    def receive_eof(self, *, cut: bool = False) -> list[bytes]:
        """The answer is over; ``cut``: it was broken off."""
        if self._decoder is not None:
            out = [] if cut else self._messages([frame.data for frame in self._decoder.receive_eof()])
            return [*out, *self._fail(_BROKEN)]
        if self._over:
            return []
        self._over = True
        if cut or self._status < 300:
            return [error_message(_BROKEN, self._lane)]
        error = errors.decode_error(self._status, self._headers, bytes(self._whole))
        message, param = placed(error.message, self.earlier), placed(error.param or "", self.earlier) or None
        if (message, param) != (error.message, error.param):
            error = msgspec.structs.replace(error, message=message, param=param, raw=None)
        if error.param == history.PREVIOUS and self._status in (400, 404):
            # However the refusal is worded: this code makes clients send the whole conversation again.
            error = msgspec.structs.replace(error, status=400, code="previous_response_not_found", raw=None)
        return [error_message(error, self._lane, self._headers)]

    def _fail(self, error: ir.Error) -> list[bytes]:
        """End a stream that has not said its end."""
        if self._over:
            return []
        self._over = True
        return [with_members(failed_message(error, self._sent), self._lane, self._taken_loss())]

    def _messages(self, events: list[bytes]) -> list[bytes]:
        out: list[bytes] = []
        for data in events:
            if self._over:
                break
            try:
                event = json.decode(data, _event_decoder)
            except RemoteProtocolError:
                continue  # [DONE], or what is no event at all
            if not event.type:
                continue
            out.append(self._message(event, data))
        return out

    def _message(self, event: _Event, data: bytes) -> bytes:
        self._sent += 1
        if event.type in _LAST:
            self._over = True
            if event.type == "error":
                error = errors.read_error(data) or _BROKEN
                return error_message(error, self._lane, self._headers)
        if event.response:
            if event.type in _STORED:
                self._remember(event.response)
            if self.previous is not None:
                data = json.splice(data, ("response", history.PREVIOUS), json.encode_str(self.previous))
        elif event.type == "response.output_item.done" and self.items is not None:
            self._output_size += len(bytes(event.item))
            if self._output_size > self._memory.limit:
                self.items, self._output = None, []
            else:
                self._output.append(json.encode(event.item))
        return with_members(data, self._lane, self._taken_loss())

    def _remember(self, response: msgspec.Raw) -> None:
        if self.items is None:
            return
        try:
            name = json.decode(response, _response_decoder).id
            # Some servers leave the output out of the last event.
            output = history.output_items(bytes(response)) or tuple(self._output)
        except RemoteProtocolError:
            return
        if name:
            self._memory.keep(name, (*self.items, *replayable(output, stored=self.stored)))

    def _note_losses(self, data: bytes) -> None:
        """What the answer itself has lost stands in a comment before its last event."""
        for line in data.split(b"\n"):
            if line.startswith(_LOST):
                late = placed(line[len(_LOST) :].decode("ascii", "replace").strip(), self.earlier)
                self._loss = f"{self._loss}, {late}" if self._loss else late

    def _taken_loss(self) -> str:
        loss, self._loss = self._loss, ""
        return loss


_BROKEN = ir.Error(ir.ErrorKind.TRUNCATED, "the answer broke off before it was complete")


def _request_fields(message: bytes) -> dict[str, msgspec.Raw]:
    """The members of a ``response.create``; some clients put the request into a member ``response``."""
    for name in ("type", "model", history.PREVIOUS, "generate"):
        json.once(message, name)
    json.check_utf8(message)
    fields = json.fields(message)
    type_ = json.decode(message, _message_decoder).type
    if type_ != "response.create":
        raise RemoteProtocolError(
            "type: expected response.create or response.steer", param="type", code="unknown_event_type"
        )
    inner = fields.get("response")
    if inner is not None and json.kind(inner) == "object":
        outer = fields
        fields = json.fields(inner, "response")
        for name in ("generate", "background"):
            if name in outer:
                fields.setdefault(name, outer[name])
    return fields


def _is_warming(wishes: _Create) -> bool:
    if wishes.generate is False:
        return True
    if json.kind(wishes.prompt_cache_options) != "object":
        return False
    return bool(json.decode(wishes.prompt_cache_options, _cache_decoder, "prompt_cache_options").prewarm)


def _not_found(name: str) -> RemoteProtocolError:
    shown = name if len(name) <= 100 else name[:100] + "..."
    return RemoteProtocolError(
        f"previous_response_id: this connection knows no response {shown!r}; send the whole input without it",
        param=history.PREVIOUS,
        code="previous_response_not_found",
    )
