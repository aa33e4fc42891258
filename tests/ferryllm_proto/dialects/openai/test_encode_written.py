"""Turns passed on as they were written: the same messages as from the turns themselves."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import decode_request
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.dialects.openai.vendors import VENDORS
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.rules import ProviderRules
from ferryllm_proto.written import Said, Written
from support.histories import bodies


def sent(request: ir.Request, model: str, vendor: str) -> tuple[object, object]:
    try:
        upstream, losses = DIALECT.encode_request(request, model=model, rules=ProviderRules(vendor))
    except RemoteProtocolError as exc:
        return repr(exc.error), None
    return json.loads(upstream.body), losses


@given(
    bodies(),
    st.sampled_from(["gpt-4.1-mini", "o3", "mistral-large-latest", "deepseek-reasoner", "kimi-k2", "any"]),
    st.sampled_from(sorted(VENDORS)),
)
def test_the_request_of_a_provider_is_the_same(body: bytes, model: str, vendor: str) -> None:
    read = decode_request.read_written(body)
    try:
        request = decode_request.decode(body, written=read)
    except RemoteProtocolError:
        return
    written = Written.of(request.turns)
    if written is not None:
        usual = msgspec.structs.replace(request, turns=written.turns())
        assert sent(request, model, vendor) == sent(usual, model, vendor)


MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
TEXT, RESULT = {"type": "text", "text": "go on"}, {"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}


@pytest.mark.parametrize("vendor", ["openai", "openrouter", "mistral", "generic"])
@pytest.mark.parametrize("model", ["gpt-4.1-mini", "gpt-5.6", "any"])
@pytest.mark.parametrize(
    "content", [[{**RESULT, **MARK}], [RESULT, {**TEXT, **MARK}]], ids=["behind a result", "behind a text"]
)
def test_the_breakpoint_of_a_turn_is_written_or_reported_as_any_other(
    content: list[object], model: str, vendor: str
) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    messages = [
        {"role": "user", "content": [{**TEXT, **MARK}]},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": content},
    ]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()
    request = decode_request.decode(body, written=decode_request.read_written(body))
    written = Written.of(request.turns)
    assert written is not None
    assert all(type(one) is Said for one in written.said)
    found = sent(request, model, vendor)
    assert found == sent(msgspec.structs.replace(request, turns=written.turns()), model, vendor)
    assert "cache" in str(found)


def test_nothing_is_made_of_what_is_passed_on() -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "\u00e9\n"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "r\u00e9\n"}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "ok"}, call]},
        {"role": "user", "content": [result, {"type": "text", "text": "go on"}]},
    ]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()
    request = decode_request.decode(body, written=decode_request.read_written(body))
    upstream, losses = DIALECT.encode_request(request, model="gpt-4.1-mini")
    written = Written.of(request.turns)
    assert written is not None
    assert written._turns is None
    assert losses == []
    assert json.loads(upstream.body)["messages"] == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "ok",
            "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a": "\\u00e9\\n"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "r\u00e9\n"},
        {"role": "user", "content": "go on"},
    ]
    assert b'"r\\u00e9\\n"' in upstream.body, "in the client's own spelling"
