"""Requests on the wire and what a server must make of each: the strict side of RFC 9112 and RFC 9110.

Where the RFC lets a server choose (a "bare LF" may be taken for a line end, an absolute-form must be taken), the row
says what ferryllm does: it refuses whatever two readers on the way could read in two ways.
"""

from __future__ import annotations

from .http1_rows import Asked, Row, Verdict

_HOST = b"Host: a\r\n"
_POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_GET = Asked()


def _ok(name: str, section: str, data: bytes, *asked: Asked, **options: object) -> Row:
    return Row(name, section, data, Verdict(asked or (_GET,)), **options)  # type: ignore[arg-type] # fields of Row


def _common(name: str, section: str, data: bytes, *asked: Asked, **options: object) -> Row:
    return _ok(name, section, data, *asked, common=True, **options)


def _no(name: str, section: str, data: bytes, status: int = 400, *asked: Asked, eof: bool = False) -> Row:
    return Row(name, section, data, Verdict(asked, refused=status), eof=eof)


def _line(line: bytes) -> bytes:
    return line + b"\r\n" + _HOST + b"\r\n"


def _field(line: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\n" + _HOST + line + b"\r\n\r\n"


def _host(value: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost:" + value + b"\r\n\r\n"


def _length(fields: bytes, body: bytes = b"abc") -> bytes:
    return _POST + fields + b"\r\n\r\n" + body


def _posted(body: bytes = b"abc", **options: object) -> Asked:
    return Asked("POST", "/", body, **options)  # type: ignore[arg-type] # fields of Asked


REQUEST_LINES = [
    _common("plain", "9112 3", _line(b"GET / HTTP/1.1")),
    _common("query", "9112 3.2.1", _line(b"GET /a?b=c%20d&e HTTP/1.1"), Asked(target="/a?b=c%20d&e")),
    _common("dots and double slashes stay", "9112 3.2.1", _line(b"GET //a/../b HTTP/1.1"), Asked(target="//a/../b")),
    _common("odd visible characters", "9112 3.2", _line(b'GET /{}|\\^`"<> HTTP/1.1'), Asked(target='/{}|\\^`"<>')),
    _common("HEAD", "9110 9.3.2", _line(b"HEAD / HTTP/1.1"), Asked("HEAD")),
    _common("DELETE", "9110 9.3.5", _line(b"DELETE /x HTTP/1.1"), Asked("DELETE", "/x")),
    _common("OPTIONS of a path", "9110 9.3.7", _line(b"OPTIONS /x HTTP/1.1"), Asked("OPTIONS", "/x")),
    _ok("a method nobody knows", "9110 9.1", _line(b"BREW /pot HTTP/1.1"), Asked("BREW", "/pot")),
    _ok("method in lower case is another method", "9110 9.1", _line(b"get / HTTP/1.1"), Asked("get")),
    _ok("asterisk of OPTIONS", "9112 3.2.4", _line(b"OPTIONS * HTTP/1.1"), Asked("OPTIONS", "*")),
    _ok("absolute-form of this host", "9112 3.2.2", _line(b"GET http://a/x?y HTTP/1.1"), Asked(target="http://a/x?y")),
    _ok(
        "absolute-form, scheme and host in capitals",
        "9110 4.2.3",
        _line(b"GET HTTP://A/ HTTP/1.1"),
        Asked(target="HTTP://A/"),
    ),
    _ok("absolute-form without a path", "9112 3.2.2", _line(b"GET http://a HTTP/1.1"), Asked(target="http://a")),
    _ok("HTTP/1.0", "9112 2.3", _line(b"GET / HTTP/1.0"), Asked(stays=False, version="1.0")),
    _ok("HTTP/1.0 without Host", "9112 3.2", b"GET / HTTP/1.0\r\n\r\n", Asked(stays=False, version="1.0")),
    _ok("empty line in front", "9112 2.2", b"\r\n" + _line(b"GET / HTTP/1.1")),
    _ok("two empty lines in front", "9112 2.2", b"\r\n\r\n" + _line(b"GET / HTTP/1.1")),
    _no("three empty lines in front", "9112 2.2", b"\r\n\r\n\r\n" + _line(b"GET / HTTP/1.1")),
    _no("bare LF in front", "9112 2.2", b"\n" + _line(b"GET / HTTP/1.1")),
    _no("space in front", "9112 3", _line(b" GET / HTTP/1.1")),
    _no("no version", "9112 3", _line(b"GET /")),
    _no("no target", "9112 3", _line(b"GET HTTP/1.1")),
    _no("two spaces behind the method", "9112 3", _line(b"GET  / HTTP/1.1")),
    _no("two spaces behind the target", "9112 3", _line(b"GET /  HTTP/1.1")),
    _no("space at the end", "9112 3", _line(b"GET / HTTP/1.1 ")),
    _no("tab between", "9112 3", _line(b"GET\t/\tHTTP/1.1")),
    _no("form feed between", "9112 3", _line(b"GET\x0c/ HTTP/1.1")),
    _no("space in the target", "9112 3.2", _line(b"GET /a b HTTP/1.1")),
    _no("control character in the target", "9112 3.2", _line(b"GET /a\x01 HTTP/1.1")),
    _no("DEL in the target", "9112 3.2", _line(b"GET /a\x7f HTTP/1.1")),
    _no("byte above 127 in the target", "9112 3.2", _line(b"GET /\xc3\xa4 HTTP/1.1")),
    _no("NUL in the target", "9110 5.5", _line(b"GET /a\0b HTTP/1.1")),
    _no("fragment", "9112 3.2", _line(b"GET /a#b HTTP/1.1")),
    _no("path without its slash", "9112 3.2.1", _line(b"GET a HTTP/1.1")),
    _no("asterisk of GET", "9112 3.2.4", _line(b"GET * HTTP/1.1")),
    _no("authority-form of GET", "9112 3.2.3", _line(b"GET a:80 HTTP/1.1")),
    _no("absolute-form of another host", "9112 3.2.2", _line(b"GET http://b/ HTTP/1.1")),
    _no("absolute-form of another port", "9112 3.2.2", _line(b"GET http://a:81/ HTTP/1.1")),
    _no("absolute-form with a user", "9110 4.2.4", _line(b"GET http://u@a/ HTTP/1.1")),
    _no("absolute-form of another scheme", "9112 3.2.2", _line(b"GET ftp://a/ HTTP/1.1")),
    _no("absolute-form without a host", "9112 3.2.2", _line(b"GET http:/// HTTP/1.1")),
    _no("absolute-form with a fragment", "9112 3.2.2", _line(b"GET http://a/#x HTTP/1.1")),
    _no("CONNECT", "9110 9.3.6", _line(b"CONNECT a:443 HTTP/1.1"), 501),
    _no("TRACE", "9110 9.3.8", _line(b"TRACE / HTTP/1.1"), 501),
    _no("method with a separator", "9110 9.1", _line(b"GE(T / HTTP/1.1")),
    _no("method with a control character", "9110 9.1", _line(b"G\x01ET / HTTP/1.1")),
    _no("empty method", "9112 3", _line(b" / HTTP/1.1")),
    _no("HTTP/1.2", "9110 2.5", _line(b"GET / HTTP/1.2"), 505),
    _no("HTTP/0.9", "9110 2.5", _line(b"GET / HTTP/0.9"), 505),
    _no("HTTP/2.0", "9110 2.5", _line(b"GET / HTTP/2.0"), 505),
    _no("preface of HTTP/2", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    _no("HTTP/1.10", "9112 2.3", _line(b"GET / HTTP/1.10")),
    _no("HTTP/1", "9112 2.3", _line(b"GET / HTTP/1")),
    _no("HTTP/01.1", "9112 2.3", _line(b"GET / HTTP/01.1")),
    _no("http/1.1", "9112 2.3", _line(b"GET / http/1.1")),
    _no("HTTPS/1.1", "9112 2.3", _line(b"GET / HTTPS/1.1")),
    _no("an answer", "9112 2.1", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    _no("TLS", "9112 2.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    _no("long request line", "9112 3", _line(b"GET /" + b"a" * 107 + b" HTTP/1.1"), 414),
    _no("endless request line", "9112 3", b"GET /" + b"a" * 130, 414),
    _common(
        "longest request line", "9112 3", _line(b"GET /" + b"a" * 106 + b" HTTP/1.1"), Asked(target="/" + "a" * 106)
    ),
]

LINE_ENDS = [
    _no("bare LF behind the request line", "9112 2.2", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    _no("bare LF behind a field", "9112 2.2", b"GET / HTTP/1.1\r\nHost: a\n\r\n"),
    _no("bare LF as the empty line", "9112 2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    _no("bare LF everywhere", "9112 2.2", b"GET / HTTP/1.1\nHost: a\n\n"),
    _no("bare CR behind the request line", "9112 2.2", b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    _no("bare CR in a value", "9112 2.2", _field(b"x: a\rb")),
    _no("bare CR before the CRLF", "9112 2.2", _field(b"x: a\r")),
    _no("CR CR LF", "9112 2.2", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    _no("bare CR as a line end in front of a field", "9112 2.2", _field(b"x: a\rContent-Length: 5")),
]

FIELDS = [
    _common("name in any case", "9110 5.1", _field(b"X-aBc: 1"), fields=[("x-abc", "1")]),
    _common("no space behind the colon", "9112 5", _field(b"x:1"), fields=[("x", "1")]),
    _common("spaces around a value", "9112 5", _field(b"x:   1  "), fields=[("x", "1")]),
    _common("empty value", "9110 5.5", _field(b"x:"), fields=[("x", "")]),
    _common("blank value", "9110 5.5", _field(b"x:   "), fields=[("x", "")]),
    _common("colons in a value", "9112 5", _field(b"x: a:b: c"), fields=[("x", "a:b: c")]),
    _common(
        "every token character", "9110 5.6.2", _field(b"!#$%&'*+-.^_`|~0aZ: 1"), fields=[("!#$%&'*+-.^_`|~0az", "1")]
    ),
    _common("a field twice", "9110 5.3", _field(b"x: 1\r\nx: 2"), fields=[("x", "1"), ("x", "2")]),
    _common("the most fields", "9110 5.4", _field(b"x: 1\r\n" * 8 + b"y: 1"), fields=[("y", "1")]),
    _ok("tabs around and within a value", "9112 5", _field(b"x:\t1\t2\t"), fields=[("x", "1\t2")]),
    _ok("bytes above 127 in a value", "9110 5.5", _field(b"x: \xe4\xff"), fields=[("x", "\xe4\xff")]),
    _no("obs-fold", "9112 5.2", _field(b"x: a\r\n b")),
    _no("obs-fold by a tab", "9112 5.2", _field(b"x: a\r\n\tb")),
    _no("obs-fold to nothing", "9112 5.2", _field(b"x: a\r\n ")),
    _no("obs-fold of the first field", "9112 2.2", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    _no("obs-fold of Host", "9112 5.2", b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n"),
    _no("obs-fold of Content-Length", "9112 5.2", _length(b"Content-Length:\r\n 3")),
    _no("obs-fold behind Content-Length", "9112 5.2", _length(b"Content-Length: 3\r\n 4")),
    _no("obs-fold of Transfer-Encoding", "9112 5.2", _POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    _no("space before the colon", "9112 5.1", _field(b"x : 1")),
    _no("tab before the colon", "9112 5.1", _field(b"x\t: 1")),
    _no("space before the colon of Host", "9112 5.1", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    _no("space before the colon of Content-Length", "9112 5.1", _length(b"Content-Length : 3")),
    _no(
        "space before the colon of Transfer-Encoding",
        "9112 5.1",
        _POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    _no("space in a name", "9110 5.1", _field(b"x y: 1")),
    _no("empty name", "9110 5.1", _field(b": 1")),
    _no("no colon", "9112 5", _field(b"nothing")),
    _no("slash in a name", "9110 5.1", _field(b"x/y: 1")),
    _no("byte above 127 in a name", "9110 5.1", _field(b"x\xe4: 1")),
    _no("NUL in a name", "9110 5.1", _field(b"x\0: 1")),
    _no("NUL in a value", "9110 5.5", _field(b"x: a\0b")),
    _no("control character in a value", "9110 5.5", _field(b"x: a\x01b")),
    _no("escape in a value", "9110 5.5", _field(b"x: \x1b[31m")),
    _no("vertical tab in a value", "9110 5.5", _field(b"x: a\x0bb")),
    _no("DEL in a value", "9110 5.5", _field(b"x: a\x7fb")),
    _no("one field too many", "6585 5", _field(b"x: 1\r\n" * 9 + b"y: 1"), 431),
    _no("a head that is too large", "6585 5", _field(b"x: " + b"a" * 600), 431),
    _no("an endless head", "6585 5", b"GET / HTTP/1.1\r\nx: " + b"a" * 600, 431),
]

HOSTS = [
    _common("host with a port", "9110 7.2", _host(b" a.example:8080")),
    _common("IPv4", "9110 7.2", _host(b" 127.0.0.1:80")),
    _common("IPv6", "9110 7.2", _host(b" [::1]:80")),
    _common("underscore and escape", "9110 7.2", _host(b" a_b%20c")),
    _common("empty host", "9110 7.2", _host(b"")),
    _common("empty port", "9110 7.2", _host(b" a:")),
    _no("no host", "9112 3.2", b"GET / HTTP/1.1\r\n\r\n"),
    _no("no host but others", "9112 3.2", b"GET / HTTP/1.1\r\nx: 1\r\n\r\n"),
    _no("two hosts", "9112 3.2", _field(b"Host: b")),
    _no("two equal hosts", "9112 3.2", _field(b"hOST: a")),
    _no("two hosts in 1.0", "9112 3.2", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    _no("list of hosts", "9112 3.2", _host(b" a, b")),
    _no("list without a space", "9112 3.2", _host(b" a,b")),
    _no("path in the host", "9112 3.2", _host(b" a/b")),
    _no("URL as the host", "9112 3.2", _host(b" http://a")),
    _no("user in the host", "9112 3.2", _host(b" u@a")),
    _no("query in the host", "9112 3.2", _host(b" a?b")),
    _no("space in the host", "9112 3.2", _host(b" a b")),
    _no("letters in the port", "9112 3.2", _host(b" a:80x")),
    _no("port of six digits", "9112 3.2", _host(b" a:808080")),
    _no("two ports", "9112 3.2", _host(b" a:80:81")),
    _no("bracket not closed", "9112 3.2", _host(b" [::1")),
]

LENGTHS = [
    _common("length", "9112 6.2", _length(b"Content-Length: 3"), _posted()),
    _common("zero", "9112 6.2", _length(b"Content-Length: 0", b""), _posted(b"")),
    _common("leading zeros", "9110 8.6", _length(b"Content-Length: 0003"), _posted()),
    _common(
        "length of GET", "9110 9.3.1", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", Asked(body=b"ab")
    ),
    _common(
        "any bytes in a body", "9112 6", _length(b"Content-Length: 6", b"\r\n\r\n\0\xff"), _posted(b"\r\n\r\n\0\xff")
    ),
    _common("no length is no body", "9112 6.3", _POST + b"\r\n", _posted(b"")),
    _ok("equal lengths", "9112 6.3", _length(b"Content-Length: 3\r\nContent-Length: 3"), _posted()),
    _no("lengths that differ", "9112 6.3", _length(b"Content-Length: 3\r\nContent-Length: 4")),
    _no("lengths that differ by zeros", "9112 6.3", _length(b"Content-Length: 3\r\nContent-Length: 03")),
    _no("list of equal lengths", "9112 6.3", _length(b"Content-Length: 3, 3")),
    _no("list of lengths", "9112 6.3", _length(b"Content-Length: 3,4")),
    _no("plus", "9110 8.6", _length(b"Content-Length: +3")),
    _no("minus", "9110 8.6", _length(b"Content-Length: -3")),
    _no("minus zero", "9110 8.6", _length(b"Content-Length: -0", b"")),
    _no("space within", "9110 8.6", _length(b"Content-Length: 3 3")),
    _no("hexadecimal", "9110 8.6", _length(b"Content-Length: 0x3")),
    _no("letters", "9110 8.6", _length(b"Content-Length: 3a")),
    _no("fraction", "9110 8.6", _length(b"Content-Length: 3.0")),
    _no("exponent", "9110 8.6", _length(b"Content-Length: 3e0")),
    _no("underscore", "9110 8.6", _length(b"Content-Length: 1_0")),
    _no("quotes", "9110 8.6", _length(b'Content-Length: "3"')),
    _no("empty", "9110 8.6", _length(b"Content-Length:")),
    _no("superscript digit", "9110 8.6", _length(b"Content-Length: \xb2")),
    _no("20 digits", "9110 8.6", _length(b"Content-Length: " + b"9" * 20)),
    _no("2 to the 64 and 3", "9110 8.6", _length(b"Content-Length: 18446744073709551619")),
    Row(
        "18 digits are waited for",
        "9110 8.6",
        _length(b"Content-Length: " + b"9" * 18),
        Verdict(pending=True),
        common=True,
    ),
    _no("length and coding", "9112 6.1", _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    _no("coding and length", "9112 6.1", _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    _no(
        "length of zero and coding",
        "9112 6.1",
        _POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    _no(
        "length and a coding of no meaning", "9112 6.1", _POST + b"Content-Length: 3\r\nTransfer-Encoding: x\r\n\r\nabc"
    ),
]

_TE = b"Transfer-Encoding: "
_LAST = b"\r\n\r\n0\r\n\r\n"

CODINGS = [
    _common("chunked", "9112 7.1", _CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", _posted()),
    _common("chunked in capitals", "9112 7", _POST + _TE + b"CHUNKED" + _LAST, _posted(b"")),
    _no("gzip, chunked", "9112 6.1", _POST + _TE + b"gzip, chunked" + _LAST, 501),
    _no("chunked, gzip", "9112 6.1", _POST + _TE + b"chunked, gzip" + _LAST, 501),
    _no("chunked twice in one field", "9112 6.1", _POST + _TE + b"chunked, chunked" + _LAST, 501),
    _no("chunked twice in two", "9112 6.1", _POST + _TE + b"chunked\r\n" + _TE + b"chunked" + _LAST, 501),
    _no("chunked and identity in two", "9112 6.1", _POST + _TE + b"chunked\r\n" + _TE + b"identity" + _LAST, 501),
    _no("identity", "9112 7", _POST + _TE + b"identity" + _LAST, 501),
    _no("empty coding", "9112 6.1", _POST + b"Transfer-Encoding:" + _LAST, 501),
    _no("chunked with a parameter", "9112 7", _POST + _TE + b"chunked;q=1" + _LAST, 501),
    _no("chunked with a comma", "9112 6.1", _POST + _TE + b"chunked," + _LAST, 501),
    _no("quoted", "9112 7", _POST + _TE + b'"chunked"' + _LAST, 501),
    _no("xchunked", "9112 7", _POST + _TE + b"xchunked" + _LAST, 501),
    _no("chunked behind a vertical tab", "9112 5", _POST + _TE + b"\x0bchunked" + _LAST),
    _no("chunked and a control character", "9112 5", _POST + _TE + b"chunked\x00" + _LAST),
    _no("chunked in 1.0", "9112 6.1", b"POST / HTTP/1.0\r\nHost: a\r\n" + _TE + b"chunked" + _LAST),
    _no(
        "name with an underscore is another field, then garbage",
        "9110 5.1",
        _POST + b"Transfer_Encoding: chunked" + b"\r\n\r\nxyz\r\n\r\n",
        400,
        _posted(b""),
    ),
]

CHUNKS = [
    _common("several", "9112 7.1", _CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", _posted()),
    _common("CRLF in the data", "9112 7.1", _CHUNKED + b"5\r\n\r\n0\r\n\r\n0\r\n\r\n", _posted(b"\r\n0\r\n")),
    _common("leading zeros", "9112 7.1", _CHUNKED + b"0003\r\nabc\r\n000\r\n\r\n", _posted()),
    _common(
        "hexadecimal in both cases",
        "9112 7.1",
        _CHUNKED + b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        _posted(b"0123456789" * 2),
    ),
    _common("nothing", "9112 7.1", _CHUNKED + b"0\r\n\r\n", _posted(b"")),
    Row(
        "a huge chunk is waited for",
        "9112 7.1",
        _CHUNKED + b"fffffffffffffff\r\nabc",
        Verdict(pending=True),
        common=True,
    ),
    _ok("extension", "9112 7.1.1", _CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n", _posted()),
    _ok("quoted extension of the last chunk", "9112 7.1.1", _CHUNKED + b'3\r\nabc\r\n0;a="b;c"\r\n\r\n', _posted()),
    _ok("spaces around an extension", "9112 7.1.1", _CHUNKED + b"3 ; a = b\r\nabc\r\n0\r\n\r\n", _posted()),
    _no("16 digits", "9112 7.1", _CHUNKED + b"0000000000000003\r\nabc\r\n0\r\n\r\n"),
    _no("more than 64 bits", "9112 7.1", _CHUNKED + b"ffffffffffffffff3\r\nabc\r\n0\r\n\r\n"),
    _no("0x", "9112 7.1", _CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n"),
    _no("plus before a size", "9112 7.1", _CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n"),
    _no("minus before a size", "9112 7.1", _CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n"),
    _no("underscore in a size", "9112 7.1", _CHUNKED + b"1_0\r\nabc\r\n0\r\n\r\n"),
    _no("space before a size", "9112 7.1", _CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n"),
    _no("space behind a size", "9112 7.1.1", _CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n"),
    _no("no size", "9112 7.1", _CHUNKED + b"\r\nabc\r\n0\r\n\r\n"),
    _no("extension without a size", "9112 7.1", _CHUNKED + b";a\r\nabc\r\n0\r\n\r\n"),
    _no("no hexadecimal digit", "9112 7.1", _CHUNKED + b"g\r\nabc\r\n0\r\n\r\n"),
    _no("comma behind a size", "9112 7.1", _CHUNKED + b"3,3\r\nabc\r\n0\r\n\r\n"),
    _no("NUL behind a size", "9112 7.1", _CHUNKED + b"3\0\r\nabc\r\n0\r\n\r\n"),
    _no("bare LF behind a size", "9112 7.1", _CHUNKED + b"3\nabc\r\n0\r\n\r\n"),
    _no("bare CR behind a size", "9112 7.1", _CHUNKED + b"3\rabc\r\n0\r\n\r\n"),
    _no("bare LF in an extension", "9112 7.1.1", _CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n"),
    _no("bare CR in an extension", "9112 7.1.1", _CHUNKED + b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
    _no("NUL in an extension", "9112 7.1.1", _CHUNKED + b"3;a\0\r\nabc\r\n0\r\n\r\n"),
    _no("control character in an extension", "9112 7.1.1", _CHUNKED + b"3;\x01\r\nabc\r\n0\r\n\r\n"),
    _no("an endless extension", "9112 7.1.1", _CHUNKED + b"3;" + b"a" * 120),
    _no("extensions that are too much together", "9112 7.1.1", _CHUNKED + (b"1;" + b"a" * 30 + b"\r\nx\r\n") * 4),
    _no("no CRLF behind the data", "9112 7.1", _CHUNKED + b"3\r\nabc0\r\n\r\n"),
    _no("any two bytes behind the data", "9112 7.1", _CHUNKED + b"3\r\nabcXX0\r\n\r\n"),
    _no("bare LF behind the data", "9112 7.1", _CHUNKED + b"3\r\nabc\n0\r\n\r\n"),
    _no("bare CR behind the data", "9112 7.1", _CHUNKED + b"3\r\nabc\r0\r\n\r\n"),
    _no("LF CR behind the data", "9112 7.1", _CHUNKED + b"3\r\nabc\n\r0\r\n\r\n"),
    _no("data longer than its size", "9112 7.1", _CHUNKED + b"2\r\nabc\r\n0\r\n\r\n"),
    _no("data shorter than its size", "9112 7.1", _CHUNKED + b"4\r\nabc\r\n0\r\n\r\n"),
    _no("second chunk is bad", "9112 7.1", _CHUNKED + b"3\r\nabc\r\nzz\r\n"),
]

_SUM = [("x-sum", "1")]

TRAILERS = [
    _ok("trailer", "9112 7.1.2", _CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", _posted(trailers=_SUM)),
    _ok(
        "framing fields are left out",
        "9110 6.5.1",
        _CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 9\r\nx-sum: 1\r\nTransfer-Encoding: x\r\n\r\n",
        _posted(trailers=_SUM),
    ),
    _ok(
        "credentials are left out",
        "9110 6.5.1",
        _CHUNKED + b"0\r\nAuthorization: x\r\nHost: b\r\nx-sum: 1\r\n\r\n",
        _posted(b"", trailers=_SUM),
    ),
    _ok(
        "trailers that are announced",
        "9110 6.6.2",
        _POST + b"Trailer: x-sum\r\n" + _TE + b"chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n",
        _posted(b"", trailers=_SUM),
    ),
    _no("bare LF in a trailer", "9112 2.2", _CHUNKED + b"0\r\na: b\n\r\n"),
    _no("bare LF for the end", "9112 2.2", _CHUNKED + b"0\r\n\n"),
    _no("bare CR for the end", "9112 2.2", _CHUNKED + b"0\r\n\rx"),
    _no("space before a trailer's colon", "9112 5.1", _CHUNKED + b"0\r\na : b\r\n\r\n"),
    _no("folded trailer", "9112 5.2", _CHUNKED + b"0\r\na: b\r\n c\r\n\r\n"),
    _no("trailer without a colon", "9112 5", _CHUNKED + b"0\r\nGET / HTTP/1.1\r\n\r\n"),
    _no("control character in a trailer", "9110 5.5", _CHUNKED + b"0\r\na: \x01\r\n\r\n"),
    _no("trailers that are too much", "9112 7.1.2", _CHUNKED + b"0\r\na: " + b"b" * 120),
    _no("too many trailers", "9112 7.1.2", _CHUNKED + b"0\r\n" + b"a: b\r\n" * 11),
]

CONNECTIONS = [
    _common("keep-alive", "9112 9.3", _field(b"Connection: keep-alive")),
    _common("Keep-Alive in capitals", "9112 9.3", _field(b"Connection: Keep-Alive")),
    _common("close", "9112 9.6", _field(b"Connection: close"), Asked(stays=False)),
    _common("Close in capitals", "9112 9.6", _field(b"Connection: CLOSE"), Asked(stays=False)),
    _ok("close in a list", "9112 9.6", _field(b"Connection: te, close"), Asked(stays=False)),
    _ok(
        "close in a second field",
        "9112 9.6",
        _field(b"Connection: keep-alive\r\nConnection: close"),
        Asked(stays=False),
    ),
    _ok("a field named there", "9110 7.6.1", _field(b"Connection: keep-alive, x-hop\r\nx-hop: 1")),
    _ok(
        "keep-alive of 1.0 is not granted",
        "9112 9.3",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        Asked(stays=False, version="1.0"),
    ),
    _ok("upgrade that is not taken", "9110 7.8", _field(b"Connection: Upgrade\r\nUpgrade: websocket")),
    _ok(
        "h2c is not taken",
        "9113 3.1",
        _field(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
    ),
    _ok("expectation", "9110 10.1.1", _length(b"Expect: 100-continue\r\nContent-Length: 3"), _posted()),
    _common(
        "close with bytes behind it",
        "9112 9.6",
        _field(b"Connection: close") + b"GET /b HTTP/1.1\r\n",
        Asked(stays=False),
    ),
]

_PIPED = _line(b"GET /b HTTP/1.1")

PIPELINES = [
    _common("two", "9112 9.3.2", _line(b"GET /a HTTP/1.1") + _PIPED, Asked(target="/a"), Asked(target="/b")),
    _common("behind a body", "9112 9.3.2", _length(b"Content-Length: 3") + _PIPED, _posted(), Asked(target="/b")),
    _common("behind chunks", "9112 9.3.2", _CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + _PIPED, _posted(), Asked(target="/b")),
    _common(
        "three in each framing",
        "9112 9.3.2",
        _CHUNKED + b"0\r\n\r\n" + _length(b"Content-Length: 3") + _PIPED,
        _posted(b""),
        _posted(),
        Asked(target="/b"),
    ),
    _ok(
        "empty line between",
        "9112 2.2",
        _length(b"Content-Length: 3") + b"\r\n" + _PIPED,
        _posted(),
        Asked(target="/b"),
    ),
    _ok(
        "uncommon in the middle",
        "9112 9.3.2",
        _PIPED + _CHUNKED + b"0;x\r\n\r\n" + _PIPED,
        Asked(target="/b"),
        _posted(b""),
        Asked(target="/b"),
    ),
    _no("garbage behind a body", "9112 6.3", _length(b"Content-Length: 3", b"abcd\r\n\r\n"), 400, _posted()),
    _no("smuggled by a bare LF", "9112 2.2", _PIPED + b"GET / HTTP/1.1\nHost: a\n\n", 400, Asked(target="/b")),
    _no(
        "good, then CL and TE",
        "9112 6.1",
        _PIPED + _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _PIPED,
        400,
        Asked(target="/b"),
    ),
    Row(
        "begun behind a complete one",
        "9112 9.3.2",
        _PIPED + b"GET /",
        Verdict((Asked(target="/b"),), pending=True),
        common=True,
    ),
]

ENDS = [
    Row("nothing", "9112 9.5", b"", Verdict(), eof=True, common=True),
    _common("between requests", "9112 9.5", _PIPED, Asked(target="/b"), eof=True),
    _no("within the request line", "9112 8", b"GET /", eof=True),
    _no("within a field", "9112 8", b"GET / HTTP/1.1\r\nHost", eof=True),
    _no("before the empty line", "9112 8", b"GET / HTTP/1.1\r\nHost: a\r\n", eof=True),
    _no("before the body", "9112 8", _length(b"Content-Length: 3", b""), eof=True),
    _no("within the body", "9112 8", _length(b"Content-Length: 3", b"ab"), eof=True),
    _no("before the first chunk", "9112 8", _CHUNKED, eof=True),
    _no("within a size", "9112 8", _CHUNKED + b"3", eof=True),
    _no("within the data of a chunk", "9112 8", _CHUNKED + b"3\r\nab", eof=True),
    _no("behind the data of a chunk", "9112 8", _CHUNKED + b"3\r\nabc", eof=True),
    _no("before the last chunk", "9112 8", _CHUNKED + b"3\r\nabc\r\n", eof=True),
    _no("within the last chunk", "9112 8", _CHUNKED + b"3\r\nabc\r\n0\r\n", eof=True),
    _no("within the trailers", "9112 8", _CHUNKED + b"0\r\nx: 1\r\n", eof=True),
    _no("within a second request", "9112 8", _PIPED + b"GET", 400, Asked(target="/b"), eof=True),
]

GROUPS: dict[str, list[Row]] = {
    "request line": REQUEST_LINES,
    "line ends": LINE_ENDS,
    "fields": FIELDS,
    "host": HOSTS,
    "length": LENGTHS,
    "coding": CODINGS,
    "chunks": CHUNKS,
    "trailers": TRAILERS,
    "connection": CONNECTIONS,
    "pipeline": PIPELINES,
    "end": ENDS,
}
