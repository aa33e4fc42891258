"""An `ir.Response` as a whole chat completion."""

from __future__ import annotations

import msgspec

from ... import ids, ir, json, opaque
from ...dialect import Answer
from ...errors import RemoteProtocolError
from ...loss import Report
from . import reasoning
from .decode_parts import NAME
from .usage import encode_finish, encode_usage, report_finish

ID_PREFIX = "chatcmpl-"


def answer_id(id_: str, answer: Answer) -> str:
    """The provider's id where it is of this kind, else a minted one."""
    return id_ if id_.startswith(ID_PREFIX) else ids.mint(ID_PREFIX, answer.seed, id_)


def call_id(id_: str | None, answer: Answer, position: int) -> str:
    """The call's id; minted where the provider gave none."""
    return id_ or ids.mint("call_", answer.seed, f"tool{position}")


class _Source(msgspec.Struct, frozen=True):
    """A citation of any dialect: Chat has the page one level deeper than the others."""

    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    url_citation: msgspec.Raw = msgspec.Raw()


_source = json.decoder(_Source)
_PAGES = frozenset({"url_citation", "web_search_result_location"})


def annotation(dialect: str, raw: bytes, end: int, start: int = 0) -> bytes | None:
    """A citation in Chat's words, a JSON object; None where they cannot say it: they know web pages only.

    ``end`` is the length, in characters, of the text so far: a source without a span of its own is about all of it.
    ``start`` is how many characters stand before the text: all texts of an answer are one here. Clients' types want
    every field.
    """
    try:
        found = json.decode(raw, _source)
        known = found.type in _PAGES
        if len(found.url_citation):
            found = json.decode(found.url_citation, _source)
    except RemoteProtocolError:
        return None
    if not known or found.url is None:
        return json.one_line(raw) if dialect == NAME and not known and raw[:1] == b"{" else None
    page = {
        "start_index": start + (0 if found.start_index is None else found.start_index),
        "end_index": start + (end if found.end_index is None else found.end_index),
        "title": found.url if found.title is None else found.title,
        "url": found.url,
    }
    return json.encode({"type": "url_citation", "url_citation": page})


def _joined(before: object, raw: bytes) -> bytes:
    """Members of the same name are one: each picture of an answer is a part of its own."""
    if not isinstance(before, json.Raw) or json.kind(before) != "array" or json.kind(raw) != "array":
        return raw
    return b"[%b]" % b",".join(bytes(one) for one in (*json.items(before), *json.items(raw)))


def encode(response: ir.Response, answer: Answer, report: Report) -> bytes:
    """The body. What a Chat answer cannot hold is in ``report``."""
    message: dict[str, object] = {"role": "assistant"}
    texts, refusals, thoughts = [], [], []
    details: list[json.Raw] = []
    citations: list[json.Raw] = []
    calls: list[dict[str, object]] = []
    hosted: dict[str, object] = {}
    proofs: list[opaque.Thought] = []
    cut = response.finish in (ir.FinishReason.LENGTH, ir.FinishReason.CONTEXT)  # a cut call stays cut (X18)
    for part in response.parts:
        if isinstance(part, ir.Text):
            if calls and part.text:
                report.degraded("content", "Chat puts all text of an answer before its tool calls")
            texts.append(part.text)
            proofs = reasoning.followed(proofs) if part.text else proofs
            for raw in part.citations:
                found = annotation(part.citations_dialect, raw, len(part.text), sum(map(len, texts[:-1])))
                if found is None:
                    report.dropped("content.citations", "Chat cannot say this kind of citation")
                else:
                    report.quote(raw)
                    citations.append(json.raw(found))
        elif isinstance(part, ir.Reasoning):
            thought = "\n\n".join(text for text in (part.text, *part.summary) if text)
            thoughts.append(thought)
            proofs.extend(reasoning.thought(o, part.text, said=bool(texts or calls)) for o in part.opaque)
            details.extend(json.raw(reasoning.entry(o, part.text, len(details) + n)) for n, o in enumerate(part.opaque))
        elif isinstance(part, ir.Refusal):
            refusals.append(part.text)
        elif isinstance(part, ir.ToolCall):
            call = _call(part, answer, len(calls), report, "" if cut else "{}")
            call["id"] = reasoning.carrying(str(call["id"]), proofs, report)
            calls.append(call)
            proofs = []
        elif isinstance(part, ir.Hosted) and part.dialect == NAME:
            hosted[part.type] = json.raw(_joined(hosted.get(part.type), part.raw))
        else:
            name = part.type if isinstance(part, ir.Hosted) else type(part).__name__
            report.dropped(name, "a Chat answer has no place for it")
    message["content"] = "".join(texts) if texts else None
    message["refusal"] = "".join(refusals) if refusals else None
    if any(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    if details:
        message["reasoning_details"] = details
    if citations:
        message["annotations"] = citations
    if calls:
        message["tool_calls"] = calls
    message.update(hosted)
    choice: dict[str, object] = {"index": 0, "message": message, "logprobs": None}
    if response.logprobs is not None:
        choice["logprobs"] = {"content": json.raw(response.logprobs), "refusal": None}
    choice["finish_reason"] = encode_finish(response.finish, called=bool(calls), refused=bool(refusals))
    report_finish(response.finish, response.stop_sequence, response.finish_details, report)
    report.unplaced(response.unplaced)
    body: dict[str, object] = {
        "id": answer_id(response.id, answer),
        "object": "chat.completion",
        "created": answer.created if response.created is None else response.created,
        "model": answer.model or response.model,
        "choices": [choice],
    }
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
    if response.ext is not None and response.ext.dialect == NAME:
        body.update({name: json.raw(value) for name, value in response.ext.fields.items()})
    return json.encode(body)


def _call(call: ir.ToolCall, answer: Answer, position: int, report: Report, bare: str) -> dict[str, object]:
    out: dict[str, object] = {"id": call_id(call.id, answer, position), "type": call.kind.value}
    if call.kind is ir.ToolKind.CUSTOM:
        out["custom"] = {"name": call.name, "input": call.arguments}
    else:
        out["function"] = {"name": call.name, "arguments": call.arguments or bare}
    for found in call.opaque:
        extra = extra_content(found)
        if extra is None:
            report.dropped("tool_calls.signature", "a Chat tool call has no place for it")
        else:
            out["extra_content"] = json.raw(extra)
    return out


def extra_content(found: ir.Opaque) -> bytes | None:
    """A thought signature on a call, as Gemini's own Chat endpoint writes it."""
    if found.kind is not ir.OpaqueKind.THOUGHT_SIGNATURE:
        return None
    return json.encode({"google": {"thought_signature": found.data}})
