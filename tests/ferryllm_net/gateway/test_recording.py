"""A ledger that can not be written, over wires in memory: what becomes of answers and of requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_net.gateway.recording import NO_LEDGER
from ferryllm_net.ledger import Row
from ferryllm_net.ledger.ledger import LedgerError
from support.answers import WHOLE
from support.wired import Wired, answer, ask, whole, wired

pytestmark = pytest.mark.anyio


class Book:
    """A ledger that writes when it is told that it can."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.rows: list[Row] = []
        self.kept: list[Row] = []

    @property
    def failing(self) -> bool:
        return bool(self.kept) and not self.works

    async def put(self, row: Row) -> None:
        if not self.works:
            self.kept.append(row)
            raise LedgerError("the disk is full")
        self.rows.append(row)

    def post(self, row: Row) -> None:
        (self.rows if self.works else self.kept).append(row)


def with_book(w: Wired, book: Any, *, refuses: bool) -> None:
    w.app.ledger = book
    w.app.recording.refuses = refuses
    w.change(records=True)


async def served(w: Wired) -> tuple[int, dict[str, str], bytes]:
    """One request that a provider answers."""
    near = await w.begin("/v1/chat/completions", ask("chat-x", stream=False))
    far, _, _ = await w.provider()
    await far.send(whole(WHOLE["openai"], 200, "connection: close"))
    found = await answer(near)
    await near.aclose()
    await far.aclose()
    return found


async def test_who_may_not_go_without_a_row_asks_no_provider_while_rows_fail() -> None:
    async with wired() as w:
        book = Book(works=False)
        with_book(w, book, refuses=True)
        assert (await served(w))[0] == 500, "the first one is the one that finds out"
        near = await w.begin("/v1/messages", ask("claude-x", stream=True))
        status, _, body = await answer(near)
        await near.aclose()
        assert (status, json.loads(body)["error"]["message"]) == (529, NO_LEDGER), "overloaded, in Anthropic's words"
        assert len(book.kept) == 1, "who was turned away takes no place from rows that wait"
        book.works = True
        assert (await served(w))[0] == 200
        assert len(book.rows) == 1
        await w.settle()


async def test_others_go_on_and_their_rows_wait() -> None:
    async with wired() as w:
        book = Book(works=False)
        with_book(w, book, refuses=False)
        assert [(await served(w))[0], (await served(w))[0]] == [200, 200]
        assert len(book.kept) == 2
        assert w.app.recording.unwritten == 2
        await w.settle()
