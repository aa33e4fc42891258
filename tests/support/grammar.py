"""A validator of each protocol's streams, written from wire.md and the SDKs, not from our encoders.

Each function takes the exact bytes a client would get and returns what it learned; it raises AssertionError, with the
event's number, for the first thing a strict client could not live with (translation.md T10, X1, X2, Y1, Y2, Z1 to Z7).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec


class Seen(msgspec.Struct):
    """What a stream amounted to."""

    ended: bool = False
    """It has its dialect's normal end."""
    failed: bool = False
    """It has its dialect's error."""
    text: str = ""
    reasoning: str = ""
    tools: list[tuple[str, str]] = []
    """Name and arguments of each call, in order."""
    finish: str | None = None
    usage: dict[str, Any] | None = None


def frames(data: bytes) -> list[tuple[str, str]]:
    """Event name and data of each event; nothing may be left over and no line may be foreign."""
    text = data.decode()
    assert not text or text.endswith("\n\n"), "the stream does not end with a blank line"
    out = []
    for block in text.split("\n\n")[:-1]:
        event, lines = "", []
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                continue
            assert name in ("event", "data"), f"unexpected line {line[:60]!r}"
            if name == "event":
                event = value
            else:
                lines.append(value)
        if lines or event:
            assert len(lines) == 1, f"one data line an event, found {len(lines)}"
            out.append((event, lines[0]))
    return out


def validate(dialect: str, data: bytes) -> Seen:
    """Run the validator of ``dialect``."""
    return {"openai": chat, "openai_responses": responses, "anthropic": messages}[dialect](data)


# --- Chat Completions ------------------------------------------------------------------------------------


def chat(data: bytes) -> Seen:
    seen = Seen()
    head: tuple[Any, ...] | None = None
    calls: dict[int, dict[str, str]] = {}
    role = done = usage_chunk = False
    notes = 0
    for n, (event, payload) in enumerate(frames(data)):
        assert event == "", f"{n}: Chat has no event: lines"
        assert not done, f"{n}: an event after [DONE]"
        assert not seen.failed, f"{n}: an event after the error"
        if payload == "[DONE]":
            done = True
            continue
        chunk = json.loads(payload)
        if "error" in chunk:
            assert isinstance(chunk["error"]["message"], str), f"{n}: error without message"
            assert isinstance(chunk["error"]["type"], str), f"{n}: error without type"
            seen.failed = True
            continue
        assert chunk["object"] == "chat.completion.chunk", f"{n}: object"
        this = (chunk["id"], chunk["created"], chunk["model"])
        assert head in (None, this), f"{n}: id, created or model changed: {head} {this}"
        head = this
        if chunk.get("usage") is not None:
            seen.usage = chunk["usage"]
            assert chunk["choices"] == [], f"{n}: usage belongs into a chunk without choices"
            assert seen.finish is not None, f"{n}: usage before the finish"
            usage_chunk = True
            continue
        assert not usage_chunk, f"{n}: a chunk after usage"
        assert len(chunk["choices"]) == 1, f"{n}: one choice a chunk"
        choice = chunk["choices"][0]
        assert choice["index"] == 0, f"{n}: choice index"
        assert seen.finish is None, f"{n}: a delta after the finish"
        delta = choice["delta"]
        if not role:
            assert delta.get("role") == "assistant", f"{n}: the first delta has no role"
            role = True
        else:
            assert "role" not in delta, f"{n}: role again"
        for note in delta.get("annotations") or ():
            assert note["index"] == notes, f"{n}: annotation {note['index']}, expected {notes}"
            notes += 1
        seen.text += delta.get("content") or ""
        seen.reasoning += delta.get("reasoning_content") or ""
        for call in delta.get("tool_calls") or ():
            index = call["index"]
            if index not in calls:
                assert index == len(calls), f"{n}: tool index {index} is not the next one"
                assert call["id"], f"{n}: call without id"
                if call["type"] == "custom":
                    calls[index] = {"name": call["custom"]["name"], "arguments": call["custom"].get("input") or ""}
                    continue
                assert call["type"] == "function", f"{n}: call type"
                assert call["function"]["name"], f"{n}: call without name"
                calls[index] = {"name": call["function"]["name"], "arguments": ""}
            else:
                assert "id" not in call, f"{n}: id again"
                assert not call.get("function", {}).get("name"), f"{n}: name again"
            body = call.get("function") or {"arguments": call.get("custom", {}).get("input", "")}
            calls[index]["arguments"] += body.get("arguments") or ""
        seen.finish = choice["finish_reason"]
    assert not (done and seen.failed), "[DONE] after an error"
    seen.ended = done
    if done:
        assert seen.finish in ("stop", "length", "tool_calls", "content_filter"), f"finish {seen.finish}"
        for call in calls.values():
            assert call["arguments"] != "" or seen.finish == "length", "arguments of a call without arguments are {}"
        assert calls or seen.finish != "tool_calls", "tool_calls without a call"
        assert not calls or seen.finish != "stop", "calls, and the finish does not say so (Y3)"
    seen.tools = [(call["name"], call["arguments"]) for call in calls.values()]
    assert len(calls) == len(set(_chat_ids(data))), "two calls with one id"
    return seen


