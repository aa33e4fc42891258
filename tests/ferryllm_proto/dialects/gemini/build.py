"""Requests of another dialect as its decoder would make them, and streams as a provider of this one sends them."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import ir
from ferryllm_proto.accumulate import Accumulator
from ferryllm_proto.dialects.gemini import DIALECT
from ferryllm_proto.events import Event
from ferryllm_proto.loss import Loss

NAMES = {"turns": "messages", "reasoning": "reasoning_effort", "format": "response_format", "max_output": "max_tokens"}
NEW = "gemini-3-flash-preview"
OLD = "gemini-2.5-flash"
PATH = f"/v1beta/models/{NEW}:generateContent"
SSE_PATH = f"/v1beta/models/{NEW}:streamGenerateContent?alt=sse"
ARRAY_PATH = f"/v1beta/models/{NEW}:streamGenerateContent"


# --- requests --------------------------------------------------------------------------------------------


def user(*parts: ir.Part | str, path: str = "messages[0]") -> ir.Turn:
    return _turn(ir.Role.USER, parts, path)


def assistant(*parts: ir.Part | str, path: str = "messages[1]") -> ir.Turn:
    return _turn(ir.Role.ASSISTANT, parts, path)


def _turn(role: ir.Role, parts: tuple[ir.Part | str, ...], path: str) -> ir.Turn:
    made = tuple(
        ir.Text(part, path=f"{path}.content[{n}]") if isinstance(part, str) else part for n, part in enumerate(parts)
    )
    return ir.Turn(role, made, path=path)


def signature(data: str = "c2ln", model: str = NEW) -> ir.Opaque:
    return ir.Opaque("gemini", model, ir.OpaqueKind.THOUGHT_SIGNATURE, data)


FOREIGN = ir.Opaque("anthropic", "claude-opus-4-8", ir.OpaqueKind.SIGNATURE, "sig==")


def foreign(*turns: ir.Turn, model: str = OLD, **fields: Any) -> ir.Request:
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


def decoded(body: dict[str, Any], path: str | None = PATH) -> ir.Request:
    return DIALECT.decode_request(json.dumps(body, separators=(",", ":")).encode(), path=path)


def again(body: dict[str, Any]) -> dict[str, Any]:
    """A client's body after it was understood and written for a provider."""
    return encoded(decoded(body))[0]


def contents(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"contents": [{"role": role, "parts": list(parts)}]}


# --- answers ---------------------------------------------------------------------------------------------


def chunk(*parts: dict[str, Any], finish: str | None = None, **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": NEW, "responseId": "r1", **fields}


def usage(prompt: int, said: int, **others: int) -> dict[str, Any]:
    thoughts = others.get("thoughtsTokenCount", 0)
    return {
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": said,
            "totalTokenCount": prompt + said + thoughts,
            **others,
        }
    }


def frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\r\n\r\n"


def stream(*chunks: Any) -> bytes:
    return b"".join(frame(one) for one in chunks)


def array(*chunks: Any) -> bytes:
    return b"[" + b"\n,\r\n".join(json.dumps(one, indent=2, ensure_ascii=False).encode() for one in chunks) + b"\n]\n"


def call(name: str = "f", args: Any = None, **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {} if args is None else args}, **fields}


CHUNKS = (
    chunk({"text": "hm", "thought": True}, **usage(3, 0)),
    chunk({"text": "Grüße "}, **usage(3, 1)),
    chunk({"text": "🌍"}, **usage(3, 2)),
    chunk(call("f", {"a": 1}, thoughtSignature="c2ln"), call("g", {"b": "é"}), **usage(3, 5)),
    chunk({"text": ""}, finish="STOP", **usage(3, 7, thoughtsTokenCount=2)),
)


def events(data: bytes, size: int = 0) -> list[Event]:
    """All events of a stream, read in pieces of ``size`` bytes (0: at once)."""
    decoder = DIALECT.stream_decoder()
    out: list[Event] = []
    for at in range(0, len(data), size or max(1, len(data))):
        out += decoder.receive_data(data[at : at + (size or len(data))])
    return out + decoder.receive_eof() + decoder.receive_eof()


def fold(found: list[Event]) -> ir.Response:
    folded = Accumulator()
    for event in found:
        folded.send(event)
    assert folded.failed is None
    return folded.response()


def whole(*chunks: dict[str, Any]) -> ir.Response:
    return fold(events(stream(*chunks)))
