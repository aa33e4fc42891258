"""What a provider's request says: where it goes, as whom, and what is kept of the client's own."""

from __future__ import annotations

import pathlib

import pytest

from ferryllm_net.config import load_settings
from ferryllm_net.gateway.app import App
from ferryllm_net.gateway.building import upstream as make
from ferryllm_net.gateway.upstream import Upstream, lost
from ferryllm_net.http import Proxy, ProxyAuth, UpstreamError, UpstreamFault
from ferryllm_proto import UpstreamRequest, __version__
from ferryllm_proto.inputs import UpstreamLost
from support.planted import PROVIDER_KEY
from support.wired import answer, app, whole, wired


def loaded(folder: pathlib.Path, base_url: str, type_: str = "openai") -> Upstream:
    path = folder / "ferryllm.toml"
    path.write_text(f'[[providers]]\nname = "p"\ntype = "{type_}"\nbase_url = "{base_url}"\napi_key_env = "KEY"\n')
    one: App = app(load_settings(path, {"KEY": PROVIDER_KEY}))
    (settings,) = one.settings.providers
    assert one.upstreams["p"] == make(settings)
    return one.upstreams["p"]


@pytest.mark.parametrize(
    ("kind", "timeout", "busy"),
    [
        (UpstreamFault.TIMEOUT_CONNECT, True, False),
        (UpstreamFault.TIMEOUT_IDLE, True, False),
        (UpstreamFault.FULL, False, True),
        (UpstreamFault.CLOSED, False, False),
    ],
)
def test_a_fault_of_the_network_is_told_as_what_it_means(kind: UpstreamFault, timeout: bool, busy: bool) -> None:
    assert lost(UpstreamError(kind, "why")) == UpstreamLost("why", timeout=timeout, busy=busy)


def request(
    path: str = "/v1/chat/completions",
    query: str = "",
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
    *,
    stream: bool = False,
) -> UpstreamRequest:
    return UpstreamRequest("POST", path, query, headers, b"{}", stream)


@pytest.mark.parametrize(
    ("base_url", "type_", "path", "host", "target"),
    [
        ("https://a.example", "openai", "/v1/chat/completions", "a.example", "/v1/chat/completions"),
        ("https://a.example/", "openai", "/v1/chat/completions", "a.example", "/v1/chat/completions"),
        ("https://a.example/v1", "openai", "/v1/chat/completions", "a.example", "/v1/chat/completions"),
        ("https://a.example/v1/", "openai", "/v1/responses", "a.example", "/v1/responses"),
        ("http://127.0.0.1:8080/api/v1", "openai", "/v1/models", "127.0.0.1:8080", "/api/v1/models"),
        ("https://a.example:443/x", "openai", "/v1/models", "a.example", "/x/v1/models"),
        ("http://[::1]:9/v1", "anthropic", "/v1/messages", "[::1]:9", "/v1/messages"),
        ("https://a.example/api/anthropic", "anthropic", "/v1/messages", "a.example", "/api/anthropic/v1/messages"),
        ("https://a.example/api/anthropic/v1", "anthropic", "/v1/messages", "a.example", "/api/anthropic/v1/messages"),
        (
            "https://a.example/api/paas/v4",
            "openai",
            "/v1/chat/completions",
            "a.example",
            "/api/paas/v4/chat/completions",
        ),
    ],
)
def test_base_urls_with_and_without_their_version(
    tmp_path: pathlib.Path, base_url: str, type_: str, path: str, host: str, target: str
) -> None:
    head = loaded(tmp_path, base_url, type_).head(request(path), None)
    assert head.target == target
    assert ("host", host) in head.headers
    assert head.method == "POST"


def test_the_query_is_kept_and_never_twice(tmp_path: pathlib.Path) -> None:
    one = loaded(tmp_path, "https://a.example/v1", "anthropic")
    assert one.head(request("/v1/messages", "beta=true&x=%20"), None).target == "/v1/messages?beta=true&x=%20"
    assert one.head(request("/v1/messages"), None).target == "/v1/messages"


@pytest.mark.parametrize(("stream", "accept"), [(True, "text/event-stream"), (False, "application/json")])
def test_accept_says_which_form_is_wanted(tmp_path: pathlib.Path, stream: bool, accept: str) -> None:
    head = loaded(tmp_path, "https://a.example").head(request(stream=stream), None)
    assert [value for name, value in head.headers if name == "accept"] == [accept]


