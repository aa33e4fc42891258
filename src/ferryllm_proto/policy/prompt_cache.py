"""What the gateway does so that providers find prompts in their caches, on requests that are translated.

Breakpoints where a client of another protocol could set none, a key that says which requests share a beginning, lines
that change taken from that beginning. Never against the client: its own breakpoints, lifetimes and key stay, and of the
four breakpoints that Anthropic takes only those are used that it left free. Bytes that pass through are in
`prompt_fields`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from .. import ir
from ..dialects.openai.vendors import profile
from ..rules import NO_RULES, ProviderRules
from ..toolsets import PROMPTS, SETS, keep
from ..words import NO_KEYS, CacheKeys
from .prompt_system import Parted, part

MAX_BREAKPOINTS = 4
"""Breakpoints Anthropic takes in one request (translation.md A40)."""
MAX_KEY = 64
"""Characters of a ``prompt_cache_key`` (OpenAI's API reference)."""
_DIGITS = 32
MAX_PREFIX = MAX_KEY - _DIGITS - 1
"""Characters of `PromptCachePolicy.key`."""
HOUR = "1h"
MAX_KEPT_NAME = 200
"""Characters of a model's name whose bare key is kept: longer ones are no names, and clients may send any."""


class PromptCachePolicy(msgspec.Struct, frozen=True, cache_hash=True):
    """The policy of one route. The default does nothing."""

    breakpoints: bool = False
    """Set breakpoints at providers that speak Anthropic's dialect, where the next three say."""
    system: bool = True
    tools: bool = True
    last_user: bool = True
    ttl: str | None = None
    """Lifetime of these breakpoints: ``5m``, ``1h``; None is the provider's own."""
    key: str | None = None
    """How the ``prompt_cache_key`` begins that requests without one get; None: they get none."""
    retention: str | None = None
    """The ``prompt_cache_retention`` of requests without one."""
    strip_prefixes: tuple[str, ...] = ()
    """Lines of the system prompt that begin so are dropped."""
    relocate: tuple[int, int] | None = None
    """Bytes of the system prompt whose lines are moved to the end of the last user turn."""
    same_dialect: bool = False
    """Whether bytes that would pass through are changed too."""

    @property
    def idle(self) -> bool:
        """Whether it changes no request at all."""
        return not (self.breakpoints or self.key or self.retention or self.strip_prefixes or self.relocate)


NO_PROMPT_CACHE = PromptCachePolicy()


class Shaped(msgspec.Struct, frozen=True):
    """What was done to one request, for the log."""

    stripped_lines: int = 0
    moved_bytes: int = 0
    breakpoints: int = 0
    """Set here; the client's own are not counted."""
    keyed: bool = False


class _Hash(Protocol):
    """One of `hashlib`."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def copy(self) -> _Hash: ...

    def hexdigest(self) -> str: ...


NOTHING = Shaped()
_KEYED = Shaped(keyed=True)
_UNPARTED = Parted(())


def apply(
    policy: PromptCachePolicy, request: ir.Request, backend: str, model: str, rules: ProviderRules = NO_RULES
) -> tuple[ir.Request, Shaped]:
    """``request`` for a provider of the dialect ``backend``; ``model`` is the provider's name of the model."""
    if policy is NO_PROMPT_CACHE:
        return request, NOTHING
    if (
        request.cache_key is None
        and not request.system
        and not request.tools
        and len(model) <= MAX_KEPT_NAME
        and (bare := _bare(policy, backend, model, rules)) is not None
    ):
        return msgspec.structs.replace(request, cache_key=bare), _KEYED
    if policy.idle:
        return request, NOTHING
    parted = _UNPARTED
    if policy.strip_prefixes or policy.relocate:
        parted = part([text.text for text in request.system], policy.strip_prefixes, _span(policy, request))
        request = _without(request, parted)
    takes_key, takes_retention = key_fields(backend, model, rules)
    key, retention = request.cache_key, request.cache_retention
    if policy.key and takes_key and key is None:
        key = _key(policy.key, model, request)
    if policy.retention and takes_retention and retention is None:
        retention = policy.retention
    keyed = key is not request.cache_key
    if keyed or retention is not request.cache_retention:
        request = msgspec.structs.replace(request, cache_key=key, cache_retention=retention)
    count = 0
    if policy.breakpoints and backend == "anthropic":
        request, count = _with_breakpoints(policy, request)
    if parted.moved:
        request = _with_text(request, parted.moved)
    if not count and parted is _UNPARTED:
        return request, _KEYED if keyed else NOTHING
    return request, Shaped(parted.stripped, len(parted.moved.encode()), count, keyed)


@functools.lru_cache(maxsize=512)  # as many as profiles of models are kept
def _bare(policy: PromptCachePolicy, backend: str, model: str, rules: ProviderRules) -> str | None:
    """The key that is all that requests with neither a key, tools nor a system prompt get; None: they get more or less.

    Their lines can neither be dropped nor be moved.
    """
    takes_key, takes_retention = key_fields(backend, model, rules)
    if not policy.key or not takes_key or (policy.retention and takes_retention):
        return None
    return None if policy.breakpoints and backend == "anthropic" else cache_key(policy.key, model, (), ())


def keys_of(policy: PromptCachePolicy, backend: str, model: str, rules: ProviderRules = NO_RULES) -> CacheKeys | None:
    """What `apply` gives to requests that are words and nothing else; None: more than a key."""
    if policy.idle:
        return NO_KEYS
    if policy.strip_prefixes or policy.relocate or (policy.breakpoints and backend == "anthropic"):
        return None
    takes_key, takes_retention = key_fields(backend, model, rules)
    if policy.retention and takes_retention:
        return None
    if not policy.key or not takes_key:
        return NO_KEYS
    prefix, begun = policy.key, _digest(model, ())
    return CacheKeys(cache_key(prefix, model, (), ()), lambda system: _spelled(prefix, begun.copy(), (system,)))


def key_fields(backend: str, model: str, rules: ProviderRules) -> tuple[bool, bool]:
    """Whether a provider takes ``prompt_cache_key`` and ``prompt_cache_retention``."""
    if backend == "openai_responses":
        return True, True
    if backend != "openai":
        return False, False
    fields = profile(model, rules).fields
    return "prompt_cache_key" in fields, "prompt_cache_retention" in fields


def cache_key(prefix: str, model: str, system: Sequence[str], tools: Iterable[bytes]) -> str:
    """``prefix`` and a digest of what the beginning of a prompt consists of: the model, the tools, the system prompt.

    Equal beginnings give equal keys in every process and on every day; nothing of the conversation itself, of the
    client or of its key is in it. OpenAI keeps the caches of different organisations apart by itself.
    """
    return _spelled(prefix, _digest(model, tools), system)


def _key(prefix: str, model: str, request: ir.Request) -> str:
    """The key of ``request``; a system prompt that comes again has it beside it, for the tools it came with."""
    system, tools = request.system, request.tools
    kept = PROMPTS.derived(system) if len(model) <= MAX_KEPT_NAME else None
    begun = _tools_digest(model, tools)
    # By a digest of the tools: lists of any length would be held by every prompt they came with.
    name = ("cache key", prefix, begun.hexdigest())
    if kept is not None and (known := kept.get(name)) is not None:
        return str(known)
    key = _spelled(prefix, begun, [text.text for text in system])
    keep(kept, name, key)
    return key


def _digest(model: str, tools: Iterable[bytes]) -> _Hash:
    """What a key begins with."""
    digest = hashlib.sha256()
    for piece in (model.encode(), *tools, b""):
        digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest


def _tools_digest(model: str, tools: tuple[ir.Tool, ...]) -> _Hash:
    """The same, to be gone on with; what is made of a list that comes again is kept beside it."""
    kept = SETS.derived(tools)
    if kept is None or len(model) > MAX_KEPT_NAME:
        return _digest(model, map(_fingerprint, tools))
    name = ("cache key", model)
    known: _Hash | None = kept.get(name)
    if known is None:
        known = _digest(model, map(_fingerprint, tools))
        keep(kept, name, known)
    return known.copy()


def _spelled(prefix: str, digest: _Hash, system: Iterable[str]) -> str:
    """The key of ``digest``, which is used up, and the system prompt."""
    for text in system:
        try:
            piece = memoryview(msgspec.Raw(text))  # unlike `encode` it leaves the bytes in the string, for JSON
        except UnicodeEncodeError:
            piece = memoryview(text.encode("utf-8", "surrogatepass"))
        digest.update(len(piece).to_bytes(8, "big"))
        digest.update(piece)
    return f"{prefix[:MAX_PREFIX]}:{digest.hexdigest()[:_DIGITS]}"


# --- the system prompt -----------------------------------------------------------------------------------


def _span(policy: PromptCachePolicy, request: ir.Request) -> tuple[int, int] | None:
    """Where lines are moved from; None where there is nowhere to move them to."""
    return policy.relocate if any(turn.role is ir.Role.USER for turn in request.turns) else None


def _without(request: ir.Request, parted: Parted) -> ir.Request:
    system: list[ir.Text] = []
    for old, text in zip(request.system, parted.kept, strict=True):
        if text == old.text:
            system.append(old)
        elif text:
            system.append(msgspec.structs.replace(old, text=text))
        elif old.cache is not None and system and system[-1].cache is None:
            system[-1] = msgspec.structs.replace(system[-1], cache=old.cache)  # it ends the same beginning
    return msgspec.structs.replace(request, system=tuple(system))


def _with_text(request: ir.Request, text: str) -> ir.Request:
    """``request`` with ``text`` as the last words of the last user turn."""
    at = _last_user(request)
    assert at is not None
    turn = request.turns[at]
    turn = msgspec.structs.replace(turn, parts=(*turn.parts, ir.Text(text)))
    return msgspec.structs.replace(request, turns=(*request.turns[:at], turn, *request.turns[at + 1 :]))


def _last_user(request: ir.Request) -> int | None:
    return next((n for n in range(len(request.turns) - 1, -1, -1) if request.turns[n].role is ir.Role.USER), None)


# --- breakpoints -----------------------------------------------------------------------------------------

_MARKABLE = (ir.Text, ir.Image, ir.Document, ir.ToolCall, ir.ToolResult)


def choose(
    policy: PromptCachePolicy, free: int, places: Sequence[bool], before: Sequence[Sequence[str | None]]
) -> dict[int, str | None]:
    """Which of tools (0), system (1) and messages (2) get a breakpoint, with its lifetime.

    ``free`` is how many may still be set, ``places`` where there is something to set one on and none is yet,
    ``before`` the lifetimes of the client's own, by place. The system's covers the tools, and the last turn's is new in
    every request, so these two come first. Anthropic refuses a longer lifetime behind a shorter one.
    """
    wanted = [n for n in (1, 2, 0) if places[n] and (policy.tools, policy.system, policy.last_user)[n]]
    out: dict[int, str | None] = {}
    for n in wanted[: max(free, 0)]:
        later = [ttl for place in before[n:] for ttl in place]
        earlier = [ttl for place in before[: n + 1] for ttl in place]
        if HOUR in later:
            out[n] = HOUR
        elif policy.ttl == HOUR and any(ttl != HOUR for ttl in earlier):
            out[n] = None
        else:
            out[n] = policy.ttl
    return out


def _with_breakpoints(policy: PromptCachePolicy, request: ir.Request) -> tuple[ir.Request, int]:
    tools = [tool for tool in request.tools if isinstance(tool, ir.Function)]
    last = _last_user(request)
    spot = _last_markable(request.turns[last].parts) if last is not None else None
    marks = (
        [tool.cache.ttl for tool in tools if tool.cache is not None],
        [text.cache.ttl for text in request.system if text.cache is not None],
        [ttl for turn in request.turns for ttl in _lifetimes(turn.parts)],
    )
    whole = request.ext is not None and "cache_control" in request.ext.fields  # Anthropic's automatic breakpoint
    free = MAX_BREAKPOINTS - sum(map(len, marks)) - whole
    own = last is not None and spot is not None and getattr(request.turns[last].parts[spot], "cache", None) is None
    ending = _last_markable(request.system)
    places = (bool(tools) and not marks[0], ending is not None and not marks[1], own)
    chosen = choose(policy, free, places, marks)
    changes: dict[str, object] = {}
    if 0 in chosen:
        at = max(n for n, tool in enumerate(request.tools) if isinstance(tool, ir.Function))
        changes["tools"] = _marked(request.tools, at, chosen[0])
    if 1 in chosen and ending is not None:
        changes["system"] = _marked(request.system, ending, chosen[1])
    if 2 in chosen and last is not None and spot is not None:
        turn = request.turns[last]
        turn = msgspec.structs.replace(turn, parts=_marked(turn.parts, spot, chosen[2]))
        changes["turns"] = (*request.turns[:last], turn, *request.turns[last + 1 :])
    return (msgspec.structs.replace(request, **changes) if changes else request), len(chosen)


def _marked(things: tuple[object, ...], at: int, ttl: str | None) -> tuple[object, ...]:
    thing = things[at]
    assert isinstance(thing, msgspec.Struct)
    return (*things[:at], msgspec.structs.replace(thing, cache=ir.CacheMark(ttl)), *things[at + 1 :])


def _last_markable(parts: Sequence[ir.Part]) -> int | None:
    for n in range(len(parts) - 1, -1, -1):
        part_ = parts[n]
        if isinstance(part_, _MARKABLE) and not (isinstance(part_, ir.Text) and not part_.text.strip()):
            return n
    return None


def _lifetimes(parts: Iterable[ir.Part]) -> Iterable[str | None]:
    for part_ in parts:
        if isinstance(part_, ir.ToolResult):
            yield from _lifetimes(part_.parts)
        if (mark := getattr(part_, "cache", None)) is not None:
            yield mark.ttl


def _fingerprint(tool: ir.Tool) -> bytes:
    """What a provider reads of a tool, as bytes."""
    if isinstance(tool, ir.HostedTool):
        return tool.raw
    schema = tool.schema if isinstance(tool, ir.Function) else (tool.definition or "").encode()
    return b"\0".join([tool.name.encode(), (tool.description or "").encode(), schema or b""])


# --- what came of it -------------------------------------------------------------------------------------


class Observation(msgspec.Struct, frozen=True):
    """What a cache did for one answer, for log and metrics; None is not known."""

    prompt_tokens: int | None
    """All of the input, cached or not."""
    cached_tokens: int | None
    """Of these, read from a cache."""
    creation_tokens: int | None
    """Of these, written to one."""
    hit_ratio: float | None
    """Cached of all, 0 to 1."""


def observe(usage: ir.Usage | None) -> Observation:
    """What ``usage`` tells of the cache."""
    if usage is None:
        return Observation(None, None, None, None)
    total, read = usage.input_total, usage.cache_read
    # Some providers count more tokens as cached than the prompt has (wire.md 7.7).
    ratio = min(1.0, read / total) if read is not None and total else None
    return Observation(total, read, usage.cache_write, ratio)
