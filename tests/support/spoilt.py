"""Hypothesis strategies of what providers answer, good or not: heads, statuses, bodies that are spoilt in every way."""

from __future__ import annotations

import json as stdjson

from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer, Headers
from support import strategies

HEADS: st.SearchStrategy[Headers] = st.lists(
    st.sampled_from(
        [
            ("content-type", "application/json"),
            ("Content-Type", "text/event-stream"),
            ("content-type", "application/x-ndjson"),
            ("X-Request-Id", "req_up"),
            ("request-id", "req_other"),
            ("retry-after", "3"),
            ("x-ratelimit-remaining-tokens", "5"),
            ("set-cookie", "a=b"),
            ("x-ferryllm-loss", "theirs"),
        ]
    ),
    max_size=4,
).map(tuple)
STATUSES = st.sampled_from([200] * 6 + [201, 204, 302, 400, 401, 404, 429, 500, 529])
ODD_BODIES = st.sampled_from(
    [
        b"",
        b" \r\n",
        b"\xef\xbb\xbf",
        b"{}",
        b"{",
        b"[]",
        b"null",
        b'{"error":{"message":"no","type":"server_error","code":500}}',
        b'[{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}]',
        b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
        b'{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":null,"model":"m","id":"i"}',
        b"<html><title>Bad Gateway</title></html>",
        b"\x1f\x8b\x08\x00",
        b"data: [DONE]\n\n",
        b": ping\n\n",
        b"upstream timed out",
    ]
)


def streamed(backend: str, response: ir.Response) -> bytes:
    """The stream in which a provider of ``backend`` says ``response``."""
    encoder = DIALECTS[backend].stream_encoder(Answer(model="real", created=5, seed=3))
    return b"".join(map(encoder.send, play(response)))


@st.composite
def bodies(draw: st.DrawFn, backend: str) -> bytes:
    """What a provider of ``backend`` may send: an answer, whole or streamed, perhaps spoilt, or none at all."""
    if not draw(st.integers(0, 4)):
        return draw(ODD_BODIES)
    dialect, response = DIALECTS[backend], draw(strategies.responses())
    if draw(st.booleans()) and not draw(st.booleans()):
        data = streamed(backend, response)
    else:
        data = dialect.encode_response(response, Answer(model="real", created=5, seed=3))
        if draw(st.booleans()):  # as Python's servers write it
            data = stdjson.dumps(stdjson.loads(data)).encode()
    spoil = draw(st.sampled_from([""] * 6 + ["before", "behind", "cut", "byte", "bom", "twice", "array"]))
    cut = draw(st.integers(0, len(data) - 1))
    return {
        "": data,
        "before": b" \r\n" + data,
        "behind": data + draw(st.sampled_from([b"\n", b" \t", b"x", b"\x00", b"}"])),
        "cut": data[:cut],
        "byte": data[:cut] + b"\xff" + data[cut + 1 :],
        "bom": b"\xef\xbb\xbf" + data,
        "twice": data + b"\n" + data,
        "array": b"[" + data + b"]",
    }[spoil]
