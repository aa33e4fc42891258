from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import carrier
from ferryllm_proto.errors import RemoteProtocolError

from .build import FOREIGN, again, call, contents, decoded, signature


def _parts(*parts: dict[str, Any], role: str = "model") -> tuple[ir.Part, ...]:
    return decoded(contents(*parts, role=role)).turns[0].parts


def test_a_signature_stands_before_the_call_it_came_with() -> None:
    found = _parts(call("f", {"a": 1}, thoughtSignature="c2ln"), call("g"))
    assert isinstance(found[0], ir.Reasoning)
    assert found[0].opaque == (signature(),)
    assert [type(part).__name__ for part in found] == ["Reasoning", "ToolCall", "ToolCall"]


def test_a_signature_is_that_of_the_thoughts_before_it() -> None:
    found = _parts({"text": "a", "thought": True}, {"text": "b", "thought": True}, call("f", thoughtSignature="c2ln"))
    thoughts = [part for part in found if isinstance(part, ir.Reasoning)]
    assert [(part.text, bool(part.opaque)) for part in thoughts] == [("a", False), ("b", True)]


def test_b9_another_providers_proof_comes_back_whole() -> None:
    packed = carrier.written(FOREIGN)
    for parts in (
        ({"text": "a", "thought": True}, {"text": "b", "thought": True}, call("f", thoughtSignature=packed)),
        ({"text": "a", "thought": True}, {"text": "b", "thought": True, "thoughtSignature": packed}, call("f")),
        ({"text": "ab", "thought": True}, {"text": "", "thought": True, "thoughtSignature": packed}, call("f")),
    ):
        found = _parts(*parts)
        assert isinstance(found[0], ir.Reasoning)
        assert (found[0].text, found[0].opaque) == ("ab", (FOREIGN,))
        assert len(found) == 2


@pytest.mark.parametrize(
    "parts",
    [
        [{"text": "a"}, {"text": "b", "thoughtSignature": "c2ln"}, {"text": "c"}],
        [{"text": "a", "thoughtSignature": "c2ln"}, call("f", thoughtSignature="c2ln")],
        [{"text": "a", "thought": True, "thoughtSignature": "c2ln"}, {"text": "b"}],
        [{"thoughtSignature": "c2ln"}],
        [{"text": "", "thoughtSignature": "c2ln"}],
        [{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}],
        [call("f", thought=False), {"functionCall": {"id": "7", "name": "f"}}],
        [{"executableCode": {"code": "1", "language": "PYTHON"}, "thoughtSignature": "c2ln"}],
        [{"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, {"toolCall": {"id": "1", "toolType": "X"}}],
        [{"inlineData": {"mimeType": "image/png", "data": "AA==", "displayName": "x"}, "mediaResolution": {}}],
        [{"inlineData": {"mimeType": "audio/mpeg", "data": "AA=="}}, {"fileData": {"fileUri": "gs://b/x.pdf"}}],
        [{"inlineData": {"mimeType": "application/pdf", "data": "AA==", "displayName": "x.pdf"}}],
        [{"fileData": {"fileUri": "https://x/y.jpg", "mimeType": "image/jpeg"}}, {"future": {"a": 1}}],
        [{"inlineData": {"mimeType": "video/mp4", "data": "AA=="}, "videoMetadata": {"fps": 1}}],
    ],
)
def test_g6_parts_go_back_as_they_came(parts: list[dict[str, Any]]) -> None:
    body = contents(*parts, role="model")
    assert again(body) == body


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"output": "x"}, "x", None),
        ({"result": "x"}, "x", None),
        ({"content": "x"}, "x", None),
        ({"name": "f", "content": "x"}, "x", None),
        ({"error": "x"}, "x", True),
        ({"a": [1]}, '{"a":[1]}', None),
        ({"output": "x", "more": 1}, '{"output":"x","more":1}', None),
    ],
)
def test_a_response_says_its_text(response: dict[str, Any], text: str, is_error: bool | None) -> None:
    body = contents({"functionResponse": {"name": "f", "response": response}})
    part = decoded(body).turns[0].parts[0]
    assert isinstance(part, ir.ToolResult)
    assert isinstance(part.parts[0], ir.Text)
    assert (part.parts[0].text, part.is_error, part.name) == (text, is_error, "f")
    assert again(body) == body


@pytest.mark.parametrize(
    "response", [{"name": "f"}, {"name": "f", "response": {}}, {"name": "f", "willContinue": True}]
)
def test_a_response_may_say_nothing(response: dict[str, Any]) -> None:
    body = contents({"functionResponse": response})
    part = decoded(body).turns[0].parts[0]
    assert isinstance(part, ir.ToolResult)
    assert part.parts == ()
    assert again(body) == body


def test_n2_calls_and_results_get_one_id() -> None:
    body = {
        "contents": [
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [call("f"), call("g"), call("f")]},
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": name, "response": {"output": name}}} for name in "ffg"],
            },
        ]
    }
    _, model, results = decoded(body).turns
    calls = {part.id: part.name for part in model.parts if isinstance(part, ir.ToolCall)}
    assert len(calls) == 3
    assert [calls[part.id] for part in results.parts if isinstance(part, ir.ToolResult)] == ["f", "f", "g"]
    assert again(body) == body


