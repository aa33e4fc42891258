"""What a provider does with one request, by chance: answers whole, cut, broken, wrong, late, or not at all."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import msgspec

from ferryllm_proto.inputs import Input, UpstreamData, UpstreamEnd, UpstreamHead, UpstreamLost
from support.answers import WHOLE
from support.wires import WIRES
from support.wires.meaning import Meant, make

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502</h1></center></body></html>"
JSON = ("content-type", "application/json")
_PRIVATE = (("set-cookie", "a=b"), ("strict-transport-security", "max-age=1"), ("location", "http://evil.example/"))
_PAUSES = (0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.2, 1.0, 4.0, 30.0)
_CONTENT = {"ollama": ("content-type", "application/x-ndjson")}
_SSE = ("content-type", "text/event-stream")


class Script(msgspec.Struct):
    """What is told to the exchange, each after a pause in seconds; then silence, unless the last step is an end."""

    steps: list[tuple[float, Input]]
    kind: str
    whole: bool = False
    """It is a good answer to its last byte."""
    cut: bool = False
    """It ends before all was said: it must not look like a success."""
    clean: bool = True
    """No byte of it is damaged: a client that speaks the provider's dialect finds no fault in what came."""
    streams: bool = False
    """The answer is a stream."""
    data: bytes = b""
    meant: Meant | None = None


def make_script(rng: random.Random, backend: str, stream: bool) -> Script:
    """For a request to a provider of ``backend`` that asks for a stream or not."""
    streams = stream if rng.random() < 0.93 else not stream
    meant = None
    enough = 0
    if streams:
        meant = make(rng, WIRES[backend].can)
        written = WIRES[backend].write(rng, meant)
        data, enough = b"".join(written.events), sum(map(len, written.events[: written.enough - 1]))
    else:
        data = WHOLE[backend]
    kind = rng.choices(tuple(_KINDS), _WEIGHTS)[0]
    script = Script([], kind, streams=streams, meant=meant)
    _KINDS[kind](rng, script, backend, data, enough)
    if rng.random() < 0.4:
        script.steps = [(rng.choice(_PAUSES), step) for _, step in script.steps]
    return script


def _head(rng: random.Random, script: Script, backend: str, status: int = 200) -> UpstreamHead:
    own = _CONTENT.get(backend, _SSE) if script.streams else JSON
    if rng.random() < 0.1:
        own = rng.choice((("content-type", "text/html"), ("content-type", "text/plain; charset=utf-8"), ("x-a", "b")))
    more = [pair for pair in _PRIVATE if rng.random() < 0.2]
    if rng.random() < 0.2:
        more.append(("x-request-id", "upstream-1"))
    if status in (429, 503, 529) and rng.random() < 0.5:
        more.append(("retry-after", "7"))
    return UpstreamHead(status, (own, *more))


