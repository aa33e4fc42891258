"""The prompt cache policy on bytes that pass through, where the configuration asks for it there: by splices alone.

Each dialect says where its system texts are and where the last words of its user go. The rest is the same for all:
lines are taken out of the strings they are in, breakpoints and keys are members that are added, and what is moved is
one more text behind the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from .. import json
from ..rules import NO_RULES, ProviderRules
from ..splices import Path, Splices, find
from .prompt_cache import (
    MAX_BREAKPOINTS,
    NOTHING,
    PromptCachePolicy,
    Shaped,
    cache_key,
    choose,
    key_fields,
)
from .prompt_system import part

_SYSTEM_ROLES = ("system", "developer")


def splice(
    policy: PromptCachePolicy, dialect: str, body: bytes, *, model: str, rules: ProviderRules = NO_RULES
) -> tuple[bytes, Shaped]:
    """``body``, a request of ``dialect`` for a provider that speaks it too, under ``policy``.

    ``model`` is the provider's name of the model. What is not as the dialect has it stays as it is.
    """
    if policy.idle or not policy.same_dialect:
        return body, NOTHING
    stripped, moved = 0, ""
    if policy.strip_prefixes or policy.relocate is not None:
        body, stripped, moved = _parted(policy, dialect, body)
    keyed = False
    if policy.key or policy.retention:
        body, keyed = _keyed(policy, dialect, body, model, rules)
    count = 0
    if policy.breakpoints and dialect == "anthropic":
        body, count = _with_breakpoints(policy, body)
    if moved:
        body = _with_text(dialect, body, moved)
    return body, Shaped(stripped, len(moved.encode("utf-8", "surrogatepass")), count, keyed)


def _value(fields: dict[str, msgspec.Raw], name: str) -> Any:
    return json.loads(fields[name]) if name in fields else None


# --- the system prompt -----------------------------------------------------------------------------------

_Text = tuple[Path, str, Path]
"""Where a system text stands, the text, and what to take out when nothing is left of it."""


def _parted(policy: PromptCachePolicy, dialect: str, body: bytes) -> tuple[bytes, int, str]:
    fields = json.fields(body)
    found = list(_SYSTEMS[dialect](fields))
    span = policy.relocate if _end(dialect, fields) is not None else None
    parted = part([text for _, text, _ in found], policy.strip_prefixes, span)
    splices = Splices(body)
    last: Path | None = None
    for (place, old, whole), text in zip(found, parted.kept, strict=True):
        if text == old or text:
            last = whole
        if text == old:
            continue
        if text:
            splices.replace(place, json.encode_str(text))
            continue
        splices.remove(whole)
        mark, given = find(body, (*whole, "cache_control")), last and find(body, (*last, "cache_control"))
        if mark is not None and last is not None and given is None:
            splices.put_in(last, "cache_control", body[slice(*mark)])  # it ends the same beginning
    return splices.done(), parted.stripped, parted.moved


def _texts(content: Any, place: Path, whole: Path) -> Iterator[_Text]:
    """The texts of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        yield place, content, whole
    elif isinstance(content, list):
        alone = len(content) == 1
        for n, item in enumerate(content):
            if isinstance(item, dict) and isinstance(item.get("text"), str):
                yield (*place, n, "text"), item["text"], whole if alone else (*place, n)


def _of_messages(turns: Any, name: str) -> Iterator[_Text]:
    for n, turn in enumerate(turns if isinstance(turns, list) else ()):
        if not isinstance(turn, dict) or turn.get("role") not in _SYSTEM_ROLES:
            return
        yield from _texts(turn.get("content"), (name, n, "content"), (name, n))


def _anthropic(fields: dict[str, msgspec.Raw]) -> Iterator[_Text]:
    system = _value(fields, "system")
    if isinstance(system, list):
        for place, text, _ in _texts(system, ("system",), ("system",)):
            yield place, text, place[:-1]
    else:
        yield from _texts(system, ("system",), ("system",))


def _chat(fields: dict[str, msgspec.Raw]) -> Iterator[_Text]:
    yield from _of_messages(_value(fields, "messages"), "messages")


def _responses(fields: dict[str, msgspec.Raw]) -> Iterator[_Text]:
    yield from _texts(_value(fields, "instructions"), ("instructions",), ("instructions",))
    yield from _of_messages(_value(fields, "input"), "input")


def _gemini(fields: dict[str, msgspec.Raw]) -> Iterator[_Text]:
    for name in ("systemInstruction", "system_instruction"):
        value = _value(fields, name)
        if isinstance(value, dict):
            yield from _texts(value.get("parts"), (name, "parts"), (name,))


_SYSTEMS = {
    "anthropic": _anthropic,
    "openai": _chat,
    "openai_responses": _responses,
    "gemini": _gemini,
    "ollama": _chat,
}


# --- the end ---------------------------------------------------------------------------------------------

_ROWS = {
    "anthropic": ("messages", "content"),
    "openai": ("messages", "content"),
    "ollama": ("messages", "content"),
    "openai_responses": ("input", "content"),
    "gemini": ("contents", "parts"),
}
"""Where the turns are, and their parts."""

_TYPES = {"anthropic": "text", "openai": "text", "openai_responses": "input_text"}
"""The type of a part that is a text; the others have no types."""


