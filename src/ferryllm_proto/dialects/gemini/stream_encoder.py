"""Events to bytes of a stream for a Gemini client.  [hot]

Every chunk is a whole answer with an increment in it. The framing is what the client's path asked for: Server-Sent
Events, or one JSON array that is valid however it ends.
"""

from __future__ import annotations

from ... import json
from ...dialect import Answer
from ...errors import LocalProtocolError
from ...events import (
    BlockEnd,
    BlockStart,
    End,
    Event,
    Ping,
    Start,
    StreamFailed,
)
from ...lifecycle import AFTER, State
from ...loss import Loss
from ...sequence import Sequencer
from . import errors, paths
from .answer_parts import AnswerParts
from .response import response_id


class StreamEncoder:
    """Writes one stream. Give every event to `send`."""

    __slots__ = (
        "_after", "_answer", "_begun", "_behind_part", "_open", "_parts", "_sequencer", "_sse", "_tail", "losses",
        "state",
    )  # fmt: skip

    def __init__(self, answer: Answer) -> None:
        self._parts = AnswerParts(answer.seed)
        self.losses: list[Loss] = self._parts.report.losses
        self.state = State.IDLE
        self._after = AFTER[State.IDLE]
        self._answer = answer.asked()
        self._sse = paths.read(answer.path).sse
        self._sequencer = Sequencer()
        self._open: set[int] = set()
        self._tail = b""
        self._behind_part = b""
        self._begun = False
        """Whether the array has an element."""

    def send(self, event: Event) -> bytes:
        """Bytes for the client. Raises `LocalProtocolError` for an event the state does not allow."""
        kind = type(event)
        after = self._after.get(kind)
        if after is None:
            raise LocalProtocolError(f"{kind.__name__} is not possible in state {self.state.name}")
        if after is not self.state:
            self.state, self._after = after, AFTER[after]
        if kind is Start:
            return self._start(event)
        if kind is StreamFailed:
            return self._last(errors.body(event.error))  # type: ignore[union-attr]  # its type was just compared
        if kind is Ping:
            # Comments are no part of this protocol, and agents take a chunk without content for a broken stream.
            return b""
        self._check(event, kind)
        chunks = [
            self._framed(b'{"candidates":[{"content":{"parts":[%b%b' % (part, self._behind_part))
            for one in self._sequencer.send(event)
            for part in self._parts.send(one)
        ]
        if kind is End:
            chunks.append(self._last(self._finish()))
        return b"".join(chunks) if len(chunks) != 1 else chunks[0]

    def _check(self, event: Event, kind: type) -> None:
        """Deltas and ends are of blocks that have started."""
        ix = getattr(event, "ix", None)
        if ix is None:
            return
        if kind is BlockStart:
            if ix in self._open:
                raise LocalProtocolError(f"block {ix} has already started")
            self._open.add(ix)
        elif ix not in self._open:
            raise LocalProtocolError(f"block {ix} has not started")
        elif kind is BlockEnd:
            self._open.discard(ix)

    def _start(self, event: Event) -> bytes:
        assert type(event) is Start
        self._parts.send(event)
        self._tail = b',"modelVersion":%b,"responseId":%b}' % (
            json.encode_str(self._answer.model or event.model),
            json.encode_str(response_id(event.id, self._answer)),
        )
        self._behind_part = b'],"role":"model"},"index":0}]' + self._tail
        return b""

    def _framed(self, chunk: bytes) -> bytes:
        if self._sse:
            return b"data: %b\r\n\r\n" % chunk
        before, self._begun = b",\r\n" if self._begun else b"[", True
        return before + chunk

    def _last(self, chunk: bytes) -> bytes:
        return self._framed(chunk) if self._sse else self._framed(chunk) + b"]"

    def _finish(self) -> bytes:
        parts = self._parts
        blocked = parts.block_reason()
        if blocked is not None and not self._begun:
            return b'{"promptFeedback":%b%b%b' % (blocked, parts.usage_metadata(), self._tail)
        # Real answers end with an empty text; without a content the SDKs' chats forget the whole turn.
        content = b'{"parts":[{"text":""}],"role":"model"}'
        end = parts.candidate_end()
        return b'{"candidates":[{"content":%b,%b}]%b%b' % (content, end, parts.usage_metadata(), self._tail)