def _pieces(rng: random.Random, data: bytes) -> list[Input]:
    """``data`` as reads bring it."""
    if not data:
        return []
    if len(data) < 4000 and rng.random() < 0.05:
        return [UpstreamData(data[n : n + 1]) for n in range(len(data))]
    cuts = sorted(rng.randrange(len(data)) for _ in range(rng.choice((0, 1, 3, 10, 30))))
    return [UpstreamData(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


def _lost(rng: random.Random) -> UpstreamLost:
    return UpstreamLost(rng.choice(("reset", "refused", "too slow")), timeout=rng.random() < 0.2)


def _fill(script: Script, *steps: Input) -> None:
    script.steps = [(0.0, step) for step in steps]


def _good(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    script.whole, script.data = True, data
    end: list[Input] = [UpstreamEnd()] if rng.random() < 0.9 else []
    _fill(script, _head(rng, script, backend), *_pieces(rng, data), *end)


def _cut(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    at = rng.randrange(len(data))
    script.data = data[:at]
    script.cut = at < enough if script.streams else data[at:].strip() != b""
    _fill(script, _head(rng, script, backend), *_pieces(rng, data[:at]), rng.choice((UpstreamEnd(), _lost(rng))))


def _silent(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    """Falls silent for ever, anywhere."""
    at = rng.randrange(len(data) + 1)
    script.data = data[:at]
    script.cut = at < enough if script.streams else data[at:].strip() != b""
    if at and rng.random() < 0.7:
        _fill(script, _head(rng, script, backend), *_pieces(rng, data[:at]))
    else:
        script.cut = True


def _refused(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    script.cut = True
    _fill(script, _lost(rng))


def _status(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    script.streams, script.cut, script.clean = False, True, False
    status = rng.choice((400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529, 301, 307, 304, 599, 418))
    body = rng.choice((b"", PAGE, b"null", b"[]", b"no", b"\xff\xfe", b'{"error":null}', b'{"error":{}}', data))
    if rng.random() < 0.5:
        body = json.dumps(rng.choice(_ERRORS)).encode()
    end = rng.choice((UpstreamEnd(), UpstreamEnd(), _lost(rng)))
    _fill(script, _head(rng, script, backend, status), *_pieces(rng, body), end)


_JUNK = (PAGE, b"", b"\n\n", b"null", b"[]", b"{}", b"\xff" * 30, b"data: \n\n", b"data: {\n\n", b"x" * 70_000)
_ERRORS = (
    {"error": {"message": "no", "type": "some_error", "code": "c", "param": None}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "later"}},
    {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}},
    {"error": "a sentence"},
    {"error": {"message": ["x"], "type": 5, "code": {}}},
    {"message": "elsewhere"},
    {"error": {"message": ""}},
    {"detail": [{"loc": ["body"], "msg": "field required"}]},
)


def _page(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    """Something with status 200 that is no answer."""
    script.cut, script.clean = True, False
    junk = rng.choice(
        (PAGE, b"", b"\n\n", b"null", b"[]", b"{}", b"\xff" * 30, b"data: \n\n", b"data: {\n\n", b"x" * 70000)
    )
    _fill(script, _head(rng, script, backend), *_pieces(rng, junk), rng.choice((UpstreamEnd(), _lost(rng))))


def _failing(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    """An error in the middle, and perhaps the rest behind it as if nothing had been."""
    if not script.streams:
        return _status(rng, script, backend, data, enough)
    before = data[: rng.choice((0, enough))]
    error = WIRES[backend].error(rng, rng.choice(("rate_limit", "overloaded", "server", "context_length")))
    script.cut, script.clean = True, False
    body = before + error + rng.choice((b"", data))
    return _fill(script, _head(rng, script, backend), *_pieces(rng, body), UpstreamEnd())


def _damaged(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    """Bytes of it changed, left out or doubled."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 10))):
        at = rng.randrange(len(changed) or 1)
        kind = rng.randrange(4)
        if kind == 0:
            changed[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del changed[at : at + rng.choice((1, 1, 30))]
        elif kind == 2:
            changed[at:at] = changed[at : at + rng.choice((1, 40))]
        else:
            changed[at:at] = rng.choice((b"\n", b"\r\n", b"\0", b"data: x\n\n", b"\xf0\x9f", b"}", b'"'))
    script.clean = False
    end = rng.choice((UpstreamEnd(), UpstreamEnd(), _lost(rng)))
    _fill(script, _head(rng, script, backend), *_pieces(rng, bytes(changed)), end)


def _double(rng: random.Random, script: Script, backend: str, data: bytes, enough: int) -> None:
    """Everything twice, or data behind the end."""
    script.clean = False
    more = rng.choice((data, data[-60:], PAGE))
    _fill(script, _head(rng, script, backend), *_pieces(rng, data + more), rng.choice((UpstreamEnd(), _lost(rng))))


_KINDS: dict[str, Callable[[random.Random, Script, str, bytes, int], None]] = {
    "good": _good,
    "cut": _cut,
    "silent": _silent,
    "refused": _refused,
    "status": _status,
    "page": _page,
    "failing": _failing,
    "damaged": _damaged,
    "double": _double,
}
_WEIGHTS = (30, 22, 10, 4, 10, 5, 6, 9, 4)
