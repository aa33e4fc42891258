"""Whole answers, both ways: a provider's body to `ir.Response`, and `ir.Response` to a client's body.

Both go through the events of a stream: a chunk of one is a whole answer of the other.
"""

from __future__ import annotations

import msgspec

from ... import ids, ir, json
from ...accumulate import Accumulator, play
from ...dialect import Answer
from ...errors import RemoteProtocolError
from ...events import StreamFailed
from ...loss import Report
from . import errors
from .answer_parts import AnswerParts
from .stream_decoder import StreamDecoder
from .wire import NAME

_PLAYED = (ir.Text, ir.ToolCall, ir.Reasoning, ir.Refusal, ir.Hosted)


def decode(body: bytes) -> ir.Response:
    """A whole answer, or a stream where one was not asked for.

    Raises `RemoteProtocolError`, also for an error with status 200 (E8).
    """
    decoder = StreamDecoder()
    folded = Accumulator()
    for event in [*decoder.receive_data(body), *decoder.receive_eof()]:
        if type(event) is StreamFailed:
            raise errors.raised(event.error)
        folded.send(event)
    return folded.response()


def response_id(id_: str, answer: Answer) -> str:
    """The provider's id, else one of our own."""
    return id_ or ids.mint("", answer.seed, "response")


def encode(response: ir.Response, answer: Answer, report: Report) -> bytes:
    """The body of a whole answer. Raises `RemoteProtocolError` for one that ended in an error."""
    if response.finish is ir.FinishReason.ERROR:
        raise RemoteProtocolError("the provider ended its answer with an error", kind=ir.ErrorKind.UPSTREAM)
    kept = tuple(part for part in response.parts if isinstance(part, _PLAYED))
    if len(kept) < len(response.parts):
        report.dropped("parts", f"{NAME} has no place for one of them in an answer")
        response = msgspec.structs.replace(response, parts=kept)
    parts = AnswerParts(answer.seed, whole=True)
    written = [part for event in play(response) for part in parts.send(event)]
    for loss in parts.report.losses:
        report.add(loss)
    tail = b'%b,"modelVersion":%b,"responseId":%b}' % (
        parts.usage_metadata(),
        json.encode_str(answer.model or response.model),
        json.encode_str(response_id(response.id, answer)),
    )
    blocked = parts.block_reason()
    if blocked is not None and not written:
        return b'{"promptFeedback":%b%b' % (blocked, tail)
    content = b'{"parts":[%b],"role":"model"}' % b",".join(written) if written else b'{"role":"model"}'
    return b'{"candidates":[{"content":%b,%b}]%b' % (content, parts.candidate_end(), tail)