def _chat_ids(data: bytes) -> list[str]:
    ids: list[str] = []
    for _, payload in frames(data):
        if payload.startswith("{"):
            for choice in json.loads(payload).get("choices", ()):
                ids.extend(call["id"] for call in choice["delta"].get("tool_calls") or () if "id" in call)
    return ids


# --- Messages --------------------------------------------------------------------------------------------


def messages(data: bytes) -> Seen:
    seen = Seen()
    state = "start"  # start, between, block, delta, stopped, failed
    index, kind, args, name, signed = 0, "", "", "", False
    for n, (event, payload) in enumerate(frames(data)):
        value = json.loads(payload)
        assert event == value["type"], f"{n}: event: {event} but type {value['type']}"
        if event == "ping":
            assert state not in ("stopped", "failed"), f"{n}: ping after the end"
            continue
        assert state not in ("stopped", "failed"), f"{n}: {event} after the end"
        if event == "error":
            assert value["error"]["type"], f"{n}: error without type"
            assert isinstance(value["error"]["message"], str), f"{n}: error without message"
            state, seen.failed = "failed", True
        elif event == "message_start":
            assert state == "start", f"{n}: message_start in {state}"
            message = value["message"]
            assert message["type"] == "message", f"{n}: message type"
            assert message["role"] == "assistant", f"{n}: role"
            assert message["content"] == [], f"{n}: content at start"
            assert message["stop_reason"] is None, f"{n}: stop_reason at start"
            assert "stop_sequence" in message, f"{n}: stop_sequence at start"
            assert message["id"], f"{n}: id"
            assert message["usage"]["input_tokens"] >= 0, f"{n}: usage"
            assert message["usage"]["output_tokens"] >= 0, f"{n}: usage"
            state = "between"
        elif event == "content_block_start":
            assert state == "between", f"{n}: content_block_start in {state}"
            assert value["index"] == index, f"{n}: index {value['index']}, expected {index}"
            block = value["content_block"]
            kind, args, signed = block["type"], "", False
            if kind == "text":
                assert block["text"] == "", f"{n}: text at start"
            elif kind == "tool_use":
                assert block["input"] == {}, f"{n}: input at start"
                assert block["id"], f"{n}: tool id"
                assert block["name"], f"{n}: tool name"
                assert all(c.isascii() and (c.isalnum() or c in "_-") for c in block["id"]), f"{n}: id {block['id']}"
                name = block["name"]
            elif kind == "thinking":
                assert block["thinking"] == "", f"{n}: thinking at start"
            state = "block"
        elif event == "content_block_delta":
            assert state == "block", f"{n}: delta in {state}"
            assert value["index"] == index, f"{n}: delta for block {value['index']}, open is {index}"
            delta = value["delta"]
            wanted = {
                "text_delta": "text",
                "citations_delta": "text",
                "input_json_delta": "tool_use",
                "thinking_delta": "thinking",
                "signature_delta": "thinking",
            }[delta["type"]]
            served = kind == "server_tool_use" and wanted == "tool_use"
            assert kind == wanted or served, f"{n}: {delta['type']} in {kind}"
            assert not signed, f"{n}: a delta after the signature"
            signed = delta["type"] == "signature_delta"
            if delta["type"] == "text_delta":
                assert delta["text"], f"{n}: an empty text"
            if kind == "text" and "text" in delta:
                seen.text += delta["text"]
            elif wanted == "tool_use":
                args += delta["partial_json"]
            elif delta["type"] == "thinking_delta":
                seen.reasoning += delta["thinking"]
        elif event == "content_block_stop":
            assert state == "block", f"{n}: stop in {state}"
            assert value["index"] == index, f"{n}: stop of block {value['index']}, open is {index}"
            if kind == "tool_use":
                seen.tools.append((name, args))
            index, state = index + 1, "between"
        elif event == "message_delta":
            assert state == "between", f"{n}: message_delta in {state}"
            seen.finish = value["delta"]["stop_reason"]
            assert seen.finish is not None, f"{n}: message_delta without stop_reason"
            assert bool(seen.tools) or seen.finish != "tool_use", f"{n}: tool_use without a call"
            assert not seen.tools or seen.finish != "end_turn", f"{n}: a call nobody is told to answer"
            seen.usage = value["usage"]
            for counter in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
                assert isinstance(value["usage"][counter], int), f"{n}: usage.{counter}"
            state = "delta"
        elif event == "message_stop":
            assert state == "delta", f"{n}: message_stop in {state}"
            state, seen.ended = "stopped", True
        else:
            raise AssertionError(f"{n}: unknown event {event}")
    return seen


