"""Answers in one piece: an upstream's body to an answer, an answer to a client's body, and errors.

Apart from `translate`, which follows an answer in time: here everything is there at once.
"""

from __future__ import annotations

from . import ir, json
from .accumulate import play
from .dialect import Answer, Dialect, Headers
from .loss import Loss, Report
from .opening import unwrapped


def read(backend: Dialect, body: bytes) -> ir.Response:
    """A provider's answer. Raises `RemoteProtocolError`."""
    return backend.decode_response(json.mend_utf8(unwrapped(body)))


def write(
    entry: Dialect, response: ir.Response, answer: Answer, *, stream: bool, path: str | None
) -> tuple[bytes, str, list[Loss]]:
    """The body for a client who asked for ``path``, its content type, and what of the answer it has no place for.

    ``stream``: the client asked for one and gets all its events at once. Raises `RemoteProtocolError`.
    """
    if stream:
        encoder = entry.stream_encoder(answer)
        return b"".join([encoder.send(event) for event in play(response)]), entry.stream_type(path), encoder.losses
    report = Report()
    return entry.encode_response(response, answer, report), "application/json", report.losses


def read_error(backend: Dialect, status: int, headers: Headers, body: bytes) -> ir.Error:
    """The error of a provider whose ``status`` is none of success."""
    if 300 <= status < 400:
        what = f"the provider answered {status}, a redirect; redirects are not followed: correct base_url"
        return ir.Error(ir.ErrorKind.UPSTREAM, what)
    return backend.decode_error(status, headers, body)
