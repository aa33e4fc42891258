"""What a running gateway tells beside its log: metrics, the audit log, the log of requests."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ferryllm_net.config.configuration import Configuration
from ferryllm_net.gateway import Serving, serve
from ferryllm_net.gateway.changing import MAX_NAMED, differing
from ferryllm_net.http import Request, Responder
from ferryllm_net.reload import EVERYTHING, Reload
from ferryllm_net.telemetry import Log
from support.gateways import Running, gateway, settings, upstream
from support.planted import CLIENT_KEY, PROMPT, PROVIDER_KEY, SECRETS, leaks

pytestmark = pytest.mark.anyio

AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n'
KEY = {"authorization": f"Bearer {CLIENT_KEY}"}
BODY = {"model": 'chat-any"thing\n', "messages": [{"role": "user", "content": PROMPT}]}
ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "real-chat",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }
).encode()


async def answer(request: Request, respond: Responder) -> None:
    """A provider that answers all."""
    await request.read(1 << 20)
    await respond.complete(200, [("content-type", "application/json")], ANSWER)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def wait_lines(path: Path, count: int) -> list[dict[str, Any]]:
    """What stands in the file as soon as it has ``count`` lines: a thread writes it."""
    with anyio.fail_after(10):
        while len(found := lines(path)) < count:  # noqa: ASYNC110 - a file has no event to wait for
            await anyio.sleep(0.005)
    return found


async def samples(running: Running, headers: dict[str, str] | None = None) -> dict[tuple[str, ...], float]:
    status, _, body = await running.ask("GET", "/metrics", headers=headers)
    assert status == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


async def test_one_request_in_all_that_is_counted() -> None:
    async with upstream(answer) as port, gateway(port) as running:
        assert (await running.ask("POST", "/v1/chat/completions", BODY))[0] == 200
        await running.logged("request completed")
        found = await samples(running)
    assert found["ferryllm_requests_total", "openai", "ok", "chat"] == 1
    assert found["ferryllm_requests_ok_total", "openai", "chat"] == 1
    assert found["ferryllm_responses_total", "openai", "200"] == 1
    assert found["ferryllm_route_requests_total", "ok", "chat", "chat-"] == 1
    assert found["ferryllm_attempts_total", "ok", "chat"] == 1
    assert found["ferryllm_attempt_latency_seconds_count", "chat"] == 1
    assert found["ferryllm_request_latency_seconds_count", "openai", "chat"] == 1
    assert found["ferryllm_tokens_total", "cache_read", "chat"] == 4
    assert found["ferryllm_prompt_cache_hit_ratio", "chat"] == 0.4
    assert found["ferryllm_exchanges_running",] == 0
    assert found["ferryllm_requests_waiting",] == 0
    assert found["ferryllm_workers",] == 1


async def test_a_provider_that_fails_is_seen_in_attempts_and_breakers() -> None:
    async def fail(request: Request, respond: Responder) -> None:
        await request.read(1 << 20)
        await respond.complete(503, [("content-type", "application/json")], b"{}")

    more = "[retry]\nattempts = 1\nbackoff_ms = 1\n[breaker]\nfailures = 1\ncooldown_secs = 60\n"
    async with upstream(fail) as port, gateway(port, more=more) as running:
        for model in ("chat-a", "exact-model"):
            path = "/v1/chat/completions"
            await running.ask("POST", path, {**BODY, "model": model})
        found = await samples(running)
    assert found["ferryllm_upstream_errors_total", "chat"] >= 1
    assert found["ferryllm_requests_error_total", "openai", "chat"] == 1
    states = {series[1:]: value for series, value in found.items() if series[0] == "ferryllm_breaker_open"}
    assert states == {("real-chat", "chat", "open"): 1, ("exact-model", "msg", "open"): 1}


@pytest.mark.parametrize(("public", "status"), [("false", 401), ("true", 200)])
async def test_metrics_are_public_only_where_the_configuration_says_so(public: str, status: int) -> None:
    async with upstream(answer) as port, gateway(port, more=f"{AUTH}[metrics]\npublic = {public}\n") as running:
        assert (await running.ask("GET", "/metrics"))[0] == status
        assert (await running.ask("GET", "/v1/models"))[0] == 401
        assert (await running.ask("GET", "/metrics", headers=KEY))[0] == 200


async def test_web_pages_do_not_read_the_metrics_of_a_gateway_without_auth() -> None:
    async with upstream(answer) as port, gateway(port, more="[metrics]\npublic = true\n") as running:
        assert (await running.ask("GET", "/metrics", headers={"origin": "https://evil.example"}))[0] == 403
        assert (await running.ask("GET", "/metrics"))[0] == 200


async def test_metrics_by_keys_where_that_is_asked_for() -> None:
    async with upstream(answer) as port, gateway(port, more=f"{AUTH}[metrics]\nkeys = true\n") as running:
        await running.ask("POST", "/v1/chat/completions", BODY, KEY)
        await running.logged("request completed")
        found = await samples(running, KEY)
    assert [value for series, value in found.items() if series[0] == "ferryllm_key_requests_total"] == [1]
    assert "key=" in running.log


async def test_the_audit_log_from_start_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    more = f"{AUTH}[audit]\npath = {json.dumps(str(path))}\n"
    async with upstream(answer) as port:
        async with gateway(port, more=more) as running:
            await running.ask("POST", "/v1/chat/completions", BODY, {"authorization": "Bearer wrong-key-123456"})
            await running.ask("GET", "/v1/models")
            await running.ask("POST", "/v1/chat/completions", BODY, KEY)
        found = lines(path)
    assert [(one["action"], one["outcome"]) for one in found] == [
        ("gateway.start", "done"),
        ("request.refused", "key"),
        ("request.refused", "key"),
        ("gateway.stop", "done"),
    ]
    assert {(one["peer"], one["status"], one["entry"]) for one in found[1:3]} == {("127.0.0.1", 401, "openai")}
    assert leaks(path.read_text()) == []
    assert "wrong-key" not in path.read_text()


async def test_the_log_of_requests_has_contents_and_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    more = f"{AUTH}[request_log]\npath = {json.dumps(str(path))}\n"
    async with upstream(answer) as port, gateway(port, more=more) as running:
        body = {**BODY, "user": PROVIDER_KEY}
        assert (await running.ask("POST", "/v1/chat/completions", body, KEY))[0] == 200
        (entry,) = await wait_lines(path, 1)
    text = path.read_text()
    assert PROMPT in text
    assert CLIENT_KEY not in text
    assert PROVIDER_KEY not in text
    assert entry["upstream"][0]["answer"]["body"] == ANSWER.decode()
    assert {"client_request", "client_answer"} <= set(entry)
    assert leaks(running.log) == []
    assert len(SECRETS) >= 2


async def test_streams_are_captured_as_they_flow(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"

    async def stream(request: Request, respond: Responder) -> None:
        await request.read(1 << 20)
        await respond.head(200, [("content-type", "text/event-stream")])
        for text, reason in (("Hel", None), ("lo", None), ("", "stop")):
            choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            await respond.body(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await respond.body(b"data: [DONE]\n\n")
        await respond.end()

    more = f"[request_log]\npath = {json.dumps(str(path))}\n"
    async with upstream(stream) as port, gateway(port, more=more) as running:
        _, _, body = await running.ask("POST", "/v1/messages", {**BODY, "max_tokens": 9, "stream": True})
        (entry,) = await wait_lines(path, 1)
    assert entry["client_answer"]["body"] == body.decode()
    assert entry["upstream"][0]["answer"]["body"].count("data: ") == 4


RELOADED = """
[server]
listen = "127.0.0.1:0"
[reload]
watch = false
[audit]
path = "audit.jsonl"
[[providers]]
name = "one"
type = "openai"
base_url = "http://127.0.0.1:9{more}"
"""


async def test_reloads_are_in_the_audit_log(tmp_path: Path) -> None:
    path = tmp_path / "ferryllm.toml"
    path.write_text(RELOADED.format(more=""))
    configuration = Configuration(path, {})
    first = configuration.load()
    log = Log(io.StringIO(), now=lambda: 0.0)
    reload = Reload(configuration, first, log)

    async def run(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
        await serve(first, log, handle_signals=False, reload=reload, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        await tasks.start(run)
        for count, more in ((2, "/v1"), (3, '"\nnonsense = "')):
            path.write_text(RELOADED.format(more=more))
            reload.ask(EVERYTHING)
            await wait_lines(tmp_path / "audit.jsonl", count)
        tasks.cancel_scope.cancel()
    found = [(one["action"], one["outcome"], one.get("changed")) for one in lines(tmp_path / "audit.jsonl")]
    assert found == [
        ("gateway.start", "done", None),
        ("config.reload", "done", ["providers.one"]),
        ("config.reload", "configuration not used", None),
        ("gateway.stop", "done", None),
    ]


async def test_another_file_is_taken_while_it_runs(tmp_path: Path) -> None:
    path, before, behind = tmp_path / "ferryllm.toml", tmp_path / "audit.jsonl", tmp_path / "other.jsonl"
    text = RELOADED.format(more="")
    path.write_text(text)
    configuration = Configuration(path, {})
    first = configuration.load()
    stream = io.StringIO()
    log = Log(stream, now=lambda: 0.0)
    reload = Reload(configuration, first, log)

    async def run(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
        await serve(first, log, handle_signals=False, reload=reload, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        parts = (await tasks.start(run)).app.parts
        path.write_text(text.replace("audit.jsonl", "other.jsonl") + '[request_log]\npath = "requests.jsonl"\n')
        reload.ask(EVERYTHING)
        (moved,) = await wait_lines(behind, 1)
        assert moved["changed"] == ["audit", "request_log"]
        assert [one["action"] for one in await wait_lines(before, 2)] == ["gateway.start", "config.reload"]
        assert parts.request_log is not None
        path.write_text(text.replace('[audit]\npath = "audit.jsonl"\n', ""))
        reload.ask(EVERYTHING)
        assert len(await wait_lines(behind, 2)) == 2
        assert (parts.audit, parts.request_log) == (None, None)
        tasks.cancel_scope.cancel()
    assert (len(lines(before)), len(lines(behind))) == (2, 2)  # who has left says no end
    assert "needs a restart" not in stream.getvalue()


def test_what_differs_is_told_by_name() -> None:
    before = settings(1)
    more = settings(2, server="max_connections = 5\n", more="[metrics]\nkeys = true\n")
    assert differing(before, before) == ()
    found = differing(before, more)
    assert {"metrics", "server.max_connections", "providers.chat", "providers.resp", "providers.msg"} <= set(found)
    assert not [name for name in found if name.startswith("routes")]
    assert all(PROVIDER_KEY not in name for name in found)


def test_names_of_differences_are_bounded() -> None:
    routes = "".join(f'[[routes]]\nmatch = "m{n}-"\nprovider = "chat"\n' for n in range(150))
    found = differing(settings(1), settings(1, more=routes))
    assert (len(found), found[-1]) == (MAX_NAMED + 1, "and 50 more")
