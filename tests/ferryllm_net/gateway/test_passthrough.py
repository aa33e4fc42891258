"""Paths that pass as they are, over sockets: keys, browsers, limits, HEAD, and answers that break off."""

from __future__ import annotations

import json

import anyio
import pytest

from ferryllm_net.http import Request, Responder, UpstreamError
from support.gateways import closed_port, gateway, upstream
from support.planted import CLIENT_KEY, PROVIDER_KEY

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

MORE = '[[passthrough]]\npath = "/v1/files"\nprovider = "chat"\n'
AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n'
FORM = {"content-type": "multipart/form-data; boundary=x"}
KEY = {"authorization": f"Bearer {CLIENT_KEY}"}
BODY = b"--x\r\n\r\n\x00\xff\r\n--x--\r\n"


class Echo:
    """Says what it was asked."""

    def __init__(self) -> None:
        self.seen: list[Request] = []

    async def __call__(self, request: Request, respond: Responder) -> None:
        self.seen.append(request)
        body = await request.read()
        if request.path == "/v1/files/half":
            await respond.head(200, [("content-type", "text/plain"), ("content-length", "100")])
            await respond.body(b"half of it")
            await respond.abort()
            return
        about = {"method": request.method, "target": request.target, "size": len(body)}
        await respond.complete(200, [("content-type", "application/json")], json.dumps(about).encode())


async def test_an_upload_passes_with_a_right_key_and_the_providers_own_behind_it() -> None:
    echo = Echo()
    async with upstream(echo) as port, gateway(port, more=AUTH + MORE) as running:
        status, _, body = await running.ask("POST", "/v1/files?a=1&key=" + CLIENT_KEY, BODY, {**FORM, **KEY})
        assert (status, json.loads(body)) == (200, {"method": "POST", "target": "/v1/files?a=1", "size": len(BODY)})
        assert echo.seen[0].header("authorization") == f"Bearer {PROVIDER_KEY}"
        assert echo.seen[0].header("content-type") == FORM["content-type"]
        for headers in ({}, {"authorization": "Bearer wrong"}):
            status, _, body = await running.ask("POST", "/v1/files", BODY, {**FORM, **headers})
            assert status == 401
            assert json.loads(body)["error"]["code"] == "invalid_api_key"
        assert len(echo.seen) == 1
        assert CLIENT_KEY not in running.log


async def test_without_auth_a_form_needs_what_no_page_can_send() -> None:
    echo = Echo()
    async with upstream(echo) as port, gateway(port, more=MORE) as running:
        assert (await running.ask("POST", "/v1/files", BODY, FORM))[0] == 403
        foreign = {**FORM, "authorization": "Bearer any", "origin": "https://evil.example"}
        assert (await running.ask("POST", "/v1/files", BODY, foreign))[0] == 403
        assert (await running.ask("OPTIONS", "/v1/files", None, {"origin": f"http://127.0.0.1:{running.port}"}))[
            0
        ] == 405
        assert echo.seen == []
        assert (await running.ask("POST", "/v1/files", BODY, {**FORM, "authorization": "Bearer any"}))[0] == 200
        assert (await running.ask("POST", "/v1/chat/completions", BODY, {**FORM, **KEY}))[0] == 415, "nowhere else"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "HEAD"])
async def test_every_method_reaches_the_provider(method: str) -> None:
    echo = Echo()
    async with upstream(echo) as port, gateway(port, more=MORE) as running:
        status, headers, body = await running.ask(method, "/files/f_1?x=%2F")
        assert status == 200
        assert (echo.seen[0].method, echo.seen[0].target) == (method, "/v1/files/f_1?x=%2F")
        assert headers["content-type"] == "application/json"
        assert bool(body) is (method != "HEAD")


async def test_the_body_limit_holds() -> None:
    echo = Echo()
    async with upstream(echo) as port, gateway(port, server="body_limit_mb = 1", more=MORE) as running:
        status, _, body = await running.ask("POST", "/v1/files", b"x" * (2 << 20), {**FORM, **KEY})
        assert status == 413
        assert "body_limit_mb" in json.loads(body)["error"]["message"]
        assert echo.seen == []


async def test_an_answer_that_breaks_off_is_cut_and_recorded() -> None:
    echo = Echo()
    async with upstream(echo) as port, gateway(port, more=MORE) as running:
        with pytest.raises(UpstreamError):
            await running.ask("GET", "/v1/files/half")
        await running.logged("request completed")
        assert 'outcome="truncated"' in running.log


async def test_a_provider_that_is_not_there_is_an_error_of_the_dialect() -> None:
    with closed_port() as port:
        async with gateway(port, more=MORE) as running:
            status, _, body = await running.ask("GET", "/v1/files")
    assert status == 502
    assert "chat" in json.loads(body)["error"]["message"]


async def test_many_pass_at_once() -> None:
    echo = Echo()
    async with upstream(echo) as port, gateway(port, more=MORE) as running, anyio.create_task_group() as tasks:

        async def ask(number: int) -> None:
            status, _, body = await running.ask("POST", f"/v1/files/{number}", b"x" * number, {**FORM, **KEY})
            assert status == 200
            assert json.loads(body) == {"method": "POST", "target": f"/v1/files/{number}", "size": number}

        for number in range(1, 20):
            tasks.start_soon(ask, number)