def _end(dialect: str, fields: dict[str, msgspec.Raw]) -> tuple[Path, Any] | None:
    """Where the last words of the user go, and what is there: a string, a list of parts, or the list of turns."""
    row, content = _ROWS[dialect]
    turns = _value(fields, row)
    if isinstance(turns, str):
        return (row,), turns
    if not isinstance(turns, list) or not turns:
        return None
    final = turns[-1] if isinstance(turns[-1], dict) else {}
    if final.get("role") == "tool" or str(final.get("type", "")).endswith("_output"):
        return (row,), turns  # the results of tools are turns of their own here
    for n in range(len(turns) - 1, -1, -1):
        turn = turns[n]
        if isinstance(turn, dict) and turn.get("role", "user" if dialect == "gemini" else None) == "user":
            inner = turn.get(content)
            return ((row, n, content), inner) if isinstance(inner, (str, list)) else None
    return None


def _with_text(dialect: str, body: bytes, text: str) -> bytes:
    end = _end(dialect, json.fields(body))
    assert end is not None  # it was there before anything was moved
    place, there = end
    splices = Splices(body)
    if isinstance(there, str):
        splices.replace(place, json.encode_str(f"{there}\n\n{text}"))
    elif len(place) == 1:
        splices.append(place, json.encode({"role": "user", "content": text}))
    else:
        type_ = _TYPES.get(dialect)
        splices.append(place, json.encode({"type": type_, "text": text} if type_ else {"text": text}))
    return splices.done()


# --- the key ---------------------------------------------------------------------------------------------


def _keyed(
    policy: PromptCachePolicy, dialect: str, body: bytes, model: str, rules: ProviderRules
) -> tuple[bytes, bool]:
    takes_key, takes_retention = key_fields(dialect, model, rules)
    fields = json.fields(body)
    splices, keyed = Splices(body), False
    if policy.key and takes_key and _value(fields, "prompt_cache_key") is None:
        system = [text for _, text, _ in _SYSTEMS[dialect](fields)]
        tools = [bytes(fields["tools"])] if "tools" in fields else []
        splices.put(("prompt_cache_key",), json.encode_str(cache_key(policy.key, model, system, tools)))
        keyed = True
    if policy.retention and takes_retention and _value(fields, "prompt_cache_retention") is None:
        splices.put(("prompt_cache_retention",), json.encode_str(policy.retention))
    return splices.done(), keyed


# --- breakpoints -----------------------------------------------------------------------------------------

_MARKABLE = ("text", "image", "document", "tool_use", "tool_result")


def _with_breakpoints(policy: PromptCachePolicy, body: bytes) -> tuple[bytes, int]:
    fields = json.fields(body)
    tools, system, turns = (_value(fields, name) for name in ("tools", "system", "messages"))
    marks = (list(_lifetimes(tools)), list(_lifetimes(system)), list(_lifetimes(turns)))
    free = MAX_BREAKPOINTS - sum(map(len, marks)) - (_value(fields, "cache_control") is not None)
    spots = (_last_tool(tools), _last_of(system, ("system",)), _last_words(turns))
    places = (
        spots[0] is not None and not marks[0],
        spots[1] is not None and not marks[1],
        spots[2] is not None and not _is_marked(turns, spots[2]),
    )
    chosen = choose(policy, free, places, marks)
    splices = Splices(body)
    for n, ttl in chosen.items():
        place = spots[n]
        assert place is not None
        mark = json.encode({"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl})
        if isinstance(place[-1], int):
            splices.put_in(place, "cache_control", mark)
            continue
        text = find(body, place)
        assert text is not None
        block = b'[{"type":"text","text":%b,"cache_control":%b}]' % (body[slice(*text)], mark)
        splices.replace(place, block)
    return splices.done(), len(chosen)


def _lifetimes(value: Any) -> Iterator[str | None]:
    """The lifetimes of all breakpoints within ``value``; what a tool is called with is not looked into."""
    if isinstance(value, list):
        for item in value:
            yield from _lifetimes(item)
    elif isinstance(value, dict):
        mark = value.get("cache_control")
        if mark is not None:
            yield mark.get("ttl") if isinstance(mark, dict) else None
        yield from _lifetimes(value.get("content"))


def _last_tool(tools: Any) -> Path | None:
    for n in range(len(tools) - 1 if isinstance(tools, list) else -1, -1, -1):
        # One that is loaded later is no part of the beginning, and the API refuses a breakpoint on it.
        if isinstance(tools[n], dict) and not tools[n].get("defer_loading"):
            return "tools", n
    return None


def _last_of(content: Any, place: Path) -> Path | None:
    """The last block that may hold a breakpoint, or the string that can become one."""
    if isinstance(content, str):
        return place if content.strip() else None
    for n in range(len(content) - 1 if isinstance(content, list) else -1, -1, -1):
        block = content[n]
        if not isinstance(block, dict) or block.get("type") not in _MARKABLE:
            continue
        if block["type"] != "text" or str(block.get("text", "")).strip():
            return (*place, n)
    return None


def _last_words(turns: Any) -> Path | None:
    for n in range(len(turns) - 1 if isinstance(turns, list) else -1, -1, -1):
        if isinstance(turns[n], dict) and turns[n].get("role") == "user":
            return _last_of(turns[n].get("content"), ("messages", n, "content"))
    return None


def _is_marked(turns: Any, place: Path) -> bool:
    block = turns[place[1]]["content"]
    return len(place) > 3 and block[place[3]].get("cache_control") is not None
