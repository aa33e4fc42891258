"""Loading and unloading models that are not here."""

from __future__ import annotations

import json
from typing import Any

import ollama
import pytest

from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.translate import State, Translator

from .build import SECONDS


def answered(path: str, **fields: Any) -> dict[str, Any] | None:
    own = DIALECT.own_answer(json.dumps({"model": "m", **fields}).encode(), SECONDS, path)
    if own is None:
        return None
    assert own[0] == "m"
    value: dict[str, Any] = json.loads(own[1])
    return value


@pytest.mark.parametrize("fields", [{}, {"prompt": ""}, {"prompt": None, "stream": True}, {"keep_alive": "5m"}])
def test_a_request_without_a_prompt_loads(fields: dict[str, Any]) -> None:
    assert answered("/api/generate", **fields) == {
        "model": "m",
        "created_at": "2026-11-21T06:39:02Z",
        "response": "",
        "done": True,
        "done_reason": "load",
    }


@pytest.mark.parametrize("fields", [{}, {"messages": []}, {"messages": None, "tools": []}])
def test_a_chat_without_messages_loads(fields: dict[str, Any]) -> None:
    value = answered("/api/chat", **fields)
    assert value is not None
    assert ollama.ChatResponse(**value).done_reason == "load"
    assert value["message"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("keep_alive", [0, "0", "0s", 0.0])
def test_a_model_is_unloaded(keep_alive: object) -> None:
    for path in ("/api/chat", "/api/generate"):
        value = answered(path, keep_alive=keep_alive)
        assert value is not None
        assert value["done_reason"] == "unload"


def test_words_are_for_a_provider() -> None:
    assert answered("/api/generate", prompt="x") is None
    assert answered("/api/chat", messages=[{"role": "user", "content": ""}]) is None
    assert answered("/api/generate", prompt=3) is None, "it is refused where it is read"


def test_a_model_has_a_name() -> None:
    with pytest.raises(RemoteProtocolError, match="model is required"):
        DIALECT.own_answer(b"{}", 0, "/api/generate")
    with pytest.raises(RemoteProtocolError):
        DIALECT.own_answer(b"[", 0, "/api/generate")


def test_no_provider_of_another_dialect_is_asked() -> None:
    talk = Translator(entry="ollama", backend="openai", model="gpt", now=float(SECONDS))
    assert talk.receive_request(b'{"model":"m"}', (), "/api/generate") is None
    assert talk.head is not None
    assert (talk.head.status, talk.state, talk.error, talk.model) == (200, State.DONE, None, "m")
    assert json.loads(talk.receive_eof())["done_reason"] == "load"


def test_a_provider_of_this_dialect_is_asked() -> None:
    talk = Translator(entry="ollama", backend="ollama", model="real")
    upstream = talk.receive_request(b'{"model":"m"}', (), "/api/generate")
    assert upstream is not None
    assert (upstream.path, upstream.body, upstream.stream) == ("/api/generate", b'{"model":"real"}', True)
    talk.receive_response_head(200, [("content-type", "application/json; charset=utf-8")])
    out = talk.receive_data(b'{"model":"real","created_at":"x","response":"","done":true,"done_reason":"load"}')
    out += talk.receive_eof()
    assert json.loads(out)["model"] == "m"
    assert talk.state is State.DONE
