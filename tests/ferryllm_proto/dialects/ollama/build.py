"""Requests, lines and answers of this dialect for its tests."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import ir
from ferryllm_proto.accumulate import Accumulator
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.events import Event
from ferryllm_proto.loss import Loss

STAMP = "2026-11-21T06:39:02.123456789Z"
SECONDS = 1795243142


def request(path: str = "/api/chat", **fields: Any) -> ir.Request:
    """A client's body, decoded; a chat has a message."""
    body = {"model": "m", **fields}
    if path == "/api/chat":
        body.setdefault("messages", [{"role": "user", "content": "hi"}])
    return DIALECT.decode_request(json.dumps(body).encode(), path=path)


def foreign(*turns: ir.Turn, model: str = "qwen3", **fields: Any) -> ir.Request:
    """A request of a Chat client; where it calls tools it has the tool ``f`` unless ``tools`` are given."""
    if any(isinstance(part, ir.ToolCall) for turn in turns for part in turn.parts):
        fields.setdefault("tools", (ir.Function("f"),))
    names = {
        "turns": "messages",
        "reasoning": "reasoning_effort",
        "effort": "reasoning_effort",
        "budget": "reasoning.max_tokens",
        "show": "reasoning.exclude",
        ".phase": "^phase",
    }
    return ir.Request("openai", model, turns=turns or (user("hi"),), names=names, **fields)


def user(*parts: ir.Part | str, path: str = "messages[0]") -> ir.Turn:
    return ir.Turn(ir.Role.USER, _parts(parts, path), path=path)


def assistant(*parts: ir.Part | str, path: str = "messages[1]") -> ir.Turn:
    return ir.Turn(ir.Role.ASSISTANT, _parts(parts, path), path=path)


def _parts(parts: tuple[ir.Part | str, ...], path: str) -> tuple[ir.Part, ...]:
    return tuple(
        ir.Text(part, path=f"{path}.content[{n}]") if isinstance(part, str) else part for n, part in enumerate(parts)
    )


def encoded(found: ir.Request, **options: Any) -> tuple[dict[str, Any], list[Loss]]:
    upstream, losses = DIALECT.encode_request(found, **options)
    body: dict[str, Any] = json.loads(upstream.body)
    return body, losses


def messages(*turns: ir.Turn, **fields: Any) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    body, losses = encoded(foreign(*turns, **fields))
    return body["messages"], paths(losses)


def paths(losses: list[Loss]) -> list[tuple[str, str]]:
    return [(loss.disposition.value, loss.path) for loss in losses]


# --- answers ---------------------------------------------------------------------------------------------


def line(content: str = "", *, done: bool = False, **fields: Any) -> bytes:
    """A line of a chat; what belongs into the message goes there."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    message |= {name: fields.pop(name) for name in ("thinking", "tool_calls") if name in fields}
    end = {"done_reason": "stop", "total_duration": 9, "prompt_eval_count": 3, "eval_count": 4} if done else {}
    value = {"model": "m", "created_at": STAMP, "message": message, "done": done, **end, **fields}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def call(name: str = "f", *, index: int = 0, **arguments: Any) -> dict[str, Any]:
    return {"id": f"call_{index}", "function": {"index": index, "name": name, "arguments": arguments}}


def events(data: bytes, cut: int | None = None) -> list[Event]:
    decoder = DIALECT.stream_decoder()
    step = cut or max(1, len(data))
    out: list[Event] = []
    for at in range(0, len(data), step):
        out.extend(decoder.receive_data(data[at : at + step]))
    return out + decoder.receive_eof()


def fold(found: list[Event]) -> ir.Response:
    folded = Accumulator()
    for event in found:
        folded.send(event)
    return folded.response()


def written(found: list[Event], answer: Answer = Answer(model="m", created=SECONDS)) -> tuple[bytes, list[Loss]]:  # noqa: B008 - frozen
    encoder = DIALECT.stream_encoder(answer)
    return b"".join([encoder.send(event) for event in found]), encoder.losses


def judged(data: bytes, path: str = "/api/chat") -> list[str]:
    grammar = DIALECT.grammar(path)
    grammar.receive_data(data)
    grammar.receive_eof()
    return [str(problem) for problem in grammar.problems]


def joined(data: bytes, path: str = "/api/chat") -> dict[str, Any]:
    """A stream as a client puts it together: one object, the last line's, with everything that was said."""
    lines = [json.loads(one) for one in data.splitlines()]
    out: dict[str, Any] = dict(lines[-1])
    logprobs = [one for part in lines for one in part.get("logprobs", [])]
    out |= {"logprobs": logprobs} if logprobs else {}
    if path != "/api/chat":
        out["response"] = "".join(one["response"] for one in lines)
        thinking = "".join(one.get("thinking", "") for one in lines)
        return {**out, **({"thinking": thinking} if thinking else {})}
    message: dict[str, Any] = {"role": "assistant", "content": "".join(one["message"]["content"] for one in lines)}
    thinking = "".join(one["message"].get("thinking", "") for one in lines)
    calls = [one for part in lines for one in part["message"].get("tool_calls", [])]
    message |= {"thinking": thinking} if thinking else {}
    message |= {"tool_calls": calls} if calls else {}
    return {**out, "message": message}
