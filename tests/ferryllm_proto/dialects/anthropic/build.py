"""Requests of another dialect, as its decoder would make them."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import DIALECT
from ferryllm_proto.loss import Loss

NAMES = {"reasoning": "reasoning_effort", "format": "response_format", "max_output": "max_completion_tokens"}


def user(*parts: ir.Part | str, path: str = "messages[0]") -> ir.Turn:
    return _turn(ir.Role.USER, parts, path)


def assistant(*parts: ir.Part | str, path: str = "messages[1]") -> ir.Turn:
    return _turn(ir.Role.ASSISTANT, parts, path)


def _turn(role: ir.Role, parts: tuple[ir.Part | str, ...], path: str) -> ir.Turn:
    made = tuple(
        ir.Text(part, path=f"{path}.content[{n}]") if isinstance(part, str) else part for n, part in enumerate(parts)
    )
    return ir.Turn(role, made, path=path)


def foreign(*turns: ir.Turn, model: str = "claude-opus-4-8", **fields: Any) -> ir.Request:
    """A request with these turns; where they call tools it has the tool ``f`` unless ``tools`` are given."""
    if any(isinstance(part, ir.ToolCall) for turn in turns for part in turn.parts):
        fields.setdefault("tools", (ir.Function("f"),))
    return ir.Request(dialect="openai", model=model, turns=turns or (user("hi"),), names=NAMES, **fields)


def encoded(request: ir.Request, **options: Any) -> tuple[dict[str, Any], list[Loss]]:
    upstream, losses = DIALECT.encode_request(request, **options)
    body: dict[str, Any] = json.loads(upstream.body)
    return body, losses


def paths(losses: list[Loss]) -> list[tuple[str, str]]:
    return [(loss.disposition.value, loss.path) for loss in losses]
