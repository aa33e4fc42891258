"""Scenarios of streams through proto alone: each pair of dialects, text, thoughts and tool calls, in reads of one event
and of a hundred, by a Translator and by an Exchange.

Apart from the harness, which counts what they cost: ``python tests/bench/streams.py [words]`` prints CPU microseconds
for a look while working; a word picks the scenarios that have it in their names.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from ferryllm_proto import Exchange, Translator
from ferryllm_proto.actions import Record
from ferryllm_proto.dialect import Headers
from ferryllm_proto.inputs import ClientBody, ClientRequest, UpstreamData, UpstreamEnd, UpstreamHead
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import ClientKey, KeyBook
from ferryllm_proto.routing.table import MatchType, Route, RouteTable
from ferryllm_proto.snapshot import Gateway, Provider

Run = Callable[[], object]

DIALECTS = ("openai", "anthropic", "openai_responses", "gemini", "ollama")
CHUNKS = 200
MANY = 100
"""Events of one read of a burst."""

KEY = "sk-ferryllm-0123456789abcdef0123456789abcdef"
CLIENT_HEADERS: tuple[tuple[str, str], ...] = (
    ("host", "127.0.0.1:3000"),
    ("content-length", "120"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("authorization", f"Bearer {KEY}"),
    ("content-type", "application/json"),
    ("user-agent", "sdk/1.0"),
    ("anthropic-version", "2023-06-01"),
    ("x-stainless-lang", "python"),
    ("x-stainless-os", "Linux"),
)
HEAD: Headers = (
    ("date", "Sat, 21 Nov 2026 10:00:00 GMT"),
    ("content-type", "text/event-stream; charset=utf-8"),
    ("x-request-id", "req_1"),
)
LINES_HEAD: Headers = (("content-type", "application/x-ndjson"),)

PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "openai_responses": "/v1/responses",
    "gemini": "/v1beta/models/asked:streamGenerateContent?alt=sse",
    "ollama": "/api/chat",
}
WHOLE_PATHS = {**PATHS, "gemini": "/v1beta/models/asked:generateContent"}

_QUESTION = "Reply with exactly one short word: pong"


def body(entry: str, *, stream: bool = True) -> bytes:
    """A small request of a client."""
    words: dict[str, object] = {"model": "asked", "stream": stream}
    if entry == "gemini":
        words = {"contents": [{"role": "user", "parts": [{"text": _QUESTION}]}]}
    elif entry == "openai_responses":
        words["input"] = _QUESTION
    else:
        words["messages"] = [{"role": "user", "content": _QUESTION}]
    if entry == "anthropic":
        words["max_tokens"] = 64
    return _dumps(words)


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _event(name: str, fields: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _dumps({"type": name, **fields}))


def _word(n: int) -> str:
    return f" tok{n % 10:02d}é" if n % 50 == 17 else f" tok{n % 10:02d}"


# --- the providers' streams -------------------------------------------------------------------------------


def _chat(kind: str, count: int) -> list[bytes]:
    def chunk(delta: object, finish: str | None = None, **more: object) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: %b\n\n" % _dumps(
            {
                "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
                "object": "chat.completion.chunk",
                "created": 1763700000,
                "model": "gpt-4.1-mini-2025-04-14",
                "service_tier": "default",
                "system_fingerprint": "fp_b8bc95a0ac",
                "choices": [choice] if delta is not None else [],
                "usage": None,
                **more,
            }
        )

    out = [chunk({"role": "assistant", "content": "", "refusal": None})]
    if kind == "text":
        out += [chunk({"content": _word(n)}) for n in range(count)]
    elif kind == "thoughts":
        out += [chunk({"reasoning_content": _word(n)}) for n in range(count)]
        out.append(chunk({"content": "pong"}))
    else:
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
        out.append(chunk({"tool_calls": [call]}))
        out += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}) for text in _arguments(count)]
    out.append(chunk({}, "tool_calls" if kind == "calls" else "stop"))
    usage = {"prompt_tokens": 14, "completion_tokens": count, "total_tokens": 14 + count}
    return [*out, chunk(None, usage=usage), b"data: [DONE]\n\n"]


def _arguments(count: int) -> list[str]:
    return ['{"path":"', *(f"tok{n % 10:02d}/" for n in range(max(count - 2, 0))), '"}']


def _messages(kind: str, count: int) -> list[bytes]:
    usage = {"input_tokens": 14, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    message: dict[str, object] = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
    }
    message |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}

    def block(index: int, start: object, deltas: list[object]) -> list[bytes]:
        return [
            _event("content_block_start", {"index": index, "content_block": start}),
            *(_event("content_block_delta", {"index": index, "delta": delta}) for delta in deltas),
            _event("content_block_stop", {"index": index}),
        ]

    out = [_event("message_start", {"message": message}), _event("ping", {})]
    if kind == "text":
        texts: list[object] = [{"type": "text_delta", "text": _word(n)} for n in range(count)]
        out += block(0, {"type": "text", "text": ""}, texts)
    elif kind == "thoughts":
        thoughts: list[object] = [{"type": "thinking_delta", "thinking": _word(n)} for n in range(count)]
        thoughts.append({"type": "signature_delta", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"})
        out += block(0, {"type": "thinking", "thinking": "", "signature": ""}, thoughts)
        out += block(1, {"type": "text", "text": ""}, [{"type": "text_delta", "text": "pong"}])
    else:
        pieces: list[object] = [{"type": "input_json_delta", "partial_json": text} for text in _arguments(count)]
        out += block(0, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}, pieces)
    reason = "tool_use" if kind == "calls" else "end_turn"
    end = {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": count}}
    return [*out, _event("message_delta", end), _event("message_stop", {})]


def _responses(kind: str, count: int) -> list[bytes]:
    numbered: list[bytes] = []

    def event(name: str, **fields: object) -> None:
        numbered.append(_event(name, {"sequence_number": len(numbered), **fields}))

    response: dict[str, object] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1763700000,
        "status": "in_progress",
    }
    response |= {"model": "gpt-4.1-mini-2025-04-14", "output": [], "usage": None, "error": None}
    event("response.created", response=response)
    event("response.in_progress", response=response)
    items: list[dict[str, object]] = []

    def item(start: dict[str, object], end: dict[str, object], name: str, deltas: list[str], **where: object) -> None:
        place: dict[str, object] = {"item_id": start["id"], "output_index": len(items), **where}
        event("response.output_item.added", output_index=len(items), item=start)
        for delta in deltas:
            more: dict[str, object] = {"logprobs": []} if "output_text" in name else {}
            event(name, **place, delta=delta, **more, obfuscation="wZ8Pq3Yk2x")
        event("response.output_item.done", output_index=len(items), item=end)
        items.append(end)

    def message(deltas: list[str]) -> None:
        start: dict[str, object] = {"id": "msg_1", "type": "message", "status": "in_progress", "content": []}
        start["role"] = "assistant"
        part = {"type": "output_text", "text": "".join(deltas), "annotations": [], "logprobs": []}
        end = {**start, "status": "completed", "content": [part]}
        item(start, end, "response.output_text.delta", deltas, content_index=0)

    if kind == "text":
        message([_word(n) for n in range(count)])
    elif kind == "thoughts":
        words = [_word(n) for n in range(count)]
        start: dict[str, object] = {"id": "rs_1", "type": "reasoning", "summary": []}
        end = {**start, "summary": [{"type": "summary_text", "text": "".join(words)}]}
        item(start, end, "response.reasoning_summary_text.delta", words, summary_index=0)
        message(["pong"])
    else:
        pieces = _arguments(count)
        start = {"id": "fc_1", "type": "function_call", "status": "in_progress", "call_id": "call_1", "name": "look"}
        start["arguments"] = ""
        end = {**start, "status": "completed", "arguments": "".join(pieces)}
        item(start, end, "response.function_call_arguments.delta", pieces)
    usage: dict[str, object] = {"input_tokens": 14, "output_tokens": count, "total_tokens": 14 + count}
    event("response.completed", response={**response, "status": "completed", "output": items, "usage": usage})
    return numbered


def _gemini(kind: str, count: int) -> list[bytes]:
    def chunk(parts: list[object], tokens: int, finish: str | None = None) -> bytes:
        candidate: dict[str, object] = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if finish is not None:
            candidate["finishReason"] = finish
        details = [{"modality": "TEXT", "tokenCount": 14}]
        counted = {"promptTokenCount": 14, "candidatesTokenCount": tokens, "totalTokenCount": 14 + tokens}
        fields = {"candidates": [candidate], "usageMetadata": {**counted, "promptTokensDetails": details}}
        fields |= {"modelVersion": "gemini-2.5-flash", "responseId": "dGVzdA"}
        return b"data: %b\r\n\r\n" % _dumps(fields)

    if kind == "text":
        out = [chunk([{"text": _word(n)}], n) for n in range(count)]
    elif kind == "thoughts":
        out = [chunk([{"text": _word(n), "thought": True}], n) for n in range(count)]
        out.append(chunk([{"text": "pong"}], count))
    else:  # calls come whole in this protocol
        call = {"functionCall": {"name": "look", "args": {"path": "tok"}}}
        out = [chunk([call], n) for n in range(count)]
    return [*out, chunk([{"text": ""}], count, "STOP")]


def _ollama(kind: str, count: int) -> list[bytes]:
    def line(done: bool = False, **message: object) -> bytes:
        fields: dict[str, object] = {"model": "llama3.2", "created_at": "2026-11-21T10:00:00.123456Z"}
        fields |= {"message": {"role": "assistant", "content": "", **message}, "done": done}
        if done:
            fields |= {"done_reason": "stop", "total_duration": 5, "prompt_eval_count": 14, "eval_count": count}
        return _dumps(fields) + b"\n"

    if kind == "text":
        out = [line(content=_word(n)) for n in range(count)]
    elif kind == "thoughts":
        out = [*(line(thinking=_word(n)) for n in range(count)), line(content="pong")]
    else:
        out = [line(tool_calls=[{"function": {"name": "look", "arguments": {"path": "tok"}}}]) for _ in range(count)]
    return [*out, line(done=True)]


_STREAMS = {
    "openai": _chat,
    "anthropic": _messages,
    "openai_responses": _responses,
    "gemini": _gemini,
    "ollama": _ollama,
}
KINDS = ("text", "thoughts", "calls")


def stream(backend: str, kind: str = "text", count: int = CHUNKS) -> list[bytes]:
    """The events of a provider's stream with ``count`` deltas of ``kind``."""
    return _STREAMS[backend](kind, count)


