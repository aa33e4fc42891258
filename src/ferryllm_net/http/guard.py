"""What h11 lets through and a gateway must not: a strict filter of bytes in front of it.

Sans-IO: bytes in, vetted bytes of the current message out, or a `Fault`. It reads heads and chunk framing by the letter
of RFC 9112, because every laxness is a way to smuggle a request past whoever stands in front of us, and it holds back
what follows the message, so that an engine behind it sees one message at a time. Extensions of chunks and trailers are
checked, counted and removed; `Guard.trailers` has those that may be any.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

from ferryllm_proto.http1 import NOT_IN_TRAILERS

from .engine import Fault, Headers
from .limits import Limits

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME = re.compile(_TOKEN)
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_STATUS_LINE = re.compile(rb"HTTP/([0-9])\.([0-9]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
# A line feed alone, a carriage return alone (one at the very end may still get its line feed), NUL.
_BROKEN_LINE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\x00")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 3986 host and port, without the comma of sub-delims: a list of hosts is what a joined duplicate looks like.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=\-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]+)([/?].*)?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
# Some servers pad the size with spaces; from an upstream this is harmless, from a client it is a probe.
_CHUNK_PADDED = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?)")

_WATCHED = frozenset({b"content-length", b"transfer-encoding", b"host"})
# Longest chunk line without its extension: 15 digits and CRLF.
_CHUNK_LINE = 17
# RFC 9112 section 2.2: a server SHOULD ignore at least one empty line before the request line.
_EMPTY_LINES = 2


class Role(enum.Enum):
    """What arrives."""

    REQUESTS = "requests"
    RESPONSES = "responses"


class _State(enum.Enum):
    HEAD = enum.auto()
    FIXED = enum.auto()
    CHUNK_SIZE = enum.auto()
    CHUNK_DATA = enum.auto()
    CHUNK_END = enum.auto()
    TRAILERS = enum.auto()
    UNTIL_CLOSE = enum.auto()
    DONE = enum.auto()
    FAILED = enum.auto()


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Guard:
    """Checks one direction of one HTTP/1.1 connection."""

    def __init__(self, role: Role, limits: Limits) -> None:
        self.fault: Fault | None = None
        """Set once, when the peer broke a rule; nothing passes after it."""
        self.trailers: Headers = []
        """Of the current message, once it is `done`; without fields that must not be trailers."""
        self._role = role
        self._limits = limits
        self._fault_status = 400 if role is Role.REQUESTS else 502
        self._chunk_line = _CHUNK if role is Role.REQUESTS else _CHUNK_PADDED
        self._method = b"GET"
        self._buffer = bytearray()
        self._interim = 0
        self._steps: dict[_State, Callable[[list[bytes]], bool]] = {
            _State.HEAD: self._head,
            _State.FIXED: self._sized,
            _State.CHUNK_SIZE: self._chunk_size,
            _State.CHUNK_DATA: self._sized,
            _State.CHUNK_END: self._chunk_end,
            _State.TRAILERS: self._trailers,
            _State.UNTIL_CLOSE: self._until_close,
        }
        self._begin()

    def _begin(self) -> None:
        self._state = _State.HEAD
        self._scanned = 0
        self._empty_lines = 0
        self._remaining = 0
        self._overhead = self._limits.chunk_overhead_bytes
        self._trailer_fields = 0
        self.trailers = []

    @property
    def done(self) -> bool:
        """The current message is complete."""
        return self._state is _State.DONE

    @property
    def within_head(self) -> bool:
        """A head has begun and is not complete."""
        return self._state is _State.HEAD and len(self._buffer) > 0

    @property
    def held(self) -> int:
        """Bytes after the end of the current message."""
        return len(self._buffer) if self._state is _State.DONE else 0

    def expect(self, method: str) -> None:
        """The method of the request that the next response answers: HEAD has no body."""
        self._method = method.encode("ascii", "replace")
        self._interim = 0

    def receive_data(self, data: bytes) -> bytes:
        """Answer with what may pass on. After it look at `fault` and at `done`."""
        if not self._buffer:
            # The common case of a body: nothing is copied.
            if self._state is _State.FIXED and len(data) < self._remaining:
                self._remaining -= len(data)
                return data
            if self._state is _State.UNTIL_CLOSE:
                return data
        if self._state is _State.FAILED:
            return b""
        self._buffer += data
        return self._advance()

    def release(self) -> bytes:
        """The connection now speaks another protocol: what came behind the current message, and nothing after it."""
        assert self._state is _State.DONE
        held = bytes(self._buffer)
        self._buffer.clear()
        self._state = _State.FAILED
        return held

    def next_message(self) -> bytes:
        """Go on behind the end of a message; answers like `receive_data`. Only when `done`."""
        assert self._state is _State.DONE
        self._begin()
        return self._advance()

    def _advance(self) -> bytes:
        out: list[bytes] = []
        try:
            while (step := self._steps.get(self._state)) is not None and step(out):
                pass
        except _Refused as refused:
            self._state = _State.FAILED
            self._buffer.clear()
            self.fault = Fault(refused.status, refused.message)
        return b"".join(out)

    def _refuse(self, message: str, status: int | None = None) -> _Refused:
        return _Refused(self._fault_status if status is None or self._role is Role.RESPONSES else status, message)

    def _head(self, out: list[bytes]) -> bool:
        buffer, limits = self._buffer, self._limits
        while self._role is Role.REQUESTS and not self._scanned and buffer.startswith(b"\r\n"):
            self._empty_lines += 1
            if self._empty_lines > _EMPTY_LINES:
                raise self._refuse("empty lines instead of a request line")
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        stop = len(buffer) if end < 0 else end + 4
        broken = _BROKEN_LINE.search(buffer, max(0, self._scanned - 1), stop)
        if broken is not None:
            raise self._refuse("a line of the head does not end in CRLF or holds a NUL")
        first = buffer.find(b"\r\n", 0, limits.request_line_bytes + 2)
        # The longest line may have got its carriage return already.
        if first < 0 and len(buffer) > limits.request_line_bytes + 1:
            raise self._refuse(f"the first line is longer than {limits.request_line_bytes} bytes", 414)
        if stop > limits.head_bytes:
            raise self._refuse(f"the head is larger than {limits.head_bytes} bytes", 431)
        if end < 0:
            # A carriage return alone at the start may become an empty line.
            self._scanned = 0 if buffer == b"\r" else len(buffer)
            return False
        head = bytes(buffer[:stop])
        lines = head[:-4].split(b"\r\n")
        if len(lines) - 1 > limits.head_fields:
            raise self._refuse(f"the head has more than {limits.head_fields} fields", 431)
        watched: dict[bytes, list[bytes]] = {}
        for line in lines[1:]:
            self._field(line, watched)
        if self._role is Role.REQUESTS:
            self._request(lines[0], watched)
        else:
            self._response(lines[0], watched)
        del buffer[:stop]
        self._scanned = 0
        out.append(head)
        return True

    def _field(self, line: bytes, watched: dict[bytes, list[bytes]]) -> None:
        name, colon, value = line.partition(b":")
        if not colon or _NAME.fullmatch(name) is None:
            if line[:1] in (b" ", b"\t"):
                raise self._refuse("a folded header line (obs-fold)")
            if colon and name != name.rstrip(b" \t"):
                raise self._refuse("whitespace between a field name and its colon")
            raise self._refuse("a header line is not 'name: value'")
        if _CONTROL.search(value) is not None:
            raise self._refuse("a control character in a field value")
        key = name.lower()
        if key in _WATCHED:
            watched.setdefault(key, []).append(value.strip(b" \t"))

    def _version(self, major: bytes, minor: bytes) -> bool:
        """Whether this is HTTP/1.1 and not 1.0."""
        if major != b"1" or minor not in (b"0", b"1"):
            raise self._refuse("the HTTP version is neither 1.0 nor 1.1", 505)
        return minor == b"1"

    def _request(self, line: bytes, fields: dict[bytes, list[bytes]]) -> None:
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            raise self._refuse("the first line is not 'METHOD target HTTP/1.1'")
        method, target = match[1], match[2]
        modern = self._version(match[3], match[4])
        hosts = fields.get(b"host", [])
        if len(hosts) > 1 or (modern and not hosts):
            raise self._refuse(f"{len(hosts)} Host fields, expected one")
        if hosts and _HOST.fullmatch(hosts[0]) is None:
            raise self._refuse("the Host field is not host[:port]")
        if method in (b"CONNECT", b"TRACE"):
            raise self._refuse("this is not a proxy: CONNECT and TRACE are not served", 501)
        if b"#" in target or not (target.startswith(b"/") or (target == b"*" and method == b"OPTIONS")):
            absolute = _ABSOLUTE.fullmatch(target)
            # RFC 9112 section 3.2.2 lets the target win over Host; two different names are nobody's honest request.
            if absolute is None or b"#" in target or absolute[1].lower() != (hosts or [b""])[0].lower():
                raise self._refuse("the request target is neither a path nor a URL of this host")
        length = self._length(fields)
        if self._coded(fields, modern, length):
            self._state = _State.CHUNK_SIZE
        else:
            self._sized_body(length or 0)

    def _response(self, line: bytes, fields: dict[bytes, list[bytes]]) -> None:
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise self._refuse("the first line is not 'HTTP/1.1 status reason'")
        modern = self._version(match[1], match[2])
        status = match[3]
        if status[:1] == b"1":
            self._interim += 1
            if status == b"101":
                raise self._refuse("101 Switching Protocols, which nobody asked for")
            if self._interim > self._limits.interim_responses:
                raise self._refuse(f"more than {self._limits.interim_responses} interim (1xx) answers")
            return
        length = self._length(fields)
        coded = self._coded(fields, modern, length)
        if self._method == b"HEAD" or status in (b"204", b"304"):
            self._state = _State.DONE
        elif coded:
            self._state = _State.CHUNK_SIZE
        elif length is not None:
            self._sized_body(length)
        else:
            self._state = _State.UNTIL_CLOSE

    def _length(self, fields: dict[bytes, list[bytes]]) -> int | None:
        values = set(fields.get(b"content-length", []))
        if not values:
            return None
        if len(values) > 1:
            raise self._refuse("Content-Length fields that contradict each other")
        value = values.pop()
        if _LENGTH.fullmatch(value) is None:
            raise self._refuse("Content-Length is not a number of at most 18 digits")
        return int(value)

    def _coded(self, fields: dict[bytes, list[bytes]], modern: bool, length: int | None) -> bool:
        codings = fields.get(b"transfer-encoding")
        if codings is None:
            return False
        if length is not None:
            raise self._refuse("Content-Length and Transfer-Encoding in one message")
        if not modern:
            raise self._refuse("Transfer-Encoding in an HTTP/1.0 message")
        if len(codings) != 1 or codings[0].lower() != b"chunked":
            raise self._refuse("a Transfer-Encoding other than one 'chunked'", 501)
        return True

    def _sized_body(self, length: int) -> None:
        self._remaining = length
        self._state = _State.FIXED if length else _State.DONE

    def _sized(self, out: list[bytes]) -> bool:
        if not self._buffer:
            return False
        piece = bytes(self._buffer[: self._remaining])
        del self._buffer[: len(piece)]
        self._remaining -= len(piece)
        out.append(piece)
        if self._remaining:
            return False
        self._state = _State.DONE if self._state is _State.FIXED else _State.CHUNK_END
        return True

    def _until_close(self, out: list[bytes]) -> bool:
        out.append(bytes(self._buffer))
        self._buffer.clear()
        return False

    def _line(self, allowance: int) -> bytes | None:
        """The next line without its CRLF, or None when it is not complete."""
        buffer, most = self._buffer, allowance + self._overhead
        # From where the last look ended: a peer that drips bytes must not make us read the line again for each.
        end = buffer.find(b"\r\n", max(0, self._scanned - 1), most)
        stop = len(buffer) if end < 0 else end + 2
        if _BROKEN_LINE.search(buffer, max(0, self._scanned - 1), stop) is not None:
            raise self._refuse("a line of the chunked framing does not end in CRLF or holds a NUL")
        if end < 0:
            if len(buffer) >= most:
                raise self._refuse(
                    f"more than {self._limits.chunk_overhead_bytes} bytes of chunk extensions and trailers"
                )
            self._scanned = len(buffer)
            return None
        self._scanned = 0
        line = bytes(buffer[:end])
        del buffer[:stop]
        return line

    def _chunk_size(self, out: list[bytes]) -> bool:
        line = self._line(_CHUNK_LINE)
        if line is None:
            return False
        match = self._chunk_line.fullmatch(line)
        if match is None:
            raise self._refuse("a chunk does not begin with its size in hexadecimal digits")
        self._overhead -= len(match[2] or b"")
        out.append(match[1] + b"\r\n")
        self._remaining = int(match[1], 16)
        self._state = _State.CHUNK_DATA if self._remaining else _State.TRAILERS
        return True

    def _chunk_end(self, out: list[bytes]) -> bool:
        if len(self._buffer) < 2:
            if self._buffer and self._buffer != b"\r":
                raise self._refuse("a chunk is longer than its size says")
            return False
        if not self._buffer.startswith(b"\r\n"):
            raise self._refuse("a chunk is longer than its size says")
        del self._buffer[:2]
        out.append(b"\r\n")
        self._state = _State.CHUNK_SIZE
        return True

    def _trailers(self, out: list[bytes]) -> bool:
        line = self._line(2)
        if line is None:
            return False
        if not line:
            out.append(b"\r\n")
            self._state = _State.DONE
            return True
        self._overhead -= len(line)
        self._trailer_fields += 1
        if self._trailer_fields > self._limits.head_fields:
            raise self._refuse(f"more than {self._limits.head_fields} trailer fields")
        # Checked and removed: a framing field here must not become one of the head.
        self._field(line, {})
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() not in NOT_IN_TRAILERS:
            self.trailers.append((name.lower(), value.strip(" \t")))
        return True
