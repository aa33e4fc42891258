"""A provider's whole answer into an `ir.Response`; an answer that came as lines although a whole one was asked for is
put together (S10)."""

from __future__ import annotations

from ... import ir, json
from ...error_text import unsuccessful
from ...errors import RemoteProtocolError
from ...json import Raw
from . import errors, wire
from .times import seconds
from .usage import decode_finish, decode_usage
from .wire import given


def decode(body: bytes) -> ir.Response:
    """Decode one object.

    Raises `RemoteProtocolError`: for an error inside a 200 (E8) with the kind that error has, for what is no answer
    at all with kind UPSTREAM.
    """
    try:
        line = json.decode(body, wire.line)
    except RemoteProtocolError as exc:
        if unsuccessful(body):
            raise errors.raised(errors.in_band(body)) from None
        raise _upstream(f"the provider's answer is none of Ollama: {exc}") from None
    if errors.has_error(line.error) or unsuccessful(body):
        raise errors.raised(errors.in_band(body))
    if line.message is None and line.response is None:
        raise _upstream("the provider's answer has neither a message nor a response")
    if line.done is False:
        raise RemoteProtocolError("the provider's answer ends before its end", kind=ir.ErrorKind.TRUNCATED)
    parts = _parts(line)
    return ir.Response(
        "",
        line.model or "",
        parts,
        decode_finish(line, called=any(isinstance(part, ir.ToolCall) for part in parts)),
        created=seconds(line.created_at),
        usage=decode_usage(line),
        logprobs=logprobs(line.logprobs),
    )


def _parts(line: wire.Line) -> tuple[ir.Part, ...]:
    message = line.message or wire.AnswerMessage(line.response, line.thinking)
    parts: list[ir.Part] = []
    if message.thinking:
        parts.append(ir.Reasoning(message.thinking))
    if message.content:
        parts.append(ir.Text(message.content))
    for call in message.tool_calls or ():
        parts.append(ir.ToolCall(call.id or "", name(call), arguments(call)))
    return tuple(parts)


def name(call: wire.AnswerCall) -> str:
    """The name of a called tool. Raises `RemoteProtocolError`: nobody can answer a call without one (Z12)."""
    found = call.function.name if call.function is not None else None
    if not found:
        raise _upstream("the provider sent a tool call without a name")
    return found


def arguments(call: wire.AnswerCall) -> str:
    """The arguments as JSON text; some servers of this API send the text itself."""
    data = given(call.function.arguments) if call.function is not None else None
    if data is None:
        return ""
    return json.decode(data, wire.string) if json.kind(data) == "string" else json.one_line(data).decode()


def logprobs(raw: Raw) -> bytes | None:
    """The array of token probabilities, which is Chat's; None where it is not there or empty."""
    data = bytes(raw)
    return data if data.startswith(b"[") and data[1:-1].strip() else None


def _upstream(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, kind=ir.ErrorKind.UPSTREAM)
