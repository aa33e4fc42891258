"""What a route's policy makes of losses: a request encoded under it, and nodes taken out of a request by their path.

Apart from `loss`, which only says what a loss is, and from the encoders, which know nothing of policies: they refuse
what changes the answer's shape, and here it is decided whether the request is asked again without it
(translation.md G5).
"""

from __future__ import annotations

import re

import msgspec

from . import ir
from .dialect import Dialect, Headers, UpstreamRequest
from .errors import RemoteProtocolError
from .loss import Disposition, Loss, LossPolicy, StrictRefusal, lost
from .rules import NO_RULES, ProviderRules

MAX_REMOVED = 64
"""Fields that are taken out of one request before it is refused after all: each costs another encoding."""

_KEPT = frozenset({"dialect", "model", "turns", "system", "tools", "stream", "ext", "names", "max_output"})
"""Fields of `ir.Request` that are not one field of the client's, or without which nothing is asked. A limit of 0 tokens
is among them: without it an answer would be paid for that nobody wanted."""

_CONTEXT = frozenset({"previous_id", "conversation"})
"""Fields that stand for a part of the conversation: an answer without it answers another question (R10)."""
_CONTEXT_EXT = frozenset({"cachedContent", "context", "prompt", "thread"})
_CONTEXT_PARTS = frozenset({"item_reference", "compaction"})

_INCLUDE = re.compile(r"\[(\d+)\]$")

_DEFAULTS: ir.Request = ir.Request("", "")


def encode(
    dialect: Dialect,
    request: ir.Request,
    *,
    policy: LossPolicy = LossPolicy.REPORT,
    model: str | None = None,
    headers: Headers = (),
    rules: ProviderRules = NO_RULES,
) -> tuple[UpstreamRequest, list[Loss]]:
    """``request`` for a provider of ``dialect`` under ``policy``; the other arguments are `Dialect.encode_request`'s.

    Raises `RemoteProtocolError` when it is refused: `StrictRefusal` where that is the policy's doing.
    """
    removed: list[Loss] = []
    while True:
        try:
            upstream, losses = dialect.encode_request(request, model=model, headers=headers, rules=rules)
        except RemoteProtocolError as exc:
            path = exc.error.param
            if policy is not LossPolicy.LENIENT or path is None or exc.error.code != "unsupported_parameter":
                raise
            rest = without(request, path) if len(removed) < MAX_REMOVED else None
            if rest is None or rest == request:
                raise
            request = rest
            removed.append(Loss(path, Disposition.DROPPED, exc.error.message.removeprefix(f"{path}: ")))
            continue
        if removed:
            losses = [*removed, *(loss for loss in losses if all(loss.path != gone.path for gone in removed))]
        if policy is LossPolicy.STRICT and (gone := lost(losses)):
            raise StrictRefusal(gone)
        return upstream, losses


def without(request: ir.Request, path: str) -> ir.Request | None:
    """``request`` without what the client wrote at ``path``: a field, a tool, a part of a message.

    None where nothing of it is at that path, and where an answer to what is left would answer another question.
    """
    return (
        _without_field(request, path)
        or _without_ext(request, path)
        or _without_tool(request, path)
        or _without_part(request, path)
    )


def _without_field(request: ir.Request, path: str) -> ir.Request | None:
    at = _INCLUDE.search(path)
    if at is not None and path == f"{request.wire_name('include')}{at[0]}":
        return _without_include(request, int(at[1]))
    for field in request.__struct_fields__:
        if field in _KEPT or request.wire_name(field) != path:
            continue
        default = getattr(_DEFAULTS, field)
        if getattr(request, field) != default:
            return None if field in _CONTEXT else msgspec.structs.replace(request, **{field: default})
    return None


def _without_include(request: ir.Request, number: int) -> ir.Request | None:
    if number >= len(request.include):
        return None
    wish = request.include[number]
    # Its place stays, so that the others are still reported where the client wrote them.
    include = (*request.include[:number], "", *request.include[number + 1 :])
    logprobs = None if "logprobs" in wish else request.logprobs
    return msgspec.structs.replace(request, include=include, logprobs=logprobs)


def _without_ext(request: ir.Request, path: str) -> ir.Request | None:
    ext = request.ext
    if ext is None or path not in ext.fields or path in _CONTEXT_EXT:
        return None
    fields = {name: value for name, value in ext.fields.items() if name != path}
    return msgspec.structs.replace(request, ext=ir.Ext(ext.dialect, fields) if fields else None)


def _without_tool(request: ir.Request, path: str) -> ir.Request | None:
    tools = tuple(tool for tool in request.tools if not _holds(tool.path, path))
    return msgspec.structs.replace(request, tools=tools) if len(tools) < len(request.tools) else None


def _without_part(request: ir.Request, path: str) -> ir.Request | None:
    for number, turn in enumerate(request.turns):
        parts = _cut(turn.parts, path)
        if parts is None:
            continue
        if not parts:
            return None  # nothing is left of what was said
        turns = (*request.turns[:number], msgspec.structs.replace(turn, parts=parts), *request.turns[number + 1 :])
        return msgspec.structs.replace(request, turns=turns)
    return None


def _cut(parts: tuple[ir.Part, ...], path: str) -> tuple[ir.Part, ...] | None:
    """``parts`` without the one at ``path``, which may be inside a result; None where none is there."""
    for number, part in enumerate(parts):
        if isinstance(part, ir.ToolResult):
            inner = _cut(part.parts, path)
            if inner is None:
                continue
            kept: tuple[ir.Part, ...] = (msgspec.structs.replace(part, parts=inner),)
        elif not _holds(part.path, path):
            continue
        elif isinstance(part, ir.Hosted) and part.type in _CONTEXT_PARTS:
            return None
        else:
            kept = ()
        return (*parts[:number], *kept, *parts[number + 1 :])
    return None


def _holds(outer: str, path: str) -> bool:
    """Whether ``path`` is ``outer`` or in it."""
    return bool(outer) and path.startswith(outer) and path[len(outer) :][:1] in ("", ".", "[")
