from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.errors import RemoteProtocolError

from .build import again, contents, decoded

M = ir.ToolChoiceMode
T = ir.ThinkingMode


def _config(**fields: Any) -> dict[str, Any]:
    return {**contents({"text": "hi"}), "generationConfig": fields}


def test_n3_every_setting_has_its_field() -> None:
    found = decoded(
        _config(
            temperature=0.7,
            topP=1,
            topK=40.0,
            candidateCount=2,
            maxOutputTokens=9,
            stopSequences=["a"],
            responseLogprobs=True,
            logprobs=3,
            presencePenalty=0.1,
            frequencyPenalty=-1,
            seed=7,
        )
    )
    assert (found.temperature, found.top_p, found.top_k, found.n, found.max_output) == (0.7, 1, 40, 2, 9)
    assert (found.stop, found.logprobs, found.top_logprobs, found.seed) == (("a",), True, 3, 7)
    assert (found.presence_penalty, found.frequency_penalty) == (0.1, -1)
    assert found.ext is None


@pytest.mark.parametrize(
    ("config", "params"),
    [
        ({"thinkingBudget": 0}, ir.ReasoningParams(T.OFF, budget=0)),
        ({"thinkingBudget": -1}, ir.ReasoningParams(T.ADAPTIVE)),
        ({"thinkingBudget": 512, "includeThoughts": True}, ir.ReasoningParams(budget=512, show="summary")),
        ({"thinkingLevel": "MINIMAL"}, ir.ReasoningParams(effort="minimal")),
        ({"thinkingLevel": "high", "includeThoughts": False}, ir.ReasoningParams(effort="high", show="omitted")),
        ({}, ir.ReasoningParams()),
    ],
)
def test_thinking(config: dict[str, Any], params: ir.ReasoningParams) -> None:
    body = _config(thinkingConfig=config)
    assert decoded(body).reasoning == params
    assert again(body) == body


@pytest.mark.parametrize(
    ("fields", "format_"),
    [
        ({"responseMimeType": "application/json"}, ir.Format(ir.FormatKind.JSON_OBJECT)),
        ({"responseMimeType": "text/plain"}, ir.Format(ir.FormatKind.TEXT)),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
            ir.Format(ir.FormatKind.JSON_SCHEMA, schema=b'{"type":"object"}'),
        ),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}},
            ir.Format(ir.FormatKind.JSON_SCHEMA, schema=b'{"type":"object"}'),
        ),
        (
            {"responseJsonSchema": {"type": "object"}},
            ir.Format(ir.FormatKind.JSON_SCHEMA, schema=b'{"type":"object"}'),
        ),
    ],
)
def test_structured_output(fields: dict[str, Any], format_: ir.Format) -> None:
    assert decoded(_config(**fields)).format == format_
    assert again(_config(**fields)) == _config(**fields)


def test_forms_of_text_only_this_dialect_has_are_kept() -> None:
    body = _config(responseMimeType="text/x.enum", responseSchema={"type": "STRING", "enum": ["a"]})
    request = decoded(body)
    assert request.ext is not None
    assert "generationConfig.responseMimeType" in request.ext.fields
    assert again(body) == body


@pytest.mark.parametrize(
    ("calling", "mode", "names", "required"),
    [
        ({"mode": "AUTO"}, M.AUTO, (), False),
        ({"mode": "ANY"}, M.REQUIRED, (), False),
        ({"mode": "any"}, M.REQUIRED, (), False),
        ({"mode": 2}, M.REQUIRED, (), False),
        ({"mode": "NONE"}, M.NONE, (), False),
        ({"mode": "VALIDATED"}, M.AUTO, (), False),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, M.TOOL, ("f",), False),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, M.ALLOWED, ("f", "g"), True),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, M.ALLOWED, ("f",), False),
        ({}, M.AUTO, (), False),
    ],
)
def test_a11_modes_of_calling(calling: dict[str, Any], mode: M, names: tuple[str, ...], required: bool) -> None:
    tools = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
    body = {**contents({"text": "hi"}), "tools": tools, "toolConfig": {"functionCallingConfig": calling}}
    found = decoded(body).tool_choice
    assert found is not None
    assert (found.mode, found.names, found.required) == (mode, names, required)
    assert again(body) == body


def test_an_unknown_mode_is_refused() -> None:
    body = {**contents({"text": "hi"}), "toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}
    with pytest.raises(RemoteProtocolError, match=r"toolConfig.functionCallingConfig.mode: expected AUTO"):
        decoded(body)


def test_settings_without_a_field_are_kept_and_written_back() -> None:
    body = _config(
        mediaResolution="MEDIA_RESOLUTION_LOW",
        responseModalities=["TEXT", "IMAGE"],
        imageConfig={"aspectRatio": "1:1"},
        thinkingConfig={"future": 1},
    )
    body["toolConfig"] = {"retrievalConfig": {"languageCode": "de"}, "functionCallingConfig": {"mode": "AUTO"}}
    body["toolConfig"]["functionCallingConfig"]["streamFunctionCallArguments"] = True
    assert again(body) == body


@pytest.mark.parametrize(
    "extra", [{"generationConfig": {}}, {"toolConfig": {}}, {"tools": []}, {"generationConfig": {"stopSequences": []}}]
)
def test_empty_objects_stay(extra: dict[str, Any]) -> None:
    body = {**contents({"text": "hi"}), **extra}
    assert again(body) == body


def test_tools_keep_their_entries_and_the_form_of_their_schemas() -> None:
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}
    body = {
        **contents({"text": "hi"}),
        "tools": [
            {
                "functionDeclarations": [{"name": "f", "parameters": schema, "behavior": "BLOCKING"}],
                "codeExecution": {},
            },
            {"googleSearch": {"timeRangeFilter": {}}},
            {"functionDeclarations": [{"name": "g", "parametersJsonSchema": {"type": "object"}, "response": schema}]},
        ],
    }
    request = decoded(body)
    assert [type(tool).__name__ for tool in request.tools] == ["Function", "HostedTool", "HostedTool", "Function"]
    function = request.tools[0]
    assert isinstance(function, ir.Function)
    assert function.schema == b'{"type":"object","properties":{"a":{"type":["string","null"]}}}'
    assert again(body) == body


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([{"functionDeclarations": [{"name": ""}]}], r"tools\[0\].functionDeclarations\[0\].name"),
        ([{"functionDeclarations": [{"name": "f", "parameters": 1}]}], "parameters: expected an object"),
        ([{"functionDeclarations": 1}], "functionDeclarations: expected an array"),
        ([1], r"tools\[0\]: expected object"),
    ],
)
def test_bad_tools_are_named(tools: Any, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        decoded({**contents({"text": "hi"}), "tools": tools})
