"""Answers of providers as bytes, in their own words, and one way to send them through a `Translator`."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ferryllm_proto import Translator, ir
from ferryllm_proto.loss import Loss
from ferryllm_proto.translate import State

from .native import gemini, gemini_whole, ollama, ollama_whole

DIALECTS = ("openai", "openai_responses", "anthropic", "gemini", "ollama")
PAIRS = [(entry, backend) for entry in DIALECTS for backend in DIALECTS if entry != backend]
NATIVE = ("gemini", "ollama")
"""Those whose streams are no Server-Sent Events with one blank line, and whose names of things are all their own."""

ASK: dict[str, dict[str, Any]] = {
    "openai": {"messages": [{"role": "user", "content": "hi"}]},
    "openai_responses": {"input": "hi"},
    "anthropic": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1000},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "ollama": {"messages": [{"role": "user", "content": "hi"}]},
}


def path_of(entry: str, *, stream: bool) -> str | None:
    """What a client asks for where the path says more than the dialect."""
    if entry != "gemini":
        return None
    return f"/v1beta/models/asked:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"


class Told(msgspec.Struct):
    """What a client was told."""

    status: int
    headers: dict[str, str]
    body: bytes
    state: State
    error: ir.Error | None
    losses: list[Loss]
    usage: ir.Usage | None
    finish: ir.FinishReason | None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The words of an error that came instead of an answer."""
        value = self.json()
        error = (value[0] if isinstance(value, list) else value)["error"]
        return str(error if isinstance(error, str) else error["message"])

    @property
    def lost(self) -> list[str]:
        return [loss.path for loss in self.losses]


def ask(
    entry: str, backend: str, *, stream: bool = True, rename: bool = False, path: str | None = None, **fields: Any
) -> Translator:
    """A conversation whose request is with the provider; ``path`` replaces the one the client usually asks for."""
    body = {"model": "asked", "stream": stream, **ASK[entry], **fields}
    if entry == "openai" and stream:
        body.setdefault("stream_options", {"include_usage": True})
    if entry == "gemini":
        del body["model"], body["stream"]
    translator = Translator(
        entry=entry, backend=backend, model="real" if rename or entry != backend else None, now=1_760_000_000.0, seed=1
    )
    upstream = translator.receive_request(json.dumps(body).encode(), path=path or path_of(entry, stream=stream))
    assert upstream is not None, translator.error
    return translator


def tell(
    translator: Translator,
    *pieces: bytes,
    status: int = 200,
    headers: list[tuple[str, str]] | None = None,
    lost: bool = False,
) -> Told:
    """Feed the provider's answer, piece by piece; ``lost`` breaks the connection behind it."""
    translator.receive_response_head(status, headers if headers is not None else [("content-type", "whatever")])
    out = [translator.receive_data(piece) for piece in pieces]
    out.append(
        translator.fail(ir.Error(ir.ErrorKind.TRUNCATED, "connection reset")) if lost else translator.receive_eof()
    )
    assert translator.state in (State.DONE, State.FAILED)
    assert translator.head is not None
    return Told(
        translator.head.status,
        dict(translator.head.headers),
        b"".join(out) + translator.receive_eof(),
        translator.state,
        translator.error,
        translator.losses,
        translator.usage,
        translator.finish_reason,
    )


def through(entry: str, backend: str, *pieces: bytes, stream: bool = True, lost: bool = False, **fields: Any) -> Told:
    """Ask and tell."""
    return tell(ask(entry, backend, stream=stream, **fields), *pieces, lost=lost)


# --- Chat ------------------------------------------------------------------------------------------------


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    """One chunk of a Chat stream; ``choices`` and ``usage`` among ``fields`` replace what is usual."""
    value = {
        "id": "chatcmpl-up",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "real",
        "choices": [{"index": 0, "delta": delta if delta is not None else {}, "finish_reason": finish}],
        **fields,
    }
    return b"data: %b\n\n" % json.dumps(value).encode()


DONE = b"data: [DONE]\n\n"
ROLE = chunk({"role": "assistant", "content": ""})


def chat_usage(prompt: int = 10, completion: int = 7, **fields: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **fields}


def fragment(
    index: int | None, id_: str | None = None, name: str | None = None, args: str | None = None
) -> dict[str, Any]:
    """One entry of ``delta.tool_calls``."""
    out: dict[str, Any] = {"function": {}}
    if index is not None:
        out["index"] = index
    if id_ is not None:
        out.update(id=id_, type="function")
    if name is not None:
        out["function"]["name"] = name
    if args is not None:
        out["function"]["arguments"] = args
    return out


def chat(*deltas: dict[str, Any], finish: str | None = "stop", usage: dict[str, Any] | None = None) -> bytes:
    """A whole Chat stream."""
    out = [ROLE, *(chunk(delta) for delta in deltas)]
    if finish is not None:
        out.append(chunk({}, finish))
    if usage is not None:
        out.append(chunk(choices=[], usage=usage))
    return b"".join([*out, DONE])


def chat_whole(message: dict[str, Any], finish: str | None = "stop", **fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    value = {
        "id": "chatcmpl-up",
        "object": "chat.completion",
        "created": 5,
        "model": "real",
        "choices": [choice],
        **fields,
    }
    return json.dumps(value).encode()


# --- Messages --------------------------------------------------------------------------------------------


def event(type_: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (type_.encode(), json.dumps({"type": type_, **fields}).encode())


def message_start(usage: dict[str, Any] | None = None) -> bytes:
    message: dict[str, Any] = {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "real",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage if usage is not None else {"input_tokens": 10, "output_tokens": 1},
    }
    return event("message_start", message=message)


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    """One block of a Messages stream."""
    return b"".join(
        [
            event("content_block_start", index=index, content_block=start),
            *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
            event("content_block_stop", index=index),
        ]
    )


def text_block(index: int, *texts: str) -> bytes:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": text} for text in texts))


def tool_block(index: int, id_: str, name: str, *pieces: str) -> bytes:
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, {"type": "tool_use", "id": id_, "name": name, "input": {}}, *deltas)


def thinking_block(index: int, text: str, signature: str | None = None) -> bytes:
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": text}] if text else []
    if signature is not None:
        deltas.append({"type": "signature_delta", "signature": signature})
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)


