"""Requests of Responses clients into the representation."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir, json, opaque
from ferryllm_proto.dialects.openai_responses import DIALECT
from ferryllm_proto.errors import RemoteProtocolError


def decode(**body: Any) -> ir.Request:
    return DIALECT.decode_request(json.encode({"model": "m", **body}))


def items(*values: Any) -> ir.Request:
    return decode(input=list(values))


def refused(body: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        DIALECT.decode_request(body)
    return caught.value


def test_r1_a_string_is_one_user_message() -> None:
    (turn,) = decode(input="hello").turns
    assert turn == ir.Turn(ir.Role.USER, (ir.Text("hello", path="input"),), path="input")


def test_r1_items_without_type_are_messages() -> None:
    request = items(
        {"role": "user", "content": "a"}, {"role": "assistant", "content": [{"type": "output_text", "text": "b"}]}
    )
    assert [turn.role for turn in request.turns] == [ir.Role.USER, ir.Role.ASSISTANT]
    assert request.turns[1].parts == (ir.Text("b", path="input[1].content[0]"),)


def test_r2_leading_instructions_are_the_system_and_later_ones_stay_in_place() -> None:
    request = decode(
        instructions="first",
        input=[
            {"role": "developer", "content": [{"type": "input_text", "text": "second"}]},
            {"role": "user", "content": "x"},
            {"role": "system", "content": "third"},
        ],
    )
    assert [(text.text, text.path) for text in request.system] == [
        ("first", "instructions"),
        ("second", "input[0].content[0]"),
    ]
    assert [turn.role for turn in request.turns] == [ir.Role.USER, ir.Role.SYSTEM]


def test_a_leading_instruction_with_an_image_stays_a_turn() -> None:
    request = items({"role": "developer", "content": [{"type": "input_image", "image_url": "https://x/y.png"}]})
    assert request.system == ()
    assert request.turns[0].role is ir.Role.SYSTEM


def test_r3_consecutive_assistant_items_are_one_turn_and_outputs_the_next() -> None:
    request = items(
        {"role": "user", "content": "go"},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "E",
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "t"}],
            "phase": "commentary",
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** Begin", "namespace": "ns"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
        {"role": "user", "content": "on"},
    )
    assert [turn.role.value for turn in request.turns] == ["user", "assistant", "user", "user"]
    reasoning, text, call, custom = request.turns[1].parts
    assert isinstance(reasoning, ir.Reasoning)
    assert reasoning.summary == ("hm",)
    assert reasoning.opaque == (ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "E", "rs_1"),)
    assert isinstance(text, ir.Text)
    assert text.phase == "commentary"
    assert call == ir.ToolCall("c1", "f", "{}", item_id="fc_1", path="input[3]")
    assert custom == ir.ToolCall(
        "c2", "apply_patch", "*** Begin", kind=ir.ToolKind.CUSTOM, namespace="ns", path="input[4]"
    )
    first, second = request.turns[2].parts
    assert isinstance(first, ir.ToolResult)
    assert isinstance(second, ir.ToolResult)
    assert first.parts == (ir.Text("1", path="input[5].output"),)
    assert second.kind is ir.ToolKind.CUSTOM


@pytest.mark.parametrize(
    ("output", "texts"),
    [
        ("plain", ["plain"]),
        ([{"type": "input_text", "text": "a"}], ["a"]),
        ({"k": 1}, ['{"k":1}']),
        ([1, 2], ["[1,2]"]),
    ],
)
def test_r4_outputs_may_be_text_parts_or_any_json(output: Any, texts: list[str]) -> None:
    (turn,) = items({"type": "function_call_output", "call_id": "c", "output": output}).turns
    (result,) = turn.parts
    assert isinstance(result, ir.ToolResult)
    assert [part.text for part in result.parts if isinstance(part, ir.Text)] == texts


def test_r4_images_in_outputs_are_kept() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"}
    (turn,) = items({"type": "function_call_output", "call_id": "c", "output": [image]}).turns
    (result,) = turn.parts
    assert isinstance(result, ir.ToolResult)
    (part,) = result.parts
    assert isinstance(part, ir.Image)
    assert part.source == ir.Source(ir.SourceKind.BASE64, "AAAA", "image/png")


def test_r6_namespaces_and_additional_tools_are_taken_apart() -> None:
    space = {
        "type": "namespace",
        "name": "agents",
        "description": "d",
        "tools": [{"type": "function", "name": "spawn", "parameters": {"type": "object"}, "strict": False}],
    }
    request = decode(
        tools=[space, {"type": "web_search", "external_web_access": True}],
        input=[
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}, space]},
            {"role": "user", "content": "x"},
        ],
    )
    spawn, search, run, inner = request.tools
    assert isinstance(spawn, ir.Function)
    assert (spawn.name, spawn.namespace, spawn.namespace_description) == ("spawn", "agents", "d")
    assert isinstance(search, ir.HostedTool)
    assert search.type == "web_search"
    assert run == ir.Custom("exec", path="input[0].tools[0]")
    assert isinstance(inner, ir.Function)
    assert inner.path == "input[0].tools[1].tools[0]"


def test_r8_damaged_envelopes_are_no_proof_and_whole_ones_are_opened() -> None:
    material = ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, "sig")
    token = opaque.wrap(material)
    (turn,) = items(
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "raw"}], "encrypted_content": token},
        {"type": "reasoning", "summary": [], "encrypted_content": token[:-1]},
    ).turns
    whole, damaged = turn.parts
    assert whole == ir.Reasoning("raw", opaque=(material,), path="input[0]")
    assert damaged == ir.Reasoning(path="input[1]")


@pytest.mark.parametrize("type_", ["item_reference", "compaction", "program", "agent_message", "local_shell_call"])
def test_r17_unknown_items_are_kept_whole(type_: str) -> None:
    (turn,) = items({"type": type_, "id": "x", "deep": {"a": [1]}}).turns
    (part,) = turn.parts
    assert isinstance(part, ir.Hosted)
    assert turn.role is ir.Role.ASSISTANT
    assert json.loads(part.raw) == {"type": type_, "id": "x", "deep": {"a": [1]}}


def test_outputs_of_hosted_calls_are_the_users() -> None:
    (turn,) = items({"type": "local_shell_call_output", "id": "x", "output": "done"}).turns
    assert turn.role is ir.Role.USER


def test_r12_parameters_find_their_places() -> None:
    request = decode(
        input="x",
        text={
            "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
            "verbosity": "low",
        },
        reasoning={"effort": "high", "summary": "auto", "mode": "pro"},
        max_output_tokens=7,
        parallel_tool_calls=False,
        prompt_cache_key="k",
        safety_identifier="s",
        include=["reasoning.encrypted_content", "message.output_text.logprobs"],
        store=False,
        stream=True,
        max_tool_calls=3,
        client_metadata={"a": "b"},
    )
    assert request.format == ir.Format(ir.FormatKind.JSON_SCHEMA, "n", b'{"type":"object"}', True)
    assert request.reasoning == ir.ReasoningParams(effort="high", show="summary")
    assert (request.verbosity, request.max_output, request.parallel, request.cache_key) == ("low", 7, False, "k")
    assert (request.safety_id, request.store, request.stream, request.logprobs) == ("s", False, True, True)
    assert request.ext is not None
    assert set(request.ext.fields) == {"max_tool_calls", "client_metadata", "reasoning.mode"}
    assert request.wire_name("max_output") == "max_output_tokens"


def test_unknown_fields_of_items_are_kept_with_their_place() -> None:
    request = items(
        {"role": "user", "content": [{"type": "input_text", "text": "x", "odd": 1}], "meta": 2},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": "y", "meta": 3},
    )
    user = request.turns[0]
    assert user.ext == ir.Ext("openai_responses", {"meta": b"2"})
    assert isinstance(user.parts[0], ir.Text)
    assert user.parts[0].ext == ir.Ext("openai_responses", {"odd": b"1"})
    assert request.ext is not None
    assert request.ext.fields == {"input[1].meta": b"3", ".input[1]": b'{"id":"msg_1"}'}


def test_g7_numbers_are_not_changed() -> None:
    assert str(decode(input="x", temperature=1).temperature) == "1"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "array"),
        (b"{}", "model"),
        (b'{"model":1}', "model: expected string"),
        (b'{"model":"m","input":3}', "input: expected a string or a list of items, found number"),
        (b'{"model":"m","input":[3]}', "input[0]"),
        (b'{"model":"m","input":[{}]}', "input[0]: expected an item with a type or a role"),
        (b'{"model":"m","input":[{"role":"robot","content":"x"}]}', "input[0].role"),
        (
            b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":1}]}]}',
            "input[0].content[0].text",
        ),
        (b'{"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}]}', "input[0].content[0]"),
        (b'{"model":"m","input":[{"type":"function_call","name":"f"}]}', "input[0].call_id"),
        (b'{"model":"m","tools":[{"name":"f"}]}', "tools[0].type"),
        (b'{"model":"m","tools":[{"type":"function","name":"f","parameters":[]}]}', "tools[0].parameters"),
        (b'{"model":"m","tool_choice":"maybe"}', "tool_choice"),
        (b'{"model":"m","text":{"format":{"type":"xml"}}}', "text.format.type"),
        (b'{"model":"m","text":{"format":{"type":"json_schema","name":"n"}}}', "text.format.schema"),
        (b'{"model":"m","reasoning":{"summary":"long"}}', "reasoning.summary"),
        (b'{"model":"m","metadata":[]}', "metadata"),
        (b'{"model":"\xff"}', "UTF-8"),
        (b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
    ],
)
def test_hostile_bodies_are_refused_with_a_sentence(body: bytes, words: str) -> None:
    error = refused(body)
    assert words in str(error)
    assert error.status_hint == 400


def test_s14_lone_surrogates_come_through() -> None:
    request = DIALECT.decode_request(b'{"model":"m","input":"a\\ud83d"}')
    body = DIALECT.encode_request(request)[0].body
    assert b"\\ud83d" in body


_KEYS = [
    "type",
    "role",
    "content",
    "text",
    "tools",
    "name",
    "call_id",
    "output",
    "summary",
    "id",
    "format",
    "parameters",
]
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5),
    max_leaves=20,
)
_TYPES = st.sampled_from(
    ["message", "function_call", "function_call_output", "reasoning", "additional_tools", "custom"]
)


@given(item=st.dictionaries(st.sampled_from(_KEYS), _json), type_=_TYPES, field=st.sampled_from(["input", "tools"]))
def test_g12_no_body_raises_anything_else(item: dict[str, Any], type_: str, field: str) -> None:
    with contextlib.suppress(RemoteProtocolError):  # anything else fails the test
        request = DIALECT.decode_request(json.encode({"model": "m", field: [{**item, "type": type_}]}))
        DIALECT.encode_request(request)
