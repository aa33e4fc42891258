from __future__ import annotations

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import DIALECT
from ferryllm_proto.errors import RemoteProtocolError

from .build import ARRAY_PATH, NEW, SSE_PATH, contents, decoded


def test_n4_model_and_stream_are_the_paths() -> None:
    body = contents({"text": "hi"})
    assert (decoded(body).model, decoded(body).stream) == (NEW, False)
    assert decoded(body, SSE_PATH).stream is decoded(body, ARRAY_PATH).stream is True


def test_without_a_path_the_model_is_the_bodys_or_nothing() -> None:
    body = contents({"text": "hi"})
    assert decoded(body, None) == decoded({**body, "model": ""}, None)
    found = decoded({**body, "model": "models/x"}, None)
    assert (found.model, found.stream) == ("x", False)


def test_n1_both_spellings_mean_the_same() -> None:
    camel = {
        **contents({"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
        "systemInstruction": {"parts": [{"text": "be"}]},
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
        "generationConfig": {"topP": 0.5, "stopSequences": ["x"], "thinkingConfig": {"includeThoughts": True}},
    }
    snake = {
        **contents({"text": "hi"}, {"inline_data": {"mime_type": "image/png", "data": "AA=="}}),
        "system_instruction": {"parts": [{"text": "be"}]},
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
        "generationConfig": {"top_p": 0.5, "stop_sequences": ["x"], "thinking_config": {"include_thoughts": True}},
    }
    assert decoded(camel) == decoded(snake)
    assert decoded({**contents({"text": "a"}), "generation_config": {"top_p": 1}}).wire_name("top_p") == (
        "generation_config.top_p"
    )


def test_a_plain_string_of_system_text_and_parts() -> None:
    assert [t.text for t in decoded({**contents({"text": "a"}), "systemInstruction": "be"}).system] == ["be"]
    with pytest.raises(RemoteProtocolError, match=r"systemInstruction.parts\[0\]: expected a text"):
        decoded({**contents({"text": "a"}), "systemInstruction": {"parts": [{"inlineData": {"data": ""}}]}})


def test_service_tiers_have_the_representations_names() -> None:
    assert decoded({**contents({"text": "a"}), "serviceTier": "standard"}).service_tier == "default"
    assert decoded({**contents({"text": "a"}), "serviceTier": "SERVICE_TIER_FLEX"}).service_tier == "flex"


def test_counting_takes_the_fields_or_a_whole_request() -> None:
    plain = DIALECT.decode_count(b'{"contents":[{"parts":[{"text":"hi"}]}]}', path="/v1beta/models/m:countTokens")
    assert (plain.model, plain.stream) == ("m", False)
    whole = DIALECT.decode_count(
        b'{"generateContentRequest":{"model":"models/m","contents":[{"role":"user","parts":[{"text":"hi"}]}],'
        b'"systemInstruction":{"parts":[{"text":"be"}]}}}'
    )
    assert (whole.model, whole.system[0].text) == ("m", "be")
    with pytest.raises(RemoteProtocolError, match=r"generateContentRequest.contents: this field is required"):
        DIALECT.decode_count(b'{"generate_content_request":{}}', path="/v1beta/models/m:countTokens")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "contents: this field is required"),
        (b"[]", "expected object"),
        (b'{"contents":"x"}', "contents: expected an array of contents, found string"),
        (b'{"contents":[{"role":"system","parts":[]}]}', r"contents\[0\].role: expected user or model"),
        (b'{"contents":[{"role":1}]}', r"contents\[0\].role: expected string"),
        (b'{"contents":[{"parts":"x"}]}', r"contents\[0\].parts: expected an array of parts"),
        (b'{"contents":[{"parts":[{"text":1}]}]}', r"contents\[0\].parts\[0\].text: expected string"),
        (b'{"contents":[],"tools":1}', "tools: expected an array"),
        (b'{"contents":[],"generationConfig":[]}', "generationConfig: expected an object"),
        (b'{"contents":[],"generationConfig":{"topK":1.5}}', "generationConfig.topK: expected a whole number"),
        (b'{"contents":[],"generationConfig":{"temperature":"hot"}}', "generationConfig.temperature: expected"),
        (b'{"contents":[],"systemInstruction":7}', "systemInstruction: expected object"),
        (b'{"contents":[],"x":"\xff"}', "not valid UTF-8"),
    ],
)
def test_bad_bodies_name_the_field(body: bytes, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        DIALECT.decode_request(body, path="/v1beta/models/m:generateContent")


def test_unknown_fields_are_kept_by_their_names() -> None:
    request = decoded({**contents({"text": "a"}), "safetySettings": [{"category": "X"}], "new": 1})
    assert request.ext == ir.Ext("gemini", {"safetySettings": b'[{"category":"X"}]', "new": b"1"})