# --- Responses -------------------------------------------------------------------------------------------

_TERMINAL = {"response.completed", "response.incomplete", "response.failed"}


def responses(data: bytes) -> Seen:
    seen = Seen()
    response_id: str | None = None
    items: list[dict[str, Any]] = []
    open_item: dict[str, Any] | None = None
    parts: dict[str, str] = {}
    over = False
    for n, (event, payload) in enumerate(frames(data)):
        value = json.loads(payload)
        kind = value["type"]
        assert event == kind, f"{n}: event: {event} but type {kind}"
        assert value["sequence_number"] == n, f"{n}: sequence_number {value['sequence_number']}"
        assert not over, f"{n}: {kind} after the end"
        if "response" in value:
            response = value["response"]
            assert response["object"] == "response", f"{n}: object"
            assert response_id in (None, response["id"]), f"{n}: response id changed"
            response_id = response["id"]
        if n == 1 and not over:
            assert kind in ("response.in_progress", "response.failed"), f"{n}: {kind} instead of in_progress"
        if n == 0:
            assert kind in ("response.created", "error", "response.failed"), f"{n}: begins with {kind}"
        if kind in ("response.created", "response.in_progress"):
            assert value["response"]["status"] == "in_progress", f"{n}: status"
        elif kind == "response.output_item.added":
            assert open_item is None, f"{n}: an item is open"
            assert value["output_index"] == len(items), f"{n}: output_index {value['output_index']}"
            open_item, parts = value["item"], {}
            assert open_item["id"], f"{n}: item without id"
        elif kind == "response.output_item.done":
            assert open_item is not None, f"{n}: no item is open"
            item = value["item"]
            assert value["output_index"] == len(items), f"{n}: output_index"
            assert item["id"] == open_item["id"], f"{n}: item id changed"
            assert item["type"] == open_item["type"], f"{n}: item type changed"
            _check_item(item, parts, n, seen)
            items.append(item)
            open_item = None
        elif kind in _TERMINAL:
            over = True
            assert value["response"]["status"] == kind.removeprefix("response."), f"{n}: status"
            seen.failed = kind == "response.failed"
            seen.ended = not seen.failed
            seen.finish = value["response"]["status"]
            seen.usage = value["response"].get("usage")
            if seen.ended:
                assert open_item is None, f"{n}: an item is still open"
                assert value["response"]["output"] == items, f"{n}: output is not the items sent"
                ids = [item["id"] for item in items]
                assert len(ids) == len(set(ids)), f"{n}: two items with one id"
                calls = [item["call_id"] for item in items if "call_id" in item and item["type"].endswith("_call")]
                assert len(calls) == len(set(calls)), f"{n}: two calls with one id"
                if seen.finish == "completed":
                    unfinished = [item["id"] for item in items if item.get("status", "completed") != "completed"]
                    assert not unfinished, f"{n}: completed with unfinished items {unfinished}"
                else:
                    assert value["response"]["incomplete_details"]["reason"], f"{n}: incomplete without a reason"
                if seen.usage is not None:  # absent where the provider never told (U11)
                    for key in ("input_tokens", "output_tokens", "total_tokens"):
                        assert isinstance(seen.usage[key], int), f"{n}: usage.{key}"
                    assert isinstance(seen.usage["input_tokens_details"]["cached_tokens"], int), f"{n}: cached_tokens"
                    assert isinstance(seen.usage["output_tokens_details"]["reasoning_tokens"], int), f"{n}: reasoning"
            else:
                assert value["response"]["error"]["message"], f"{n}: error without message"
                assert value["response"]["error"]["code"], f"{n}: error without code"
        elif kind == "error":
            over = seen.failed = True
            assert value["message"], f"{n}: error without message"
        elif kind.startswith("response.") and "item_id" in value:
            assert open_item is not None, f"{n}: {kind} outside an item"
            assert value["item_id"] == open_item["id"], f"{n}: item_id of another item"
            assert value["output_index"] == len(items), f"{n}: output_index"
            _check_part(kind, value, parts, n)
        else:
            raise AssertionError(f"{n}: unknown event {kind}")
    return seen


