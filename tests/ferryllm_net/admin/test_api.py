"""The admin API over a store on disk: what it answers, whom it refuses, what it tells the audit log."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.admin import Admin
from ferryllm_net.admin.api import MAX_BODY, PATHS
from ferryllm_net.http import Request, RequestHead, Responder
from ferryllm_net.http.request import Channel
from ferryllm_net.keys.sqlite import SqliteKeys
from ferryllm_net.keys.store import KeyStoreError
from ferryllm_net.telemetry import Log
from ferryllm_net.telemetry.audit import AuditEvent
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.policy.key_text import is_mistyped

pytestmark = pytest.mark.anyio
NOW = 1_800_000_000.0
KEY = "adm-Zx81Qw02Er93Ty74Ui65"
BEARER = ("authorization", f"Bearer {KEY}")


class Answer:
    """What a responder was given."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.raw = b""

    async def complete(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.raw = status, dict(headers), body

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> tuple[int, str, str]:
        found = self.body["error"]
        return self.status, found["type"], found.get("field", "")


class Body:
    """A channel that has one body."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data

    async def body_data(self, received: int) -> bytes | None:
        data, self._data = self._data, None
        return data


class Rig:
    def __init__(self, store: SqliteKeys) -> None:
        self.store = store
        self.lines = io.StringIO()
        self.events: list[AuditEvent] = []
        self.refreshed = 0
        log = Log(self.lines, "debug", now=lambda: NOW)
        self.admin = Admin(
            store, key_digest(KEY), self.refresh, log, audit=lambda: self.events.append, clock=lambda: NOW
        )

    async def refresh(self) -> None:
        self.refreshed += 1

    async def ask(self, method: str, target: str, body: object = None, *headers: tuple[str, str]) -> Answer:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        fields = [("host", "gateway.example"), ("content-length", str(len(data))), *(headers or (BEARER,))]
        head = RequestHead(method, target, fields)
        channel = cast(Channel, Body(data))
        request = Request(head, channel, peer=("10.0.0.9", 1), scheme="http", body_limit=1 << 20)
        answer = Answer()
        await self.admin.answer(request, cast(Responder, answer), "req_1")
        return answer


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    store = SqliteKeys.open(tmp_path / "keys.db")
    yield Rig(store)
    await store.aclose()


async def test_a_key_is_made_shown_once_and_counts_at_once(rig: Rig) -> None:
    form = {"name": "ci", "project": "web", "models": ["gpt-*"], "limits": {"daily_cost": 2.5}, "expires": "1h"}
    made = await rig.ask("POST", "/admin/keys", form)
    assert made.status == 201
    assert made.headers["cache-control"] == "no-store"
    assert not is_mistyped(made.body["key"])
    assert (made.body["limits"], made.body["expires"]) == ({"daily_cost": 2.5}, "2027-01-15T09:00:00Z")
    assert rig.refreshed == 1
    shown = await rig.ask("GET", f"/admin/keys/{made.body['id']}")
    assert shown.body == {name: value for name, value in made.body.items() if name != "key"}
    assert (await rig.ask("GET", "/admin/keys/ci")).body == shown.body
    assert made.body["key"] not in rig.lines.getvalue() + repr(rig.events)
    assert rig.events == [
        AuditEvent(
            NOW,
            "key.create",
            "done",
            made.body["id"],
            "ci",
            "10.0.0.9",
            "req_1",
            ("name", "project", "models", "limits.daily_cost", "expires"),
        )
    ]


async def test_keys_are_listed_by_pages(rig: Rig) -> None:
    ids = sorted([(await rig.ask("POST", "/admin/keys", {"name": f"n{n}"})).body["id"] for n in range(3)])
    first = (await rig.ask("GET", "/admin/keys?limit=2")).body
    assert [key["id"] for key in first["keys"]] == ids[:2]
    assert first["next"] == ids[1]
    rest = (await rig.ask("HEAD", f"/admin/keys?limit=2&after={first['next']}")).body
    assert ([key["id"] for key in rest["keys"]], rest["next"]) == (ids[2:], None)
    assert (await rig.ask("GET", "/admin/keys?limit=0")).error == (400, "invalid", "limit")


async def test_a_key_is_changed_rotated_and_revoked(rig: Rig) -> None:
    made = (await rig.ask("POST", "/admin/keys", {"name": "ci", "limits": {"daily_tokens": 5}})).body
    form = {"limits": {"requests_per_minute": 9, "daily_tokens": None}, "models": ["m"], "expires": None}
    changed = (await rig.ask("PATCH", "/admin/keys/ci", form)).body
    assert (changed["limits"], changed["models"]) == ({"requests_per_minute": 9}, ["m"])
    turned = (await rig.ask("POST", "/admin/keys/ci/rotate", {"grace": "24h"})).body
    assert turned["key"] != made["key"]
    assert [text["ends"] for text in turned["texts"]] == [None, "2027-01-16T08:00:00Z"]
    assert (await rig.ask("POST", "/admin/keys/ci/rotate")).status == 200
    gone = (await rig.ask("DELETE", f"/admin/keys/{made['id']}")).body
    assert gone["state"] == "revoked"
    assert (await rig.ask("PATCH", "/admin/keys/ci", {"user": "x"})).error == (400, "invalid", "key")
    assert [(event.action, event.outcome) for event in rig.events] == [
        ("key.create", "done"),
        ("key.change", "done"),
        ("key.rotate", "done"),
        ("key.rotate", "done"),
        ("key.revoke", "done"),
        ("key.change", "invalid"),
    ]
    assert rig.refreshed == 5


async def test_projects_are_made_changed_and_removed(rig: Rig) -> None:
    made = await rig.ask("POST", "/admin/projects", {"name": "web", "limits": {"monthly_cost": "10.50"}})
    assert (made.status, made.body["limits"]) == (201, {"monthly_cost": 10.5})
    assert (await rig.ask("POST", "/admin/projects", {"name": "web"})).error == (409, "conflict", "name")
    changed = await rig.ask("PATCH", "/admin/projects/web", {"limits": {"daily_tokens": 1}})
    assert changed.body["limits"] == {"monthly_cost": 10.5, "daily_tokens": 1}
    assert (await rig.ask("GET", "/admin/projects")).body["projects"] == [changed.body]
    assert (await rig.ask("GET", "/admin/projects/web")).body == changed.body
    assert (await rig.ask("DELETE", "/admin/projects/web")).body == {"name": "web", "removed": True}
    for method in ("GET", "PATCH", "DELETE"):
        assert (await rig.ask(method, "/admin/projects/web")).error == (404, "not_found", "")


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ((("x-other", "1"),), (401, "unauthorized", "")),
        ((("authorization", "Bearer wrong"),), (401, "unauthorized", "")),
        ((("authorization", f"Basic {KEY}"),), (401, "unauthorized", "")),
        ((("x-api-key", KEY + "x"),), (401, "unauthorized", "")),
        ((BEARER, ("origin", "https://evil.example")), (403, "forbidden", "")),
        ((BEARER, ("sec-fetch-site", "cross-site")), (403, "forbidden", "")),
        ((BEARER, ("content-type", "text/plain")), (415, "forbidden", "")),
    ],
)
async def test_who_has_no_business_here_is_refused_before_anything_is_read(
    rig: Rig, headers: tuple[tuple[str, str], ...], error: tuple[int, str, str]
) -> None:
    answer = await rig.ask("POST", "/admin/keys", {"name": "ci"}, *headers)
    assert answer.error == error
    assert (answer.status == 401) == ("www-authenticate" in answer.headers)
    assert [(event.action, event.outcome) for event in rig.events] == [("admin.refused", error[1])]
    assert (await rig.store.keys()) == []


async def test_the_key_may_come_as_x_api_key(rig: Rig) -> None:
    assert (await rig.ask("GET", "/admin/keys", None, ("x-api-key", KEY))).status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", ""),
        (b"{", ""),
        (b"\xff", ""),
        ({}, ""),
        ({"name": "x", "secret-field": "fy-1"}, ""),
        ({"name": 5}, ""),
        ({"name": " x"}, "name"),
        ({"name": "x", "limits": {"hourly": 1}}, "limits.hourly"),
        ({"name": "x", "limits": {"daily_tokens": "many"}}, "limits.daily_tokens"),
        ({"name": "x", "expires": "soon"}, "expires"),
        ({"name": "x", "expires": "2020-01-01"}, "expires"),
        ({"name": "x", "models": [""]}, "models"),
    ],
)
async def test_a_body_that_can_not_be_is_refused_with_its_field(rig: Rig, body: object, field: str) -> None:
    answer = await rig.ask("POST", "/admin/keys", body)
    assert answer.error == (400, "invalid", field)
    assert rig.refreshed == 0


async def test_a_name_that_is_taken_is_a_conflict(rig: Rig) -> None:
    await rig.ask("POST", "/admin/keys", {"name": "ci"})
    assert (await rig.ask("POST", "/admin/keys", {"name": "ci"})).error == (409, "conflict", "name")


async def test_a_body_that_is_too_large_is_not_read(rig: Rig) -> None:
    assert (await rig.ask("POST", "/admin/keys", b" " * (MAX_BODY + 1))).error == (413, "bad_request", "")


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/users", "/admin/keys/a/b", "/admin/keys/a/rotate/b"])
async def test_where_nothing_is_the_paths_are_named(rig: Rig, path: str) -> None:
    answer = await rig.ask("GET", path)
    assert answer.error == (404, "not_found", "")
    assert all(known in answer.body["error"]["message"] for known in PATHS)


async def test_another_method_is_told_the_right_ones(rig: Rig) -> None:
    answer = await rig.ask("PUT", "/admin/keys/ci")
    assert answer.error == (405, "method_not_allowed", "")
    assert answer.headers["allow"] == "GET, PATCH, DELETE"


async def test_a_key_in_the_path_stands_in_no_log_and_no_answer(rig: Rig) -> None:
    answer = await rig.ask("DELETE", "/admin/keys/fy-SecretSecretSecret")
    assert answer.error == (404, "not_found", "")
    assert "SecretSecret" not in answer.raw.decode() + repr(rig.events) + rig.lines.getvalue()
    assert [event.subject for event in rig.events] == ["fy-Secr..."]


async def test_a_store_that_fails_is_said_without_its_reason(rig: Rig) -> None:
    await rig.store.aclose()
    answer = await rig.ask("GET", "/admin/keys")
    assert answer.error == (503, "unavailable", "")
    assert "closed" not in answer.raw.decode()
    assert "closed" in rig.lines.getvalue()


async def test_a_new_key_is_not_lost_where_the_keys_can_not_be_read_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise KeyStoreError("gone")

    monkeypatch.setattr(rig.admin, "_refresh", fail)
    answer = await rig.ask("POST", "/admin/keys", {"name": "ci"})
    assert answer.status == 201
    assert answer.body["key"].startswith("fy-")
    assert "keys not read again" in rig.lines.getvalue()


async def test_a_change_whose_client_leaves_is_in_force_and_told_all_the_same(rig: Rig) -> None:
    with anyio.CancelScope() as scope:

        async def refresh() -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
            rig.refreshed += 1

        rig.admin._refresh = refresh
        await rig.ask("POST", "/admin/keys", {"name": "ci"})
        await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert (rig.refreshed, [event.action for event in rig.events]) == (1, ["key.create"])
