"""Messages of a WebSocket connection that are no events of a stream: errors, and what is added to events.

API reference: Responses server events (``error``, ``response.steer.failed``, ``stream_id``). Codex takes an error for
the answer of HTTP that it stands for when it has a ``status``, and reads ``headers`` beside it; the SDKs look for them
inside ``error``.
"""

from __future__ import annotations

import re

import msgspec

from ... import ir, json
from ...dialect import Headers
from ...errors import RemoteProtocolError
from . import errors, history

LOSS = "x-ferryllm-loss"
"""The header of an answer that says what was lost; here a member `LOSS_MEMBER` of the next event."""
LOSS_MEMBER = b"ferryllm_loss"

_PRIVATE = frozenset({"content-type", "content-length", "date", "connection", "transfer-encoding"})
_PLACE = re.compile(r"\binput\[(\d+)\]")


class _Steer(msgspec.Struct, frozen=True):
    previous_response_id: str = ""
    input: msgspec.Raw = msgspec.Raw(b"null")


class _ErrorBody(msgspec.Struct, frozen=True):
    error: msgspec.Raw


_steer_decoder = json.decoder(_Steer)
_body_decoder = json.decoder(_ErrorBody)


def error_message(error: ir.Error, lane: str | None = None, headers: Headers = ()) -> bytes:
    """An error in band; ``headers`` are those of the answer that it was, ``lane`` is the turn's ``stream_id``."""
    head, body = errors.encode_error(error, request_id=None)
    members = {"type": json.raw(b'"server_error"' if head.status >= 500 else b'"invalid_request_error"')}
    members |= {"code": json.raw(b"null"), "message": json.raw(b'""'), "param": json.raw(b"null")}
    members |= json.fields(json.decode(body, _body_decoder).error)
    shown = {name.lower(): value for name, value in (*head.headers, *headers) if name.lower() not in _PRIVATE}
    fields: dict[str, object] = {"type": "error", "status": head.status, "error": members}
    if shown:
        fields["headers"] = shown
        fields["error"] = {**members, "headers": shown}
    if lane is not None:
        fields["stream_id"] = lane
    return json.encode(fields)


def failed_message(error: ir.Error, number: int) -> bytes:
    """Event ``number`` of an answer that broke off (Z8), in the form of a stream that never got an id."""
    response = {"id": "", "object": "response", "status": "failed", "error": errors.failed_object(error), "output": []}
    return json.encode({"type": "response.failed", "sequence_number": number, "response": response})


def steer_failed(message: bytes) -> bytes:
    """The refusal of ``response.steer``, which gives the client its input back. Never raises."""
    try:
        steer = json.decode(message, _steer_decoder)
        code, why = "steering_not_supported", "this gateway does not steer answers: send a response.create after it"
    except RemoteProtocolError as exc:
        steer, code, why = _Steer(), "invalid_input", exc.error.message
    return json.encode(
        {
            "type": "response.steer.failed",
            "sequence_number": 0,
            "error": {"type": "invalid_request_error", "code": code, "message": why},
            "steer": {"previous_response_id": steer.previous_response_id, "input": steer.input},
        }
    )


def with_members(event: bytes, lane: str | None, loss: str) -> bytes:
    """``event``, an object with members, with what a message says besides."""
    if lane is None and not loss:
        return event
    more = b"" if lane is None else b',"stream_id":' + json.encode_str(lane)
    if loss:
        more += b',"%b":%b' % (LOSS_MEMBER, json.encode_str(loss))
    return event.rstrip()[:-1] + more + b"}"


def placed(text: str, earlier: int) -> str:
    """``text`` with places in ``input`` as the client counts them, which did not send the ``earlier`` items again."""

    def place(match: re.Match[str]) -> str:
        n = int(match[1])
        return f"input[{n - earlier}]" if n >= earlier else f"{history.PREVIOUS}.items[{n}]"

    return _PLACE.sub(place, text) if earlier else text
