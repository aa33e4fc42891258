"""Changes that the configuration makes to bodies: values taken out, put in, texts replaced by a pattern.

Which places a query names and what a pattern makes of a text is behind two callables: their engines are no business of
a package without dependencies, so the network layer compiles them when it reads the configuration. Here is what is done
with the answers: splices, so that all else stays as it is and the result is JSON whatever the pattern was.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from .. import ir, json
from ..errors import RemoteProtocolError
from ..splices import Path, Splices

Find = Callable[[object], Sequence[Path]]
"""The places in a decoded body. Raises `TransformFault`."""
Substitute = Callable[[str], str]
"""What becomes of a text. Raises `TransformFault`. Its time grows at most in proportion to the text."""

MAX_WHOLE = 64 << 20
"""Bytes of a whole answer that are held for a transform; a longer one passes as it is. The limit of one folded answer
(`accumulate.MAX_RESPONSE`)."""

MAX_EVENT = 1 << 20
"""Bytes of one event of a stream that are held for a transform; a longer one passes as it is. The longest that any
provider is known to send are whole images, which no transform is for."""


class TransformFault(Exception):
    """A transform can not be applied to this body: too much was found, or it became too long. Names no content."""


class On(enum.Enum):
    """What a transform is for."""

    REQUEST = "request"
    """A client's body, before anything else reads it."""
    RESPONSE = "response"
    """A whole answer, as the client gets it."""
    STREAM = "stream"
    """Each event of a stream, as the client gets it."""


class Drop(msgspec.Struct, frozen=True):
    """Take out what is found."""

    find: Find


class Add(msgspec.Struct, frozen=True):
    """Put a member into each object that is found, or an item behind the last one of each array."""

    find: Find
    value: bytes
    """JSON."""
    name: str | None = None
    """The member; None for arrays."""
    replace: bool = False
    """Whether a member that is there gets the value too."""


class Replace(msgspec.Struct, frozen=True):
    """Put every text that is found, or without ``find`` every text that is a value, through a pattern."""

    substitute: Substitute
    find: Find | None = None


Step = Drop | Add | Replace


class Transforms(msgspec.Struct, frozen=True):
    """The steps of one route, in the order of the configuration."""

    request: tuple[Step, ...] = ()
    response: tuple[Step, ...] = ()
    stream: tuple[Step, ...] = ()


NO_TRANSFORMS = Transforms()


def apply(steps: Iterable[Step], body: bytes) -> bytes:
    """``body`` after ``steps``, each of which sees what the ones before it made.

    Raises `RemoteProtocolError` when it is not JSON, or when a step refuses it.
    """
    for step in steps:
        value = json.loads(body)
        splices = Splices(body)
        try:
            _STEPS[type(step)](step, value, splices)
        except TransformFault as fault:
            raise RemoteProtocolError(
                f"a transform of this route can not be applied: {fault}",
                kind=ir.ErrorKind.BAD_REQUEST,
                code="transform_failed",
            ) from None
        body = splices.done()
    return body


def _drop(step: Drop, value: object, splices: Splices) -> None:
    for path in step.find(value):
        if path:
            splices.remove(path)


def _add(step: Add, value: object, splices: Splices) -> None:
    for path in step.find(value):
        there = _at(value, path)
        if isinstance(there, dict) and step.name is not None:
            if step.replace or step.name not in there:
                splices.put_in(path, step.name, step.value)
        elif isinstance(there, list) and step.name is None:
            splices.append(path, step.value)


def _replace(step: Replace, value: object, splices: Splices) -> None:
    paths = _texts(value, ()) if step.find is None else step.find(value)
    for path in paths:
        text = _at(value, path)
        if isinstance(text, str) and (new := step.substitute(text)) != text:
            splices.replace(path, json.encode_str(new))


_STEPS: dict[type, Callable[[Any, object, Splices], None]] = {Drop: _drop, Add: _add, Replace: _replace}


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _texts(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _texts(inner, (*path, n))


# --- streams ---------------------------------------------------------------------------------------------


class StreamTransform:
    """The bytes of a stream on their way to a client, event by event.

    ``sse`` says whether they are Server-Sent Events; else every line is one JSON value. Comments, ``[DONE]`` and what
    is no JSON object pass as they are, and so does an event that a step refuses: half an answer is not taken back.
    """

    def __init__(self, steps: Sequence[Step], *, sse: bool = True) -> None:
        self._steps = steps
        self._sse = sse
        self._held = b""

    def receive_data(self, data: bytes) -> bytes:
        """Whole lines of ``data`` and of what was held before it."""
        data = self._held + data
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1  # a final CR may be half a line end
        self._held = data[end:]
        if len(self._held) > MAX_EVENT:
            end, self._held = len(data), b""
        return b"".join(map(self._line, data[:end].splitlines(keepends=True)))

    def receive_eof(self) -> bytes:
        """What was held: the last line may lack its end."""
        rest, self._held = self._held, b""
        return self._line(rest)

    def _line(self, line: bytes) -> bytes:
        start = 0
        if self._sse:
            if not line.startswith(b"data:"):
                return line
            start = 6 if line.startswith(b"data: ") else 5
        payload = line[start:].rstrip(b"\r\n")
        if not payload.lstrip().startswith(b"{"):
            return line
        try:
            changed = apply(self._steps, payload)
        except RemoteProtocolError:
            return line
        return line[:start] + json.one_line(changed) + line[start + len(payload) :]


class AnswerTransform:
    """The bytes of one answer, whole or a stream, on their way to a client.

    ``good`` says whether it is an answer and no error, which stays as it is. A whole answer is held until its end, and
    passes as it is where a step refuses it: it is paid for.
    """

    def __init__(self, transforms: Transforms, *, stream: bool, sse: bool = True, good: bool = True) -> None:
        self._whole = None if stream or not good else transforms.response
        self._stream = StreamTransform(transforms.stream, sse=sse) if stream and good and transforms.stream else None
        self._held: list[bytes] = []
        self._size = 0

    def receive_data(self, data: bytes) -> bytes:
        """What can leave now."""
        if self._stream is not None:
            return self._stream.receive_data(data)
        if not self._whole:
            return data
        self._held.append(data)
        self._size += len(data)
        if self._size <= MAX_WHOLE:
            return b""
        self._whole = None
        return self.receive_eof()

    def receive_eof(self) -> bytes:
        """What was held."""
        if self._stream is not None:
            return self._stream.receive_eof()
        body, self._held = b"".join(self._held), []
        if not self._whole or not body:
            return body
        try:
            return apply(self._whole, body)
        except RemoteProtocolError:
            return body
