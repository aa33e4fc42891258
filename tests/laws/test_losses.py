"""Law: nothing is lost in silence. One thing is added to a request at a time: either the bytes for the provider change,
or a loss names it, or it is refused; so for every field of the representation, every client and every provider.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ferryllm_proto import DIALECTS, RemoteProtocolError, ir
from ferryllm_proto.dialect import UpstreamRequest
from ferryllm_proto.loss import Loss

NAMES = tuple(DIALECTS)
PAIRS = [(entry, backend) for entry, backend in itertools.product(NAMES, NAMES) if entry != backend]
"""Between equal dialects bytes pass; what is decoded there is written back, see `test_round_trips`."""
ONLY = {"include": "openai_responses"}
"""Fields only one dialect's clients have."""
PIXEL = ir.Source(ir.SourceKind.BASE64, "iVBORw0KGgo=", "image/png")
PDF = ir.Source(ir.SourceKind.BASE64, "JVBERi0x", "application/pdf")
TOOL = ir.Function("f", "does", b'{"type":"object","properties":{"a":{"type":"string"}}}')
CALL = ir.ToolCall("call_1", "f", '{"a":"b"}')
RESULT = ir.ToolResult("call_1", (ir.Text("sunny"),), name="f")
ASK = ir.Turn(ir.Role.USER, (ir.Text("hi"),))

BASE: dict[str, ir.Request] = {
    name: ir.Request(name, "m", turns=(ASK,), max_output=100, tools=(TOOL,)) for name in NAMES
}
AGENT = (
    ASK,
    ir.Turn(ir.Role.ASSISTANT, (ir.Text("well"), CALL)),
    ir.Turn(ir.Role.USER, (RESULT,)),
)

REQUEST: dict[str, Any] = {
    "system": (ir.Text("be brief"),),
    "tool_choice": ir.ToolChoice(ir.ToolChoiceMode.REQUIRED),
    "parallel": False,
    "max_output": 77,
    "temperature": 0.25,
    "top_p": 0.5,
    "top_k": 7,
    "stop": ("x",),
    "seed": 3,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": b'{"1":2}',
    "logprobs": True,
    "n": 2,
    "reasoning": ir.ReasoningParams(ir.ThinkingMode.ON, "high", 2048, "summary"),
    "format": ir.Format(ir.FormatKind.JSON_SCHEMA, "s", b'{"type":"object","properties":{}}'),
    "verbosity": "low",
    "service_tier": "flex",
    "cache_key": "k",
    "cache_retention": "24h",
    "metadata": b'{"a":"b"}',
    "user": "u",
    "safety_id": "s",
    "previous_id": "resp_1",
    "conversation": b'"conv_1"',
    "store": True,
    "background": True,
    "truncation": "auto",
    "include": ("web_search_call.action.sources",),
    "tools": (TOOL, ir.Custom("g", "free", "lark", "start: x")),
    "turns": AGENT,
}
"""A value of each field that says something. A second one is in `MORE`."""

ELSEWHERE = {
    "dialect": "who asks",
    "model": "always sent",
    "top_logprobs": "goes with logprobs",
    "stream": "the form of the answer",
    "include_usage": "the form of the answer",
    "ext": "made for each dialect below",
    "names": "how fields are called in reports",
}

MORE: dict[str, Any] = {
    "logprobs of the five best": {"logprobs": True, "top_logprobs": 5},
    "one tool": {"tool_choice": ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",))},
    "no tool": {"tool_choice": ir.ToolChoice(ir.ToolChoiceMode.NONE)},
    "allowed tools": {"tool_choice": ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, ("f",), required=True)},
    "any JSON": {"format": ir.Format(ir.FormatKind.JSON_OBJECT)},
    "no thoughts": {"reasoning": ir.ReasoningParams(ir.ThinkingMode.OFF)},
}


def with_tool(**changes: Any) -> dict[str, Any]:
    return {"tools": (msgspec.structs.replace(TOOL, **changes),)}


