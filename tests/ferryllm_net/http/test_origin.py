"""Base URLs and TLS contexts."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from ferryllm_net.http.origin import TLS, Origin, parse_url, ssl_context


@pytest.mark.parametrize(
    ("url", "origin", "path", "authority"),
    [
        ("https://api.openai.com/v1", Origin("https", "api.openai.com", 443), "/v1", "api.openai.com"),
        ("http://localhost:8080", Origin("http", "localhost", 8080), "", "localhost:8080"),
        ("HTTP://A.example/", Origin("http", "a.example", 80), "", "a.example"),
        ("http://[::1]:80/x/", Origin("http", "::1", 80), "/x", "[::1]"),
        ("https://a:80", Origin("https", "a", 80), "", "a:80"),
    ],
)
def test_urls_that_name_an_origin(url: str, origin: Origin, path: str, authority: str) -> None:
    assert parse_url(url) == (origin, path)
    assert origin.authority == authority


@pytest.mark.parametrize(
    "url",
    ["ftp://a", "a.example", "", "http://", "https://user:secret@a", "http://a?key=secret", "http://a#x", "http://a:x"],
)
def test_urls_that_do_not_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert "secret" not in str(caught.value)


def test_contexts_verify_by_default_and_are_made_once() -> None:
    context = ssl_context(TLS())
    assert context is ssl_context(TLS())
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_the_opt_out_has_a_context_of_its_own() -> None:
    context = ssl_context(TLS(verify=False))
    assert context is not ssl_context(TLS())
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_NONE


def test_a_ca_file_replaces_the_systems(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    context = ssl_context(TLS(ca_file=str(file)))
    assert len(context.get_ca_certs()) == 1
    with pytest.raises(OSError):
        ssl_context(TLS(ca_file=str(tmp_path / "missing.pem")))