@pytest.mark.parametrize(
    ("given", "sent"),
    [("claude-cli/9 (x)", "claude-cli/9 (x)"), (None, f"ferryllm/{__version__}"), ("", f"ferryllm/{__version__}")],
)
def test_the_clients_name_goes_on_and_an_absent_one_is_ours(
    tmp_path: pathlib.Path, given: str | None, sent: str
) -> None:
    head = loaded(tmp_path, "https://a.example").head(request(), given)
    assert [value for name, value in head.headers if name == "user-agent"] == [sent]


def test_what_the_dialect_says_itself_is_not_said_twice(tmp_path: pathlib.Path) -> None:
    fields = (("Accept", "application/json, text/event-stream"),)
    head = loaded(tmp_path, "https://a.example").head(request(headers=fields), None)
    assert [value for name, value in head.headers if name.lower() == "accept"] == [fields[0][1]]


def test_what_the_dialect_adds_comes_behind_our_own(tmp_path: pathlib.Path) -> None:
    fields = (("content-type", "application/json"), ("anthropic-beta", "a,b"))
    head = loaded(tmp_path, "https://a.example", "anthropic").head(request(headers=fields), "x")
    assert head.headers == [
        ("host", "a.example"),
        ("x-api-key", PROVIDER_KEY),
        ("user-agent", "x"),
        ("accept", "application/json"),
        *fields,
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("entry", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("model", ["chat-x", "resp-x", "msg-x"])
async def test_a_client_cannot_name_destination_or_key(entry: str, model: str) -> None:
    hostile = (
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("proxy-authorization", "Basic abc"),
        ("cookie", "a=b"),
        ("x-api-key", "client-key"),
        ("connection", "x-api-key"),
        ("te", "trailers"),
        ("accept", "text/html"),
        ("user-agent", "agent/1"),
    )
    body = {"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], "input": "hi"}
    body["base_url"] = "http://evil.example"
    async with wired() as w:
        near = await w.begin(f"{entry}?key=client-key", body, headers=hostile)
        far, head, _ = await w.provider()
        names = [line.partition(b":")[0] for line in head.lower().split(b"\r\n")[1:-2]]
        assert len(names) == len(set(names)), "no field twice"
        assert not {b"cookie", b"forwarded", b"x-forwarded-host", b"proxy-authorization", b"te"} & set(names)
        assert b"evil.example" not in head
        assert b"client-key" not in head.partition(b"\r\n")[2], "a query may go on where the dialect is the same"
        assert b"host: 127.0.0.1:1\r\n" in head
        assert b"user-agent: agent/1\r\n" in head
        assert b"accept: application/json\r\n" in head
        assert PROVIDER_KEY.encode() in head
        await far.send(whole(b'{"error":{"message":"no"}}', 400))
        assert (await answer(near))[0] == 400


@pytest.mark.parametrize(
    ("lines", "base_url", "expected"),
    [
        ("http2 = true", "https://a.example", "on"),
        ("http2 = true", "http://a.example", "prior_knowledge"),
        ("", "https://a.example", "off"),
    ],
)
def test_the_way_to_a_provider_is_part_of_its_origin(
    tmp_path: pathlib.Path, lines: str, base_url: str, expected: str
) -> None:
    path = tmp_path / "ferryllm.toml"
    proxy = 'proxy = "http://user:secret@p.example:3128"\nmax_connections = 5\n'
    path.write_text(f'[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "{base_url}"\n{lines}\n{proxy}')
    (settings,) = load_settings(path, {}).providers
    origin = make(settings).origin
    assert origin.http2 == expected
    assert origin.max_connections == 5
    assert origin.proxy == Proxy("http", "p.example", 3128, ProxyAuth("user", "secret"))
    assert "secret" not in repr(origin)


def test_heads_are_made_once_for_the_same_kind_of_request(tmp_path: pathlib.Path) -> None:
    one = loaded(tmp_path, "https://a.example")
    first = one.prepare(request(), "x/1")
    assert one.prepare(request(), "x/1") is first
    others = [
        one.prepare(request(), "x/2"),
        one.prepare(request(stream=True), "x/1"),
        one.prepare(request("/v1/models"), "x/1"),
        one.prepare(request(headers=(("content-type", "text/plain"),)), "x/1"),
        one.prepare(request(query="beta=true"), "x/1"),
    ]
    assert len({other.data for other in [first, *others]}) == 6


def test_heads_that_may_hold_a_clients_key_or_are_many_are_not_kept(tmp_path: pathlib.Path) -> None:
    one = loaded(tmp_path, "https://a.example")
    one.prepare(request(query="key=" + "k" * 30), "x/1")
    one.prepare(request(), "x" * 5000)
    assert not one.prepared
    for n in range(1000):
        one.prepare(request(), f"x/{n}")
    assert len(one.prepared) <= 128