def message_delta(stop: str | None = "end_turn", usage: dict[str, Any] | None = None, **fields: Any) -> bytes:
    return event(
        "message_delta",
        delta={"stop_reason": stop, "stop_sequence": None, **fields},
        usage=usage if usage is not None else {"output_tokens": 7},
    )


STOP = event("message_stop")


def messages(*blocks: bytes, stop: str = "end_turn", usage: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """A whole Messages stream."""
    return b"".join([message_start(), *blocks, message_delta(stop, usage, **fields), STOP])


def messages_whole(*content: dict[str, Any], stop: str | None = "end_turn", **fields: Any) -> bytes:
    value = {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "real",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 7},
        **fields,
    }
    return json.dumps(value).encode()


# --- Responses -------------------------------------------------------------------------------------------

RESPONSES_USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 17,
}


def response_object(
    status: str = "completed", output: list[dict[str, Any]] | None = None, **fields: Any
) -> dict[str, Any]:
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 5,
        "model": "real",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "output": output or [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES_USAGE if status != "in_progress" else None,
        **fields,
    }


def message_item(*texts: str, id_: str = "msg_1", status: str = "completed", **fields: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts]
    return {"id": id_, "type": "message", "role": "assistant", "status": status, "content": content, **fields}


def call_item(id_: str, call_id: str, name: str, arguments: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        **fields,
    }


CREATED = event("response.created", response=response_object("in_progress"))


def item_events(index: int, item: dict[str, Any]) -> bytes:
    """The events by which an item comes into being, deltas included."""
    kind, at = item["type"], {"output_index": index, "item_id": item["id"]}
    out = []
    if kind == "message":
        added = {**item, "status": "in_progress", "content": []}
        out.append(event("response.output_item.added", output_index=index, item=added))
        for n, part in enumerate(item["content"]):
            empty = {**part, "text": ""}
            out.append(event("response.content_part.added", **at, content_index=n, part=empty))
            for letter in part["text"]:
                out.append(event("response.output_text.delta", **at, content_index=n, delta=letter, logprobs=[]))
            out.append(event("response.output_text.done", **at, content_index=n, text=part["text"], logprobs=[]))
            out.append(event("response.content_part.done", **at, content_index=n, part=part))
    elif kind == "function_call":
        added = {**item, "status": "in_progress", "arguments": ""}
        out.append(event("response.output_item.added", output_index=index, item=added))
        out.append(event("response.function_call_arguments.delta", **at, delta=item["arguments"]))
        out.append(event("response.function_call_arguments.done", **at, arguments=item["arguments"]))
    elif kind == "reasoning":
        out.append(event("response.output_item.added", output_index=index, item={**item, "summary": []}))
        for n, part in enumerate(item["summary"]):
            out.append(event("response.reasoning_summary_part.added", **at, summary_index=n, part={**part, "text": ""}))
            out.append(event("response.reasoning_summary_text.delta", **at, summary_index=n, delta=part["text"]))
            out.append(event("response.reasoning_summary_text.done", **at, summary_index=n, text=part["text"]))
            out.append(event("response.reasoning_summary_part.done", **at, summary_index=n, part=part))
    else:
        out.append(event("response.output_item.added", output_index=index, item=item))
    out.append(event("response.output_item.done", output_index=index, item=item))
    return b"".join(out)


def responses(*items: dict[str, Any], status: str = "completed", **fields: Any) -> bytes:
    """A whole Responses stream."""
    final = event(f"response.{status}", response=response_object(status, list(items), **fields))
    return numbered(b"".join([CREATED, *(item_events(n, item) for n, item in enumerate(items)), final]))


def numbered(data: bytes) -> bytes:
    """Events of this dialect with their ``sequence_number``."""
    first, *rest = data.split(b'"type": "response.')
    return first + b"".join(b'"sequence_number": %d, "type": "response.%b' % (n, piece) for n, piece in enumerate(rest))


def responses_whole(*items: dict[str, Any], status: str = "completed", **fields: Any) -> bytes:
    return json.dumps(response_object(status, list(items), **fields)).encode()


# --- one plain answer of each ----------------------------------------------------------------------------

STREAM: dict[str, bytes] = {
    "openai": chat({"content": "Hel"}, {"content": "lo \u2028é😀"}, usage=chat_usage()),
    "anthropic": messages(text_block(0, "Hel", "lo \u2028é😀")),
    "openai_responses": responses(message_item("Hello \u2028é😀")),
    "gemini": gemini({"text": "Hel"}, {"text": "lo \u2028é😀"}),
    "ollama": ollama({"content": "Hel"}, {"content": "lo \u2028é😀"}),
}
"""``Hello`` with characters of two, three and four bytes; 10 tokens in, 7 out."""

WHOLE: dict[str, bytes] = {
    "openai": chat_whole({"content": "Hello \u2028é😀"}, usage=chat_usage()),
    "anthropic": messages_whole({"type": "text", "text": "Hello \u2028é😀"}),
    "openai_responses": responses_whole(message_item("Hello \u2028é😀")),
    "gemini": gemini_whole({"text": "Hello \u2028é😀"}),
    "ollama": ollama_whole({"content": "Hello \u2028é😀"}),
}
TEXT = "Hello \u2028é😀"
