"""D1: code that ran and pictures that were made are carried where the client has a word for them, else reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    DIALECTS,
    Told,
    chat,
    chat_whole,
    message_item,
    messages_whole,
    responses,
    responses_whole,
    through,
)
from support.native import gemini, gemini_whole

CODE = "print('é')"
GEMINI_CODE: list[dict[str, Any]] = [
    {"text": "I run it."},
    {"executableCode": {"language": "PYTHON", "code": CODE}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "é\n"}},
    {"text": "It says é."},
]
INTERPRETER = {
    "id": "ci_1",
    "type": "code_interpreter_call",
    "status": "completed",
    "code": CODE,
    "container_id": "c",
    "outputs": [{"type": "logs", "logs": "é\n"}],
}
RAN: list[tuple[str, bytes]] = [
    ("gemini", gemini_whole(*GEMINI_CODE)),
    ("gemini", gemini(*GEMINI_CODE)),
    (
        "anthropic",
        messages_whole(
            {"type": "text", "text": "I run it."},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "code_execution", "input": {"code": CODE}},
            {
                "type": "code_execution_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": {
                    "type": "code_execution_result",
                    "stdout": "é\n",
                    "stderr": "",
                    "return_code": 0,
                    "content": [],
                },
            },
            {"type": "text", "text": "It says é."},
        ),
    ),
    (
        "openai_responses",
        responses_whole(message_item("I run it."), INTERPRETER, message_item("It says é.", id_="msg_2")),
    ),
    (
        "openai_responses",
        responses(message_item("I run it."), INTERPRETER, message_item("It says é.", id_="msg_2")),
    ),
]


def folded(entry: str, told: Told, stream: bool) -> dict[str, Any]:
    assert told.state is State.DONE, told.error
    if stream:
        seen = grammar.validate(entry, told.body)
        assert seen.ended
        assert seen.text == "I run it.It says é."
    found: dict[str, Any] = (oracles.stream if stream else oracles.whole)(entry, told.body).model_dump()
    return found


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize(("backend", "data"), RAN)
def test_d1_code_that_ran_stands_in_its_place(entry: str, backend: str, data: bytes, stream: bool) -> None:
    if entry == backend:
        pytest.skip("bytes that pass")
    told = through(entry, backend, data, stream=stream)
    value = folded(entry, told, stream)
    if entry in ("openai", "ollama"):
        assert len(told.lost) == (1 if backend == "openai_responses" else 2)
        return
    assert told.losses == []
    if entry == "anthropic":
        kinds = [one["type"] for one in value["content"]]
        assert kinds == ["text", "server_tool_use", "code_execution_tool_result", "text"]
        _, use, result, _ = value["content"]
        assert use["input"] == {"code": CODE}
        assert result["tool_use_id"] == use["id"]
        assert (result["content"]["stdout"], result["content"]["return_code"]) == ("é\n", 0)
    elif entry == "openai_responses":
        assert [one["type"] for one in value["output"]] == ["message", "code_interpreter_call", "message"]
        call = value["output"][1]
        assert (call["code"], call["outputs"][0]["logs"]) == (CODE, "é\n")
    else:
        kinds = [next(iter(part)) for part in value["parts"] if part != {"text": ""}]
        order = [kind for n, kind in enumerate(kinds) if n == 0 or kinds[n - 1] != kind]
        assert order == ["text", "executableCode", "codeExecutionResult", "text"]
        at = kinds.index("executableCode")
        assert value["parts"][at]["executableCode"]["code"] == CODE
        assert value["parts"][at + 1]["codeExecutionResult"] == {"outcome": "OUTCOME_OK", "output": "é\n"}


PNG = "iVBORw0KGgo+/w=="
URL = f"data:image/png;base64,{PNG}"
DREW: list[tuple[str, bytes]] = [
    ("gemini", gemini_whole({"text": "see"}, {"inlineData": {"mimeType": "image/png", "data": PNG}})),
    (
        "gemini",
        gemini(
            {"text": "see"}, {"inlineData": {"mimeType": "image/png", "data": PNG.replace("+", "-").replace("/", "_")}}
        ),
    ),
    ("openai", chat_whole({"content": "see", "images": [{"type": "image_url", "image_url": {"url": URL}}]})),
    ("openai", chat({"content": "see"}, {"images": [{"index": 0, "type": "image_url", "image_url": {"url": URL}}]})),
    (
        "openai_responses",
        responses_whole(
            message_item("see"),
            {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": PNG},
        ),
    ),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize(("backend", "data"), DREW)
def test_d1_pictures_are_carried_or_reported(entry: str, backend: str, data: bytes, stream: bool) -> None:
    if entry == backend:
        pytest.skip("bytes that pass")
    told = through(entry, backend, data, stream=stream)
    assert told.state is State.DONE, told.error
    if stream:
        assert grammar.validate(entry, told.body).text == "see"
    value = (oracles.stream if stream else oracles.whole)(entry, told.body).model_dump()
    if entry in ("anthropic", "ollama"):
        assert any("image" in path or "inlineData" in path for path in told.lost)
        assert PNG.encode() not in told.body
        return
    assert not any("usage" not in path for path in told.lost)
    if entry == "openai":
        assert value["choices"][0]["message"]["images"][0]["image_url"]["url"] == URL
    elif entry == "openai_responses":
        (call,) = [one for one in value["output"] if one["type"] == "image_generation_call"]
        assert (call["result"], call["status"]) == (PNG, "completed")
    else:
        blobs = [part["inlineData"] for part in value["parts"] if "inlineData" in part]
        assert [blob["mimeType"] for blob in blobs] == ["image/png"]


@pytest.mark.parametrize("stream", [True, False])
def test_d1_several_pictures_are_one_list_for_chat(stream: bool) -> None:
    picture = {"inlineData": {"mimeType": "image/webp", "data": PNG}}
    told = through("openai", "gemini", gemini_whole(picture, {"text": "and"}, picture), stream=stream)
    message = (oracles.stream if stream else oracles.whole)("openai", told.body).model_dump()["choices"][0]["message"]
    assert [one["index"] for one in message["images"]] == [0, 1]
    assert message["images"][1]["image_url"]["url"] == f"data:image/webp;base64,{PNG}"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", [name for name in DIALECTS if name != "openai"])
def test_d1_what_groq_ran_and_what_was_spoken_are_reported(entry: str, stream: bool) -> None:
    ran = [{"index": 0, "type": "python", "arguments": "{}", "output": "1"}]
    for data, word in (
        (chat_whole({"content": "a", "executed_tools": ran}), "executed_tools"),
        (chat({"content": "a"}, {"executed_tools": ran}), "executed_tools"),
        (chat_whole({"content": "a", "audio": {"id": "x", "data": "AAAA", "transcript": "a"}}), "audio"),
        (chat({"content": "a"}, {"audio": {"id": "x", "data": "AAAA"}}), "audio"),
        (chat({"annotations": [{"type": "url_citation"}]}, {"content": "a"}), "annotations"),
    ):
        told = through(entry, "openai", data, stream=stream)
        assert told.state is State.DONE
        assert any(word in path for path in told.lost), word


@pytest.mark.parametrize("stream", [True, False])
def test_d1_failures_and_programs_without_an_end(stream: bool) -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1/0"}}
    failed = {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "ZeroDivisionError"}}
    told = through("anthropic", "gemini", gemini_whole(code, failed), stream=stream)
    result = (oracles.stream if stream else oracles.whole)("anthropic", told.body).model_dump()["content"][1]
    assert (result["content"]["stderr"], result["content"]["return_code"]) == ("ZeroDivisionError", 1)
    told = through("anthropic", "gemini", gemini_whole({"text": "a"}, code), stream=stream)
    found = (oracles.stream if stream else oracles.whole)("anthropic", told.body).model_dump()["content"]
    assert [one["type"] for one in found] == ["text", "server_tool_use", "code_execution_tool_result"]
    assert found[2]["content"] == {"type": "code_execution_tool_result_error", "error_code": "unavailable"}


@pytest.mark.parametrize("stream", [True, False])
def test_d1_what_only_its_provider_keeps_is_not_half_carried(stream: bool) -> None:
    file = {"type": "image", "url": "https://files.example/1"}
    call = {**INTERPRETER, "outputs": [*json.loads(json.dumps(INTERPRETER["outputs"])), file]}
    told = through("anthropic", "openai_responses", responses_whole(call, message_item("a")), stream=stream)
    assert told.state is State.DONE
    assert told.losses
    assert b"server_tool_use" not in told.body


SIGNED = {"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "c2lnbmVk"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("as_stream", [True, False])
@pytest.mark.parametrize("entry", DIALECTS)
def test_a22_the_proof_of_a_picture_is_reported_where_it_is_lost(entry: str, as_stream: bool, stream: bool) -> None:
    data = (gemini if as_stream else gemini_whole)({"text": "see"}, SIGNED)
    told = through(entry, "gemini", data, stream=stream)
    assert told.state is State.DONE, told.error
    if entry != "gemini":
        assert told.lost.count("thoughtSignature") == 1
        return
    assert told.losses == []
    value = (oracles.stream if stream else oracles.whole)("gemini", told.body).model_dump()
    assert [part["thoughtSignature"] for part in value["parts"] if "inlineData" in part] == ["c2lnbmVk"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", [name for name in DIALECTS if name != "openai"])
def test_y11_g4_sources_of_no_text_and_other_choices_are_reported_in_whole_answers(entry: str, stream: bool) -> None:
    unsaid = chat_whole({"content": None, "refusal": "no", "annotations": [{"type": "url_citation"}]})
    assert "annotations" in through(entry, "openai", unsaid, stream=stream).lost
    value = json.loads(chat_whole({"content": "a"}))
    value["choices"].append({**value["choices"][0], "index": 1, "message": {"role": "assistant", "content": "b"}})
    told = through(entry, "openai", json.dumps(value).encode(), stream=stream)
    assert "choices" in told.lost
    assert told.state is State.DONE
