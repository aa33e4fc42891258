"""Requests of any dialect for a Responses provider."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ferryllm_proto import ir, json
from ferryllm_proto.capabilities import effort_of
from ferryllm_proto.dialects.openai_responses import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Loss

USER = ir.Turn(ir.Role.USER, (ir.Text("hi", path="messages[0].content"),), path="messages[0]")


def foreign(**fields: Any) -> ir.Request:
    return ir.Request(**{"dialect": "anthropic", "model": "claude", "turns": (USER,), **fields})


def encode(request: ir.Request, model: str | None = "gpt-5.4") -> tuple[dict[str, Any], list[Loss]]:
    upstream, losses = DIALECT.encode_request(request, model=model)
    assert upstream.path == "/v1/responses"
    return json.loads(upstream.body), losses


def paths(losses: list[Loss]) -> list[str]:
    return [str(loss).split(":")[0] for loss in losses]


def test_b20_translated_requests_are_not_stored() -> None:
    body, losses = encode(foreign())
    assert body["store"] is False
    assert body["model"] == "gpt-5.4"
    assert losses == []


def test_b20_calls_lose_their_item_ids_and_long_call_ids_are_fitted() -> None:
    long = "call_" + "x" * 80
    call = ir.ToolCall(long, "f", "", item_id="fc_foreign")
    request = foreign(turns=(USER, ir.Turn(ir.Role.ASSISTANT, (call,)), ir.Turn(ir.Role.USER, (ir.ToolResult(long),))))
    _, sent, result = encode(request)[0]["input"]
    assert "id" not in sent
    assert len(sent["call_id"]) <= 64
    assert sent["call_id"] == result["call_id"]
    assert sent["arguments"] == "{}"
    assert result["output"] == ""


def test_b21_texts_have_the_type_of_their_side() -> None:
    request = foreign(turns=(USER, ir.Turn(ir.Role.ASSISTANT, (ir.Text("yes"), ir.Text("sir"))), USER))
    user, answer, _ = encode(request)[0]["input"]
    assert user == {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    assert [part["type"] for part in answer["content"]] == ["output_text", "output_text"]


def test_b22_thinking_asks_for_a_summary_and_the_proof() -> None:
    body, _ = encode(foreign(reasoning=ir.ReasoningParams(ir.ThinkingMode.ON, budget=10_000)))
    assert body["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content"]


def test_b22_omitted_thinking_asks_for_no_summary() -> None:
    body, _ = encode(foreign(reasoning=ir.ReasoningParams(ir.ThinkingMode.ADAPTIVE, effort="high", show="omitted")))
    assert body["reasoning"] == {"effort": "high"}


def test_a35_disabled_thinking_is_no_effort() -> None:
    body, _ = encode(foreign(reasoning=ir.ReasoningParams(ir.ThinkingMode.OFF)))
    assert body["reasoning"] == {"effort": "none"}
    assert "include" not in body


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(0, "none"), (1024, "minimal"), (4096, "low"), (8192, "medium"), (16384, "high"), (32000, "xhigh")],
)
def test_a35_budgets_become_efforts_monotonously(budget: int, effort: str) -> None:
    assert effort_of(budget) == effort


@pytest.mark.parametrize(("field", "value"), [("n", 2), ("stop", ("END",))])
def test_g5_contract_fields_are_refused_in_the_clients_words(field: str, value: object) -> None:
    request = foreign(**{field: value}, names={"stop": "stop_sequences"})
    with pytest.raises(RemoteProtocolError) as caught:
        encode(request)
    assert caught.value.error.param in ("n", "stop_sequences")
    assert caught.value.status_hint == 400


def test_g5_sound_as_an_answer_is_refused() -> None:
    ext = ir.Ext("openai", {"modalities": b'["text","audio"]'})
    with pytest.raises(RemoteProtocolError, match="modalities"):
        encode(foreign(dialect="openai", ext=ext))


def test_g5_knobs_are_dropped_and_reported() -> None:
    body, losses = encode(foreign(top_k=5, seed=1, presence_penalty=0.1, frequency_penalty=0.1, logit_bias=b"{}"))
    assert not {"top_k", "seed"} & set(body)
    assert len(losses) == 5


def test_g3_foreign_fields_are_reported() -> None:
    _, losses = encode(foreign(ext=ir.Ext("anthropic", {"context_management": b"{}"})))
    assert paths(losses) == ["dropped context_management"]


def test_a4_the_billing_line_is_left_out() -> None:
    system = (
        ir.Text("x-anthropic-billing-header: cc_version=2", path="system[0]"),
        ir.Text("You are", path="system[1]"),
        ir.Text("more", path="system[2]"),
    )
    body, losses = encode(foreign(system=system))
    assert body["instructions"] == "You are"
    assert body["input"][0] == {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "more"}],
    }
    assert paths(losses) == ["dropped system[0]"]


def test_a2_instructions_in_the_middle_stay_there() -> None:
    request = foreign(turns=(USER, ir.Turn(ir.Role.SYSTEM, (ir.Text("now"),)), USER))
    assert [item["role"] for item in encode(request)[0]["input"]] == ["user", "developer", "user"]


def test_r7_functions_are_flat_and_never_strict_by_accident() -> None:
    tool = ir.Function("f", "d", b'{"type":"object"}')
    body, _ = encode(foreign(tools=(tool, ir.Function("g"))))
    f, g = body["tools"]
    assert f == {
        "type": "function",
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }
    assert g["parameters"] == {"type": "object", "properties": {}}


def test_a10_without_tools_there_is_no_choice_and_no_parallel() -> None:
    body, _ = encode(foreign(tool_choice=ir.ToolChoice(ir.ToolChoiceMode.AUTO), parallel=False))
    assert "tool_choice" not in body
    assert "parallel_tool_calls" not in body


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ir.ToolChoice(ir.ToolChoiceMode.REQUIRED), "required"),
        (ir.ToolChoice(ir.ToolChoiceMode.NONE), "none"),
        (ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",)), {"type": "function", "name": "f"}),
        (
            ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, ("f",), required=True),
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
)
def test_a11_choices_have_their_flat_form(choice: ir.ToolChoice, wire: object) -> None:
    body, _ = encode(foreign(tools=(ir.Function("f"),), tool_choice=choice, parallel=False))
    assert body["tool_choice"] == wire
    assert body["parallel_tool_calls"] is False


def test_a20_failed_results_say_so() -> None:
    call = ir.ToolCall("c", "f", "{}")
    failed = ir.ToolResult("c", (ir.Text("no"),), is_error=True, path="messages[2].content[0]")
    request = foreign(turns=(USER, ir.Turn(ir.Role.ASSISTANT, (call,)), ir.Turn(ir.Role.USER, (failed,))))
    body, losses = encode(request)
    assert body["input"][2]["output"] == "Error: no"
    assert paths(losses) == ["degraded messages[2].content[0].is_error"]


def test_a22_images_of_results_reach_the_model() -> None:
    image = ir.Image(ir.Source(ir.SourceKind.BASE64, "AAAA", "image/jpeg"))
    called = ir.Turn(ir.Role.ASSISTANT, (ir.ToolCall("c", "f", "{}"),))
    answered = ir.Turn(ir.Role.USER, (ir.ToolResult("c", (ir.Text("see"), image)), ir.Text("and?")))
    _, result, message = encode(foreign(turns=(called, answered)))[0]["input"]
    assert result["output"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/jpeg;base64,AAAA", "detail": "auto"},
    ]
    assert message["role"] == "user"


def test_a24_documents_are_files_with_names() -> None:
    pdf = ir.Document(ir.Source(ir.SourceKind.BASE64, "AAAA", "application/pdf"), name="a.pdf")
    url = ir.Document(ir.Source(ir.SourceKind.URL, "https://x/y.pdf"))
    text = ir.Document(ir.Source(ir.SourceKind.TEXT, "words"))
    body, _ = encode(foreign(turns=(ir.Turn(ir.Role.USER, (pdf, url, text)),)))
    assert body["input"][0]["content"] == [
        {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
        {"type": "input_text", "text": "words"},
    ]


def test_a24_files_of_another_provider_are_refused() -> None:
    part = ir.Document(ir.Source(ir.SourceKind.FILE_ID, "file_1"), path="messages[0].content[0]")
    with pytest.raises(RemoteProtocolError, match=r"messages\[0\]"):
        encode(foreign(turns=(ir.Turn(ir.Role.USER, (part,)),)))


def thought(*material: ir.Opaque) -> ir.Request:
    reasoning = ir.Reasoning("hm", opaque=material, path="messages[1].content[0]")
    return foreign(turns=(USER, ir.Turn(ir.Role.ASSISTANT, (reasoning, ir.Text("so"))), USER))


def test_a26_reasoning_goes_back_to_the_provider_that_made_it() -> None:
    mine = ir.Opaque("openai", "gpt-5.4-2026-03-05", ir.OpaqueKind.ENCRYPTED, "E", "rs_1")
    body, losses = encode(thought(mine))
    assert body["input"][1] == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "E",
    }
    assert losses == []


@pytest.mark.parametrize(
    "material",
    [
        ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, "sig"),
        ir.Opaque("openai", "o3", ir.OpaqueKind.ENCRYPTED, "E"),
    ],
)
def test_a26_foreign_proof_is_never_sent(material: ir.Opaque) -> None:
    body, losses = encode(thought(material))
    assert [item["type"] for item in body["input"]] == ["message"] * 3
    assert paths(losses) == ["dropped messages[1].content[0]"]


def test_r8_reasoning_without_what_it_led_to_is_left_out() -> None:
    mine = ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "E")
    request = foreign(turns=(USER, ir.Turn(ir.Role.ASSISTANT, (ir.Reasoning(opaque=(mine,), path="p"),)), USER))
    body, losses = encode(request)
    assert len(body["input"]) == 2
    assert paths(losses) == ["dropped p"]


def test_a29_hosted_blocks_of_others_become_text() -> None:
    raw = b'{"type":"web_search_tool_result","content":[{"type":"r","title":"T","url":"u","encrypted_content":"zz"}]}'
    block = ir.Hosted("anthropic", "web_search_tool_result", raw, "messages[1].content[0]")
    body, losses = encode(foreign(turns=(USER, ir.Turn(ir.Role.ASSISTANT, (block, ir.Text("so"))), USER)))
    first, second = body["input"][1]["content"]
    assert "zz" not in first["text"]
    assert '"title":"T"' in first["text"]
    assert second["text"] == "so"
    assert paths(losses) == ["degraded messages[1].content[0]"]


def test_a36_schemas_are_strict_only_when_they_can_be() -> None:
    open_ = ir.Format(ir.FormatKind.JSON_SCHEMA, schema=b'{"type":"object","properties":{"a":{}}}')
    closed = msgspec.structs.replace(open_, schema=b'{"type":"object","properties":{},"additionalProperties":false}')
    assert encode(foreign(format=open_))[0]["text"]["format"]["strict"] is False
    assert encode(foreign(format=closed))[0]["text"]["format"] == {
        "type": "json_schema",
        "name": "response",
        "schema": {"type": "object", "properties": {}, "additionalProperties": False},
        "strict": True,
    }
    assert encode(foreign(format=closed, dialect="openai"))[0]["text"]["format"]["strict"] is False


def test_a37_long_user_ids_are_hashed_the_same_every_time() -> None:
    body, losses = encode(foreign(user="u" * 200))
    assert body["user"] == encode(foreign(user="u" * 200))[0]["user"]
    assert len(body["user"]) <= 64
    assert len(losses) == 1


def test_a41_cache_marks_of_others_are_reported_and_those_of_openai_carried() -> None:
    text = ir.Text("x", cache=ir.CacheMark("5m"), path="messages[0].content[0]")
    turns = (ir.Turn(ir.Role.USER, (text,)),)
    body, losses = encode(foreign(turns=turns))
    assert "prompt_cache_breakpoint" not in body["input"][0]["content"][0]
    assert paths(losses) == ["dropped messages[0].content[0].cache_control"]
    body, losses = encode(foreign(turns=turns, dialect="openai"))
    assert body["input"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}


def test_metadata_tier_and_logprobs_are_carried_where_they_fit() -> None:
    body, losses = encode(
        foreign(metadata=b'{"a":"b"}', service_tier="standard_only", logprobs=True, top_logprobs=2, cache_key="k")
    )
    assert body["metadata"] == {"a": "b"}
    assert body["service_tier"] == "default"
    assert body["include"] == ["message.output_text.logprobs"]
    assert (body["top_logprobs"], body["prompt_cache_key"]) == (2, "k")
    assert losses == []
    body, losses = encode(foreign(metadata=b'{"a":1}', service_tier="on_demand"))
    assert paths(losses) == ["dropped metadata", "dropped service_tier"]


def test_g6_what_a_client_of_this_dialect_wrote_is_written_back() -> None:
    wire = {
        "model": "m",
        "instructions": "i",
        "input": [
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]},
            {
                "type": "message",
                "role": "system",
                "id": "msg_0",
                "content": [{"type": "input_text", "text": "s", "z": 1}],
            },
            {"type": "message", "role": "user", "content": "u", "odd": {"k": [1]}},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"},
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "phase": "final_answer",
                "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "b"}],
            },
            {"type": "message", "role": "assistant", "id": "msg_2", "content": [{"type": "output_text", "text": "c"}]},
            {
                "type": "function_call",
                "id": "fc",
                "call_id": "c",
                "name": "f",
                "namespace": "n",
                "arguments": "{}",
                "status": "completed",
            },
            {"type": "function_call_output", "call_id": "c", "output": {"any": "json"}},
            {"type": "compaction", "encrypted_content": "C"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": None, "defer_loading": True},
            {
                "type": "namespace",
                "name": "n",
                "description": "d",
                "tools": [{"type": "function", "name": "f", "parameters": {"a": 1}}],
            },
            {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        ],
        "tool_choice": {"type": "mcp", "server_label": "s"},
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low", "summary": "detailed", "mode": "pro"},
        "text": {"verbosity": "low", "format": {"type": "text"}, "odd": 1},
        "store": True,
        "background": True,
        "previous_response_id": "resp_1",
        "truncation": "auto",
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }
    request = DIALECT.decode_request(json.encode(wire))
    body, losses = encode(request, model=None)
    assert body == wire
    assert losses == []
    assert DIALECT.decode_request(json.encode(body)) == request


def test_g10_the_same_request_gives_the_same_bytes() -> None:
    request = foreign(turns=(USER, ir.Turn(ir.Role.ASSISTANT, (ir.Text("a"),)), USER))
    assert DIALECT.encode_request(request)[0].body == DIALECT.encode_request(request)[0].body


def test_headers_of_the_same_dialect_are_forwarded_and_no_others() -> None:
    headers = (("OpenAI-Beta", "x"), ("Authorization", "secret"))
    own = ir.Request("openai_responses", "m")
    assert ("openai-beta", "x") in DIALECT.encode_request(own, headers=headers)[0].headers
    assert DIALECT.encode_request(foreign(), headers=headers)[0].headers == (("content-type", "application/json"),)
