"""Recorded requests with the number of input tokens their provider counted: what the estimate is measured against.

Left out is what no reader of a request can know: hosted tools (searches bring pages), stored files and conversations,
and the context a provider edits before it counts.
"""

from __future__ import annotations

import functools
import json
import statistics
from typing import Any, NamedTuple

from ferryllm_proto import ProtocolError, ir
from ferryllm_proto.accumulate import Accumulator
from ferryllm_proto.dialect import Dialect
from ferryllm_proto.dialects import DIALECTS
from support import recorded

_ADDED = frozenset(
    {"mcp_servers", "context_management", "web_search_options", "venice_parameters", "container", "plugins"}
)


class Counted(NamedTuple):
    """One request and its true count."""

    case: dict[str, Any]
    dialect: str
    request: ir.Request
    tokens: int

    @property
    def has_media(self) -> bool:
        media = (ir.Image, ir.Document, ir.Audio)
        return any(isinstance(part, media) for turn in self.request.turns for part in _parts(turn.parts))


class Spread(NamedTuple):
    """How far estimates are from the truth; shares of the truth."""

    number: int
    median: float
    """Of the errors' sizes."""
    p90: float
    bias: float
    """The median of estimate divided by truth."""
    within: float
    """How many are within 15 %."""


def spread(pairs: list[tuple[int, int]]) -> Spread:
    """Of pairs of estimate and truth."""
    ratios = sorted(guess / real for guess, real in pairs)
    errors = sorted(abs(ratio - 1) for ratio in ratios)
    return Spread(
        len(pairs),
        statistics.median(errors),
        errors[min(len(errors) - 1, len(errors) * 9 // 10)],
        statistics.median(ratios),
        sum(error <= 0.15 for error in errors) / len(errors),
    )


@functools.cache
def counted(dialect: str) -> tuple[Counted, ...]:
    """All of a dialect that can be judged."""
    found = []
    for case in recorded.cases(dialect):
        if case["status"] != 200 or case["request"] is None or "embed" in case["path"].lower():
            continue
        try:
            one = _counted(case, DIALECTS[dialect])
        except ProtocolError:
            continue
        if one is not None:
            found.append(one)
    return tuple(found)


def _counted(case: dict[str, Any], dialect: Dialect) -> Counted | None:
    asked = "ount" in case["path"] and "okens" in case["path"]
    body = json.dumps(case["request"]).encode()
    decode = dialect.decode_count if asked else dialect.decode_request
    request = decode(body, path=case["path"])
    if not _is_known(request):
        return None
    tokens = None
    if asked:
        tokens = dialect.decode_count_answer(json.dumps(case["response"]).encode())
    else:
        usage = _response(case, dialect).usage
        tokens = usage.input_total if usage is not None else None
    return Counted(case, dialect.name, request, tokens) if tokens else None


def _response(case: dict[str, Any], dialect: Dialect) -> ir.Response:
    if not case["stream"]:
        return dialect.decode_response(json.dumps(case["response"]).encode())
    decoder, whole = dialect.stream_decoder(), Accumulator()
    for event in (*decoder.receive_data(case["response_text"].encode()), *decoder.receive_eof()):
        whole.send(event)
    return whole.response()


def _is_known(request: ir.Request) -> bool:
    if request.previous_id is not None or request.conversation is not None:
        return False
    if any(isinstance(tool, ir.HostedTool) for tool in request.tools):
        return False
    if request.ext is not None and _ADDED & set(request.ext.fields):
        return False
    for turn in request.turns:
        for part in _parts(turn.parts):
            if isinstance(part, ir.Hosted):
                return False
            if isinstance(part, (ir.Image, ir.Document)) and part.source.kind in (
                ir.SourceKind.URL,
                ir.SourceKind.FILE_ID,
            ):
                return False
    return True


def _parts(parts: tuple[ir.Part, ...]) -> list[ir.Part]:
    out: list[ir.Part] = []
    for part in parts:
        out.append(part)
        if isinstance(part, ir.ToolResult):
            out.extend(_parts(part.parts))
    return out
