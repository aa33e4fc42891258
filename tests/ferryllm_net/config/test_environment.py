"""The configuration that variables alone make."""

from __future__ import annotations

import pytest

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


def _providers(environ: dict[str, str]) -> list[dict[str, str]]:
    found = read_environment(environ).document["providers"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("name", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_gemini_has_two_names_for_its_key(name: str) -> None:
    found = read_environment({name: "k"})
    assert _providers({name: "k"}) == [
        {
            "name": "gemini",
            "type": "gemini",
            "base_url": "https://generativelanguage.googleapis.com",
            "api_key_env": name,
        }
    ]
    assert found.variables["providers", 0, "api_key_env"] == name
    assert _providers({"GEMINI_API_KEY": "k", "GOOGLE_API_KEY": "l"})[0]["api_key_env"] == "GEMINI_API_KEY"


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("box:8080", "http://box:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::1]:9", "http://[::1]:9"),
        ("[::1]", "http://[::1]:11434"),
        ("box/ollama", "http://box:11434/ollama"),
        ("box:", "http://box:11434"),
        ("https://ollama.example", "https://ollama.example"),
    ],
)
def test_a_local_ollama_is_named_by_its_host_and_needs_no_key(host: str, base_url: str) -> None:
    (provider,) = _providers({"OLLAMA_HOST": host})
    assert provider == {"name": "ollama", "type": "ollama", "base_url": base_url}


def test_ollama_may_have_a_key_and_stands_behind_the_others() -> None:
    environ = {"OLLAMA_HOST": "box", "OLLAMA_API_KEY": "k", "OPENAI_API_KEY": "k"}
    openai, ollama = _providers(environ)
    assert (openai["name"], ollama["api_key_env"]) == ("openai", "OLLAMA_API_KEY")
    routes = read_environment(environ).document["routes"]
    assert isinstance(routes, list)
    assert {"match": "gpt-oss", "provider": "ollama"} in routes
    assert routes[-1] == {"match": "*", "provider": "openai"}
    assert read_environment({"OLLAMA_API_KEY": "k"}).document == {}


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