def _part_key(value: dict[str, Any]) -> str:
    return f"{value.get('content_index', '')}/{value.get('summary_index', '')}"


def _check_part(kind: str, value: dict[str, Any], parts: dict[str, str], n: int) -> None:
    name = kind.removeprefix("response.")
    key = _part_key(value)
    if name in ("content_part.added", "reasoning_summary_part.added"):
        assert key not in parts, f"{n}: part {key} again"
        parts[key] = ""
    elif name.endswith(".delta"):
        if "content_index" in value or "summary_index" in value:
            assert key in parts, f"{n}: {name} before its part was added"
        parts[key] = parts.get(key, "") + value["delta"]
        if name == "output_text.delta":
            assert value["logprobs"] == [] or isinstance(value["logprobs"], list), f"{n}: logprobs"
    elif name.endswith("_text.done") or name == "refusal.done":
        whole = value["refusal"] if name == "refusal.done" else value["text"]
        assert whole == parts[key], f"{n}: {name} is not the sum of its deltas"
    elif name == "function_call_arguments.done":
        assert value["arguments"] == parts.get(key, ""), f"{n}: arguments are not the sum of their deltas"
    elif name == "custom_tool_call_input.done":
        assert value["input"] == parts.get(key, ""), f"{n}: input is not the sum of its deltas"
    elif name in ("content_part.done", "reasoning_summary_part.done"):
        assert key in parts, f"{n}: part {key} was not added"


def _check_item(item: dict[str, Any], parts: dict[str, str], n: int, seen: Seen) -> None:
    kind = item["type"]
    if kind == "message":
        assert item["role"] == "assistant", f"{n}: role"
        for index, part in enumerate(item["content"]):
            text = part["text"] if part["type"] == "output_text" else part["refusal"]
            assert text == parts.get(f"{index}/", ""), f"{n}: content {index} is not the sum of its deltas"
            if part["type"] == "output_text":
                assert isinstance(part["annotations"], list), f"{n}: annotations"
                seen.text += text
    elif kind == "function_call":
        assert item["call_id"], f"{n}: call_id"
        assert len(item["call_id"]) <= 64, f"{n}: call_id is too long"
        assert item["name"], f"{n}: name"
        assert item["arguments"] == parts.get("/", ""), f"{n}: arguments"
        seen.tools.append((item["name"], item["arguments"]))
    elif kind == "custom_tool_call":
        assert item["input"] == parts.get("/", ""), f"{n}: input"
        seen.tools.append((item["name"], item["input"]))
    elif kind == "reasoning":
        for index, part in enumerate(item["summary"]):
            assert part["text"] == parts.get(f"/{index}", ""), f"{n}: summary {index} is not the sum of its deltas"
            seen.reasoning += part["text"]
