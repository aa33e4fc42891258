"""Every fault of a provider, seen by clients of every dialect, over real sockets."""

from __future__ import annotations

import anyio
import pytest

from support import grammar
from support.answers import DIALECTS
from support.faults.catalogue import FAULTS, Fault
from support.faults.rig import Census, Faulty, Reply, faulty
from support.faults.verdict import judge
from support.planted import PROMPT, PROVIDER_KEY, leaks

pytestmark = pytest.mark.anyio

AT_ONCE = 16
"""Requests under way; more only make the deadlines late."""


async def see(f: Faulty, entry: str, backends: dict[str, list[str]]) -> list[str]:
    """Ask for every fault by streams and whole answers; what was wrong."""
    problems: list[str] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def one(fault: Fault, backend: str, stream: bool) -> None:
        what = f"{fault.name} of {backend}, {'stream' if stream else 'whole'}"
        async with limiter:
            try:
                reply = await f.ask(entry, backend, fault.name, door=fault.door, stream=stream)
                judge(fault, entry, backend, reply, stream=stream)
            except TimeoutError:
                problems.append(f"{what}: no answer")
            except (AssertionError, ValueError, KeyError) as exc:
                problems.append(f"{what}: {type(exc).__name__}: {str(exc)[:400]}")

    async with anyio.create_task_group() as group:
        for name, fault in FAULTS.items():
            for backend in backends[name]:
                for stream in (True, False):
                    group.start_soon(one, fault, backend, stream)
    return problems


async def warm(entry: str) -> None:
    """What is imported late is imported now: no deadline shall run meanwhile."""
    async with faulty() as f:
        for stream in (True, False):
            judge(FAULTS["gzip"], entry, "openai", await f.ask(entry, "openai", "gzip", stream=stream), stream=stream)
        await f.ask(entry, "openai", "tls-well", door="tls")
        judge(FAULTS["nothing"], entry, "openai", await f.ask(entry, "openai", "nothing"), stream=True)


async def check_all(entry: str, backends: dict[str, list[str]]) -> None:
    await warm(entry)
    async with faulty() as f:
        census = Census()
        replies: list[Reply] = []

        async def stand_by() -> None:
            replies.append(await f.ask("anthropic", "openai", "bystander", secs=100))

        async with anyio.create_task_group() as group:
            group.start_soon(stand_by)
            await f.provider.request("bystander")
            problems = await see(f, entry, backends)
            f.provider.let_go.set()
        assert not problems, f"{len(problems)} of {len(FAULTS)} faults:\n" + "\n".join(problems)
        seen = grammar.messages(replies[0].body)
        assert seen.ended
        assert seen.text
        assert seen.text.count("tick") * 4 == len(seen.text), "the bystander was disturbed"
        await f.settle()
        assert f.provider.canary_calls == 0, "a redirect was followed"
        assert leaks(f.log, (PROVIDER_KEY, PROMPT)) == []
        await f.app.pool.aclose()
        await census.check()


@pytest.mark.parametrize("entry", DIALECTS)
async def test_every_fault_by_every_entry(entry: str) -> None:
    shift = DIALECTS.index(entry)
    await check_all(entry, {name: [DIALECTS[(n + shift) % 5]] for n, name in enumerate(FAULTS)})


@pytest.mark.deep
@pytest.mark.parametrize("backend", DIALECTS)
@pytest.mark.parametrize("entry", DIALECTS)
async def test_every_fault_by_every_pair(entry: str, backend: str) -> None:
    await check_all(entry, {name: [backend] for name in FAULTS})
