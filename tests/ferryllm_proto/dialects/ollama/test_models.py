"""Lists and cards, as the official client reads them; what models are known not to do."""

from __future__ import annotations

import json

import ollama
import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama import DIALECT, models
from ferryllm_proto.errors import RemoteProtocolError

MODELS = [ir.Model("gpt-5.4", created=1795243142), ir.Model("claude-*")]


def test_tags() -> None:
    found = ollama.ListResponse(**json.loads(DIALECT.encode_models(MODELS)))
    assert [model.model for model in found.models] == ["gpt-5.4", "claude-*"]
    first = found.models[0]
    assert first.digest is not None
    assert len(first.digest) == 64  # the command line cuts twelve characters from it
    assert first.modified_at is not None
    assert first.modified_at.year == 2026
    assert first.details is not None
    assert all(entry["name"] == entry["model"] for entry in json.loads(DIALECT.encode_models(MODELS))["models"])


def test_show() -> None:
    found = ollama.ShowResponse(**json.loads(models.encode_show(MODELS[0], context_length=9)))
    assert found.capabilities == ["completion", "tools", "vision", "thinking"]
    assert found.modelinfo is not None
    architecture = found.modelinfo["general.architecture"]
    assert found.modelinfo[f"{architecture}.context_length"] == 9
    assert DIALECT.encode_model(MODELS[0]) == models.encode_show(MODELS[0])
    assert b"context_length" not in models.encode_show(MODELS[0])


def test_ps() -> None:
    found = ollama.ProcessResponse(**json.loads(models.encode_ps(MODELS)))
    assert [model.name for model in found.models] == ["gpt-5.4", "claude-*"]
    assert found.models[0].expires_at is not None
    assert found.models[0].expires_at.year > 2300


def test_version() -> None:
    version = json.loads(models.encode_version())["version"]
    assert tuple(map(int, version.split("."))) > (0, 20, 0)


def test_show_asks_for_a_model_by_either_name() -> None:
    assert models.decode_show(b'{"model":"a"}') == models.decode_show(b'{"name":"a","verbose":true}') == "a"
    for body in (b"{}", b'{"model":""}', b"[]", b"x"):
        with pytest.raises(RemoteProtocolError):
            models.decode_show(body)


@pytest.mark.parametrize("name", ["llama3.2:3b", "library/gemma3:27b", "mistral", "qwen2.5-coder:7b", "phi4", "llava"])
def test_families_that_do_not_think(name: str) -> None:
    assert not models.thinks(name)


@pytest.mark.parametrize(
    "name", ["qwen3:8b", "deepseek-r1", "gpt-oss:120b", "magistral", "phi4-reasoning", "gemma4", "new", "llama4"]
)
def test_all_others_are_asked(name: str) -> None:
    assert models.thinks(name)


def test_levels() -> None:
    assert models.takes_levels("gpt-oss:20b-cloud")
    assert not models.takes_levels("qwen3")
