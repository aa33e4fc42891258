"""How the parts of a configuration fit together: names, routes, timeouts, TLS, what is dangerous."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from ferryllm_net.config.problems import Report, key_text
from ferryllm_net.config.resolve import resolve
from ferryllm_net.config.schema import Auth, Config, Provider, Route, Server
from ferryllm_net.config.settings import Settings, Timeouts

A = Provider("a", "openai", "https://a.example/v1")
B = Provider("b", "anthropic", "https://b.example")


def resolved(config: Config, environ: dict[str, str] | None = None, base: Path = Path("/")) -> tuple[Settings, str]:
    report = Report(lambda path: ("f", None, key_text(path)))
    settings = resolve(config, environ or {}, base, report)
    return settings, "\n".join(map(str, report.problems))


def said(config: Config, environ: dict[str, str] | None = None, base: Path = Path("/")) -> str:
    return resolved(config, environ, base)[1]


def test_a_file_without_providers_is_refused() -> None:
    assert "providers: no provider" in said(Config())


def test_two_providers_of_one_name_are_refused() -> None:
    assert 'providers[1].name: a second provider called "a"; the first is providers[0]' in said(
        Config(providers=(A, Provider("a", "openai", "https://c")))
    )


def test_a_blank_name_is_refused() -> None:
    assert "providers[0].name: empty" in said(Config(providers=(Provider(" ", "openai", "https://c"),)))


def test_a_route_to_nobody_says_who_is_there_and_who_may_be_meant() -> None:
    text = said(Config(providers=(Provider("openai", "openai", "https://c"), B), routes=(Route("x", "opneai"),)))
    assert (
        'routes[0].provider: no provider is called "opneai"; there are: "openai", "b" (did you mean "openai"?)' in text
    )
    assert "name one of them" in said(Config(providers=(A,), routes=(Route("x", "zzz"),)))


def test_without_routes_everything_goes_to_the_first_provider() -> None:
    settings, text = resolved(Config(providers=(A,)))
    assert [(route.match, route.provider) for route in settings.routes] == [("*", "a")]
    assert text == ""


def test_without_routes_several_providers_are_a_warning() -> None:
    settings, text = resolved(Config(providers=(A, B)))
    assert settings.routes[0].provider == "a"
    assert 'warning: routes: no route, so every model goes to the first provider, "a"' in text


def test_routes_keep_their_order_and_their_rewriting() -> None:
    routes = (Route("z", "a", "exact", "m"), Route("*", "b"))
    settings, text = resolved(Config(providers=(A, B), routes=routes))
    assert [(r.match, r.match_type, r.provider, r.rewrite_model) for r in settings.routes] == [
        ("z", "exact", "a", "m"),
        ("*", "prefix", "b", None),
    ]
    assert text == ""


def test_a_route_that_can_never_match_is_a_warning() -> None:
    routes = (Route("x", "a"), Route("x", "a", "exact"), Route("x", "b"))
    text = said(Config(providers=(A, B), routes=routes))
    assert text.startswith("f: warning: routes[2].match: the same match and match_type as routes[0]")
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (Route(" ", "a"), 'routes[0].match: empty (write match = "*" for every model)'),
        (Route("*", "a", "exact"), "routes[0].match_type: "),
        (Route("claude-*", "a"), 'write match = "claude-"'),
        (Route("a*b", "a"), 'add match_type = "glob"'),
        (Route("x", "a", rewrite_model=""), "routes[0].rewrite_model: empty"),
    ],
)
def test_routes_that_cannot_mean_what_they_say_are_refused(route: Route, text: str) -> None:
    assert text in said(Config(providers=(A,), routes=(route,)))


def test_timeouts_of_a_provider_go_before_those_of_the_server() -> None:
    server = Server(request_timeout_secs=1, connect_timeout_secs=2, idle_timeout_secs=3, total_timeout_secs=4)
    own = Provider(
        "b",
        "openai",
        "https://b",
        request_timeout_secs=10,
        connect_timeout_secs=20,
        idle_timeout_secs=30,
        total_timeout_secs=40,
        first_byte_timeout_secs=50,
    )
    settings, _ = resolved(Config(server=server, providers=(A, own), routes=(Route("*", "a"),)))
    assert settings.provider("a").timeouts == Timeouts(2, 1, 1, 3, 4)
    assert settings.provider("b").timeouts == Timeouts(20, 10, 50, 30, 40)


@pytest.mark.parametrize(
    ("common", "own", "own_request", "first_byte"),
    [(None, None, None, 120), (7, None, None, 7), (7, 9, None, 9), (7, None, 8, 8), (7, 9, 8, 9)],
)
def test_the_first_byte_has_as_long_as_the_nearest_setting_says(
    common: float | None, own: float | None, own_request: float | None, first_byte: float
) -> None:
    provider = Provider("a", "openai", "https://a", first_byte_timeout_secs=own, request_timeout_secs=own_request)
    settings, _ = resolved(Config(server=Server(first_byte_timeout_secs=common), providers=(provider,)))
    assert settings.provider("a").timeouts.first_byte_secs == first_byte


def test_limits_arrive_in_their_units() -> None:
    server = Server(body_limit_mb=2, max_connections=5, keep_alive_timeout_secs=6, drain_timeout_secs=0)
    settings, _ = resolved(Config(server=server, providers=(A,)))
    assert settings.server.body_limit_bytes == 2 * 1024 * 1024
    assert (settings.server.max_connections, settings.server.keep_alive_timeout_secs) == (5, 6)
    assert settings.server.drain_timeout_secs == 0
    assert settings.server.check_providers is False


def test_listening_beyond_this_machine_without_auth_is_a_warning() -> None:
    open_server = Server(listen="0.0.0.0:3000")
    assert "warning: server.listen: 0.0.0.0:3000 can be reached" in said(Config(server=open_server, providers=(A,)))
    auth = Auth(True, "KEYS")
    assert said(Config(server=open_server, providers=(A,), auth=auth), {"KEYS": "k"}) == ""


def test_an_address_that_cannot_be_listened_on_is_refused() -> None:
    assert "server.listen: expected" in said(Config(server=Server(listen="x"), providers=(A,)))


def test_a_certificate_that_is_not_checked_is_a_warning() -> None:
    provider = Provider("a", "openai", "https://a.example", ssl_verify=False)
    settings, text = resolved(Config(providers=(provider,)))
    assert settings.provider("a").ssl_verify is False
    assert "warning: providers[0].ssl_verify: certificates of a.example are not checked" in text


def test_authorities_come_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    provider = Provider("a", "openai", "https://a", ca_file="ca.pem")
    settings, text = resolved(Config(providers=(provider,)), base=tmp_path)
    assert settings.provider("a").ca_file == str(tmp_path / "ca.pem")
    assert text == ""


@pytest.mark.parametrize(("name", "text"), [("none.pem", "cannot read"), ("bad.pem", "holds no certificate")])
def test_authorities_that_cannot_be_read_are_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "bad.pem").write_text("-----BEGIN NOTHING-----")
    provider = Provider("a", "openai", "https://a", ca_file=name)
    assert text in said(Config(providers=(provider,)), base=tmp_path)


def test_tls_settings_of_a_plain_provider_are_not_ignored_in_silence() -> None:
    provider = Provider("a", "openai", "http://127.0.0.1:1", ssl_verify=False)
    assert "warning: providers[0].ssl_verify: not used" in said(Config(providers=(provider,)))


def test_authorities_that_are_not_asked_are_not_ignored_in_silence(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    provider = Provider("a", "openai", "https://a", ca_file="ca.pem", ssl_verify=False)
    assert "warning: providers[0].ca_file: not used, because ssl_verify is false" in said(
        Config(providers=(provider,)), base=tmp_path
    )


def test_a_key_over_a_network_without_encryption_is_a_warning() -> None:
    far = Provider("a", "openai", "http://far.example", api_key="k")
    near = Provider("a", "openai", "http://localhost:1", api_key="k")
    assert "warning: providers[0].base_url: the key travels to far.example unencrypted" in said(
        Config(providers=(far,))
    )
    assert said(Config(providers=(near,))) == ""


@pytest.mark.parametrize(
    ("listen", "base_url", "loop"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3000", True),
        ("127.0.0.1:3000", "http://localhost:3000/v1", True),
        ("0.0.0.0:3000", "http://127.0.0.1:3000", True),
        ("127.0.0.1:3000", "http://127.0.0.1:3001", False),
        ("127.0.0.1:3000", "http://127.0.0.2:3000", False),
        ("127.0.0.1:3000", "https://127.0.0.1:3000", False),
        ("127.0.0.1:3000", "http://a.example:3000", False),
    ],
)
def test_a_gateway_that_would_call_itself_is_refused(listen: str, base_url: str, loop: bool) -> None:
    text = said(Config(server=Server(listen=listen), providers=(Provider("a", "openai", base_url),)))
    assert ("this gateway's own listen address" in text) is loop
