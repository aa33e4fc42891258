"""The journal: bounded, countable, without keys."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.http import Request, RequestHead
from ferryllm_net.mock import received
from ferryllm_net.mock.received import Journal, Received
from ferryllm_proto import RemoteProtocolError

pytestmark = pytest.mark.anyio


class NoChannel:
    """A request whose body nobody reads."""

    def whole_body(self, limit: int) -> bytes | None:
        raise NotImplementedError

    async def body_data(self, received: int) -> bytes | None:
        raise NotImplementedError

    def put(self, data: bytes) -> bool:
        raise NotImplementedError

    async def drain(self) -> None:
        raise NotImplementedError

    def encode(self, event: object) -> bytes:
        raise NotImplementedError

    def frame(self, data: bytes) -> bytes:
        raise NotImplementedError

    def finish_head(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        raise NotImplementedError

    async def cut(self) -> None:
        raise NotImplementedError


def one(body: bytes = b"{}", *headers: tuple[str, str]) -> Received:
    head = RequestHead("POST", "/v1/messages?beta=true", list(headers))
    request = Request(head, NoChannel(), peer=("127.0.0.1", 1), scheme="http", body_limit=1)
    found = Received(request, "anthropic")
    found.body = body
    return found


async def test_what_is_shown_has_no_keys() -> None:
    found = one(b'{"a":1}', ("x-api-key", "planted"), ("authorization", "Bearer planted"), ("x-app", "cli"))
    assert found.json() == {"a": 1}
    assert found.header("x-app") == "cli"
    assert found.header("x-none") is None
    shown = found.shown()
    assert "planted" not in repr(shown)
    assert shown["target"] == "/v1/messages?beta=true"
    assert shown["body"] == {"a": 1}
    assert one(b"{\xff").shown()["body"] == "{\ufffd"
    with pytest.raises(RemoteProtocolError):
        one(b"{").json()


async def test_old_requests_are_forgotten_and_waiting_for_them_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received, "MAX_REQUESTS", 2)
    journal = Journal()
    added = [one() for _ in range(3)]
    for entry in added:
        journal.add(entry)
    assert list(journal.requests) == added[1:]
    assert await journal.wait_for(3) is added[2]
    with pytest.raises(LookupError, match="request 1 is not kept"):
        await journal.wait_for(1)
    journal.clear()
    assert (journal.total, len(journal.requests)) == (0, 0)


async def test_bodies_are_kept_within_a_bound_and_the_newest_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(received, "MAX_BYTES", 10)
    journal = Journal()
    for size in (4, 4, 4, 20):
        journal.add(one(b"x" * size))
    assert [len(entry.body) for entry in journal.requests] == [20]
    journal.add(one(b"y"))
    assert [len(entry.body) for entry in journal.requests] == [1]


async def test_waiters_wake_when_their_request_comes() -> None:
    journal, found = Journal(), one()
    got: list[Received] = []

    async def wait() -> None:
        got.append(await journal.wait_for(2))
        await got[0].wait_done()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            journal.add(one())
            journal.add(found)
            found.done()
    assert got == [found]
