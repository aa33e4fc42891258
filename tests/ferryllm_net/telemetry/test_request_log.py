"""The log of requests: which are written, what of them, and that its lines hold no secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ferryllm_net.config.telemetry_schema import Part
from ferryllm_net.config.telemetry_settings import FileSettings, RequestLogSettings
from ferryllm_net.telemetry.capture import Watched
from ferryllm_net.telemetry.request_log import RequestLog
from ferryllm_proto import Exchange, Gateway, MatchType, Provider, Route, RouteTable
from ferryllm_proto.actions import Action, Open, Outcome, Record
from ferryllm_proto.inputs import ClientBody, ClientRequest, UpstreamData, UpstreamEnd, UpstreamHead
from ferryllm_proto.policy.access import AccessRules
from support.records import RECORD

pytestmark = pytest.mark.anyio

PARTS: tuple[Part, ...] = ("client_request", "upstream_request", "upstream_answer", "client_answer")
SECRET = "sk-abcdefghijklmnopqrstuvwxyz"
REQUEST = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"my key: {SECRET}"}]}).encode()
ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"},
        ],
    }
).encode()


def nobody(count: int, reason: str) -> None:
    raise AssertionError(f"{count} lines were lost: {reason}")


def settings(path: Path, **changes: Any) -> RequestLogSettings:
    found = RequestLogSettings(
        FileSettings(str(path), None, 1), 1.0, False, frozenset(PARTS), 1 << 16, frozenset(), (), ()
    )
    return msgspec.structs.replace(found, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


def exchange() -> Exchange:
    gateway = Gateway(
        RouteTable((Route("*", "one", MatchType.PREFIX),)),
        {"one": Provider("one", "openai")},
        AccessRules(loopback=False),
    )
    return Exchange(gateway, id="req_1")


def run(watched: Exchange, *, status: int = 200, answer: bytes = ANSWER) -> Record:
    """A whole request, as an interpreter drives it."""
    done: list[Action] = []
    headers = (("content-type", "application/json"), ("authorization", f"Bearer {SECRET}"))
    done += watched.receive(ClientRequest("POST", "/v1/chat/completions?key=abc", headers), 1.0)
    done += watched.receive(ClientBody(REQUEST), 1.0)
    assert any(isinstance(action, Open) for action in done)
    done += watched.receive(UpstreamHead(status, (("content-type", "application/json"), ("set-cookie", "x=y"))), 1.5)
    for piece in (answer[:20], answer[20:]):
        if watched.relay(piece, 1.6) is None:
            done += watched.receive(UpstreamData(piece), 1.6)
    done += watched.receive(UpstreamEnd(), 2.0)
    records = [action for action in done if isinstance(action, Record)]
    assert len(records) == 1
    return records[0]


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_whole_request_with_all_its_parts(path: Path) -> None:
    log = RequestLog(settings(path), nobody, chance=lambda: 0.0, now=lambda: 1_700_000_000.0)
    run(log.watched(exchange()))
    await log.aclose()
    (entry,) = entries(path)
    assert SECRET not in str(entry)
    assert {
        name: entry[name] for name in ("time", "request_id", "entry", "operation", "outcome", "status", "provider")
    } == {
        "time": "2023-11-14T22:13:20.000Z",
        "request_id": "req_1",
        "entry": "openai",
        "operation": "generate",
        "outcome": "ok",
        "status": 200,
        "provider": "one",
    }
    asked = entry["client_request"]
    assert (asked["method"], asked["target"]) == ("POST", "/v1/chat/completions?key=***")
    assert asked["headers"] == [["content-type", "application/json"], ["authorization", "***"]]
    assert json.loads(asked["body"])["messages"] == [{"role": "user", "content": "my key: ***"}]
    assert asked["bytes"] == len(REQUEST)
    (upstream,) = entry["upstream"]
    assert upstream["provider"] == "one"
    assert upstream["request"]["target"] == "/v1/chat/completions"
    assert (upstream["answer"]["status"], upstream["answer"]["body"]) == (200, ANSWER.decode())
    assert ["set-cookie", "***"] in upstream["answer"]["headers"]
    assert (entry["client_answer"]["status"], entry["client_answer"]["body"]) == (200, ANSWER.decode())


async def test_parts_that_are_not_wanted_are_not_there(path: Path) -> None:
    log = RequestLog(settings(path, parts=frozenset({"client_answer"})), nobody, chance=lambda: 0.0)
    run(log.watched(exchange()))
    await log.aclose()
    assert {"client_request", "upstream", "client_answer"} & set(entries(path)[0]) == {"client_answer"}


async def test_bodies_are_cut_at_their_bound(path: Path) -> None:
    log = RequestLog(settings(path, max_body=10), nobody, chance=lambda: 0.0)
    run(log.watched(exchange()))
    await log.aclose()
    asked = entries(path)[0]["client_request"]
    assert (asked["body"], asked["bytes"], asked["cut"]) == (REQUEST[:10].decode(), len(REQUEST), True)


@pytest.mark.parametrize(("sample", "written"), [(0.0, 0), (0.25, 1), (0.5, 2), (1.0, 4)])
async def test_requests_are_sampled_by_chance(path: Path, sample: float, written: int) -> None:
    chances: Iterator[float] = iter([0.9, 0.1, 0.4, 0.6])
    log = RequestLog(settings(path, sample=sample), nobody, chance=lambda: next(chances))
    for _ in range(4):
        run(log.watched(exchange()))
    await log.aclose()
    assert len(entries(path)) == written


async def test_a_request_that_is_not_sampled_runs_as_if_there_were_no_log(path: Path) -> None:
    log = RequestLog(settings(path, sample=0.5), nobody, chance=lambda: 0.5)
    one = exchange()
    assert log.watched(one) is one
    await log.aclose()


async def test_errors_only(path: Path) -> None:
    log = RequestLog(settings(path, errors_only=True), nobody, chance=lambda: 0.0)
    assert run(log.watched(exchange())).outcome is Outcome.OK
    error = b'{"error":{"message":"no","type":"invalid_request_error"}}'
    assert run(log.watched(exchange()), status=400, answer=error).outcome is Outcome.ERROR
    await log.aclose()
    (entry,) = entries(path)
    assert entry["error_kind"] == "bad_request"
    assert entry["upstream"][0]["answer"]["body"] == error.decode()


async def test_the_same_comes_out_of_an_exchange_that_is_watched(path: Path) -> None:
    log = RequestLog(settings(path), nobody, chance=lambda: 0.0)
    one, two = exchange(), exchange()
    watched = log.watched(two)
    assert type(watched) is Watched
    assert run(watched) == run(one)
    assert (watched.state, watched.next_deadline()) == (one.state, one.next_deadline())
    assert msgspec.structs.asdict(RECORD)["id"] == watched.id
    await log.aclose()


async def test_a_request_under_way_is_redacted_as_the_new_settings_say(path: Path) -> None:
    log = RequestLog(settings(path), nobody, chance=lambda: 0.0)
    watched = log.watched(exchange())
    other = path.with_name("other.jsonl")
    with pytest.raises(OSError, match="No such file"):
        log.move(settings(path.parent / "none" / "x"))
    old = log.move(settings(other, headers=frozenset({"content-type"})))
    assert old is not None
    await old.aclose()
    run(watched)
    late = log.watched(exchange())
    await log.aclose()
    run(late)  # given up: neither written nor counted as lost
    assert entries(path) == []
    (entry,) = entries(other)
    assert entry["client_request"]["headers"][0] == ["content-type", "***"]
