"""Checks a request's JSON against the official SDKs' parameter types, unknown keys included.

The SDKs' TypedDicts are the nearest thing to a schema the providers publish. pydantic reads their iterables lazily and
lets unknown keys pass, so this walks the annotations itself.
"""

from __future__ import annotations

import collections.abc
import functools
import types
import typing
from typing import Any, Literal, Union, get_args, get_origin

import typing_extensions
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

from . import client_types

_PARAMS: dict[str, tuple[Any, Any]] = {
    "openai": (CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming),
    "openai_responses": (ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming),
    "anthropic": (MessageCreateParamsNonStreaming, MessageCreateParamsStreaming),
}


def problems(dialect: str, body: dict[str, Any]) -> list[str]:
    """What the SDK's types do not allow in ``body``; empty when it is well-formed."""
    if dialect in client_types.CHECKS:
        return client_types.CHECKS[dialect](body)
    return _check(body, _PARAMS[dialect][1 if body.get("stream") else 0], "")


@functools.cache
def _hints(type_: Any) -> dict[str, Any]:
    return typing_extensions.get_type_hints(type_, include_extras=True)


def _check(value: Any, wanted: Any, path: str) -> list[str]:
    origin = get_origin(wanted)
    if origin in (typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.Annotated):
        return _check(value, get_args(wanted)[0], path)
    if isinstance(wanted, typing_extensions.TypeAliasType):
        return _check(value, wanted.__value__, path)
    if wanted in (Any, object):
        return []
    if typing_extensions.is_typeddict(wanted):
        return _check_dict(value, wanted, path)
    if origin is Literal or origin is typing_extensions.Literal:
        return [] if value in get_args(wanted) else [f"{path}: {value!r:.60} is none of {get_args(wanted)}"]
    if origin in (Union, types.UnionType):
        return _check_union(value, get_args(wanted), path)
    if origin in (list, collections.abc.Iterable, collections.abc.Sequence, typing.Iterable):
        if not isinstance(value, list):
            return [f"{path}: not an array"]
        return [p for n, item in enumerate(value) for p in _check(item, get_args(wanted)[0], f"{path}[{n}]")]
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        return [p for key, item in value.items() for p in _check(item, get_args(wanted)[1], f"{path}.{key}")]
    if wanted is float:
        return [] if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{path}: not a number"]
    if wanted is int:
        return [] if isinstance(value, int) and not isinstance(value, bool) else [f"{path}: not an integer"]
    if wanted is None or wanted is type(None):
        return [] if value is None else [f"{path}: not null"]
    if isinstance(wanted, type):
        return [] if isinstance(value, wanted) else [f"{path}: not {wanted.__name__}"]
    raise TypeError(f"no rule for {wanted!r} at {path}")


def _check_dict(value: Any, wanted: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: not an object"]
    hints = _hints(wanted)
    none = typing_extensions.NoExtraItems
    open_ended = getattr(wanted, "__extra_items__", none) is not none
    found = [f"{path}.{key}: unknown to {wanted.__name__}" for key in value if key not in hints and not open_ended]
    found += [f"{path}.{key}: missing" for key in hints if key not in value and _is_required(wanted, key)]
    for key, item in value.items():
        if key in hints:
            found += _check(item, hints[key], f"{path}.{key}")
    return found


def _is_required(wanted: Any, key: str) -> bool:
    """The SDKs postpone their annotations, so ``__required_keys__`` has not seen a ``Required[...]`` in them."""
    origin = get_origin(_hints(wanted)[key])
    if origin is typing_extensions.Required:
        return True
    return key in wanted.__required_keys__ and origin is not typing_extensions.NotRequired


def _check_union(value: Any, members: tuple[Any, ...], path: str) -> list[str]:
    """No problem with one member is enough; else those with the member that was most likely meant."""
    best: tuple[bool, int, list[str]] | None = None
    for member in members:
        found = _check(value, member, path)
        if not found:
            return []
        array = isinstance(value, list) and get_origin(member) is not None and found != [f"{path}: not an array"]
        this = (not (array or _same_tag(value, member)), len(found), found)
        if best is None or this[:2] < best[:2]:
            best = this
    return best[2] if best is not None else []


def _same_tag(value: Any, member: Any) -> bool:
    """Whether ``member`` is the one meant: its ``type`` literal is the value's."""
    if not isinstance(value, dict) or not typing_extensions.is_typeddict(member) or "type" not in value:
        return False
    return "type" in _hints(member) and not _check(value["type"], _hints(member)["type"], "")