def reads(events: list[bytes], size: int) -> list[bytes]:
    """``events``, ``size`` of them in one read."""
    return [b"".join(events[at : at + size]) for at in range(0, len(events), size)]


# --- what runs --------------------------------------------------------------------------------------------


def translated(entry: str, backend: str, pieces: list[bytes], *, rename: bool = True) -> Run:
    """One stream through a Translator, its request included."""
    asked, path, head = body(entry), PATHS[entry], LINES_HEAD if backend == "ollama" else HEAD

    def run() -> object:
        talk = Translator(entry=entry, backend=backend, model="real" if rename else None, now=1790000000.0, seed=7)
        talk.receive_request(asked, CLIENT_HEADERS, path)
        talk.receive_response_head(200, head)
        out = [talk.receive_data(piece) for piece in pieces]
        out.append(talk.receive_eof())
        assert talk.complete
        return out

    return run


def gateway(backend: str, *, rename: bool = True, notes: bool = True) -> Gateway:
    """A snapshot with a key and some routes, as a small configuration has it."""
    routes = (
        *(Route(f"other-{n}", "it") for n in range(5)),
        Route("asked", "it", match_type=MatchType.EXACT, rewrite_model="real" if rename else None),
    )
    keys = KeyBook(ClientKey(key, key_digest(key)) for key in ("sk-another", KEY))
    return Gateway(RouteTable(routes), {"it": Provider("it", backend)}, keys=keys, notes=notes)


