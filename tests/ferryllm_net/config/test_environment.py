"""The configuration that variables alone make."""

from __future__ import annotations

from ferryllm_net.config.environment import read_environment


def test_nothing_makes_nothing() -> None:
    found = read_environment({"OPENAI_API_KEY": " ", "PATH": "/bin"})
    assert (found.document, found.variables, found.unused) == ({}, {}, {})


def test_each_key_brings_its_provider_and_its_models() -> None:
    found = read_environment({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"})
    assert found.document == {
        "providers": [
            {
                "name": "openai",
                "type": "openai",
                "base_url": "https://api.openai.com/v1",
                "api_key_env": "OPENAI_API_KEY",
            },
            {
                "name": "anthropic",
                "type": "anthropic",
                "base_url": "https://api.anthropic.com",
                "api_key_env": "ANTHROPIC_API_KEY",
            },
        ],
        "routes": [
            *({"match": match, "provider": "openai"} for match in ("gpt-", "o1", "o3", "o4", "chatgpt-")),
            {"match": "claude-", "provider": "anthropic"},
            {"match": "*", "provider": "openai"},
        ],
    }


def test_a_base_url_moves_its_provider() -> None:
    found = read_environment({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": " http://127.0.0.1:8080 "})
    providers = found.document["providers"]
    assert isinstance(providers, list)
    assert [provider["base_url"] for provider in providers] == ["http://127.0.0.1:8080"]
    assert found.variables["providers", 0, "base_url"] == "ANTHROPIC_BASE_URL"
    assert found.variables["providers", 0, "api_key_env"] == "ANTHROPIC_API_KEY"


def test_keys_are_named_and_not_copied() -> None:
    assert "planted" not in repr(read_environment({"OPENAI_API_KEY": "planted"}))


def test_a_base_url_without_its_key_is_told() -> None:
    assert read_environment({"OPENAI_BASE_URL": "http://x"}).unused == {"OPENAI_BASE_URL": "OPENAI_API_KEY"}
