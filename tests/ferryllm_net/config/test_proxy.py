"""The proxy of a provider: its key, the environment, and what goes past it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, ProxySettings, Secret, load_settings
from ferryllm_net.config.proxy import ProxyFault, parse_proxy


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://p.example:3128", ProxySettings("http", "p.example", 3128)),
        ("p.example:3128", ProxySettings("http", "p.example", 3128)),
        ("p.example", ProxySettings("http", "p.example", 80)),
        (" HTTPS://P.example/ ", ProxySettings("https", "p.example", 443)),
        ("socks5://127.0.0.1", ProxySettings("socks5", "127.0.0.1", 1080)),
        ("socks5h://[::1]:9050", ProxySettings("socks5h", "::1", 9050)),
        ("http://u:p%40ss@p:1", ProxySettings("http", "p", 1, Secret("u"), Secret("p@ss"))),
        ("http://u@p:1", ProxySettings("http", "p", 1, Secret("u"), Secret(""))),
    ],
)
def test_urls_of_proxies(text: str, proxy: ProxySettings) -> None:
    assert parse_proxy(text) == proxy


@pytest.mark.parametrize(
    "text",
    [
        *("", "ftp://p", "socks4://p", "http://", "http://p:x", "http://p:0", "http://p/path", "http://p?x=hunter2"),
        *("a b", "http://u%0d%0a:hunter2@p", "http://u%3au:hunter2@p", f"http://u:{'x' * 256}@p", "http://[::1"),
    ],
)
def test_what_is_no_proxy_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ProxyFault) as caught:
        parse_proxy(text)
    assert "hunter2" not in str(caught.value)


def test_credentials_do_not_show() -> None:
    assert "hunter2" not in repr(parse_proxy("http://user:hunter2@p:1"))


def proxy_of(folder: Path, environ: dict[str, str], base_url: str = "https://api.example.com", line: str = "") -> str:
    """Scheme, host and port of the provider's proxy; "" for none."""
    path = folder / "ferryllm.toml"
    path.write_text(f'[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "{base_url}"\n{line}\n')
    (provider,) = load_settings(path, environ).providers
    found = provider.proxy
    return "" if found is None else f"{found.scheme}://{found.host}:{found.port}"


@pytest.mark.parametrize(
    ("environ", "base_url", "expected"),
    [
        ({}, "https://a.example", ""),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://a.example", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://a.example", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://a.example", ""),
        ({"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "http://a.example", "http://p:1"),
        ({"ALL_PROXY": "socks5h://p:1"}, "https://a.example", "socks5h://p:1"),
        ({"all_proxy": "p:1", "https_proxy": "q:2"}, "https://a.example", "http://q:2"),
        ({"https_proxy": " ", "ALL_PROXY": "p:1"}, "https://a.example", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://127.0.0.1:8443", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://localhost:11434", ""),
    ],
)
def test_the_environment_names_the_proxy_of_a_scheme(
    tmp_path: Path, environ: dict[str, str], base_url: str, expected: str
) -> None:
    assert proxy_of(tmp_path, environ, base_url) == expected


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("A.Example.", "a.example", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        ("ample", "a.example", False),
        ("b.a.example", "a.example", False),
        ("x, a.example,y", "a.example", True),
        ("x a.example", "a.example", True),
        ("a.example:443", "a.example", True),
        ("a.example:80", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.0.0.0/8", "a.example", False),
        ("fd00::/8", "[fd00::1]", True),
        ("[fd00::1]", "[fd00::1]", True),
        ("[fd00::1]:443", "[fd00::1]", True),
        ("[fd00::1]:80", "[fd00::1]", False),
        ("", "a.example", False),
        (",, ", "a.example", False),
        ("not/a/network", "10.1.2.3", False),
    ],
)
def test_no_proxy_names_who_is_reached_directly(tmp_path: Path, no_proxy: str, host: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": no_proxy}
    assert (proxy_of(tmp_path, environ, f"https://{host}") == "") is direct


def test_the_providers_own_key_has_the_last_word(tmp_path: Path) -> None:
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}
    assert proxy_of(tmp_path, environ, line='proxy = "socks5://q:2"') == "socks5://q:2"
    assert proxy_of(tmp_path, {"HTTPS_PROXY": "http://p:1"}, line='proxy = "off"') == ""
    assert proxy_of(tmp_path, {}, "https://127.0.0.1:1", 'proxy = "http://q:2"') == "http://q:2"


@pytest.mark.parametrize(
    ("environ", "line", "words"),
    [
        ({}, 'proxy = "ftp://u:hunter2@p"', "not the URL of a proxy"),
        ({"HTTPS_PROXY": "ftp://u:hunter2@p"}, "", "HTTPS_PROXY is not the URL of a proxy"),
        ({}, "proxy = 5", "expected a text"),
        ({}, "max_connections = 0", "from 1 to 100000"),
        ({}, 'http2 = "yes"', "expected true or false"),
    ],
)
def test_what_is_wrong_is_reported_at_its_key(tmp_path: Path, environ: dict[str, str], line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        proxy_of(tmp_path, environ, line=line)
    assert "hunter2" not in str(caught.value)


def test_the_other_keys_of_the_way(tmp_path: Path) -> None:
    path = tmp_path / "ferryllm.toml"
    path.write_text(
        '[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "https://a.example"\n'
        "http2 = true\nmax_connections = 7\n"
        '[[providers]]\nname = "q"\ntype = "openai"\nbase_url = "https://b.example"\n'
    )
    first, second = load_settings(path, {}).providers
    assert (first.http2, first.max_connections) == (True, 7)
    assert (second.http2, second.max_connections, second.proxy) == (False, None, None)


def test_a_unix_socket_has_no_proxy(tmp_path: Path) -> None:
    path = tmp_path / "ferryllm.toml"
    path.write_text(
        '[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "http+unix://%2Frun%2Fx/v1"\nproxy = "http://p:1"\n'
    )
    settings = load_settings(path, {"HTTP_PROXY": "http://p:1"})
    (provider,) = settings.providers
    assert provider.proxy is None
    assert (provider.socket, provider.base_url) == ("/run/x", "http+unix://%2Frun%2Fx/v1")
    assert any("unix socket" in str(warning) for warning in settings.warnings)