def exchanged(entry: str, backend: str, pieces: list[bytes], *, streams: bool = True, notes: bool = True) -> Run:
    """One request through an Exchange, as the interpreter drives it."""
    snapshot = gateway(backend, notes=notes)
    asked, path = body(entry, stream=streams), (PATHS if streams else WHOLE_PATHS)[entry]
    whole: Headers = (("content-type", "application/json"), ("x-request-id", "req_1"))
    head = tuple((LINES_HEAD if backend == "ollama" else HEAD) if streams else whole)

    def run() -> object:
        exchange = Exchange(snapshot, id="req_ferry", seed=7, created=1790000000.0)
        exchange.receive(ClientRequest("POST", path, CLIENT_HEADERS), 0.0)
        exchange.receive(ClientBody(asked), 0.0)
        exchange.receive(UpstreamHead(200, head), 0.1)
        last: object = None
        for piece in pieces:
            if exchange.relay(piece, 0.2) is None:
                actions = exchange.receive(UpstreamData(piece), 0.2)
                last = actions[-1] if actions else last
        if type(last) is not Record:
            last = exchange.receive(UpstreamEnd(), 0.3)[-1]
        assert type(last) is Record
        return last

    return run


def cost(run: Run, *, rounds: int = 5, secs: float = 0.03) -> float:
    """CPU microseconds of one ``run``, the best of ``rounds``."""
    run()
    started = time.process_time()
    run()
    count = max(1, int(secs / max(time.process_time() - started, 1e-6)))
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(count):
            run()
        best = min(best, (time.process_time() - started) / count)
    return best * 1e6


