"""An `ir.Response` as a whole answer, of ``/api/chat`` or of ``/api/generate``."""

from __future__ import annotations

from ... import ids, ir, json
from ...arguments import as_object
from ...dialect import Answer
from ...loss import Report
from . import carrier, times
from .usage import encode_counts, encode_finish, report_finish
from .wire import NAME, is_generate

LATE_TEXT = "all text of a message stands before its tool calls here"
NO_CALLS = "an answer of /api/generate calls no tools"
NO_PROOF = "clients keep the proof of a thought only beside a tool call"
NO_CITATIONS = "an answer here carries text without its sources"
NO_HOSTED = "an answer here has no place for it"


def thin(answer: Answer) -> bool:
    """Whether the client asked for the thin form."""
    if answer.path is not None:
        return is_generate(answer.path)
    return (
        answer.request is not None and answer.request.dialect == NAME and answer.request.wire_name("turns") == "prompt"
    )


def call_json(id_: str | None, index: int, name: str, arguments: str, answer: Answer, report: Report) -> bytes:
    """A call; the id is the provider's or minted. Arguments are an object whatever the model wrote (wire.md 7.3)."""
    return b'{"id":%b,"function":{"index":%d,"name":%b,"arguments":%b}}' % (
        json.encode_str(id_ or ids.mint("call_", answer.seed, f"tool{index}")),
        index,
        json.encode_str(name),
        _object(arguments, f"tool_calls[{index}].function.arguments", report),
    )


def _object(arguments: str, path: str, report: Report) -> bytes:
    found, whole = as_object(arguments)
    if not whole:
        report.degraded(path, "arguments are an object here: what is none is sent as the text in one")
    return json.one_line(found)


def encode(response: ir.Response, answer: Answer, report: Report) -> bytes:
    """The body. What it cannot hold is in ``report``."""
    texts: list[str] = []
    thinking: list[str] = []
    calls: list[bytes] = []
    proofs = carrier.Proofs()
    generate = thin(answer)
    for part in response.parts:
        if isinstance(part, ir.Reasoning):
            words = carrier.words(part)
            thinking.append(words)
            proofs.thought(words, list(part.opaque))
        elif isinstance(part, ir.ToolCall):
            if generate:
                report.dropped("tool_calls", NO_CALLS)
                continue
            proofs.call(len(calls))
            thinking.append(proofs.take(len(calls), list(part.opaque)))
            calls.append(call_json(part.id, len(calls), part.name, part.arguments, answer, report))
        elif isinstance(part, ir.Hosted):
            report.dropped(part.type, NO_HOSTED)
        elif isinstance(part, (ir.Text, ir.Refusal)):
            proofs.text()
            if calls and part.text:
                report.degraded("content", LATE_TEXT)
            if isinstance(part, ir.Text) and part.citations:
                report.dropped("content.citations", NO_CITATIONS)
            texts.append(part.text)
        else:
            report.dropped(f"content.{type(part).__name__.lower()}", NO_HOSTED)
    if proofs.left:
        report.dropped("thinking.signature", NO_PROOF)
    report_finish(response.finish, response.stop_sequence, response.finish_details, report)
    report.unplaced(response.unplaced)
    head = head_of(response.model, response.created, answer)
    members = said("".join(texts), "".join(thinking), calls, generate=generate)
    logprobs = b"" if response.logprobs is None else b',"logprobs":%b' % json.one_line(response.logprobs)
    return b"%b%b%b%b}" % (head, members, logprobs, end_of(response.finish, response.usage))


def head_of(model: str, created: int | None, answer: Answer) -> bytes:
    """What every object begins with, up to the comma before the rest."""
    return b'{"model":%b,"created_at":"%b",' % (
        json.encode_str(answer.model or model),
        times.stamp(answer.created if created is None else created).encode(),
    )


def said(text: str, thinking: str, calls: list[bytes], *, generate: bool) -> bytes:
    """The members that hold what was said."""
    thought = b',"thinking":%b' % json.encode_str(thinking) if thinking else b""
    if generate:
        return b'"response":%b%b' % (json.encode_str(text), thought)
    called = b',"tool_calls":[%b]' % b",".join(calls) if calls else b""
    return b'"message":{"role":"assistant","content":%b%b%b}' % (json.encode_str(text), thought, called)


def end_of(finish: ir.FinishReason, usage: ir.Usage | None) -> bytes:
    """The members of an answer's end, from their comma on."""
    return b',"done":true,"done_reason":"%b",%b%b' % (encode_finish(finish), times.DURATIONS, encode_counts(usage))
