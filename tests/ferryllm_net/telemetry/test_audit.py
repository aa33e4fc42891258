"""The audit log: what stands in it, and what never does."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ferryllm_net.config.telemetry_settings import FileSettings
from ferryllm_net.telemetry.audit import Audit, AuditEvent, line
from ferryllm_proto import ir
from ferryllm_proto.actions import Outcome
from ferryllm_proto.routing.keys import ClientKey, Refusal
from support.records import RECORD

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000.0
TIME = "2023-11-14T22:13:20.000Z"


def nobody(count: int, reason: str) -> None:
    raise AssertionError(f"{count} lines were lost: {reason}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def audit(path: Path) -> Audit:
    return Audit(FileSettings(str(path), None, 1), nobody, now=lambda: NOW)


def entries(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(one.pop("pid") for one in found)
    return found


async def test_a_refused_request_with_its_key_its_client_and_the_reason(path: Path) -> None:
    log = audit(path)
    key = ClientKey("key_1", hashlib.sha256(b"x").digest(), name="ann")
    record = msgspec.structs.replace(
        RECORD, refused="quota", key=key, route="gpt-*", status=429, outcome=Outcome.ERROR, provider=None, attempts=0
    )
    log.refused(record, "192.0.2.1")
    log.refused(RECORD, "192.0.2.1")
    await log.aclose()
    assert entries(path) == [
        {
            "time": TIME,
            "action": "request.refused",
            "outcome": "quota",
            "subject": "key_1",
            "name": "ann",
            "peer": "192.0.2.1",
            "request_id": "req_1",
            "entry": "anthropic",
            "route": "gpt-*",
            "status": 429,
        },
        {"time": TIME, "action": "gateway.stop", "outcome": "done"},
    ]
    assert all("any" not in str(one) for one in entries(path))  # the client's name of the model


async def test_who_was_turned_away_without_an_exchange(path: Path) -> None:
    log = audit(path)
    log.turned_away("openai", Refusal(ir.Error(ir.ErrorKind.AUTHENTICATION, "no key"), {}, "key"), "::1", "req_2")
    await log.aclose()
    assert entries(path)[0] == {
        "time": TIME,
        "action": "request.refused",
        "outcome": "key",
        "peer": "::1",
        "request_id": "req_2",
        "entry": "openai",
        "status": 401,
    }


async def test_what_the_gateway_did_and_that_it_ended(path: Path) -> None:
    log = audit(path)
    log.tell("gateway.start")
    log.tell("config.reload", changed=("routes", "limits"))
    await log.aclose()
    await log.aclose()
    assert [(one["action"], one.get("changed")) for one in entries(path)] == [
        ("gateway.start", None),
        ("config.reload", ["routes", "limits"]),
        ("gateway.stop", None),
    ]


def test_nothing_breaks_out_of_its_line() -> None:
    event = AuditEvent(NOW, "key.create", "done", subject='a"\n{', name="x\u2028\x1b[0m\x7f", request_id="\ud800")
    text = line(event)
    assert text.count(b"\n") == 1
    assert text.strip().isascii()
    assert b"\x1b" not in text
    assert b"\x7f" not in text
    assert json.loads(text)["subject"] == 'a"\n{'


async def test_lost_events_are_told_of_in_the_log_itself(path: Path) -> None:
    lost: list[tuple[int, str]] = []
    log = Audit(FileSettings(str(path), None, 1), lambda count, reason: lost.append((count, reason)), now=lambda: NOW)

    def broken() -> bytes:
        raise OSError(28, "No space left on device")

    made = threading.Event()

    def good() -> bytes:
        made.set()  # so the broken one was made before
        return b""

    log._file.put(broken, 1)
    log._file.put(good, 1)
    assert made.wait(10)
    log.tell("config.reload")
    await log.aclose()
    assert lost == [(1, "No space left on device")]
    told = [one for one in entries(path) if one["action"] == "audit.lost"]
    assert [one["outcome"] for one in told] == ["1 events: No space left on device"]


async def test_it_moves_to_another_file_and_leaves_without_an_end(path: Path) -> None:
    log, other = audit(path), path.with_name("other.jsonl")
    log.tell("config.reload")
    with pytest.raises(OSError, match="No such file"):
        log.move(FileSettings(str(path.parent / "none" / "x"), None, 1))
    await log.move(FileSettings(str(other), None, 1)).aclose()
    log.tell("gateway.start")
    await log.leave()
    assert [one["action"] for one in entries(path)] == ["config.reload"]
    assert [one["action"] for one in entries(other)] == ["gateway.start"]


def test_who_did_it_at_the_command_line_is_told(path: Path) -> None:
    found = json.loads(line(AuditEvent(NOW, "key.revoke", "done", "key_1", actor="cli", os_user="ann")))
    assert (found["actor"], found["os_user"]) == ("cli", "ann")
