"""Listen addresses: their forms, their mends, and whether this machine can listen there."""

from __future__ import annotations

import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferryllm_net.config.listen import ListenFault, _spelt, is_loopback, parse_listen, resolve_listen


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:3000", ("127.0.0.1", 3000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("localhost:0", ("localhost", 0)),
        ("my-host.example:65535", ("my-host.example", 65535)),
        ("[::1]:3000", ("::1", 3000)),
        ("[::]:3000", ("::", 3000)),
    ],
)
def test_the_forms_of_an_address(text: str, parsed: tuple[str, int]) -> None:
    assert parse_listen(text) == parsed


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("3000", '"127.0.0.1:3000" for this machine alone'),
        (":3000", '"0.0.0.0:3000" for every network'),
        ("*:3000", '"0.0.0.0:3000" for every network'),
        ("http://127.0.0.1:3000/", 'write "127.0.0.1:3000", without the scheme'),
        ("http://x/y", "without a scheme"),
        ("::1:3000", "in brackets"),
        ("localhost", '"localhost:3000"'),
        ("127.0.0.1:70000", "from 1 to 65535"),
        ("127.0.0.1:３", "127.0.0.1:3000"),
        ("[x]:3000", "IPv6"),
        ("a b:3000", "127.0.0.1:3000"),
        ("", "127.0.0.1:3000"),
        ("a\x1b:3000:", "brackets"),
        ("user@host:80", "127.0.0.1:3000"),
    ],
)
def test_other_texts_are_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ListenFault) as caught:
        parse_listen(text)
    assert mend in caught.value.mend
    assert "\x1b" not in str(caught.value) + caught.value.mend


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("example.com", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_loopback_address_resolves() -> None:
    address = resolve_listen("127.0.0.1:3000")
    assert (address.host, address.port, address.loopback) == ("127.0.0.1", 3000, True)


def test_the_wildcard_is_not_loopback() -> None:
    assert resolve_listen("0.0.0.0:3000").loopback is False


def test_a_port_that_is_taken_is_no_fault_of_the_configuration() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        resolve_listen(f"127.0.0.1:{server.getsockname()[1]}")


def test_an_address_of_another_machine_is_refused() -> None:
    # 192.0.2.0/24 is TEST-NET-1 of RFC 5737: no machine has it.
    with pytest.raises(ListenFault, match="nothing can listen"):
        resolve_listen("192.0.2.1:3000")


def test_a_name_that_does_not_resolve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # no test asks a name server
    with pytest.raises(ListenFault, match=r"nowhere\.invalid.*Name or service not known"):
        resolve_listen("nowhere.invalid:3000")


def test_a_name_that_no_name_server_could_know_is_refused() -> None:
    with pytest.raises(ListenFault, match="not a host name"):
        resolve_listen("a" * 64 + ".invalid:3000")


def test_one_working_address_of_a_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 3000)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 3000)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert resolve_listen("name:3000").loopback is False


@given(st.text(st.sampled_from("a1.-:\u00e4%"), max_size=70))
@example("127.0.0.1")
@example("::1")
@example("localhost.")
@example("a" * 63 + ".b")
@example("a" * 64)
def test_a_host_is_spelt_as_python_would(host: str) -> None:
    spelt = _spelt(host)
    assert spelt == (host if isinstance(spelt, str) else host.encode("idna"))
    assert (
        isinstance(spelt, bytes) or not host or not host.isascii() or not all(0 < len(x) < 64 for x in host.split("."))
    )
