"""The providers of the soak: the faulty one of the tests, whose answers carry the mark of their request, and one on
HTTP/2."""

from __future__ import annotations

import anyio
from anyio.abc import TaskStatus

from ferryllm_net.http import Limits, Request, Responder, Server, bound_port, open_listeners
from support.faults import provider as faults
from support.faults.catalogue import CHUNKED, TICK, Case
from support.faults.steps import Drip, Hold, Send, Stall, Step
from support.wired import chunked

from .marks import Marked, mark_in

PACE_SECS = 0.01
FLOOD = chunked(TICK * 300, end=False)


def _echo(case: Case) -> list[Step]:
    return [Send(case.chunked() if case.stream else case.sized())]


def _paced(case: Case) -> list[Step]:
    data = case.chunked()
    return [Drip(data, len(data) // 20 + 1, PACE_SECS)]


def _endless(case: Case) -> list[Step]:
    return [Send(case.head(CHUNKED)), Hold(chunked(TICK, end=False), 0.02)]


def _flood(case: Case) -> list[Step]:
    return [Send(case.head(CHUNKED)), Hold(FLOOD, 0.0)]


class Marking(faults.Provider):
    """Plays faults and plain answers; keeps of its requests only those that somebody waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited: dict[str, faults.Request] = {}
        """By mark; whoever waits for a request takes it out."""
        self.watched: set[str] = set()
        """Marks that somebody waits for."""
        self.answers = 0
        self.extra.update(echo=_echo, paced=_paced, endless=_endless, flood=_flood, silent=lambda _: [Stall()])

    def case(self, request: faults.Request, dialect: str, stream: bool) -> Case:
        mark = mark_in(request.head + request.body)
        if mark.id in self.watched:
            self.awaited[mark.id] = request
        # They would be the soak's own leak.
        self.requests.clear()
        self.taken.clear()
        self.answers += 1
        return Marked(dialect, stream, mark)

    def watch(self, mark_id: str) -> None:
        """Before the request with this mark is sent."""
        self.watched.add(mark_id)

    async def seen(self, mark_id: str, secs: float) -> faults.Request | None:
        """The request with a mark that is watched, once it came; None when it does not."""
        try:
            with anyio.move_on_after(secs):
                while mark_id not in self.awaited:
                    await self.arrived.wait()
            return self.awaited.pop(mark_id, None)
        finally:
            self.watched.discard(mark_id)


async def serve_h2(*, task_status: TaskStatus[int]) -> None:
    """A provider for HTTP/2 without asking, on the server that the gateway itself is made of; tells its port."""
    listeners = open_listeners("127.0.0.1", 0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(Server(_answer, limits=Limits()).serve, listeners)
        task_status.started(bound_port(listeners[0]))


async def _answer(request: Request, respond: Responder) -> None:
    body = await request.read()
    text = request.path.encode() + request.query.encode() + body
    found = faults._DIALECT.search(text)
    assert found is not None
    stream = b'"stream": true' in text or b'"stream":true' in text or b":stream" in text
    case = Marked(found[1].decode(), stream, mark_in(text))
    answer = case.body
    if not stream:
        await respond.complete(200, [("content-type", case.type)], answer)
        return
    await respond.head(200, [("content-type", case.type)])
    step = len(answer) // 5 + 1
    for start in range(0, len(answer), step):
        await respond.body(answer[start : start + step])
    await respond.end()
