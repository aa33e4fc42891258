"""What is counted: a name to what makes one run of it. Modules are imported when a scenario of theirs is made.

A scenario is a function without arguments that does the work once; making it may cost what it likes. The modules beside
this one hold many more; here stand those that have a budget.
"""

from __future__ import annotations

import json
from collections.abc import Callable

Run = Callable[[], object]


def _whole(entry: str, backend: str) -> Callable[[], Run]:
    def make() -> Run:
        from bench import whole

        return whole.exchange(entry, backend, json.dumps(whole.SMALL[entry]).encode())

    return make


def _history(entry: str, backend: str, size: int) -> Callable[[], Run]:
    def make() -> Run:
        from bench import whole

        return whole.exchange(entry, backend, json.dumps(whole.history(size)).encode())

    return make


def _stream(entry: str, backend: str, size: int, *, kind: str = "text", count: int | None = None) -> Callable[[], Run]:
    def make() -> Run:
        from bench import streams

        events = streams.stream(backend, kind, streams.CHUNKS if count is None else count)
        return streams.translated(entry, backend, streams.reads(events, size))

    return make


def _exchange(entry: str, backend: str) -> Callable[[], Run]:
    def make() -> Run:
        from bench import streams

        return streams.exchanged(entry, backend, streams.stream(backend, "text", 1))

    return make


SCENARIOS: dict[str, Callable[[], Run]] = {
    "request openai>openai": _whole("openai", "openai"),
    "request anthropic>openai": _whole("anthropic", "openai"),
    "request openai>anthropic": _whole("openai", "anthropic"),
    "request openai_responses>openai": _whole("openai_responses", "openai"),
    "request gemini>openai": _whole("gemini", "openai"),
    "request ollama>openai": _whole("ollama", "openai"),
    "history 100 kB anthropic>openai": _history("anthropic", "openai", 100_000),
    "history 100 kB anthropic>anthropic": _history("anthropic", "anthropic", 100_000),
    "stream openai>openai, event by event": _stream("openai", "openai", 1),
    "stream anthropic>openai, event by event": _stream("anthropic", "openai", 1),
    "stream anthropic>openai, bursts": _stream("anthropic", "openai", 16),
    "stream openai>anthropic, event by event": _stream("openai", "anthropic", 1),
    "stream openai_responses>openai, event by event": _stream("openai_responses", "openai", 1),
    "stream of tools anthropic>openai, event by event": _stream("anthropic", "openai", 1, kind="tools"),
    "stream of one anthropic>openai": _stream("anthropic", "openai", 1, count=1),
    "exchange of one chunk anthropic>openai": _exchange("anthropic", "openai"),
}
