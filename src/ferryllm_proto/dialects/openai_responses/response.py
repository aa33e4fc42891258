"""Whole answers, both directions, through the very machines that do the streams: the two cannot disagree."""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...accumulate import Accumulator, play
from ...dialect import Answer
from ...errors import RemoteProtocolError
from ...events import End, Event, Finish, Start, UsageUpdate
from ...loss import Report
from . import wire
from .errors import read_error
from .items import Items
from .outcome import UNFINISHED, WireResponse, decode_finish, decode_usage, response_decoder
from .stream_encoder import StreamEncoder


def encode_response(response: ir.Response, answer: Answer, report: Report | None) -> bytes:
    """The body of a whole answer: the last event's response object, without its stream."""
    encoder = StreamEncoder(answer)
    for event in play(response):
        encoder.send(event)
    if report is not None:
        for loss in encoder.losses:
            report.add(loss)
    return encoder.final


def decode_response(body: bytes) -> ir.Response:
    """A provider's whole answer. Raises `RemoteProtocolError`, also for an error inside a 200 (E8)."""
    if not body.isascii():
        body = json.mend_utf8(body)
    try:
        response = json.decode(body, response_decoder)
    except RemoteProtocolError as exc:
        raise _raised(read_error(body) or blamed(exc.error)) from None
    if not wire.is_null(response.error) or response.status in ("failed", "cancelled"):
        raise _raised(failure_of(response))
    if response.output is None:
        found = read_error(body)
        if found is None and response.status is None:
            found = ir.Error(ir.ErrorKind.UPSTREAM, "the provider's answer is no response object: it has no output")
        if found is not None:
            raise _raised(found)
    items = Items()
    items.model = response.model or ""
    events: list[Event] = []
    finish_events(items, response, events)
    accumulator = Accumulator()
    accumulator.send(start_of(response))
    for event in events:
        accumulator.send(event)
    answer = accumulator.response()
    if response.status in UNFINISHED:
        answer = msgspec.structs.replace(answer, ext=wire.ext({"status": json.encode(response.status)}))
    return answer


def blamed(error: ir.Error) -> ir.Error:
    """A fault found in what the provider sent is the provider's, not the client's."""
    if error.kind is not ir.ErrorKind.BAD_REQUEST:
        return error
    message = f"the provider's answer is not understood: {error.message}"
    return msgspec.structs.replace(error, kind=ir.ErrorKind.UPSTREAM, message=message)


def _raised(error: ir.Error) -> RemoteProtocolError:
    exc = RemoteProtocolError(error.message, kind=error.kind, param=error.param, code=error.code)
    exc.error = error
    return exc


def start_of(response: WireResponse) -> Start:
    created = response.created_at
    return Start(response.id or "", response.model or "", None if created is None else int(created))


def failure_of(response: WireResponse) -> ir.Error:
    """The error of a failed or cancelled answer."""
    found = None
    if not wire.is_null(response.error):
        found = read_error(b'{"error":%b}' % bytes(response.error))
    if found is None:
        word = "cancelled" if response.status == "cancelled" else "failed"
        found = ir.Error(ir.ErrorKind.SERVER, f"the provider says that its answer {word}")
    return msgspec.structs.replace(found, dialect=wire.NAME)


def finish_events(items: Items, response: WireResponse, out: list[Event]) -> None:
    """All that follows a good terminal event, up to `End`. Raises `RemoteProtocolError`."""
    items.finish(response.output or (), out)
    usage = decode_usage(response.usage) if response.usage is not None else None
    reason = decode_finish(response, called=items.called, refused=items.refused)
    if usage is not None:
        out.append(UsageUpdate(usage))
    out.append(Finish(reason))
    out.append(End())
