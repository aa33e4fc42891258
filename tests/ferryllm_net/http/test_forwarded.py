"""Whose word about the client counts, and that nobody else's does."""

from __future__ import annotations

import pytest

from ferryllm_net.http.forwarded import TrustedProxies

PEER = ("10.0.0.9", 4000)
TRUSTED = TrustedProxies(["10.0.0.0/8", "2001:db8:ffff::/48", "127.0.0.1"])


def client(*fields: tuple[str, str], trusted: TrustedProxies = TRUSTED) -> tuple[tuple[str, int], str]:
    return trusted.client(fields, PEER, "http")


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.255.0.1", True),
        ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("2001:db8:ffff::1", True),
        ("2001:db8::1", False),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("::1", False),
        ("", False),
        ("no address", False),
    ],
)
def test_only_those_on_the_list_are_trusted(address: str, trusted: bool) -> None:
    assert TRUSTED.trusts(address) is trusted


def test_a_socket_file_is_trusted_where_it_is_named() -> None:
    assert TrustedProxies(["unix"]).trusts("")
    assert not TrustedProxies(["unix"]).trusts("10.0.0.1")
    assert bool(TrustedProxies(["unix"])) is True
    assert bool(TrustedProxies()) is False


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError):
        TrustedProxies(["10.0.0.0/99"])


def test_without_a_word_the_proxy_is_the_client() -> None:
    assert client() == (PEER, "http")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("192.0.2.1", ("192.0.2.1", 0)),
        ("192.0.2.1:99", ("192.0.2.1", 99)),
        ("[2001:db8::1]:99", ("2001:db8::1", 99)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("2001:DB8::1", ("2001:db8::1", 0)),
        ("::ffff:192.0.2.1", ("192.0.2.1", 0)),
        ("6.6.6.6, 192.0.2.1", ("192.0.2.1", 0)),
        ("6.6.6.6, 192.0.2.1, 10.0.0.3, 10.0.0.4", ("192.0.2.1", 0)),
        ("127.0.0.1, 192.0.2.1", ("192.0.2.1", 0)),
        ("10.0.0.3", ("10.0.0.3", 0)),
        ("192.0.2.1, unknown, 10.0.0.3", ("10.0.0.3", 0)),
        ("192.0.2.1, , 10.0.0.3,", ("192.0.2.1", 0)),
        ("unknown", PEER),
        ("192.0.2.1:99999", PEER),
        ("192.0.2.1;x", PEER),
        ("", PEER),
    ],
)
def test_the_right_most_address_that_is_no_proxy_is_the_client(value: str, found: tuple[str, int]) -> None:
    assert client(("x-forwarded-for", value))[0] == found


def test_lines_of_a_field_are_one_list() -> None:
    assert client(("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1"))[0] == ("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("value", "found", "scheme"),
    [
        ("for=192.0.2.1", ("192.0.2.1", 0), "http"),
        ("For=192.0.2.1;Proto=HTTPS;by=10.0.0.9", ("192.0.2.1", 0), "https"),
        ('for="[2001:db8::1]:47"', ("2001:db8::1", 47), "http"),
        ('for="192.0.2.1:47" ; proto="https"', ("192.0.2.1", 47), "https"),
        ('for="192\\.0.2.1"', ("192.0.2.1", 0), "http"),
        ("for=6.6.6.6;proto=https, for=192.0.2.1;proto=http", ("192.0.2.1", 0), "http"),
        ("for=192.0.2.1;proto=https, for=10.0.0.3;proto=http", ("192.0.2.1", 0), "https"),
        ('for="6.6.6.6, for=7.7.7.7", for=192.0.2.1', ("192.0.2.1", 0), "http"),
        ('secret="a,b;for=6.6.6.6", for=192.0.2.1', ("192.0.2.1", 0), "http"),
        ("for=192.0.2.1, for=_hidden", PEER, "http"),
        ("for=unknown", PEER, "http"),
        ("proto=https", PEER, "http"),
        ("for=192.0.2.1;proto=ftp", ("192.0.2.1", 0), "http"),
        ("for=6.6.6.6 7.7.7.7, for=192.0.2.1", ("192.0.2.1", 0), "http"),
        ('for="192.0.2.1', PEER, "http"),
        ("=, for=192.0.2.1", ("192.0.2.1", 0), "http"),
    ],
)
def test_forwarded_is_read_as_rfc_7239_writes_it(value: str, found: tuple[str, int], scheme: str) -> None:
    assert client(("forwarded", value)) == (found, scheme)


def test_two_fields_that_differ_are_both_not_believed() -> None:
    """A proxy that sets one passes the other as the client wrote it."""
    for first, second in (("192.0.2.1", "6.6.6.6"), ("6.6.6.6", "192.0.2.1")):
        assert client(("forwarded", f"for={first}"), ("x-forwarded-for", second)) == (PEER, "http")
    assert client(("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1"))[0] == ("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("value", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("https, http", "http"), ("ftp", "http"), ("", "http")],
)
def test_the_scheme_is_what_the_nearest_proxy_says(value: str, scheme: str) -> None:
    assert client(("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", value))[1] == scheme


def test_a_chain_without_end_is_not_walked() -> None:
    hops = ["192.0.2.1", *["10.0.0.3"] * 40]
    assert client(("x-forwarded-for", ", ".join(hops)))[0] == ("10.0.0.3", 0)


def test_a_field_made_to_be_slow_is_read_in_linear_time() -> None:
    for value in ('a="' * 10_000, ',"' * 20_000, "a=" * 20_000, '"' * 40_000, "for=1;" * 10_000, " " * 50_000 + "x"):
        client(("forwarded", value))
