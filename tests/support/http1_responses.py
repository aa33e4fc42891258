"""Answers on the wire and what a client must make of each; what is refused is the upstream's fault (502)."""

from __future__ import annotations

from .http1_rows import Answered, Row, Verdict

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_EMPTY = b"Content-Length: 0\r\n\r\n"
_ABC = Answered(body=b"abc")


def _ok(name: str, section: str, data: bytes, answered: Answered, **options: object) -> Row:
    return Row(name, section, data, Verdict((answered,)), **options)  # type: ignore[arg-type] # fields of Row


def _common(name: str, section: str, data: bytes, answered: Answered, **options: object) -> Row:
    return _ok(name, section, data, answered, common=True, **options)


def _no(name: str, section: str, data: bytes, *, method: str = "GET", eof: bool = False) -> Row:
    return Row(name, section, data, Verdict(refused=502), method=method, eof=eof)


def _status(line: bytes) -> bytes:
    return line + b"\r\n" + _EMPTY


def _field(line: bytes) -> bytes:
    return _OK + line + b"\r\n" + _EMPTY


STATUS_LINES = [
    _common("plain", "9112 4", _status(b"HTTP/1.1 200 OK"), Answered()),
    _common("no reason", "9112 4", _status(b"HTTP/1.1 200 "), Answered()),
    _common("no reason and no space", "9112 4", _status(b"HTTP/1.1 200"), Answered()),
    _common("reason of many words", "9112 4", _status(b"HTTP/1.1 431 Too: much, it is"), Answered(431)),
    _common("a status nobody knows", "9110 15", _status(b"HTTP/1.1 599 x"), Answered(599)),
    _ok("reason with a byte above 127", "9112 4", _status(b"HTTP/1.1 200 \xe4"), Answered()),
    _ok("reason with a tab", "9112 4", _status(b"HTTP/1.1 200 a\tb"), Answered()),
    _ok("HTTP/1.0", "9112 2.3", _status(b"HTTP/1.0 200 OK"), Answered(stays=False, version="1.0")),
    _no("HTTP/1.2", "9110 2.5", _status(b"HTTP/1.2 200 OK")),
    _no("HTTP/2", "9112 4", _status(b"HTTP/2 200")),
    _no("http/1.1", "9112 2.3", _status(b"http/1.1 200 OK")),
    _no("ICY", "9112 4", _status(b"ICY 200 OK")),
    _no("two digits", "9112 4", _status(b"HTTP/1.1 20 OK")),
    _no("four digits", "9112 4", _status(b"HTTP/1.1 2000 OK")),
    _no("status 600", "9110 15", _status(b"HTTP/1.1 600 x")),
    _no("status 099", "9110 15", _status(b"HTTP/1.1 099 x")),
    _no("signed status", "9112 4", _status(b"HTTP/1.1 +20 x")),
    _no("two spaces", "9112 4", _status(b"HTTP/1.1  200 OK")),
    _no("tab between", "9112 4", _status(b"HTTP/1.1\t200 OK")),
    _no("space in front", "9112 4", _status(b" HTTP/1.1 200 OK")),
    _no("empty line in front", "9112 2.2", b"\r\n" + _status(b"HTTP/1.1 200 OK")),
    _no("control character in the reason", "9112 4", _status(b"HTTP/1.1 200 \x01")),
    _no("a request", "9112 4", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    _no("HTML", "9112 4", b"<html>\r\n\r\n"),
    _no("endless status line", "9112 3", b"HTTP/1.1 200 " + b"x" * 130),
]

FIELDS = [
    _common("spaces and case", "9112 5", _field(b"X-A:   b  "), Answered(), fields=[("x-a", "b")]),
    _common(
        "cookies stay apart",
        "9110 5.3",
        _field(b"Set-Cookie: a\r\nSet-Cookie: b"),
        Answered(),
        fields=[("set-cookie", "a"), ("set-cookie", "b")],
    ),
    _common("Host means nothing", "9110 7.2", _field(b"Host: a"), Answered(), fields=[("host", "a")]),
    _ok("an upgrade is offered", "9110 7.8", _field(b"Upgrade: h2\r\nConnection: Upgrade"), Answered()),
    _ok("bytes above 127 in a value", "9110 5.5", _field(b"x: \xe4"), Answered(), fields=[("x", "\xe4")]),
    _no("obs-fold", "9112 5.2", _field(b"x: a\r\n b")),
    _no("obs-fold of Content-Length", "9112 5.2", _OK + b"Content-Length:\r\n 3\r\n\r\nabc"),
    _no("space before the colon", "9112 5.1", _field(b"x : a")),
    _no("no colon", "9112 5", _field(b"nothing")),
    _no("bare LF", "9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    _no("bare LF behind a field", "9112 2.2", _OK + b"x: a\n" + _EMPTY),
    _no("bare CR in a value", "9112 2.2", _field(b"x: a\rSet-Cookie: b")),
    _no("NUL in a value", "9110 5.5", _field(b"x: \0")),
    _no("DEL in a value", "9110 5.5", _field(b"x: \x7f")),
    _no("too many fields", "6585 5", _field(b"x: 1\r\n" * 9 + b"y: 1")),
    _no("a head that is too large", "6585 5", _field(b"x: " + b"a" * 600)),
    _no("an endless head", "6585 5", _OK + b"x: " + b"a" * 600),
]

_LENGTH = b"Content-Length: "

BODIES = [
    _common("length", "9112 6.2", _OK + _LENGTH + b"3\r\n\r\nabc", _ABC),
    _common("chunked", "9112 7.1", _CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", _ABC),
    _common("until the close", "9112 6.3", _OK + b"\r\nabc", Answered(body=b"abc", stays=False), eof=True),
    _common("nothing until the close", "9112 6.3", _OK + b"\r\n", Answered(stays=False), eof=True),
    Row("until the close is waited for", "9112 6.3", _OK + b"\r\nabc", Verdict(pending=True), common=True),
    _common("length in an answer to HEAD", "9110 9.3.2", _OK + _LENGTH + b"3\r\n\r\n", Answered(), method="HEAD"),
    _common("coding in an answer to HEAD", "9110 9.3.2", _CHUNKED, Answered(), method="HEAD"),
    _common("neither in an answer to HEAD", "9110 9.3.2", _OK + b"\r\n", Answered(), method="HEAD"),
    _common("204", "9110 15.3.5", b"HTTP/1.1 204 No Content\r\n\r\n", Answered(204)),
    _common("204 with a length", "9110 8.6", b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", Answered(204)),
    _common(
        "304 with a length", "9110 15.4.5", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Answered(304)
    ),
    _common("205 has a length", "9110 15.3.6", _status(b"HTTP/1.1 205 Reset Content"), Answered(205)),
    _ok("equal lengths", "9112 6.3", _OK + _LENGTH + b"3\r\n" + _LENGTH + b"3\r\n\r\nabc", _ABC),
    _ok(
        "trailers",
        "9112 7.1.2",
        _CHUNKED + b"3\r\nabc\r\n0\r\nx-sum: 1\r\nSet-Cookie: a\r\n\r\n",
        Answered(body=b"abc", trailers=[("x-sum", "1")]),
    ),
    _ok("extension", "9112 7.1.1", _CHUNKED + b"3;a\r\nabc\r\n0\r\n\r\n", _ABC),
    _ok("padded size", "9112 7.1.1", _CHUNKED + b"3  \r\nabc\r\n0\r\n\r\n", _ABC),
    _ok(
        "length of 1.0",
        "9112 6.3",
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        Answered(body=b"abc", stays=False, version="1.0"),
    ),
    _ok(
        "close of 1.0",
        "9112 6.3",
        b"HTTP/1.0 200 OK\r\n\r\nabc",
        Answered(body=b"abc", stays=False, version="1.0"),
        eof=True,
    ),
    _no("chunked in 1.0", "9112 6.1", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    _no("length and coding", "9112 6.1", _OK + _LENGTH + b"3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    _no("lengths that differ", "9112 6.3", _OK + _LENGTH + b"3\r\n" + _LENGTH + b"4\r\n\r\nabc"),
    _no("list of lengths", "9112 6.3", _OK + _LENGTH + b"3, 3\r\n\r\nabc"),
    _no("negative length", "9110 8.6", _OK + _LENGTH + b"-1\r\n\r\nabc"),
    _no("empty length", "9110 8.6", _OK + _LENGTH + b"\r\n\r\nabc"),
    _no("bad length of 204", "9110 8.6", b"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n"),
    _no("bad length for HEAD", "9110 8.6", _OK + _LENGTH + b"x\r\n\r\n", method="HEAD"),
    _no("gzip, chunked", "9112 6.1", _OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    _no("identity", "9112 7", _OK + b"Transfer-Encoding: identity\r\n\r\nabc"),
    _no("two codings", "9112 6.1", _OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n"),
    _no("no hexadecimal digit", "9112 7.1", _CHUNKED + b"g\r\n"),
    _no("space before a size", "9112 7.1", _CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n"),
    _no("any two bytes behind the data", "9112 7.1", _CHUNKED + b"3\r\nabcXX0\r\n\r\n"),
    _no("data longer than its size", "9112 7.1", _CHUNKED + b"2\r\nabc\r\n0\r\n\r\n"),
    _no("bare LF behind a size", "9112 7.1", _CHUNKED + b"3\nabc\r\n0\r\n\r\n"),
    _no("endless extension", "9112 7.1.1", _CHUNKED + b"3;" + b"a" * 120),
    _no("bare LF in a trailer", "9112 2.2", _CHUNKED + b"0\r\na: b\n\r\n"),
]

_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"

INTERIM = [
    Row("hints first", "9110 15.2", _HINTS + _status(b"HTTP/1.1 200 OK"), Verdict((Answered(),), interim=(103,))),
    Row(
        "100 first",
        "9110 15.2.1",
        b"HTTP/1.1 100 Continue\r\n\r\n" + _status(b"HTTP/1.1 200 OK"),
        Verdict((Answered(),), interim=(100,)),
    ),
    Row(
        "three of them",
        "9110 15.2",
        _HINTS * 3 + _status(b"HTTP/1.1 200 OK"),
        Verdict((Answered(),), interim=(103,) * 3),
    ),
    Row("and then nothing yet", "9110 15.2", _HINTS, Verdict(pending=True, interim=(103,))),
    Row("too many", "9110 15.2", _HINTS * 4, Verdict(refused=502, interim=(103,) * 3)),
    _no(
        "101 that nobody asked for",
        "9110 15.2.2",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    ),
]

CONNECTIONS = [
    _common("close", "9112 9.6", _field(b"Connection: close"), Answered(stays=False)),
    _common("keep-alive", "9112 9.3", _field(b"Connection: keep-alive\r\nKeep-Alive: timeout=5"), Answered()),
    _ok("close in a list", "9112 9.6", _field(b"Connection: x, Close"), Answered(stays=False)),
    _common("a second answer is held", "9112 9.2", _field(b"x: 1") + _status(b"HTTP/1.1 200 OK"), Answered()),
    _common("garbage behind is held", "9112 9.2", _field(b"x: 1") + b"\x00\n", Answered()),
]

ENDS = [
    _no("nothing at all", "9112 8", b"", eof=True),
    _no("within the status line", "9112 8", b"HTTP/1.1 2", eof=True),
    _no("within a field", "9112 8", _OK + b"x: 1\r\n", eof=True),
    _no("before the body", "9112 8", _OK + _LENGTH + b"3\r\n\r\n", eof=True),
    _no("within the body", "9112 8", _OK + _LENGTH + b"3\r\n\r\nab", eof=True),
    _no("before a chunk", "9112 8", _CHUNKED, eof=True),
    _no("within a size", "9112 8", _CHUNKED + b"1", eof=True),
    _no("within a chunk", "9112 8", _CHUNKED + b"3\r\nab", eof=True),
    _no("before the last chunk", "9112 8", _CHUNKED + b"3\r\nabc\r\n", eof=True),
    _no("within the last chunk", "9112 8", _CHUNKED + b"3\r\nabc\r\n0\r\n", eof=True),
    Row("behind hints", "9112 8", _HINTS, Verdict(refused=502, interim=(103,)), eof=True),
]

GROUPS: dict[str, list[Row]] = {
    "status line": STATUS_LINES,
    "fields": FIELDS,
    "body": BODIES,
    "interim": INTERIM,
    "connection": CONNECTIONS,
    "end": ENDS,
}
