"""Gemini's generateContent, strictly: what is refused and what is not."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.mock.complaint import Complaint
from ferryllm_net.mock.gemini_rules import check
from ferryllm_net.mock.proofs import sign
from ferryllm_proto.dialects.gemini import paths
from support.recorded import cases

from .json_values import damaged

TEXT: dict[str, Any] = {"text": "hi"}
CALL: dict[str, Any] = {"functionCall": {"name": "f", "args": {}}}
RESULT: dict[str, Any] = {"functionResponse": {"name": "f", "response": {"output": "x"}}}
SIGNED = {**CALL, "thoughtSignature": base64.b64encode(sign("x").encode()).decode()}
SCHEMA: dict[str, Any] = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
OLD, NEW = "gemini-2.5-flash", "gemini-3-flash-preview"


def said(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def body(*contents: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"contents": list(contents or (said(TEXT),)), **fields}


def tool(**fields: Any) -> list[dict[str, Any]]:
    return [{"functionDeclarations": [{"name": "f", **fields}]}]


def refusal(asked: dict[str, Any], model: str = OLD) -> str:
    with pytest.raises(Complaint) as raised:
        check(asked, model)
    return str(raised.value)


LOOP = (said(TEXT), said(SIGNED, CALL, role="model"), said(RESULT, RESULT))


@pytest.mark.parametrize("model", [OLD, NEW, "demo"])
@pytest.mark.parametrize(
    "asked",
    [
        body(),
        body({"parts": [TEXT]}, said(TEXT, role="model"), said(TEXT, role="function")),
        body(*LOOP, said(TEXT, role="model")),
        body(LOOP[0], LOOP[1], said(RESULT), said(RESULT), said(TEXT)),
        body(
            said(TEXT),
            said({**CALL, "thoughtSignature": "skip_thought_signature_validator"}, role="model"),
            said(RESULT),
        ),
        body(said({"inline_data": {"mime_type": "image/png", "data": "AA=="}})),
        body(system_instruction={"parts": [TEXT]}, tools=tool(parameters=SCHEMA), safetySettings=[]),
        body(tools=tool(parametersJsonSchema={"type": "object", "$schema": "x", "oneOf": []})),
        body(tools=[{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}], "codeExecution": {}}]),
        body(tools=tool(), toolConfig={"functionCallingConfig": {"mode": "any", "allowedFunctionNames": ["f"]}}),
        body(generationConfig={"temperature": 2, "stop_sequences": ["a"], "thinkingConfig": {"includeThoughts": True}}),
        body(generationConfig={"responseMimeType": "application/json", "responseSchema": SCHEMA}),
    ],
)
def test_good_requests_pass(asked: dict[str, Any], model: str) -> None:
    check(asked, model)


def test_a_count_may_hold_a_whole_request() -> None:
    check({"generateContentRequest": {"model": "models/m", **body()}}, "m", counting=True)
    with pytest.raises(Complaint):
        check({"generateContentRequest": {"model": "models/m"}}, "m", counting=True)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "contents is not specified"),
        (body(n=2), 'Unknown name "n"'),
        (body({"role": "system", "parts": [TEXT]}), "Please use a valid role: user, model."),
        (body({"role": "user", "parts": []}), "contents.parts must not be empty"),
        (body(said({})), "required oneof field 'data'"),
        (body(said({**TEXT, **CALL})), "oneof field 'data' is already set"),
        (body(said({"text": 1})), "TYPE_STRING"),
        (body(said({**TEXT, "cache_control": {}})), "Unknown name \"cache_control\" at 'contents[0].parts[0]'"),
        (body(said({"inlineData": {"data": "AA=="}})), "mime_type must be set"),
        (body(said({"inlineData": {"mimeType": "image/png", "data": "data:x,"}})), "Base64 decoding failed"),
        (body(said({"functionCall": {"args": {}}}, role="model")), "function_call.name: Name cannot be empty"),
        (body(said({"functionCall": {"name": "f", "args": "{}"}}, role="model")), "function_call.args"),
        (
            body(said(TEXT), said(CALL, role="model"), said({"functionResponse": {"response": {}}})),
            "Name cannot be empty",
        ),
        (
            body(said(TEXT), said(CALL, role="model"), said({"functionResponse": {"name": "f", "response": "x"}})),
            "response",
        ),
        (body(said(CALL, role="model"), said(RESULT)), "function call turn comes immediately after"),
        (body(said(RESULT)), "function response turn comes immediately after"),
        (body(said(TEXT), said(CALL, role="model"), said(TEXT)), "function response turn comes immediately after"),
        (body(said(TEXT), said(CALL, CALL, role="model"), said(RESULT)), "the number of function response parts"),
        (body(said(TEXT), said(CALL, role="model")), "function response turn comes immediately after"),
        (body(tools=[{"functionDeclarations": [{"name": "9"}]}]), "Invalid function name"),
        (body(tools=tool() + tool()), "Duplicate function declaration found: f"),
        (body(tools=tool(strict=True)), 'Unknown name "strict"'),
        (body(tools=tool(parameters=SCHEMA, parametersJsonSchema={})), "both set"),
        (body(tools=tool(parameters={**SCHEMA, "$schema": "x"})), 'Unknown name "$schema"'),
        (body(tools=tool(parameters={"type": "STRING"})), "should be of type OBJECT"),
        (body(tools=tool(parameters={"type": "OBJECT", "properties": {"a": {"type": ["string"]}}})), "not repeating"),
        (body(tools=tool(parameters={"type": "OBJECT", "properties": {"a": {"enum": [1]}}})), "enum"),
        (body(tools=tool(parameters={"type": "OBJECT", "properties": {"a": {"nullable": True}}})), "nullable"),
        (
            body(tools=tool(parameters={"type": "OBJECT", "properties": {"a": {"type": "ARRAY"}}})),
            "items: missing field",
        ),
        (body(tools=tool(parametersJsonSchema={"type": "string"})), "must be of an object"),
        (body(toolConfig={"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}), "mode is ANY"),
        (body(toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}), "is not in"),
        (body(toolConfig={"functionCallingConfig": {"mode": "REQUIRED"}}), "Invalid value"),
        (body(generationConfig={"temperature": 2.5}), "must be in the range [0, 2]"),
        (body(generationConfig={"maxOutputTokens": 0}), "must be positive"),
        (body(generationConfig={"stopSequences": list("abcdef")}), "at most 5"),
        (body(generationConfig={"responseSchema": SCHEMA}), "without a JSON response_mime_type"),
        (body(generationConfig={"thinkingConfig": {"thinkingLevel": "LOW"}}), "not supported for this model"),
        (body(generationConfig={"thinkingConfig": {"thinkingLevel": "NONE"}}), "Invalid value"),
        (body(generationConfig={"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}), "only one of"),
    ],
)
def test_bad_requests_are_refused_in_the_apis_words(asked: dict[str, Any], words: str) -> None:
    assert words in refusal(asked)


def test_models_that_always_think_refuse_not_to() -> None:
    asked = body(generationConfig={"thinkingConfig": {"thinkingBudget": 0}})
    assert "Budget 0 is invalid" in refusal(asked, "gemini-2.5-pro")
    assert "Thinking is not supported" in refusal(asked, "gemini-2.0-flash")


# --- signatures ------------------------------------------------------------------------------------------


def test_b7_the_newest_models_want_the_signature_of_every_step_of_this_turn() -> None:
    asked = body(said(TEXT), said(CALL, role="model"), said(RESULT))
    check(asked, OLD)
    assert "missing a thought_signature" in refusal(asked, NEW)
    # What came before the user's last words is not looked at.
    check(body(said(TEXT), said(CALL, role="model"), said(RESULT), said(TEXT, role="model"), said(TEXT)), NEW)


@pytest.mark.parametrize(
    "signature",
    [
        SIGNED["thoughtSignature"][:-4],
        base64.b64encode(b"ferry1.abc").decode(),
    ],
)
def test_a_signature_that_is_altered_or_packed_is_refused(signature: str) -> None:
    asked = body(said(TEXT), said({**CALL, "thoughtSignature": signature}, role="model"), said(RESULT))
    for model in (OLD, NEW):
        assert "signature" in refusal(asked, model)


@pytest.mark.recorded
def test_what_the_api_took_is_not_refused() -> None:
    for case in cases("gemini"):
        if case["status"] == 200 and isinstance(case["request"], dict) and ":" in case["path"]:
            asked = paths.read(case["path"])
            check(case["request"], asked.model, counting=asked.method == "countTokens")


@given(st.data())
def test_whatever_the_body_holds_there_is_no_other_exception(data: st.DataObject) -> None:
    config = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}
    whole = body(*LOOP, tools=tool(parameters=SCHEMA), toolConfig=config, generationConfig={"topP": 1})
    with contextlib.suppress(Complaint):
        check(data.draw(damaged(whole)), NEW)