def scenarios() -> dict[str, Run]:
    """Name to one run: streams of `CHUNKS` deltas whole, by pair, kind and size of a read."""
    found: dict[str, Run] = {}
    for entry in DIALECTS:
        for backend in DIALECTS:
            for kind in KINDS:
                events = stream(backend, kind)
                found[f"stream {kind} {entry}>{backend} 1"] = translated(entry, backend, events)
                found[f"stream {kind} {entry}>{backend} {MANY}"] = translated(entry, backend, reads(events, MANY))
            one = reads(stream(backend, count=1), MANY)
            found[f"stream of one {entry}>{backend}"] = translated(entry, backend, one)
            found[f"exchange {entry}>{backend} 1"] = exchanged(entry, backend, stream(backend))
            found[f"exchange of one {entry}>{backend}"] = exchanged(entry, backend, one)
    return found


def table(kind: str, wanted: list[str]) -> None:
    """Per pair: microseconds of a delta in reads of one and of many, of what a stream costs beside them, and the same
    for an Exchange."""
    print(f"{kind:36}{'us/1':>8}{'us/' + str(MANY):>8}{'set-up':>8}{'ex/1':>8}{'ex set-up':>10}")  # noqa: T201 - a program
    for entry in DIALECTS:
        for backend in DIALECTS:
            for rename in (True, False) if entry == backend else (True,):
                name = f"{entry}>{backend}" + ("" if rename else " same name")
                if wanted and not any(word in name for word in wanted):
                    continue
                few, many = stream(backend, kind, 2), stream(backend, kind)
                base = cost(translated(entry, backend, reads(few, MANY), rename=rename))
                small = cost(translated(entry, backend, few, rename=rename))
                single = cost(translated(entry, backend, many, rename=rename))
                burst = cost(translated(entry, backend, reads(many, MANY), rename=rename))
                ex_small = cost(exchanged(entry, backend, few))
                ex_base = cost(exchanged(entry, backend, reads(few, MANY)))
                ex_many = cost(exchanged(entry, backend, many))
                n = CHUNKS - 2
                print(  # noqa: T201 - a program
                    f"{name:36}{(single - small) / n:8.2f}{(burst - base) / n:8.2f}{base:8.1f}"
                    f"{(ex_many - ex_small) / n:8.2f}{ex_base:10.1f}"
                )


def requests() -> None:
    """Microseconds of a small whole request: all of an Exchange, its Translator alone."""
    for entry, backend in (("openai", "openai"), ("anthropic", "openai"), ("anthropic", "anthropic")):
        answer = _dumps(
            {
                "openai": {
                    "id": "chatcmpl-1",
                    "object": "chat.completion",
                    "created": 1790000000,
                    "model": "real",
                    "choices": [
                        {"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}
                    ],
                    "usage": {"prompt_tokens": 14, "completion_tokens": 3, "total_tokens": 17},
                },
                "anthropic": {
                    "id": "msg_1",
                    "type": "message",
                    "role": "assistant",
                    "model": "real",
                    "content": [{"type": "text", "text": "pong"}],
                    "stop_reason": "end_turn",
                    "stop_sequence": None,
                    "usage": {"input_tokens": 14, "output_tokens": 3},
                },
            }[backend]
        )
        asked = body(entry, stream=False)

        def run(entry: str = entry, backend: str = backend, asked: bytes = asked, answer: bytes = answer) -> object:
            talk = Translator(entry=entry, backend=backend, model="real", now=1790000000.0, seed=7, request_id="x")
            talk.receive_request(asked, CLIENT_HEADERS, WHOLE_PATHS[entry])
            talk.receive_response_head(200, (("content-type", "application/json"), ("x-request-id", "req_1")))
            return talk.receive_data(answer) + talk.receive_eof()

        noted = cost(exchanged(entry, backend, [answer], streams=False))
        quiet = cost(exchanged(entry, backend, [answer], streams=False, notes=False))
        alone = cost(run)
        print(  # noqa: T201 - a program
            f"request {entry}>{backend}: exchange {noted:.1f}, without notes {quiet:.1f}, Translator {alone:.1f}, "
            f"beside it {noted - alone:.1f} / {quiet - alone:.1f}"
        )


def main(wanted: list[str]) -> None:
    kinds = [kind for kind in KINDS if kind in wanted] or list(KINDS)
    rest = [word for word in wanted if word not in KINDS]
    if not rest or "request" in rest:
        requests()
        rest = [word for word in rest if word != "request"]
        if not rest and "request" in wanted:
            return
    for kind in kinds:
        table(kind, rest)


if __name__ == "__main__":
    main(sys.argv[1:])
