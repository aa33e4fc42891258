"""One generated stream through the translator: what must come out, whoever asks, however it is cut or broken."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from ferryllm_proto import DIALECTS, Translator, ir
from ferryllm_proto.grammar import Seen
from ferryllm_proto.translate import State

from .. import grammar
from . import WIRES
from .meaning import END, FILTER, LENGTH, STOP, TOOL, Call, Meant, Prose, Thought, Written, make

NAMES = tuple(name for name in DIALECTS if name in WIRES)
TEXT_ARGUMENTS = ("openai", "openai_responses", "anthropic")
"""Dialects whose arguments are text, so that every character of them counts."""

_MESSAGES = [{"role": "user", "content": "hi"}]
ASK: dict[str, tuple[dict[str, Any], str | None]] = {
    "openai": (
        {"model": "asked", "messages": _MESSAGES, "stream": True, "stream_options": {"include_usage": True}},
        None,
    ),
    "openai_responses": ({"model": "asked", "input": "hi", "stream": True}, None),
    "anthropic": ({"model": "asked", "messages": _MESSAGES, "max_tokens": 1000, "stream": True}, None),
    "gemini": (
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        "/v1beta/models/asked:streamGenerateContent?alt=sse",
    ),
    "ollama": ({"model": "asked", "messages": _MESSAGES, "stream": True}, "/api/chat"),
}
_BODIES = {name: (json.dumps(body).encode(), path) for name, (body, path) in ASK.items()}

_FINISHES: dict[str, dict[str, set[str]]] = {
    "openai": {
        END: {"stop"},
        LENGTH: {"length"},
        STOP: {"stop"},
        TOOL: {"tool_calls"},
        FILTER: {"content_filter"},
    },
    "openai_responses": {
        END: {"completed"},
        LENGTH: {"incomplete"},
        STOP: {"completed"},
        TOOL: {"completed"},
        FILTER: {"incomplete"},
    },
    "anthropic": {
        END: {"end_turn"},
        LENGTH: {"max_tokens"},
        STOP: {"stop_sequence"},
        TOOL: {"tool_use"},
        FILTER: {"refusal"},
    },
    "gemini": {
        END: {"STOP"},
        LENGTH: {"MAX_TOKENS"},
        STOP: {"STOP"},
        TOOL: {"STOP"},
        FILTER: {"SAFETY", "PROHIBITED_CONTENT", "RECITATION", "OTHER"},
    },
    "ollama": {END: {"stop"}, LENGTH: {"length"}, STOP: {"stop"}, TOOL: {"stop"}, FILTER: {"stop"}},
}
CAN_REFUSE = {"openai": {"stop", "content_filter"}, "openai_responses": {"completed", "incomplete"}}

_KINDS = {
    "rate_limit": {ir.ErrorKind.RATE_LIMIT},
    "overloaded": {ir.ErrorKind.OVERLOADED},
    "server": {ir.ErrorKind.SERVER, ir.ErrorKind.UPSTREAM},
    "context_length": {ir.ErrorKind.CONTEXT_LENGTH},
}


class Tally(msgspec.Struct):
    """How much was tried."""

    whole: int = 0
    truncated: int = 0
    """Streams cut between two events or inside one."""
    broken: int = 0
    """Streams that end with an error of their own."""
    runs: int = 0
    """Streams times clients."""
    events: int = 0
    """Events of the whole streams."""

    @property
    def streams(self) -> int:
        return self.whole + self.truncated + self.broken

    def __str__(self) -> str:
        return (
            f"{self.streams:,} streams ({self.whole:,} whole with {self.events:,} events, "
            f"{self.truncated:,} truncated, {self.broken:,} with an error inside), {self.runs:,} translations"
        )


def ask(entry: str, backend: str) -> Translator:
    translator = Translator(entry=entry, backend=backend, model=None if entry == backend else "real", now=5.0, seed=7)
    body, path = _BODIES[entry]
    assert translator.receive_request(body, path=path) is not None, translator.error
    translator.receive_response_head(200, [("content-type", "text/event-stream" if backend != "ollama" else _NDJSON)])
    return translator


_NDJSON = "application/x-ndjson"


def feed(translator: Translator, data: bytes, cuts: Iterable[int]) -> bytes:
    out = [translator.receive_data(data[a:b]) for a, b in itertools.pairwise([0, *sorted(cuts), len(data)])]
    out.append(translator.receive_eof())
    assert translator.state in (State.DONE, State.FAILED)
    assert translator.head is not None
    return b"".join(out)


def some_cuts(rng: random.Random, size: int) -> list[int]:
    if size and rng.random() < 0.02:
        return list(range(1, size))
    return [rng.randint(0, size) for _ in range(rng.randint(0, 8))]


def run(seed: int, number: int, tally: Tally, *, entries: tuple[str, ...] = NAMES) -> None:
    """Make stream ``number`` of ``seed`` and try it in every way. Raises AssertionError that names both."""
    rng = random.Random(seed * 1_000_003 + number)
    backend = NAMES[number % len(NAMES)]
    wire = WIRES[backend]
    meant = make(rng, wire.can)
    written = wire.write(rng, meant)
    data = b"".join(written.events)
    what = "whole"
    entry = ""
    try:
        tally.whole += 1
        tally.events += len(written.events)
        for entry in entries:
            tally.runs += 1
            _whole(rng, entry, backend, meant, written, data)
        for k in range(len(written.events)):
            entry, what = entries[(number + k) % len(entries)], f"the first {k} events"
            tally.truncated += 1
            tally.runs += 1
            _cut(rng, entry, backend, meant, b"".join(written.events[:k]), certain=k < written.enough)
        before = sum(map(len, written.events[: written.enough - 1]))
        for _ in range(2):
            at = rng.randrange(len(data))
            entry, what = rng.choice(entries), f"the first {at} bytes"
            tally.truncated += 1
            tally.runs += 1
            _cut(rng, entry, backend, meant, data[:at], certain=at < before)
        for _ in range(2):
            k, kind = rng.randrange(written.enough), rng.choice(tuple(_KINDS))
            entry, what = rng.choice(entries), f"{kind} behind {k} events"
            tally.broken += 1
            tally.runs += 1
            _failing(rng, entry, backend, written, k, kind)
    except Exception as exc:
        raise AssertionError(
            f"seed {seed}, stream {number}: {backend} to {entry}, {what}: {type(exc).__name__}: {exc}\n"
            f"meant: {meant}\ndata: {data!r:.6000}"
        ) from exc


# --- whole streams ---------------------------------------------------------------------------------------


def _whole(rng: random.Random, entry: str, backend: str, meant: Meant, written: Written, data: bytes) -> None:
    translator = ask(entry, backend)
    out = feed(translator, data, some_cuts(rng, len(data)))
    assert translator.state is State.DONE, translator.error
    if entry == backend:
        assert out[: len(data)] == data, "bytes of equal dialects changed"
        return
    seen = grammar.validate(entry, out, _BODIES[entry][1])
    assert seen.ended, "no end"
    assert not seen.failed
    compare(entry, backend, meant, seen, exact_thoughts=written.exact_thoughts)
    _find_ids(entry, backend, meant, out)


_CARRIED = re.compile(r"\n?\[ferry1\.[^\]]*\]")
"""What has to go back, where a dialect has no field for it but the thinking (Ollama)."""


def compare(entry: str, backend: str, meant: Meant, seen: Seen, *, exact_thoughts: bool = True) -> None:
    """Raises AssertionError where the client got something else than was meant."""
    same_text(seen.text, meant.prose(refusals=entry not in CAN_REFUSE))
    thoughts = _CARRIED.sub("", seen.reasoning)
    if exact_thoughts:
        same_text(thoughts, meant.thoughts)
    else:
        same_text(re.sub(r"\s", "", thoughts), re.sub(r"\s", "", meant.thoughts))
    _same_calls(entry, backend, meant, seen.tools)
    allowed = _FINISHES[entry][meant.finish]
    if any(isinstance(block, Prose) and block.refusal for block in meant.blocks):
        allowed = CAN_REFUSE.get(entry, {seen.finish or ""}) | (_FINISHES[entry][TOOL] if meant.calls else set())
    assert seen.finish in allowed, f"finish {seen.finish}, expected one of {allowed}"
    if meant.usage is not None:
        assert seen.usage is not None, "no usage"
        found = counts(entry, seen.usage)
        cached = meant.usage.cached if found[1] is not None else None
        assert found == (meant.usage.input, cached, meant.usage.output), f"usage {found}, meant {meant.usage}"


def same_text(found: str, wanted: str) -> None:
    # Two halves of a pair are the character they make.
    one, other = found.encode("utf-16", "surrogatepass"), wanted.encode("utf-16", "surrogatepass")
    assert one == other, f"{found!r}, meant {wanted!r}"


def _same_calls(entry: str, backend: str, meant: Meant, tools: list[tuple[str, str]]) -> None:
    calls = meant.calls
    assert [name for name, _ in tools] == [call.name for call in calls], f"calls {tools}"
    for (_, found), call in zip(tools, calls, strict=True):
        if not call.args:
            assert found in ("", "{}")
        elif entry in TEXT_ARGUMENTS and backend in TEXT_ARGUMENTS and not call.rewritten:
            same_text(found, call.args)
        elif _parsed(call.args) is not None:
            assert _parsed(found) == _parsed(call.args), f"arguments {found!r}, meant {call.args!r}"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def counts(entry: str, usage: dict[str, Any]) -> tuple[int, int | None, int]:
    """Input with everything cached, the cached part (None where the dialect can not say), and output."""
    if entry == "openai":
        cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        return usage["prompt_tokens"], cached, usage["completion_tokens"]
    if entry == "openai_responses":
        return usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"]
    if entry == "anthropic":
        cached = usage["cache_read_input_tokens"]
        return usage["input_tokens"] + cached + usage["cache_creation_input_tokens"], cached, usage["output_tokens"]
    if entry == "gemini":
        output = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
        return usage["promptTokenCount"], usage.get("cachedContentTokenCount", 0), output
    return usage["prompt_eval_count"], None, usage["eval_count"]


def _find_ids(entry: str, backend: str, meant: Meant, out: bytes) -> None:
    """An id the client can send back is not changed (A14)."""
    sealed = any(isinstance(block, Thought) and block.seal for block in meant.blocks)
    if entry not in TEXT_ARGUMENTS or sealed or backend == "gemini":
        return  # what has to go back with a call may travel in its id (B9)
    ids = [call.id for call in meant.blocks if isinstance(call, Call) and call.id]
    for id_ in ids:
        if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id_):
            assert b'"%b"' % id_.encode() in out, f"the id {id_} of a call was changed"


# --- broken streams --------------------------------------------------------------------------------------


def _cut(rng: random.Random, entry: str, backend: str, meant: Meant, data: bytes, *, certain: bool) -> None:
    translator = ask(entry, backend)
    out = feed(translator, data, some_cuts(rng, len(data)))
    if certain:
        assert translator.state is State.FAILED, "a truncated stream became a success (T1)"
    if translator.state is State.FAILED:
        _is_error(translator, entry, backend, out, meant)
    elif entry != backend:
        seen = grammar.validate(entry, out, _BODIES[entry][1])
        assert seen.ended
        same_text(seen.text, meant.prose(refusals=entry not in CAN_REFUSE))
        _same_calls(entry, backend, meant, seen.tools)


def _failing(rng: random.Random, entry: str, backend: str, written: Written, k: int, kind: str) -> None:
    data = b"".join(written.events[:k]) + WIRES[backend].error(rng, kind)
    if rng.random() < 0.3:
        data += b"".join(written.events[k:])  # nothing that follows an error counts
    translator = ask(entry, backend)
    out = feed(translator, data, some_cuts(rng, len(data)))
    assert translator.state is State.FAILED, "an error inside the stream became a success (T6)"
    assert translator.error is not None
    if backend != "ollama":  # its errors are sentences
        assert translator.error.kind in _KINDS[kind], f"{translator.error.kind} for {kind} (T8)"
    if entry != backend:
        _is_error(translator, entry, backend, out, None)


def _is_error(translator: Translator, entry: str, backend: str, out: bytes, meant: Meant | None) -> None:
    assert translator.head is not None
    if translator.head.status != 200:
        assert translator.head.status >= 400
        assert isinstance(json.loads(out), (dict, list)), "no error object"
        return
    path = _BODIES[entry][1]
    if entry == backend:
        _, seen = grammar.judge(entry, out, path=path)
        assert seen.failed, "equal dialects: no error behind a truncation"
        return
    seen = grammar.validate(entry, out, path)
    assert seen.failed, "no error"
    assert not seen.ended, "an end beside an error"
    if meant is not None:
        wanted = meant.prose(refusals=entry not in CAN_REFUSE).encode("utf-16", "surrogatepass")
        assert wanted.startswith(seen.text.encode("utf-16", "surrogatepass")), "text that was not meant"
