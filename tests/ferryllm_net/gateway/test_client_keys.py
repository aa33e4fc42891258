"""Keys of clients at work in a gateway that runs: made by the admin API, refused in every dialect's own words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from ferryllm_net.http import Request, Responder
from ferryllm_net.keys import issuing
from ferryllm_net.keys.sqlite import SqliteKeys
from ferryllm_proto.routing.limits import date
from ferryllm_proto.routing.quota import Period, Quota, Unit
from support.answers import chat_usage, chat_whole
from support.gateways import Running, gateway, upstream
from support.planted import CLIENT_KEY

pytestmark = pytest.mark.anyio

ADMIN_KEY = "adm-Zx81Qw02Er93Ty74Ui65"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
SAY = [{"role": "user", "content": "hi"}]

ASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "chat-a", "messages": SAY, "max_tokens": 20}),
    "openai_responses": ("/v1/responses", {"model": "chat-a", "input": "hi", "max_output_tokens": 20}),
    "anthropic": ("/v1/messages", {"model": "chat-a", "max_tokens": 20, "messages": SAY}),
    "gemini": (
        "/v1beta/models/chat-a:generateContent",
        {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 20}},
    ),
    "ollama": ("/api/chat", {"model": "chat-a", "stream": False, "messages": SAY, "options": {"num_predict": 20}}),
}


async def _answer(request: Request, respond: Responder) -> None:
    await request.read()
    body = chat_whole({"role": "assistant", "content": "ok"}, usage=chat_usage(10, 7))
    await respond.complete(200, [("content-type", "application/json")], body)


class Keys:
    """A gateway with a store of keys, and what one does with them."""

    def __init__(self, running: Running, store: SqliteKeys) -> None:
        self.gateway = running
        self.store = store

    async def admin(self, method: str, path: str, body: object = None) -> Any:
        status, _, found = await self.gateway.ask(method, f"/admin{path}", body, ADMIN)
        assert 200 <= status < 300, found
        return json.loads(found)

    async def create(self, **form: object) -> str:
        """The text of a new key."""
        return str((await self.admin("POST", "/keys", {"name": "k", **form}))["key"])

    async def ask(self, key: str, dialect: str = "openai", **more: object) -> tuple[int, dict[str, str], Any]:
        path, body = ASKS[dialect]
        status, headers, found = await self.gateway.ask("POST", path, body | more, {"authorization": f"Bearer {key}"})
        return status, headers, json.loads(found)

    async def models(self, key: str) -> list[str]:
        status, _, body = await self.gateway.ask("GET", "/v1/models", None, {"x-api-key": key})
        assert status == 200
        return [model["id"] for model in json.loads(body)["data"]]


@asynccontextmanager
async def keys(folder: Path, more: str = "", *, ledger: str = '"off"') -> AsyncIterator[Keys]:
    secret = folder / "admin.key"
    _write(secret)
    config = (
        f'[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n[keys]\nstore = "sqlite"\npath = "{folder}/keys.db"\n'
        f"[ledger]\nstore = {ledger}\n"
        f'[admin]\nenabled = true\nkey_file = "{secret}"\n{more}'
    )
    async with upstream(_answer) as port, gateway(port, more=config) as running:
        store = SqliteKeys.open(folder / "keys.db")
        yield Keys(running, store)
        await store.aclose()


def _write(path: Path, text: str = ADMIN_KEY) -> None:
    path.write_text(text)
    path.chmod(0o600)


def _message(body: Any) -> str:
    """The words of an error of any dialect."""
    error = body["error"]
    return str(error if isinstance(error, str) else error["message"])


async def test_a_limit_of_a_key_is_told_with_the_wait_in_every_dialect(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        for dialect in ASKS:
            key = await k.create(name=dialect, limits={"requests_per_minute": 2})
            assert [(await k.ask(key, dialect))[0] for _ in range(2)] == [200, 200]
            status, headers, body = await k.ask(key, dialect)
            assert status == 429
            assert 1 <= int(headers["retry-after"]) <= 30
            assert "this key has reached its limit of 2 requests a minute" in _message(body)
            assert (await k.ask(CLIENT_KEY, dialect))[0] == 200, "a limit of one key is no other's"


async def test_a_spent_quota_says_when_it_renews_in_every_dialect(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        for dialect in ASKS:
            key = await k.create(name=dialect, limits={"daily_requests": 1})
            assert (await k.ask(key, dialect))[0] == 200
            status, headers, body = await k.ask(key, dialect)
            assert status == 402
            words = _message(body)
            assert "this key has used up its quota: 1 requests of 1 requests a day" in words
            assert "it renews at 20" in words
            assert "T00:00:00Z" in words
            assert 0 < int(headers["retry-after"]) <= 86_400


async def test_tokens_are_counted_as_they_were_used_not_as_they_were_feared(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        key = await k.create(limits={"daily_tokens": 60})
        # Each takes 17; what a request may take at most is some 30, so the third begins at 34 and fits.
        assert [(await k.ask(key))[0] for _ in range(2)] == [200, 200]
        status, _, body = await k.ask(key, max_tokens=40)
        assert status in (402, 429)
        assert "34 tokens of 60 tokens a day are used" in _message(body)


async def test_a_project_is_shared_by_its_keys(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        await k.admin("POST", "/projects", {"name": "web", "limits": {"total_requests": 1}})
        one, other = await k.create(name="a", project="web"), await k.create(name="b", project="web")
        assert (await k.ask(one))[0] == 200
        status, _, body = await k.ask(other)
        assert status in (402, 429)
        assert "this key's project has used up its quota" in _message(body)
        assert "does not renew itself" in _message(body)
        await k.admin("PATCH", "/projects/web", {"limits": {"total_requests": None}})
        assert (await k.ask(other))[0] == 200


async def test_a_key_opens_its_models_alone_and_sees_no_others(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        key = await k.create(models=["chat-a*", "exact-model"])
        assert (await k.ask(key, model="chat-abc"))[0] == 200
        status, _, body = await k.ask(key, model="chat-b")
        assert status == 403
        assert _message(body) == "this key may not use the model 'chat-b'; it may use chat-a*, exact-model"
        assert await k.models(key) == ["exact-model"]
        assert await k.models(await k.create(name="two", models=["chat-*", "chat-b"])) == ["chat-*", "chat-b"]
        assert {"chat-*", "resp-*", "msg-*", "exact-model"} <= set(await k.models(CLIENT_KEY))
        for model, status in (("chat-abc", 200), ("resp-a", 403), ("none", 403)):
            found = await k.gateway.ask("GET", f"/v1/models/{model}", None, {"x-api-key": key})
            assert found[0] == status, model


async def test_a_key_is_answered_by_its_providers_alone(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        key = await k.create(providers=["chat"])
        assert (await k.ask(key))[0] == 200
        status, _, body = await k.ask(key, model="msg-a")
        assert status == 403
        assert "may not use the providers" in _message(body)
        assert await k.models(key) == ["chat-*"]


async def test_a_revoked_key_is_refused_at_once_and_an_expired_one_too(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        for dialect in ASKS:
            key = await k.create(name=dialect, expires="2999-01-01")
            assert (await k.ask(key, dialect))[0] == 200
            gone = await k.admin("DELETE", f"/keys/{dialect}")
            status, _, body = await k.ask(key, dialect)
            assert status == 401
            assert f"this API key was revoked on {gone['revoked'][:10]}" in _message(body)
            await k.store.edit(gone["id"], lambda old: type(old)(old.id, old.name, 1.0, old.terms, old.texts, 2.0))
            await _polled(k)
            status, _, body = await k.ask(key, dialect)
            assert status == 401
            assert f"this API key expired on {date(2.0)}" in _message(body)


async def _polled(k: Keys) -> None:
    live = k.gateway.app.parts.keys
    assert live is not None
    await live.refresh()


async def test_a_mistyped_key_is_told_from_an_unknown_one(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        key = await k.create()
        for wrong, words in ((key[:-1], "has a slip in it"), ("sk-" + key, "is not known here")):
            status, _, body = await k.ask(wrong)
            assert (status, words in _message(body)) == (401, True)
        assert key[:8] not in k.gateway.log


async def test_both_texts_of_a_key_count_together_within_the_grace(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        old = await k.create(limits={"requests_per_minute": 2})
        new = (await k.admin("POST", "/keys/k/rotate", {"grace": "1h"}))["key"]
        assert [(await k.ask(key))[0] for key in (old, new, old, new)] == [200, 200, 429, 429]
        await k.admin("POST", "/keys/k/rotate")
        assert [(await k.ask(key))[0] for key in (old, new)] == [401, 401]


async def test_what_another_process_does_is_seen_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The default of a keyword was taken when the module was read.
    monkeypatch.setitem(_watch_defaults(), "every", 0.01)
    async with keys(tmp_path) as k:
        made = await issuing.create(k.store, "laptop", now=1.0)
        await _until(k, made.text.reveal(), 200)
        await issuing.revoke(k.store, "laptop", now=2.0)
        await _until(k, made.text.reveal(), 401)


def _watch_defaults() -> dict[str, Any]:
    from ferryllm_net.keys.live import LiveKeys

    found = LiveKeys.watch.__kwdefaults__
    assert found is not None
    return found


async def _until(k: Keys, key: str, status: int) -> None:
    with anyio.fail_after(10):
        while (await k.ask(key))[0] != status:  # noqa: ASYNC110 - the gateway's own look at the store has no event
            await anyio.sleep(0.01)


async def test_stored_responses_stay_a_keys_own_when_its_text_changes(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        old = await k.create()
        kept = (await k.ask(old, "openai_responses"))[2]["id"]
        new = (await k.admin("POST", "/keys/k/rotate"))["key"]
        for key, status in ((new, 200), (CLIENT_KEY, 404)):
            found = await k.gateway.ask("GET", f"/v1/responses/{kept}", None, {"x-api-key": key})
            assert found[0] == status


async def test_the_admin_key_opens_nothing_else_and_no_clients_key_opens_the_admin_api(tmp_path: Path) -> None:
    async with keys(tmp_path) as k:
        key = await k.create()
        assert (await k.ask(ADMIN_KEY))[0] == 401
        for wrong in (key, CLIENT_KEY, "x"):
            status, _, body = await k.gateway.ask("GET", "/admin/keys", None, {"authorization": f"Bearer {wrong}"})
            assert (status, json.loads(body)["error"]["type"]) == (401, "unauthorized")
        assert ADMIN_KEY not in k.gateway.log


async def test_without_admin_there_is_no_admin_api() -> None:
    async with upstream(_answer) as port, gateway(port) as running:
        status, _, body = await running.ask("GET", "/admin/keys", None, ADMIN)
        assert status == 404
        assert "enabled = true in [admin]" in _message(json.loads(body))


async def test_a_quota_that_comes_later_counts_what_was_used_before(tmp_path: Path) -> None:
    async with keys(tmp_path, ledger=f'"sqlite"\npath = "{tmp_path}/ledger.db"') as k:
        key = await k.create()
        assert [(await k.ask(key))[0] for _ in range(2)] == [200, 200]
        changed = await k.admin("PATCH", "/keys/k", {"limits": {"total_requests": 2}})
        accounts, quota = k.gateway.app.door.desk.accounts, Quota(Unit.REQUESTS, Period.EVER, 2)
        with anyio.fail_after(10):
            while accounts.used(f"key/{changed['id']}", quota, 0) < 2:  # noqa: ASYNC110 - read beside the answer
                await anyio.sleep(0.005)
        assert (await k.ask(key))[0] == 402
        assert (await k.admin("GET", "/keys/k"))["used"] == {"total_requests": 2}
        usage = await k.admin("GET", "/usage?by=key")
        assert [(group["key"], group["name"], group["requests"]) for group in usage["groups"]] == [
            (changed["id"], "k", 3)  # one of them refused
        ]
        assert usage["total"]["refused"] == 1


async def test_keys_of_the_file_have_limits_too(tmp_path: Path) -> None:
    more = '[[auth.keys]]\nname = "ci"\nkey_file = "ci.key"\nrequests_per_minute = 1\n'.replace(
        "ci.key", str(tmp_path / "ci.key")
    )
    _write(tmp_path / "ci.key", "the-key-of-ci-0123")
    async with keys(tmp_path, more) as k:
        assert [(await k.ask("the-key-of-ci-0123"))[0] for _ in range(2)] == [200, 429]
