"""Listeners, whom they believe, workers and limits, as `[server]` says it."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from ferryllm_net.config import ConfigError, ServerSettings, default_settings, load_settings
from support import certificates

PROVIDER = '[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "http://127.0.0.1:9"\n'


def server(folder: pathlib.Path, text: str, more: str = "", **flags: Any) -> ServerSettings:
    path = folder / "f.toml"
    path.write_text(f"[server]\n{text}\n{PROVIDER}{more}")
    return load_settings(path, {}, **flags).server


def refused(folder: pathlib.Path, text: str, more: str = "", **flags: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        server(folder, text, more, **flags)
    return "\n".join(map(str, caught.value.problems))


def addresses(found: ServerSettings) -> list[str]:
    return [str(one.address) for one in found.listeners]


def test_without_a_word_there_is_one_listener_on_loopback(tmp_path: pathlib.Path) -> None:
    (listener,) = server(tmp_path, "").listeners
    assert str(listener.address) == "127.0.0.1:3000"
    assert (listener.address.loopback, listener.proxy_protocol) == (True, False)
    assert addresses(default_settings({}).server) == ["127.0.0.1:3000"]


def test_listen_takes_one_address_or_several(tmp_path: pathlib.Path) -> None:
    assert addresses(server(tmp_path, 'listen = "127.0.0.1:1"')) == ["127.0.0.1:1"]
    several = server(tmp_path, f'listen = ["127.0.0.1:1", "unix:{tmp_path}/s", "systemd", "systemd:web"]')
    assert addresses(several) == ["127.0.0.1:1", f"unix:{tmp_path}/s", "systemd", "systemd:web"]
    assert [one.address.loopback for one in several.listeners] == [True, True, False, False]
    assert several.listen is several.listeners[0].address


def test_tables_stand_beside_listen_and_in_its_place(tmp_path: pathlib.Path) -> None:
    table = '[[server.listeners]]\naddress = "127.0.0.1:2"\n'
    assert addresses(server(tmp_path, "", table)) == ["127.0.0.1:2"]
    assert addresses(server(tmp_path, 'listen = "127.0.0.1:1"', table)) == ["127.0.0.1:1", "127.0.0.1:2"]


def test_the_command_line_replaces_all_listeners(tmp_path: pathlib.Path) -> None:
    table = '[[server.listeners]]\naddress = "127.0.0.1:2"\n'
    found = server(tmp_path, 'listen = "127.0.0.1:1"', table, listen=("127.0.0.1:3", "127.0.0.1:4"))
    assert addresses(found) == ["127.0.0.1:3", "127.0.0.1:4"]
    assert "command line: --listen: " in refused(tmp_path, "", listen=("127.0.0.1:3", "nowhere"))


def test_a_table_says_how_its_listener_differs(tmp_path: pathlib.Path) -> None:
    files = certificates.write(tmp_path)
    found = server(
        tmp_path,
        f'tls_cert = "{files.cert}"\ntls_key = "{files.key}"\ntrusted_proxies = ["10.1.2.3/8", "::1", "unix"]',
        '[[server.listeners]]\naddress = "127.0.0.1:2"\ntls = false\nproxy_protocol = "required"\n'
        f'[[server.listeners]]\naddress = "unix:{tmp_path}/s"\nunix_mode = "0600"\n',
    )
    clear, file = found.listeners
    assert (clear.tls, clear.proxy_protocol) == (False, True)
    assert (file.tls, file.proxy_protocol, file.unix_mode) == (None, False, 0o600)
    assert found.trusted_proxies == ("10.0.0.0/8", "::1/128", "unix")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('listen = ["127.0.0.1:1", "x"]', 'f.toml:2: server.listen[1]: expected "host:port", found "x"'),
        ("listen = 3000", "server.listen: expected a text or an array of texts, found 3000"),
        ('listen = ["127.0.0.1:1", "127.0.0.1:1"]', '"127.0.0.1:1" is there twice'),
        ('listen = "unix:relative.sock"', 'expected the absolute path of a socket file behind "unix:"'),
        ('listen = "unix:/nowhere/at/all/s"', "there is no folder /nowhere/at/all"),
        (f'listen = "unix:/tmp/{"x" * 200}"', "at most 103 bytes"),
        ('trusted_proxies = ["10.0.0.0/99"]', "server.trusted_proxies[0]: expected an address or a network"),
        ('trusted_proxies = "10.0.0.0/8"', 'write trusted_proxies = ["10.0.0.0/8"]'),
        ("workers = 0", "server.workers: expected a whole number from 1 to 256, found 0"),
        ("workers = 2", '2 processes do not share a memory, and responses.store is memory (write store = "sqlite"'),
        ('backend = "curio"', 'expected one of "asyncio", "trio", "uvloop"'),
        ("[server.limits]\nheader_kb = 0", "server.limits.header_kb: expected a whole number from 1 to 1024"),
        ("[server.limits]\nheader_mb = 1", "unknown key (did you mean header_kb?)"),
        ("[[server.listeners]]\ntls = false", "server.listeners[0].address: missing"),
        ('[[server.listeners]]\naddress = "127.0.0.1:1"\ntls = true', "there is no tls_cert in [server]"),
        ('[[server.listeners]]\naddress = "127.0.0.1:1"\nunix_mode = "rw"', "expected permissions in octal"),
        ('[[server.listeners]]\naddress = "127.0.0.1:1"\nproxy_protocol = "on"', 'one of "off", "required"'),
        (
            '[[server.listeners]]\naddress = "127.0.0.1:1"\nproxy_protocol = "required"',
            "nobody may send the header, because there are no trusted_proxies (add trusted_proxies",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_its_mend(tmp_path: pathlib.Path, text: str, words: str) -> None:
    assert words in refused(tmp_path, text)


def test_ports_that_the_system_chooses_may_be_asked_for_twice(tmp_path: pathlib.Path) -> None:
    assert len(server(tmp_path, 'listen = ["127.0.0.1:0", "127.0.0.1:0"]').listeners) == 2


def test_one_open_listener_among_others_warns(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f.toml"
    path.write_text(f'[server]\nlisten = ["127.0.0.1:1", "0.0.0.0:2", "unix:{tmp_path}/s"]\n{PROVIDER}')
    (warning,) = load_settings(path, {}).warnings
    assert "0.0.0.0:2 can be reached from other machines" in str(warning)


def test_a_provider_that_is_a_listener_of_ours_is_refused_for_each(tmp_path: pathlib.Path) -> None:
    text = 'listen = ["127.0.0.1:1", "127.0.0.1:9"]'
    assert "http://127.0.0.1:9 is this gateway's own listen address" in refused(tmp_path, text)


def test_workers_and_backend_come_from_the_file_or_the_command_line(tmp_path: pathlib.Path) -> None:
    more = '[responses]\nstore = "off"\n'
    found = server(tmp_path, 'workers = 3\nbackend = "trio"', more)
    assert (found.workers, found.backend) == (3, "trio")
    found = server(tmp_path, 'workers = 3\nbackend = "trio"', more, workers=2, backend="uvloop")
    assert (found.workers, found.backend) == (2, "uvloop")


def test_windows_of_a_connection_are_never_smaller_than_those_of_a_request(tmp_path: pathlib.Path) -> None:
    limits = server(tmp_path, "[server.limits]\nh2_stream_window_kb = 4096").limits
    assert limits.h2_body_window_bytes == limits.h2_connection_window_bytes == limits.h2_stream_window_bytes
