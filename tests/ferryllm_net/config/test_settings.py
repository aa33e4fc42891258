"""Settings: the request target behind every form of base URL, the Host value, keys, look-up."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import load_settings
from ferryllm_net.config.base_url import parse_base_url
from ferryllm_net.config.load import default_settings
from ferryllm_net.config.resolve import provider_settings
from ferryllm_net.config.schema import Provider, ProviderType, Server
from ferryllm_net.config.secret import Secret
from ferryllm_net.config.settings import AuthSettings, ListenAddress, ProviderSettings


def provider(base_url: str, dialect: ProviderType = "openai") -> ProviderSettings:
    return provider_settings(Provider("p", dialect, base_url), Server(), parse_base_url(base_url))


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://api.openai.com", "/v1/chat/completions"),
        ("https://api.openai.com/v1/", "/v1/chat/completions"),
        ("https://openrouter.ai/api", "/api/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", "/api/v1/chat/completions"),
        ("https://open.bigmodel.cn/api/paas/v4", "/api/paas/v4/chat/completions"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "/v1beta/openai/chat/completions"),
        ("https://x/v1beta2", "/v1beta2/chat/completions"),
        ("https://x/v8n", "/v8n/v1/chat/completions"),
    ],
)
def test_an_openai_base_carries_its_version_or_gets_v1(base_url: str, target: str) -> None:
    assert provider(base_url).target("/v1/chat/completions") == target


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://api.anthropic.com", "/v1/messages?beta=true"),
        ("https://api.anthropic.com/v1", "/v1/messages?beta=true"),
        ("https://api.z.ai/api/anthropic", "/api/anthropic/v1/messages?beta=true"),
        ("https://gateway.example/v1/account/anthropic", "/v1/account/anthropic/v1/messages?beta=true"),
    ],
)
def test_an_anthropic_base_gets_v1_unless_it_ends_in_a_version(base_url: str, target: str) -> None:
    assert provider(base_url, "anthropic").target("/v1/messages?beta=true") == target


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("http://localhost:11434", "/api/chat"),
        ("http://localhost:11434/", "/api/chat"),
        ("http://localhost:11434/v1", "/api/chat"),
        ("http://localhost:11434/api/", "/api/chat"),
        ("https://x/ollama", "/ollama/api/chat"),
        ("https://x/ollama/api", "/ollama/api/chat"),
        ("https://x/api/ollama", "/api/ollama/api/chat"),
    ],
)
def test_an_ollama_base_ends_before_what_its_other_clients_are_given(base_url: str, target: str) -> None:
    assert provider(base_url, "ollama").target("/api/chat") == target


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://generativelanguage.googleapis.com", "/v1beta/models/m:generateContent?alt=sse"),
        ("https://generativelanguage.googleapis.com/v1beta/", "/v1beta/models/m:generateContent?alt=sse"),
        ("https://generativelanguage.googleapis.com/v1", "/v1/models/m:generateContent?alt=sse"),
        ("https://generativelanguage.googleapis.com/v1alpha", "/v1alpha/models/m:generateContent?alt=sse"),
        ("https://x/gemini", "/gemini/v1beta/models/m:generateContent?alt=sse"),
        ("https://x/v1/gemini", "/v1/gemini/v1beta/models/m:generateContent?alt=sse"),
    ],
)
def test_a_gemini_base_gets_v1beta_unless_it_ends_in_a_version(base_url: str, target: str) -> None:
    assert provider(base_url, "gemini").target("/v1beta/models/m:generateContent?alt=sse") == target


@pytest.mark.parametrize(
    ("base_url", "authority"),
    [
        ("https://x:443/v1", "x"),
        ("http://x:443", "x:443"),
        ("http://x", "x"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://[::1]", "[::1]"),
    ],
)
def test_the_host_header_has_the_port_only_where_it_is_not_the_usual(base_url: str, authority: str) -> None:
    assert provider(base_url).authority == authority


def test_base_url_is_the_normal_form() -> None:
    assert provider("HTTPS://X.example:443/v1/").base_url == "https://x.example/v1"


def test_a_listen_address_reads_as_it_is_written() -> None:
    assert str(ListenAddress("::1", 3000, loopback=True)) == "[::1]:3000"
    assert str(ListenAddress("localhost", 0, loopback=True)) == "localhost:0"


def test_auth_accepts_each_of_its_keys_and_nothing_else() -> None:
    auth = AuthSettings(True, (Secret("one"), Secret("two")))
    assert auth.accepts("one")
    assert auth.accepts("two")
    assert not auth.accepts("")
    assert not auth.accepts("onetwo")
    assert not AuthSettings(True, ()).accepts("")


def test_a_provider_is_found_by_its_name() -> None:
    settings = default_settings({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"})
    assert settings.provider("anthropic").type == "anthropic"
    with pytest.raises(KeyError):
        settings.provider("nobody")


def test_prices_are_read_only_where_something_asks_what_requests_cost(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    found = {}
    for more in (
        "",
        "[ledger]\n",
        '[[prices.models]]\nmodel = "m"\ninput = 1\noutput = 1\n',
        '[[usage.hooks]]\ncommand = ["cat"]\n',
        '[keys]\nstore = "sqlite"\n[auth]\nenabled = true\n',
    ):
        file.write_text('[[providers]]\nname = "a"\ntype = "openai"\nbase_url = "http://127.0.0.1:1"\n' + more)
        found[more] = load_settings(file, {"HOME": str(tmp_path)}).needs_prices
    assert list(found.values()) == [False, True, True, True, True]