def with_part(*parts: ir.Part, role: ir.Role = ir.Role.USER) -> dict[str, Any]:
    if role is ir.Role.ASSISTANT:
        return {"turns": (ASK, ir.Turn(role, (ir.Text("well"), *parts)), ASK)}
    return {"turns": (ir.Turn(role, (ir.Text("hi"), *parts)),)}


def in_agent(**changes: Any) -> dict[str, Any]:
    call, result = changes.get("call", CALL), changes.get("result", RESULT)
    return {
        "turns": (ASK, ir.Turn(ir.Role.ASSISTANT, (ir.Text("well"), call)), ir.Turn(ir.Role.USER, (result,))),
    }


MARK = ir.CacheMark("1h")
INNER: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "strict tool": ({}, with_tool(strict=True)),
    "tool description": (with_tool(description=None), with_tool(description="does much")),
    "tool cache mark": ({}, with_tool(cache=MARK)),
    "text cache mark": ({}, {"turns": (ir.Turn(ir.Role.USER, (ir.Text("hi", cache=MARK),)),)}),
    "system cache mark": (
        {"system": (ir.Text("be brief"),)},
        {"system": (ir.Text("be brief", cache=MARK),)},
    ),
    "image": (with_part(), with_part(ir.Image(PIXEL, path="image"))),
    "image url": (with_part(), with_part(ir.Image(ir.Source(ir.SourceKind.URL, "https://example.com/a.png")))),
    "image file id": (with_part(), with_part(ir.Image(ir.Source(ir.SourceKind.FILE_ID, "file_1")))),
    "image detail": (with_part(ir.Image(PIXEL)), with_part(ir.Image(PIXEL, detail="high"))),
    "document": (with_part(), with_part(ir.Document(PDF, name="a.pdf"))),
    "document name": (with_part(ir.Document(PDF)), with_part(ir.Document(PDF, name="b.pdf"))),
    "document context": (
        with_part(ir.Document(PDF, name="a.pdf")),
        with_part(ir.Document(PDF, name="a.pdf", context="from work")),
    ),
    "document citations": (
        with_part(ir.Document(PDF, name="a.pdf")),
        with_part(ir.Document(PDF, name="a.pdf", citations=True)),
    ),
    "audio": (with_part(), with_part(ir.Audio(ir.Source(ir.SourceKind.BASE64, "UklGRg==", "audio/wav"), "wav"))),
    "thought": (with_part(role=ir.Role.ASSISTANT), with_part(ir.Reasoning("hm"), role=ir.Role.ASSISTANT)),
    "sealed thought": (
        with_part(role=ir.Role.ASSISTANT),
        with_part(
            ir.Reasoning(opaque=(ir.Opaque("other", "x", ir.OpaqueKind.SIGNATURE, "c2ln"),)),
            role=ir.Role.ASSISTANT,
        ),
    ),
    "refusal": (with_part(role=ir.Role.ASSISTANT), with_part(ir.Refusal("no"), role=ir.Role.ASSISTANT)),
    "call": (with_part(role=ir.Role.ASSISTANT), {"turns": AGENT}),
    "call arguments": (in_agent(), in_agent(call=msgspec.structs.replace(CALL, arguments='{"a":"c"}'))),
    "call that is no JSON": (in_agent(), in_agent(call=msgspec.structs.replace(CALL, arguments='{"a":'))),
    "call name": (in_agent(), in_agent(call=msgspec.structs.replace(CALL, name="g"))),
    "call seal": (
        in_agent(),
        in_agent(
            call=msgspec.structs.replace(
                CALL, opaque=(ir.Opaque("other", "x", ir.OpaqueKind.THOUGHT_SIGNATURE, "c2ln"),)
            )
        ),
    ),
    "result text": (in_agent(), in_agent(result=msgspec.structs.replace(RESULT, parts=(ir.Text("rain"),)))),
    "failed result": (in_agent(), in_agent(result=msgspec.structs.replace(RESULT, is_error=True))),
    "image in a result": (
        in_agent(),
        in_agent(result=msgspec.structs.replace(RESULT, parts=(ir.Text("sunny"), ir.Image(PIXEL)))),
    ),
    "result cache mark": (in_agent(), in_agent(result=msgspec.structs.replace(RESULT, cache=MARK))),
    "call cache mark": (in_agent(), in_agent(call=msgspec.structs.replace(CALL, cache=MARK))),
    "freeform call": (in_agent(), in_agent(call=msgspec.structs.replace(CALL, kind=ir.ToolKind.CUSTOM))),
    "name of a turn": ({}, {"turns": (msgspec.structs.replace(ASK, name="bob"),)}),
    "a later system turn": ({}, {"turns": (ASK, ir.Turn(ir.Role.SYSTEM, (ir.Text("now"),)), ASK)}),
    "order of texts": (
        {"turns": (ir.Turn(ir.Role.USER, (ir.Text("a"), ir.Text("b"))),)},
        {"turns": (ir.Turn(ir.Role.USER, (ir.Text("b"), ir.Text("a"))),)},
    ),
    "namespace": ({}, with_tool(namespace="box")),
}


