"""The files of the listener's TLS: found, readable, belonging together, and what is said when they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ferryllm_net.config.load import default_settings, load_settings
from ferryllm_net.config.problems import ConfigError, Report, key_text
from ferryllm_net.config.resolve import resolve
from ferryllm_net.config.schema import Config, Provider, Server
from ferryllm_net.config.settings import Settings, TLSSettings
from support import certificates
from support.certificates import Files

A = Provider("a", "openai", "https://a.example/v1")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return certificates.write(tmp_path)


def resolved(server: Server, base: Path) -> tuple[Settings, str]:
    report = Report(lambda path: ("f", None, key_text(path)))
    settings = resolve(Config(server=server, providers=(A,)), {}, base, report)
    return settings, "\n".join(map(str, report.problems))


def test_without_tls_the_listener_speaks_clear_text(tmp_path: Path) -> None:
    settings, said = resolved(Server(), tmp_path)
    assert settings.server.tls is None
    assert settings.server.http2
    assert said == ""
    assert not resolved(Server(http2=False), tmp_path)[0].server.http2


def test_paths_count_from_the_configuration(files: Files, tmp_path: Path) -> None:
    server = Server(tls_cert="server.pem", tls_key="server.key", tls_client_ca="ca.pem")
    settings, said = resolved(server, tmp_path)
    assert settings.server.tls == TLSSettings(files.cert, files.key, files.ca)
    assert said == ""


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (Server(tls_cert="server.pem"), "server.tls_key: missing, and there is a tls_cert"),
        (Server(tls_key="server.key"), "server.tls_key: there is no tls_cert"),
        (Server(tls_client_ca="ca.pem"), "server.tls_client_ca: there is no tls_cert"),
        (Server(tls_cert="none.pem", tls_key="server.key"), "server.tls_cert: cannot read"),
        (Server(tls_cert="server.key", tls_key="server.key"), "server.key holds no certificate"),
        (Server(tls_cert="server.pem", tls_key="ca.pem"), "ca.pem holds no key"),
        (Server(tls_cert="server.pem", tls_key="other.key"), "other.key is not the key of the first certificate"),
        (Server(tls_cert="server.pem", tls_key="locked.key"), "locked.key is locked with a password"),
        (
            Server(tls_cert="server.pem", tls_key="server.key", tls_client_ca="server.key"),
            "server.tls_client_ca: ",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_its_mend(files: Files, tmp_path: Path, server: Server, words: str) -> None:
    (tmp_path / "other").mkdir()
    other = certificates.write(tmp_path / "other")
    Path(other.key).rename(tmp_path / "other.key")
    key = load_pem_private_key(Path(files.key).read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "locked.key").write_bytes(locked)
    (tmp_path / "locked.key").chmod(0o600)
    _, said = resolved(server, tmp_path)
    assert words in said
    assert said.endswith(")"), "what to do about it"


def test_a_key_that_everybody_can_read_is_a_warning(files: Files, tmp_path: Path) -> None:
    Path(files.key).chmod(0o644)
    settings, said = resolved(Server(tls_cert="server.pem", tls_key="server.key"), tmp_path)
    assert settings.server.tls is not None
    assert f"warning: server.tls_key: every user of this machine can read {files.key}" in said


def test_the_command_line_goes_before_the_file_and_counts_from_where_one_is(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    config = tmp_path / "config" / "ferryllm.toml"
    config.write_text(
        '[server]\ntls_cert = "no.pem"\ntls_key = "no.key"\n'
        '[[providers]]\nname = "a"\ntype = "openai"\nbase_url = "https://a.example"\n'
    )
    monkeypatch.chdir(tmp_path)
    settings = load_settings(config, {}, tls_cert="server.pem", tls_key="server.key")
    assert settings.server.tls == TLSSettings(files.cert, files.key)
    assert default_settings({}, tls_cert="server.pem", tls_key="server.key").server.tls == settings.server.tls
    with pytest.raises(ConfigError, match=r"command line: --tls-cert: cannot read"):
        default_settings({}, tls_cert="none.pem", tls_key="server.key")


def test_a_gateway_with_tls_is_not_its_own_provider_either(files: Files, tmp_path: Path) -> None:
    server = Server(listen="127.0.0.1:3999", tls_cert="server.pem", tls_key="server.key")
    report = Report(lambda path: ("f", None, key_text(path)))
    own = Provider("a", "openai", "https://127.0.0.1:3999/v1")
    resolve(Config(server=server, providers=(own,)), {}, tmp_path, report)
    assert "is this gateway's own listen address" in str(report.problems[0])
