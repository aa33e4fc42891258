"""Answers cut at any byte, by an end and by a reset: never a clean end, never a hang, for any client."""

from __future__ import annotations

import itertools

import anyio
import pytest

from support import grammar
from support.answers import DIALECTS, STREAM, TEXT, WHOLE, path_of
from support.faults.catalogue import CHUNKED, Case
from support.faults.rig import Faulty, Reply, faulty
from support.faults.steps import Close, Reset, Send, Step
from support.planted import PROVIDER_KEY, leaks
from support.wellformed import check_error, check_headers
from support.wired import chunked

pytestmark = pytest.mark.anyio

AT_ONCE = 16
FRAMINGS = ("length", "chunked", "close")


def message(case: Case, framing: str) -> tuple[bytes, int]:
    """A good answer, and where its body begins."""
    if framing == "length":
        head, body = case.head(f"content-length: {len(case.body)}"), case.body
    elif framing == "chunked":
        pieces = [case.body[n : n + 97] for n in range(0, len(case.body), 97)]
        head, body = case.head(CHUNKED), chunked(*pieces)
    else:
        head, body = case.head("connection: close"), case.body
    return head + body, len(head)


def enough(case: Case, framing: str) -> int:
    """From how many bytes of the message on the client may have all of its answer.

    Where HTTP says how long the answer is, a whole one is there with its last byte alone. A stream says itself that it
    is over, and what is behind that may be missing.
    """
    data, start = message(case, framing)
    if not case.stream:
        return start + len(case.body.rstrip()) if framing == "close" else len(data)
    words = {
        "openai": b'"finish_reason": "stop"',
        "openai_responses": b'"type": "response.completed"',
        "anthropic": b'"stop_reason": "end_turn"',
        "gemini": b'"finishReason": "STOP"',
        "ollama": b'"done": true',
    }[case.dialect]
    assert case.body.count(words) == 1 or case.dialect == "openai_responses"
    at = case.body.index(words)
    return start + at if framing != "chunked" else start + at + at // 97 * 6


def judge(entry: str, backend: str, reply: Reply, *, stream: bool, sure: bool) -> str:
    """``sure``: this was half an answer."""
    assert reply.whole, "the message was cut where words were possible"
    check_headers(pair for pair in reply.headers if pair[0] != "server")
    assert not leaks(reply.body.decode("utf-8", "replace"), (PROVIDER_KEY,))
    if reply.status != 200:
        assert reply.status == 502
        check_error(entry, reply.status, reply.body)
        return "status"
    if not stream:
        assert not sure, "half an answer that looks like a whole one"
        return "whole"
    problems, seen = grammar.judge(entry, reply.body, path=path_of(entry, stream=True))
    if entry != backend:
        wrong = [problem for problem in problems if problem.rule != grammar.CUT]
        assert not wrong, f"{entry}: {wrong[0]}"
        assert seen.ended != seen.failed
    assert TEXT.startswith(seen.text)
    if sure:
        assert seen.failed, "half an answer without an error"
        assert not seen.ended, "an end beside an error"
        return "in-stream error"
    assert seen.failed or seen.ended or (entry == backend == "openai" and seen.finish is not None)
    return "in-stream error" if seen.failed else "stream"


async def sweep(f: Faulty, entry: str, backend: str, step: int, start: int = 0) -> tuple[int, list[str]]:
    """Cut at every ``step``-th byte from ``start`` on: how often, and what was wrong."""
    limiter = anyio.CapacityLimiter(AT_ONCE)
    problems: list[str] = []
    done = 0

    async def one(name: str, stream: bool, sure: bool) -> None:
        nonlocal done
        async with limiter:
            try:
                reply = await f.ask(entry, backend, name, stream=stream)
                judge(entry, backend, reply, stream=stream, sure=sure)
            except TimeoutError:
                problems.append(f"{name} of {backend}: no answer")
            except (AssertionError, ValueError, KeyError) as exc:
                problems.append(f"{name} of {backend}: {type(exc).__name__}: {str(exc)[:300]}")
            done += 1

    async with anyio.create_task_group() as group:
        for stream, framing in itertools.product((True, False), FRAMINGS):
            case = Case(backend, stream)
            data, body = message(case, framing)
            limit = enough(case, framing)
            for n, at in enumerate(range(start, len(data), step)):
                # An answer of no declared length has no wrong end but a reset.
                ends: tuple[Step, ...] = (Close(), Reset()) if step == 1 else (Reset() if n % 2 else Close(),)
                for end in ends:
                    name = f"cut-{'stream' if stream else 'whole'}-{framing}-{at}-{type(end).__name__.lower()}"
                    steps: list[Step] = [Send(data[:at]), end]
                    f.provider.extra[name] = lambda _, steps=steps: steps  # type: ignore[misc]  # bound by its default
                    group.start_soon(one, name, stream, at < limit or at < body)
    return done, problems


@pytest.mark.parametrize("entry", DIALECTS)
async def test_an_answer_cut_at_some_bytes_is_an_error(entry: str) -> None:
    async with faulty() as f:
        tried = 0
        for n, backend in enumerate(DIALECTS):
            # Prime steps, so that every place of a chunk and of an event has its turn.
            done, problems = await sweep(f, entry, backend, 211 if backend == "openai_responses" else 67, start=7 * n)
            assert not problems, f"{len(problems)} of {done}:\n" + "\n".join(problems[:20])
            tried += done
        assert tried > 200
        assert leaks(f.log, (PROVIDER_KEY,)) == []


EVERY_BYTE = (("anthropic", "openai"), ("openai_responses", "anthropic"))


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", DIALECTS)
@pytest.mark.parametrize("entry", DIALECTS)
async def test_an_answer_cut_at_every_byte_is_an_error(entry: str, backend: str) -> None:
    """At every one for the pairs of `EVERY_BYTE`, which takes a minute and a half each; at some hundred for others."""
    step = 1 if (entry, backend) in EVERY_BYTE else 29
    async with faulty() as f:
        done, problems = await sweep(f, entry, backend, step)
        assert not problems, f"{len(problems)} of {done}:\n" + "\n".join(problems[:20])
        ends = 2 if step == 1 else 1
        assert done > 3 * ends * min(len(STREAM[backend]), len(WHOLE[backend])) / step