MODELS = {"gemini": "gemini-2.5-flash"}
"""Where a model that is not known is taken for one that can not think."""


def encoded(backend: str, request: ir.Request) -> tuple[UpstreamRequest, list[Loss]] | None:
    """What the provider gets; None where it is refused."""
    try:
        return DIALECTS[backend].encode_request(request, model=MODELS.get(backend, "real"))
    except RemoteProtocolError:
        return None


def lost_in_silence(backend: str, before: ir.Request, after: ir.Request) -> bool:
    one, other = encoded(backend, before), encoded(backend, after)
    if one is None or other is None or one[0] != other[0]:
        return False
    return [(loss.path, loss.disposition) for loss in one[1]] == [(loss.path, loss.disposition) for loss in other[1]]


def test_every_field_of_a_request_is_tried() -> None:
    assert set(ir.Request.__struct_fields__) == set(REQUEST) | set(ELSEWHERE)


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g3_no_field_of_a_request_is_lost_in_silence(entry: str, backend: str) -> None:
    base = BASE[entry]
    tried = {name: value for name, value in REQUEST.items() if ONLY.get(name, entry) == entry}
    silent = [name for name, value in tried.items() if _silent(backend, base, {name: value})]
    silent += [name for name, fields in MORE.items() if _silent(backend, base, fields)]
    assert not silent


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g3_nothing_inside_a_request_is_lost_in_silence(entry: str, backend: str) -> None:
    base = BASE[entry]
    silent = []
    for name, (before, after) in INNER.items():
        if _silent(backend, msgspec.structs.replace(base, **before), after):
            silent.append(name)
    assert not silent


def _silent(backend: str, base: ir.Request, fields: dict[str, Any]) -> bool:
    return lost_in_silence(backend, base, msgspec.structs.replace(base, **fields))


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_c16_what_only_one_dialect_has_is_reported_towards_others(entry: str, backend: str) -> None:
    foreign = msgspec.structs.replace(BASE[entry], ext=ir.Ext(entry, {"vendor_field": b"5"}))
    assert not lost_in_silence(backend, BASE[entry], foreign)


def test_a_field_that_is_lost_in_silence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    dialect = type(DIALECTS["anthropic"])
    whole: Callable[..., tuple[UpstreamRequest, list[Loss]]] = dialect.encode_request

    def deaf(self: Any, request: ir.Request, **options: Any) -> tuple[UpstreamRequest, list[Loss]]:
        return whole(self, msgspec.structs.replace(request, top_k=None), **options)

    monkeypatch.setattr(dialect, "encode_request", deaf)
    assert _silent("anthropic", BASE["anthropic"], {"top_k": 7})
