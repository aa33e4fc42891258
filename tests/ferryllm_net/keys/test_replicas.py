"""Two gateways over one PostgreSQL: a key of one is a key of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ferryllm_net.http import Request, Responder
from support.answers import chat_usage, chat_whole
from support.gateways import Running, gateway, upstream
from support.postgres_server import Server

pytestmark = pytest.mark.anyio

ADMIN_KEY = "adm-Zx81Qw02Er93Ty74Ui65"
BODY = {"model": "chat-a", "messages": [{"role": "user", "content": "hi"}]}


async def _answer(request: Request, respond: Responder) -> None:
    await request.read()
    body = chat_whole({"role": "assistant", "content": "ok"}, usage=chat_usage())
    await respond.complete(200, [("content-type", "application/json")], body)


async def _admin(one: Running, method: str, path: str, body: object = None) -> Any:
    status, _, found = await one.ask(method, f"/admin{path}", body, {"authorization": f"Bearer {ADMIN_KEY}"})
    assert 200 <= status < 300, found
    return json.loads(found)


async def _ask(one: Running, key: str) -> int:
    return (await one.ask("POST", "/v1/chat/completions", BODY, {"x-api-key": key}))[0]


def _write(path: Path) -> None:
    path.write_text(ADMIN_KEY)
    path.chmod(0o600)


async def _look(one: Running) -> None:
    """What every gateway does every two seconds."""
    assert one.app.parts.keys is not None
    await one.app.parts.keys.refresh()


async def test_what_one_replica_does_the_other_sees_with_its_next_look(postgres: Server, tmp_path: Path) -> None:
    secret = tmp_path / "admin.key"
    _write(secret)
    more = (
        f'[postgres]\nurl = "{postgres.fresh_url()}"\n[auth]\nenabled = true\n[keys]\nstore = "postgres"\n'
        f'[ledger]\nstore = "off"\n[admin]\nenabled = true\nkey_file = "{secret}"\n'
    )
    async with upstream(_answer) as port, gateway(port, more=more) as one, gateway(port, more=more) as other:
        key = (await _admin(one, "POST", "/keys", {"name": "ci", "limits": {"requests_per_minute": 3}}))["key"]
        assert await _ask(one, key) == 200
        assert await _ask(other, key) == 401, "it has not looked yet"
        await _look(other)
        assert await _ask(other, key) == 200
        new = (await _admin(other, "POST", "/keys/ci/rotate", {"grace": "1h"}))["key"]
        assert await _ask(other, new) == 200
        await _look(one)
        assert [await _ask(one, text) for text in (key, new)] == [200, 200]
        await _admin(one, "DELETE", "/keys/ci")
        assert await _ask(one, new) == 401
        await _look(other)
        assert [await _ask(other, text) for text in (key, new)] == [401, 401]
        assert [found["state"] for found in (await _admin(other, "GET", "/keys"))["keys"]] == ["revoked"]
