"""Request ids, and that every key of the configuration reaches something."""

from __future__ import annotations

import pathlib
from typing import Any

import msgspec
import pytest
import trustme

from ferryllm_net.admission import MemoryDoor
from ferryllm_net.config import Settings, load_settings
from ferryllm_net.config.listener_schema import Limits as LimitKeys
from ferryllm_net.config.schema import Auth, Config, Provider, Route, Server
from ferryllm_net.gateway.app import App, Ids, own_id
from ferryllm_net.http import TLS, Limits
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.routing.keys import Ask
from support import certificates
from support.planted import CLIENT_KEY, PROVIDER_KEY
from support.wired import answer, app, whole, wired

# --- request ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "req_1", "0f3c-77", "x" * 128, "a/b:c@d#1", '"quoted"', "~!"])
def test_an_id_of_the_client_is_kept(given: str) -> None:
    assert own_id(given) == given


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        " ",
        "two words",
        "tab\there",
        "a\r\nset-cookie: x",
        "a\nb",
        "nul\x00",
        "del\x7f",
        "caf\xe9",
        "\u2028",
        "😀",
        "\ud800",
        "x" * 129,
        "x" * (1 << 20),
    ],
)
def test_what_is_no_id_is_not_taken(given: str | None) -> None:
    assert own_id(given) is None


