"""Answers of Gemini and of Ollama as bytes, in their own words; `support.answers` has those of the others."""

from __future__ import annotations

import json
from typing import Any

# --- Gemini ----------------------------------------------------------------------------------------------


def gemini_usage(prompt: int = 10, candidates: int = 7, **fields: Any) -> dict[str, Any]:
    total = prompt + candidates + fields.get("thoughtsTokenCount", 0) + fields.get("toolUsePromptTokenCount", 0)
    return {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": total, **fields}


def gemini_object(*parts: dict[str, Any], finish: str | int | None = None, **fields: Any) -> dict[str, Any]:
    """One chunk or one whole answer; ``candidate`` among ``fields`` has more members of its candidate."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    candidate.update(fields.pop("candidate", {}))
    usage = fields.pop("usage", None)
    value: dict[str, Any] = {"candidates": [candidate], "modelVersion": "real", "responseId": "resp-up", **fields}
    if usage is not None:
        value["usageMetadata"] = usage
    return value


def gemini_event(value: dict[str, Any]) -> bytes:
    return b"data: %b\r\n\r\n" % json.dumps(value).encode()


def gemini_chunk(*parts: dict[str, Any], finish: str | int | None = None, **fields: Any) -> bytes:
    """One event of a stream."""
    return gemini_event(gemini_object(*parts, finish=finish, **fields))


def gemini(*parts: dict[str, Any], finish: str | None = "STOP", usage: dict[str, Any] | None = None) -> bytes:
    """A whole stream, one part in each of its events, usage in each of them, the reason in the last."""
    counted = gemini_usage() if usage is None else usage
    out = [gemini_chunk(part, usage=counted) for part in parts]
    if finish is not None:
        out.append(gemini_chunk({"text": ""}, finish=finish, usage=counted))
    return b"".join(out)


def gemini_array(*values: dict[str, Any]) -> bytes:
    """The same without ``alt=sse``: one JSON array over many lines, as Google sends it."""
    return b"[" + b"\n,\r\n".join(json.dumps(value, indent=2).encode() for value in values) + b"\n]\n"


def gemini_whole(*parts: dict[str, Any], finish: str | int | None = "STOP", **fields: Any) -> bytes:
    fields.setdefault("usage", gemini_usage())
    return json.dumps(gemini_object(*parts, finish=finish, **fields)).encode()


def gemini_call(name: str, args: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A part that calls a tool; ``id`` is of the call, ``thoughtSignature`` of the part."""
    call: dict[str, Any] = {"name": name}
    if args is not None:
        call["args"] = args
    if "id" in fields:
        call["id"] = fields.pop("id")
    return {"functionCall": call, **fields}


def gemini_error(code: int, message: str, status: str, *details: dict[str, Any]) -> bytes:
    inner: dict[str, Any] = {"code": code, "message": message, "status": status}
    if details:
        inner["details"] = list(details)
    return json.dumps({"error": inner}).encode()


# --- Ollama ----------------------------------------------------------------------------------------------

STAMP = "2026-11-21T07:00:00.123456789Z"


def ollama_object(message: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """One line; ``done`` and what comes with it are among ``fields``."""
    said = {"role": "assistant", "content": "", **(message or {})}
    return {"model": "real", "created_at": STAMP, "message": said, "done": False, **fields}


def ollama_line(message: dict[str, Any] | None = None, **fields: Any) -> bytes:
    return json.dumps(ollama_object(message, **fields)).encode() + b"\n"


def ollama_end(reason: str | None = "stop", prompt: int | None = 10, output: int | None = 7) -> dict[str, Any]:
    """The members of a last line."""
    end: dict[str, Any] = {"done": True, "total_duration": 4, "load_duration": 1}
    counts = {"done_reason": reason, "prompt_eval_count": prompt, "eval_count": output}
    end.update({name: value for name, value in counts.items() if value is not None})
    return {**end, "prompt_eval_duration": 1, "eval_duration": 2}


def ollama(*messages: dict[str, Any], **end: Any) -> bytes:
    """A whole stream; ``end`` are arguments of `ollama_end`."""
    return b"".join([*map(ollama_line, messages), ollama_line(**ollama_end(**end))])


def ollama_whole(message: dict[str, Any], **end: Any) -> bytes:
    return json.dumps(ollama_object(message, **ollama_end(**end))).encode()


def ollama_call(name: str, arguments: Any = None, id_: str | None = None) -> dict[str, Any]:
    """One entry of ``tool_calls``."""
    call: dict[str, Any] = {"function": {"name": name, "arguments": {} if arguments is None else arguments}}
    return call if id_ is None else {"id": id_, **call}
