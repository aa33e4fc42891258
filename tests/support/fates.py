"""What a translation makes of a field, told apart as the table of fields tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ferryllm_proto import Loss, Translator
from ferryllm_proto.fields import Fate, Row
from ferryllm_proto.loss import Disposition

MODELS = {
    "openai": ("gpt-4.1", "gpt-5.6"),
    "openai_responses": ("gpt-4.1", "gpt-5.6"),
    "anthropic": ("claude-sonnet-4-5", "claude-opus-5"),
    "gemini": ("gemini-2.5-flash", "gemini-3-pro-preview"),
    "ollama": ("llama3.2", "gpt-oss:20b"),
}
"""For each kind of provider a model, and one of those that came with reasoning by effort."""


class Observed(msgspec.Struct, frozen=True):
    fate: Fate | None
    """None where the translation did something the table has no word for."""
    losses: tuple[Loss, ...]
    """What the field alone lost."""
    path: str
    """Where the field was."""
    places: tuple[str, ...]
    """Where the provider's request differs from that without the field."""


def observe(row: Row, backend: str, *, newer: bool = False) -> Observed:
    """Translate the row's request with and without the field."""
    body, path = row.request()
    accepted, losses, upstream = _run(row, body, backend, newer)
    _, known, before = _run(row, row.baseline(), backend, newer)
    places = tuple(dict.fromkeys(_differences(before, upstream)))
    # A loss of what the field is in is there without the field too; then the field shares its fate.
    exact = [loss for loss in losses if loss.path == path]
    around = [loss for loss in losses if _encloses(loss.path, path) and (loss in known or not accepted)]
    strange = [loss for loss in losses if loss not in known and loss not in exact and loss not in around]
    mine = tuple(exact or around)
    fate = None
    if not strange and accepted is not any(loss.disposition is Disposition.REFUSED for loss in losses):
        fate = _worst(mine) or (Fate.MAPPED if places else Fate.IDLE)
    return Observed(fate, mine or tuple(strange), path, places)


def _encloses(outer: str, path: str) -> bool:
    return path.startswith(outer) and path[len(outer) :][:1] in (".", "[")


def _worst(losses: tuple[Loss, ...]) -> Fate | None:
    found = {loss.disposition for loss in losses}
    return next((fate for fate in (Fate.REFUSED, Fate.DROPPED, Fate.DEGRADED) if fate.disposition in found), None)


def _run(row: Row, body: dict[str, Any], backend: str, newer: bool) -> tuple[bool, list[Loss], Any]:
    translator = Translator(entry=row.place.dialect, backend=backend, model=MODELS[backend][newer])
    sent = translator.receive_request(json.dumps(body).encode(), path=row.place.door)
    if sent is None:
        return False, translator.losses, None
    return True, translator.losses, {**json.loads(sent.body), "(stream)": sent.stream}


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Patterns of the places where ``new`` is not ``old``."""
    if old == new and type(old) is type(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**new, **old}:
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from _differences(before, after, f"{path}[]")
    elif old is None and isinstance(new, dict) and new:
        for name, value in new.items():
            yield from _differences(None, value, f"{path}.{name}".lstrip("."))
    else:
        yield re.sub(r"\[\d+\]", "[]", path)