def test_each_request_has_an_id_of_its_own_that_we_would_accept() -> None:
    ids = Ids()
    made = [ids.take() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(one.startswith("req_") and len(one) == 28 and own_id(one) == one for one in made)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/nowhere"])
async def test_the_answer_and_the_log_carry_the_id(path: str) -> None:
    async with wired() as w:
        near = await w.begin(path, b"{", headers=(("x-request-id", "mine-1"),))
        _, fields, _ = await answer(near)
        assert fields["x-request-id"] == "mine-1"
        await w.settle()
        assert "request_id=mine-1" in w.log
        near = await w.begin(path, b"{", headers=(("x-request-id", "not mine"),))
        _, fields, _ = await answer(near)
        assert fields["x-request-id"].startswith("req_")
        assert "not mine" not in w.log


def test_two_answers_have_two_seeds() -> None:
    ids = Ids()
    seeds = {ids.seed() for _ in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**96 for seed in seeds)


# --- from the settings to what decides ---------------------------------------------------------------------


def load(folder: pathlib.Path, server: dict[str, Any], provider: dict[str, Any], more: str = "") -> Settings:
    """Settings from a file with these keys beside the required ones."""

    def lines(values: dict[str, Any]) -> str:
        return "".join(f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in values.items())

    needed = {"name": "p", "type": "openai", "base_url": "https://api.example:8443/base", **provider}
    if "tls_cert" in server:
        certificates.write(folder)
    path = folder / "ferryllm.toml"
    path.write_text(f"[server]\n{lines(server)}\n[[providers]]\n{lines(needed)}\n{more}")
    path.chmod(0o600)
    return load_settings(path, {"KEY": PROVIDER_KEY, "CLIENTS": CLIENT_KEY})


def decides(one: App) -> dict[str, Any]:
    """Everything that an app and its exchanges decide by."""
    assert isinstance(one.door, MemoryDoor)
    return {
        "limits": one.limits,
        "providers": one.gateway.providers,
        "access": one.gateway.access,
        "body_limit": one.gateway.body_limit,
        "retry": (one.gateway.retry, one.gateway.retries),
        "rules": (one.routing.health.rules("p"), one.routing.bounds, one.door.gate.rules),
        "desk": [(demand.scope, demand.rate) for demand in one.desk.demands(None, Ask("m", 1, 1))],
        # ProviderSettings is left out on purpose: what stays there alone, nobody obeys.
        "upstreams": [
            (up.origin, up.headers, up.timeouts, up.provider.target("/v1/models")) for up in one.upstreams.values()
        ],
    }


SERVER: dict[str, Any] = {
    "listen": "127.0.0.1:4567",
    "request_timeout_secs": 77,
    "body_limit_mb": 3,
    "connect_timeout_secs": 2,
    "first_byte_timeout_secs": 33,
    "idle_timeout_secs": 44,
    "total_timeout_secs": 55,
    "keep_alive_timeout_secs": 11,
    "drain_timeout_secs": 9,
    "max_connections": 12,
    "check_providers": True,
    "tls_cert": "server.pem",
    "tls_key": "server.key",
    "tls_client_ca": "ca.pem",
    "http2": False,
    "trusted_proxies": ["10.0.0.0/8"],
    "workers": 4,
    "backend": "trio",
    "reasoning_policy": "cap",
    "default_reasoning_effort": "low",
    "max_reasoning_effort": "medium",
    "retry_attempts": 3,
    "retry_backoff_ms": 7,
    "circuit_breaker_failures": 4,
    "circuit_breaker_cooldown_secs": 8,
    "rate_limit_per_minute": 600,
    "max_concurrent_requests": 5,
}
SERVER_TABLES = {
    "limits": "[server.limits]\nheader_kb = 7",
    "listeners": '[[server.listeners]]\naddress = "[::1]:4568"',
}
SHARED = '[responses]\nstore = "off"'
"""Workers share no memory."""
ELSEWHERE = {
    "listen": "test_serve.py, test_the_address_and_the_grace_are_those_of_the_settings",
    "drain_timeout_secs": "test_serve.py, test_the_address_and_the_grace_are_those_of_the_settings",
    "listeners": "test_listening.py, test_listeners_of_tables_stand_beside_the_others",
    "workers": "../../ferryllm_cli/test_serve_workers.py, test_a_signal_lets_all_workers_finish",
    "trusted_proxies": "test_listening.py, test_the_client_is_whom_a_trusted_proxy_names",
    "backend": "../../ferryllm_cli/test_serve_workers.py, test_the_file_chooses_the_backend",
    "check_providers": "test_endpoints.py, test_providers_are_asked_only_where_it_is_wanted",
    "tls_cert": "test_serve.py, test_a_gateway_with_a_certificate_speaks_http2_over_tls",
    "tls_key": "test_serve.py, test_a_gateway_with_a_certificate_speaks_http2_over_tls",
    "tls_client_ca": "test_serve.py, test_clients_show_a_certificate_where_one_is_asked_for",
    "http2": "test_serve.py, test_http2_is_spoken_only_where_it_is_wanted",
    "reasoning_policy": "test_policies.py, test_the_same_cap_reaches_what_is_translated",
    "default_reasoning_effort": "test_policies.py, test_the_same_cap_reaches_what_is_translated",
    "max_reasoning_effort": "test_policies.py, test_the_same_cap_reaches_what_is_translated",
}
"""Keys that are obeyed where no `App` decides, with the test that shows it."""


def test_every_key_of_server_is_tried_here() -> None:
    assert set(SERVER) | set(SERVER_TABLES) == {field.name for field in msgspec.structs.fields(Server)}
    for place in ELSEWHERE.values():
        file, _, name = place.partition(", ")
        assert f"def {name}(" in (pathlib.Path(__file__).parent / file).read_text(), place


@pytest.mark.parametrize("key", sorted(set(SERVER) - set(ELSEWHERE)))
def test_every_key_of_server_reaches_what_decides(tmp_path: pathlib.Path, key: str) -> None:
    assert decides(app(load(tmp_path, {key: SERVER[key]}, {}))) != decides(app(load(tmp_path, {}, {})))


def test_limits_of_the_file_reach_what_decides(tmp_path: pathlib.Path) -> None:
    changed = {
        "first_head_timeout_secs": ("accept_head_secs", 3.0),
        "head_timeout_secs": ("head_secs", 4.0),
        "body_timeout_secs": ("body_idle_secs", 5.0),
        "write_timeout_secs": ("write_stall_secs", 6.0),
        "tls_handshake_timeout_secs": ("tls_handshake_secs", 7.0),
        "header_kb": ("head_bytes", 8),
        "header_count": ("head_fields", 29),
        "connections_per_address": ("connections_per_address", 10),
        "h2_streams": ("h2_streams", 11),
        "h2_stream_window_kb": ("h2_stream_window_bytes", 112),
        "h2_body_window_kb": ("h2_body_window_bytes", 213),
        "h2_connection_window_kb": ("h2_connection_window_bytes", 314),
    }
    assert set(changed) == {field.name for field in msgspec.structs.fields(LimitKeys)}
    written = "\n".join(f"{key} = {value}" for key, (_, value) in changed.items())
    limits = app(load(tmp_path, {}, {}, f"[server.limits]\n{written}")).limits
    for key, (name, value) in changed.items():
        assert getattr(limits, name) == value * (1024 if key.endswith("_kb") else 1), key


def test_without_limits_in_the_file_the_server_has_its_own(tmp_path: pathlib.Path) -> None:
    assert app(load(tmp_path, {}, {})).limits == Limits()


def test_workers_share_the_connections_that_are_allowed(tmp_path: pathlib.Path) -> None:
    one = app(load(tmp_path, {"max_connections": 10, "workers": 4}, {}, '[responses]\nstore = "off"'))
    assert one.limits.connections == 3


PROVIDER: dict[str, Any] = {
    "proxy": "socks5h://127.0.0.1:1080",
    "http2": True,
    "max_connections": 12,
    "name": "other",
    "type": "anthropic",
    "base_url": "https://elsewhere.example",
    "api_key_env": "KEY",
    "api_key_file": "key",
    "api_key": PROVIDER_KEY,
    "keeps_responses": False,
    "ssl_verify": False,
    "ca_file": "ca.pem",
    "request_timeout_secs": 77,
    "connect_timeout_secs": 2,
    "first_byte_timeout_secs": 33,
    "idle_timeout_secs": 44,
    "total_timeout_secs": 55,
    "vendor": "groq",
    "requests_per_minute": 70,
    "tokens_per_minute": 80,
    "max_concurrency": 9,
    "price_as": "openrouter",
}

TABLES = {
    "quirks": "[providers.quirks]\nimages = false",
    "models": '[[providers.models]]\nmatch = "*"\nstop = false',
    "headers": '[providers.headers]\nforce = { "x-a" = "1" }',
    "breaker": "[providers.breaker]\nfailures = 6",
    "retry": "[providers.retry]\nattempts = 5",
}
"""Keys of a provider that are tables."""


def test_every_key_of_a_provider_is_tried_here() -> None:
    # Those of files and URLs are tried in reload/test_watch.py and test_key_urls.py.
    elsewhere = {"key_watch", "api_key_url"}
    assert set(PROVIDER) | set(TABLES) | elsewhere == {field.name for field in msgspec.structs.fields(Provider)}


@pytest.mark.parametrize("key", sorted(TABLES))
def test_every_table_of_a_provider_reaches_what_decides(tmp_path: pathlib.Path, key: str) -> None:
    assert decides(app(load(tmp_path, {}, {}, TABLES[key]))) != decides(app(load(tmp_path, {}, {})))


@pytest.mark.parametrize("key", sorted(PROVIDER))
def test_every_key_of_a_provider_reaches_what_decides(tmp_path: pathlib.Path, key: str) -> None:
    (tmp_path / "key").write_text(PROVIDER_KEY)
    (tmp_path / "key").chmod(0o600)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert decides(app(load(tmp_path, {}, {key: PROVIDER[key]}))) != decides(app(load(tmp_path, {}, {})))


ROUTE_POLICIES = {
    "reasoning_policy": 'reasoning_policy = "force"',
    "default_reasoning_effort": 'default_reasoning_effort = "low"',
    "max_reasoning_effort": 'max_reasoning_effort = "low"\nreasoning_policy = "cap"',
    "prompt_cache": "prompt_cache = { same_dialect = true }",
    "transforms": '[[routes.transforms]]\ntype = "drop"\npath = "$.metadata"',
}


ROUTING = {
    "targets": '[[routes.targets]]\nprovider = "p"\nweight = 2\n[[routes.targets]]\nprovider = "q"',
    "balance": 'balance = "least_busy"\n[[routes.targets]]\nprovider = "p"\n[[routes.targets]]\nprovider = "q"',
    "fallback_providers": 'provider = "p"\nfallback_providers = ["q"]',
    "retry": 'provider = "p"\nretry = { attempts = 5 }',
    "timeouts": 'provider = "p"\ntimeouts = { idle_secs = 3 }',
    "affinity": 'provider = "p"\naffinity = { ttl_secs = 60 }',
}


@pytest.mark.parametrize("key", sorted(ROUTING))
def test_everything_that_a_route_says_of_its_targets_decides(tmp_path: pathlib.Path, key: str) -> None:
    second = '[[providers]]\nname = "q"\ntype = "openai"\nbase_url = "https://q.example"\n[[routes]]\nmatch = "*"\n'
    routes = [
        app(load(tmp_path, {}, {}, second + more)).gateway.routes.routes[0] for more in ('provider = "p"', ROUTING[key])
    ]
    assert routes[0] != routes[1]


@pytest.mark.parametrize("key", sorted(ROUTE_POLICIES))
def test_every_policy_of_a_route_decides(tmp_path: pathlib.Path, key: str) -> None:
    plain = '[[routes]]\nmatch = "*"\nprovider = "p"\n'
    without, with_it = (app(load(tmp_path, {}, {}, plain + more)).gateway.routes for more in ("", ROUTE_POLICIES[key]))
    assert with_it.routes[0].policies != without.routes[0].policies


def test_every_key_of_a_route_decides(tmp_path: pathlib.Path) -> None:
    assert {field.name for field in msgspec.structs.fields(Route)} == {
        "match",
        "match_type",
        "provider",
        "rewrite_model",
        "loss_policy",
        *ROUTE_POLICIES,
        *ROUTING,
    }
    second = '[[providers]]\nname = "q"\ntype = "openai"\nbase_url = "https://q.example"\n'
    routes = (
        '[[routes]]\nmatch = "a"\nmatch_type = "exact"\nprovider = "q"\n'
        '[[routes]]\nmatch = "a"\nprovider = "p"\nrewrite_model = "real"\nloss_policy = "strict"\n'
    )
    table = app(load(tmp_path, {}, {}, second + routes)).gateway.routes
    exact, prefix = table.resolve("a"), table.resolve("ab")
    assert exact is not None
    assert prefix is not None
    assert (exact.provider, exact.rewrite_model) == ("q", None)
    assert (prefix.provider, prefix.rewrite_model) == ("p", "real")
    assert (exact.loss_policy, prefix.loss_policy) == (LossPolicy.REPORT, LossPolicy.STRICT)
    assert table.resolve("b") is None


def test_every_key_of_auth_decides(tmp_path: pathlib.Path) -> None:
    elsewhere = {"keys", "projects"}  # test_client_keys.py, config/test_auth_keys.py
    elsewhere |= {"per_key_rate_limit_per_minute", "per_key_max_concurrent_requests"}  # config/test_routing.py
    assert {field.name for field in msgspec.structs.fields(Auth)} - elsewhere == {"enabled", "api_keys_env"}
    on = app(load(tmp_path, {}, {}, '[auth]\nenabled = true\napi_keys_env = "CLIENTS"')).gateway.keys
    off = app(load(tmp_path, {}, {}, '[auth]\nenabled = false\napi_keys_env = "CLIENTS"')).gateway.keys
    assert on is not None
    (key,) = on
    assert CLIENT_KEY.encode() not in key.digest
    assert off is None


def test_the_sections_are_those_that_are_tried_here() -> None:
    sections = {field.name for field in msgspec.structs.fields(Config)}
    # telemetry/test_logs.py, test_telemetry.py, test_stored_responses.py, test_passthrough.py, test_policies.py,
    # config/test_models_form.py
    policies = {"reasoning", "prompt_cache", "headers", "transforms", "cors", "models"}
    # test_relay.py, test_limits.py, test_client_keys.py, config/test_routing.py
    relay = {"retry", "breaker", "affinity", "hints", "limits", "keys", "admin"}
    tried_elsewhere = {"logging", "metrics", "audit", "request_log", "responses", "passthrough", *policies, *relay}
    tried_elsewhere |= {"usage", "prices"}  # test_usage.py, config/test_usage.py, config/test_prices.py
    # ledger/test_opening.py, postgres, redis, reload: each in the tests of its own room
    tried_elsewhere |= {"ledger", "postgres", "redis", "reload"}
    assert sections - tried_elsewhere == {"server", "auth", "providers", "routes"}


def test_values_arrive_as_they_were_written(tmp_path: pathlib.Path) -> None:
    one = app(load(tmp_path, SERVER, {}, SHARED))
    provider, up = one.gateway.providers["p"], one.upstreams["p"]
    assert one.gateway.body_limit == one.limits.body_bytes == 3 << 20
    assert (one.limits.connections, one.limits.keep_alive_secs) == (3, 11)
    assert (provider.first_byte_secs, provider.request_secs) == (33, 77)
    assert (provider.idle_secs, provider.total_secs) == (44, 55)
    assert up.timeouts.connect_secs == 2
    assert up.timeouts.head_secs > 77, "the exchange speaks first: its words name the provider"
    assert up.timeouts.idle_secs > 44
    assert up.timeouts.total_secs is None, "the exchange keeps it"
    assert one.settings.server.drain_timeout_secs == 9
    assert one.gateway.access.loopback


def test_a_provider_goes_before_the_server(tmp_path: pathlib.Path) -> None:
    one = app(load(tmp_path, SERVER, {"idle_timeout_secs": 5, "request_timeout_secs": 6}, SHARED))
    provider = one.gateway.providers["p"]
    assert (provider.idle_secs, provider.request_secs, provider.first_byte_secs) == (5, 6, 6)
    assert provider.total_secs == 55


@pytest.mark.parametrize(
    ("type_", "key", "header"),
    [
        ("openai", PROVIDER_KEY, ("authorization", f"Bearer {PROVIDER_KEY}")),
        ("openai_responses", PROVIDER_KEY, ("authorization", f"Bearer {PROVIDER_KEY}")),
        ("anthropic", PROVIDER_KEY, ("x-api-key", PROVIDER_KEY)),
        ("anthropic", "sk-ant-oat01-abc", ("authorization", "Bearer sk-ant-oat01-abc")),
        ("gemini", PROVIDER_KEY, ("x-goog-api-key", PROVIDER_KEY)),
        ("gemini", "ya29.abc", ("authorization", "Bearer ya29.abc")),
        ("ollama", PROVIDER_KEY, ("authorization", f"Bearer {PROVIDER_KEY}")),
    ],
)
def test_keys_travel_as_each_protocol_wants_them(
    tmp_path: pathlib.Path, type_: str, key: str, header: tuple[str, str]
) -> None:
    (one,) = app(load(tmp_path, {}, {"type": type_, "api_key": key})).upstreams.values()
    assert one.headers == (("host", "api.example:8443"), header)


def test_a_backend_without_a_key_gets_none(tmp_path: pathlib.Path) -> None:
    (one,) = app(load(tmp_path, {}, {})).upstreams.values()
    assert one.headers == (("host", "api.example:8443"),)


def test_tls_is_as_the_provider_says(tmp_path: pathlib.Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def tls(**provider: Any) -> TLS:
        return app(load(tmp_path, {}, provider)).upstreams["p"].origin.tls

    assert tls() == TLS(verify=True, ca_file=None)
    assert tls(ca_file="ca.pem") == TLS(verify=True, ca_file=str(tmp_path / "ca.pem"))
    assert tls(ssl_verify=False) == TLS(verify=False, ca_file=None)


def test_limits_can_be_given_by_an_embedding_program(tmp_path: pathlib.Path) -> None:
    settings = load(tmp_path, {}, {})
    small = Limits(head_bytes=1000)
    assert App(settings, app(settings).log, limits=small).limits is small


@pytest.mark.anyio
async def test_an_app_serves_again_after_each_answer_and_closes_what_is_idle() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages/count_tokens", {"model": "msg-x", "messages": []})
        far, head, body = await w.provider()
        assert head.startswith(b"POST /v1/messages/count_tokens HTTP/1.1\r\n")
        assert b"real-msg" in body
        await far.send(whole(b'{"input_tokens":3}'))
        assert (await answer(near))[2] == b'{"input_tokens":3}'
        await w.settle()
        assert w.app.pool.idle == 1
        await w.app.aclose()
        assert w.app.pool.idle == 0
        assert await far.receive() == b""
