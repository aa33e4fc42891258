"""Base URLs: what is taken, what is refused, and how the refusal helps without showing secrets."""

from __future__ import annotations

import pytest

from ferryllm_net.config.base_url import BaseUrl, BaseUrlFault, parse_base_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.openai.com/v1", BaseUrl("https", "api.openai.com", 443, "/v1")),
        ("https://api.openai.com/v1/", BaseUrl("https", "api.openai.com", 443, "/v1")),
        ("https://api.anthropic.com", BaseUrl("https", "api.anthropic.com", 443, "")),
        ("http://127.0.0.1:8080/", BaseUrl("http", "127.0.0.1", 8080, "")),
        ("http://[::1]:8080/v1", BaseUrl("http", "::1", 8080, "/v1")),
        ("HTTP://Host.Example", BaseUrl("http", "host.example", 80, "")),
        ("https://my_host/api/paas/v4", BaseUrl("https", "my_host", 443, "/api/paas/v4")),
    ],
)
def test_good_urls_are_taken_apart(text: str, url: BaseUrl) -> None:
    assert parse_base_url(text) == url


@pytest.mark.parametrize(
    ("text", "message", "mend"),
    [
        ("", "empty text", "as in"),
        ("https://a b", "spaces", "as in"),
        ("https://exämple.com", "outside ASCII", "as in"),
        ("https://x\n", "spaces or characters", "as in"),
        ("https://x:port", "port is not a number", "as in"),
        ("https://x:70000", "port is not a number", "as in"),
        ("https://x:0", "port 0", "from 1 to 65535"),
        ("https://[::1", "host is malformed", "as in"),
        ("https://", "no host", "as in"),
        ("https:///v1", "no host", "as in"),
        ("https://a\\b/v1", "no host", "as in"),
        ("ftp://x", 'found "ftp"', "use https"),
        ("api.openai.com/v1", "no scheme", 'write "https://api.openai.com/v1"'),
        ("localhost:8080", "no scheme", 'write "http://localhost:8080"'),
        ("127.0.0.1:8080/v1", "no scheme", 'write "http://127.0.0.1:8080/v1"'),
        ("https://x/v1?key=planted", "a query", "keep the part before"),
        ("https://x/v1#planted", "a fragment", "keep the part before"),
        ("https://user:planted@x/v1", "a name or password", "api_key_env"),
        ("https://x/v1/chat/completions", "an endpoint", 'write "https://x/v1"'),
        ("https://x/v1/messages/", "an endpoint", 'write "https://x/v1"'),
        ("https://x/responses", "an endpoint", 'write "https://x"'),
        ("http://x:11434/api/chat", "an endpoint", 'write "http://x:11434"'),
        ("https://x/v1beta/models/gemini-3:generateContent", "an endpoint", 'write "https://x/v1beta"'),
    ],
)
def test_other_urls_are_refused_with_the_mend(text: str, message: str, mend: str) -> None:
    with pytest.raises(BaseUrlFault) as caught:
        parse_base_url(text)
    assert message in str(caught.value)
    assert mend in caught.value.mend
    assert "planted" not in str(caught.value) + caught.value.mend


def test_a_unix_socket_is_the_host() -> None:
    assert parse_base_url("http+unix://%2Frun%2Fa%20b.sock/v1/") == BaseUrl(
        "http", "localhost", 80, "/v1", "/run/a b.sock"
    )


@pytest.mark.parametrize("text", ["http+unix://run/x", "http+unix:///run/x", "http+unix://%2F" + "a" * 110])
def test_what_is_no_path_of_a_socket_is_refused(text: str) -> None:
    with pytest.raises(BaseUrlFault, match="absolute path of a unix socket"):
        parse_base_url(text)