@pytest.mark.parametrize(
    ("role", "found"), [("function", "user"), ("tool", "user"), (None, "user"), ("model", "model")]
)
def test_n2_roles(role: str | None, found: str) -> None:
    content: dict[str, Any] = {"parts": [{"text": "x"}]}
    if role is not None:
        content["role"] = role
    turn = decoded({"contents": [content]}).turns[0]
    assert (turn.role is ir.Role.ASSISTANT) == (found == "model")
    assert again({"contents": [content]}) == {"contents": [content]}


def test_results_hold_media() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    body = contents({"functionResponse": {"name": "f", "response": {"output": "x"}, "parts": [image]}})
    part = decoded(body).turns[0].parts[0]
    assert isinstance(part, ir.ToolResult)
    assert [type(inner).__name__ for inner in part.parts] == ["Text", "Image"]
    assert again(body) == body


def test_bytes_are_in_the_alphabet_everybody_reads() -> None:
    part = _parts({"inlineData": {"mimeType": "image/png", "data": "-_8="}})[0]
    assert isinstance(part, ir.Image)
    assert part.source.data == "+/8="


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"text": "a", "functionCall": {"name": "f"}}, "one kind of data in a part, found text and functionCall"),
        ({"functionCall": {}}, "functionCall.name: this field is required"),
        ({"functionCall": {"name": "f", "args": []}}, "functionCall.args: expected an object"),
        ({"functionResponse": {"name": "f", "response": "x"}}, "functionResponse.response: expected an object"),
        ({"inlineData": {"mimeType": "image/png"}}, "inlineData.data: this field is required"),
        ({"fileData": {"mimeType": "image/png"}}, "fileData.fileUri: this field is required"),
        ({"text": "a", "thoughtSignature": 1}, "expected string"),
    ],
)
def test_bad_parts_are_named(part: dict[str, Any], words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words) as caught:
        _parts(part)
    assert "contents[0].parts[0]" in str(caught.value)


def _chunks(*parts: dict[str, Any]) -> dict[str, Any]:
    spoken = [{"role": "model", "parts": [part]} for part in parts]
    return {"contents": [{"role": "user", "parts": [{"text": "x"}]}, *spoken]}


THOUGHT = {"text": "hm", "thought": True}


def test_contents_of_the_model_in_a_row_are_one_answer() -> None:
    first, answer = decoded(_chunks({"text": "a"}, {"text": "b"}, call("f"), {"text": "c"})).turns
    assert first.role is ir.Role.USER
    assert [getattr(part, "text", "call") for part in answer.parts] == ["ab", "call", "c"]
    assert [part.path for part in answer.parts] == [f"contents[{n}].parts[0]" for n in (1, 3, 4)]


def test_contents_with_fields_of_their_own_stay_apart() -> None:
    body = _chunks({"text": "a"}, {"text": "b"})
    body["contents"][2]["zz"] = 1
    assert len(decoded(body).turns) == 3


def test_texts_of_one_content_stay_apart() -> None:
    assert [part.text for part in _parts({"text": "a"}, {"text": "b"}) if isinstance(part, ir.Text)] == ["a", "b"]


def test_b9_another_providers_proof_finds_its_thoughts_in_earlier_contents() -> None:
    packed = carrier.written(FOREIGN)
    found = decoded(_chunks(THOUGHT, THOUGHT, {"text": "", "thought": True, "thoughtSignature": packed}, call("f")))
    thought = found.turns[1].parts[0]
    assert isinstance(thought, ir.Reasoning)
    assert (thought.text, thought.opaque) == ("hmhm", (FOREIGN,))


@pytest.mark.parametrize(
    "parts",
    [
        ({"text": "a"}, {"text": ""}, {"text": "béc"}, {"text": "🌍d"}),
        (
            THOUGHT,
            THOUGHT,
            {"text": "a"},
            {"text": "b", "thoughtSignature": "c2ln"},
            call("f", thoughtSignature="YQ=="),
        ),
        (THOUGHT, {"text": "a"}, THOUGHT, call("f"), call("g")),
    ],
)
def test_g6_the_clients_own_contents_are_written_back(parts: tuple[dict[str, Any], ...]) -> None:
    body = _chunks(*parts)
    assert again(body)["contents"] == body["contents"]


@pytest.mark.parametrize("dummy", [carrier.DUMMY, carrier.DUMMY_SAID])
def test_b7_a_signature_that_stands_for_none_is_none(dummy: str) -> None:
    body = contents(call("f", thoughtSignature=dummy), role="model")
    (found,) = decoded(body).turns[0].parts
    assert isinstance(found, ir.ToolCall)
    assert found.opaque == ()
    assert again(body)["contents"][0]["parts"][0]["thoughtSignature"] == carrier.DUMMY
