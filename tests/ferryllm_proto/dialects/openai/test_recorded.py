"""Every recorded exchange of real servers and clients, judged by the SDK (a sample by default, all with ``deep``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

from ferryllm_proto import ir
from ferryllm_proto.accumulate import Accumulator, play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.dialects.openai.profile import KNOBS, OPENAI_FIELDS, Later
from ferryllm_proto.dialects.openai.vendors import VENDORS
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import End, Event, StreamFailed
from ferryllm_proto.rules import ProviderRules
from support import oracles, recorded

pytestmark = pytest.mark.recorded

SAMPLE = 12
"""Every how many exchanges are taken in the default run."""

EVERY = [pytest.param(SAMPLE, id="sample"), pytest.param(1, id="all", marks=pytest.mark.deep)]


def cases(every: int) -> Iterator[dict[str, Any]]:
    yield from recorded.cases("openai")[::every]


def canonical(value: Any) -> Any:
    """A request without what says nothing."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    return value


def expected(request: dict[str, Any]) -> dict[str, Any]:
    """What may differ between a request and its re-encoding, and why."""
    body: dict[str, Any] = canonical(request)
    if body.get("stream") is False:  # the default
        del body["stream"]
    if body.get("stream"):  # U6: the gateway always asks for usage
        body["stream_options"] = {**body.get("stream_options", {}), "include_usage": True}
    if isinstance(body.get("stop"), str):  # C8: one string is a list of one
        body["stop"] = [body["stop"]]
    for name in ("tools", "functions", "stop"):  # an empty list says what its absence says, and is refused by some
        if body.get(name) == []:
            del body[name]
    for tool in body.get("tools", ()):
        tool.setdefault("type", "function")  # absent in some SDKs' requests
    if isinstance(body.get("tool_choice"), dict) and "function" in body["tool_choice"]:
        body["tool_choice"].setdefault("type", "function")
    for message in body["messages"]:
        for name in ("tool_calls", "annotations", "reasoning_details"):
            if message.get(name) == []:
                del message[name]
        for call in message.get("tool_calls", ()):
            call.pop("index", None)  # of stream deltas that clients store; it says nothing
        if message.get("content") == [] and message["role"] == "assistant":
            del message["content"]
    return body


def requests(every: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for case in cases(every):
        # Without a model the request's path named it (Azure): no request a client of ours can send.
        if case["request"] and case["request"].get("model") and case["status"] < 400:
            yield case["id"], case["request"]
    for name in ("opencode-chat", "qwen-code", "aider", "llm", "sdk-py-chat"):
        for n, found in enumerate(recorded.client_requests(name)):
            if found["method"] == "POST" and "chat/completions" in found["path"]:
                body = found["body"]
                yield f"{name}/{n}", json.loads(body) if isinstance(body, str) else body


@pytest.mark.parametrize("every", EVERY)
def test_g6_every_request_comes_back_whole(every: int) -> None:
    count = 0
    for id_, request in requests(every):
        decoded = DIALECT.decode_request(json.dumps(request).encode())
        upstream, losses = DIALECT.encode_request(decoded)
        assert losses == [], id_
        assert canonical(json.loads(upstream.body)) == expected(request), id_
        count += 1
    assert count > 1000 / every


VENDORS_OF = {"moonshotai": "moonshot", "alibaba": "qwen"}
"""What the recordings call a vendor, where it is not our name."""


@pytest.mark.parametrize("every", EVERY)
def test_b17_a_chat_clients_request_is_its_own_whoever_gets_it(every: int) -> None:
    count = 0
    for case in cases(every):
        vendor = VENDORS_OF.get(case["vendor"], case["vendor"])
        if vendor not in VENDORS or not case["request"] or not case["request"].get("model") or case["status"] >= 400:
            continue
        decoded = DIALECT.decode_request(json.dumps(case["request"]).encode())
        upstream, losses = DIALECT.encode_request(decoded, rules=ProviderRules(vendor))
        assert losses == [], case["id"]
        assert canonical(json.loads(upstream.body)) == expected(case["request"]), case["id"]
        count += 1
    assert count > 800 / every


FOREIGN = [pytest.param(60, id="sample"), pytest.param(1, id="all", marks=pytest.mark.deep)]


@pytest.mark.parametrize("every", FOREIGN)
@pytest.mark.parametrize("entry", ["anthropic", "openai_responses"])
def test_b17_recorded_requests_of_others_reach_every_vendor_or_are_refused(entry: str, every: int) -> None:
    """A vendor gets no field its row does not know, and a refusal names a field."""
    reached = 0
    for case in recorded.cases(entry)[::every]:
        if case["status"] >= 400 or not case["request"] or not case["request"].get("model"):
            continue
        if "count_tokens" in case["path"]:
            continue
        request = DIALECTS[entry].decode_request(json.dumps(case["request"]).encode())
        for vendor, row in VENDORS.items():
            refused = None
            try:
                upstream, losses = DIALECT.encode_request(request, model="some-model", rules=ProviderRules(vendor))
            except RemoteProtocolError as exc:
                refused = exc
            if refused is not None:
                assert refused.error.param, case["id"]
                assert refused.status_hint == 400
                continue
            reached += 1
            body = json.loads(upstream.body)
            sent = (KNOBS | OPENAI_FIELDS | {"top_k"}) & body.keys()
            assert sent <= row.profile.fields, (case["id"], vendor)
            assert all(loss.path and loss.reason for loss in losses)
            later = [message["role"] for message in body["messages"]]
            assert row.profile.later_system is not Later.USER or "system" not in later[1:], (case["id"], vendor)
    assert reached > 500 / every


@pytest.mark.parametrize("every", EVERY)
def test_u2_counts_add_up_to_the_vendors_own_total(every: int) -> None:
    count = 0
    for case, body in bodies(every):
        total = (case["response"].get("usage") or {}).get("total_tokens")
        usage = DIALECT.decode_response(body).usage
        if total is None or usage is None or usage.input_total is None or usage.output is None:
            continue
        # Without uncached input more was cached than the prompt has: Grok on Azure.
        assert usage.input == 0 or usage.input_total + usage.output == total, case["id"]
        count += 1
    assert count > 600 / every


def bodies(every: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    for case in cases(every):
        if not case["stream"] and case["status"] < 400:
            yield case, json.dumps(case["response"]).encode()


@pytest.mark.parametrize("every", EVERY)
def test_every_answer_decodes_and_is_an_answer_of_the_sdk_again(every: int) -> None:
    for case, body in bodies(every):
        response = DIALECT.decode_response(body)
        # A 200 with nothing in it is possible: reasoning models spend all tokens unseen.
        choice = case["response"]["choices"][0]
        message = choice.get("message") or choice.get("delta") or {}
        said = message.get("content") or message.get("tool_calls") or message.get("function_call")
        assert bool(said) <= bool(response.parts), case["id"]
        encoded = DIALECT.encode_response(response, Answer(created=1))
        ChatCompletion.model_validate_json(_without_vendors(encoded), strict=True)
        again = DIALECT.decode_response(encoded)
        assert (again.usage, again.finish) == (response.usage, response.finish), case["id"]
        scanner = DIALECT.scanner(stream=False)
        scanner.receive_data(body)
        scanner.receive_eof()
        assert (scanner.usage, scanner.finish, scanner.complete) == (response.usage, response.finish, True)
        events = play(response)
        assert fold(events).parts == response.parts


def _without_vendors(body: bytes) -> bytes:
    """Fields that vendors fill against OpenAI's types: they pass to the client as they came."""
    fields = json.loads(body)
    for name in ("service_tier", "moderation", "metadata"):
        fields.pop(name, None)
    for choice in fields["choices"]:
        for annotation in choice["message"].get("annotations") or ():
            annotation.setdefault("url_citation", {})
            for key in ("start_index", "end_index"):
                annotation["url_citation"].setdefault(key, 0)
        choice["message"].pop("audio", None)
        if choice["logprobs"] is not None:
            choice["logprobs"] = None
    return json.dumps(fields).encode()


def fold(events: list[Event]) -> ir.Response:
    accumulator = Accumulator()
    for event in events:
        accumulator.send(event)
    return accumulator.response()


def streams(every: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    for case in cases(every):
        if case["stream"]:
            yield case, case["response_text"].encode()


def decode(data: bytes, size: int) -> list[Event]:
    decoder = DIALECT.stream_decoder()
    out: list[Event] = []
    for at in range(0, len(data), size):
        out += decoder.receive_data(data[at : at + size])
    return out + decoder.receive_eof()


@pytest.mark.parametrize("every", EVERY)
def test_every_stream_decodes_alike_in_any_pieces_and_the_sdk_reads_it_again(every: int) -> None:
    for case, data in streams(every):
        events = decode(data, len(data))
        assert decode(data, 997) == events, case["id"]
        if every == SAMPLE and len(data) < 8000:
            assert decode(data, 1) == events, case["id"]
        scanner = DIALECT.scanner(stream=True)
        assert scanner.receive_data(data) == data
        assert scanner.receive_eof() == b""
        if isinstance(events[-1], StreamFailed):
            assert not case["complete"], case["id"]
            assert scanner.error is not None
            continue
        assert isinstance(events[-1], End)
        response = fold(events)
        assert (scanner.usage, scanner.finish, scanner.complete) == (response.usage, response.finish, True), case["id"]
        encoder = DIALECT.stream_encoder(Answer(created=1))
        again = b"".join(encoder.send(event) for event in events)
        folded = fold(decode(again, 4096))
        assert (folded.parts, folded.finish, folded.usage) == (response.parts, response.finish, response.usage), case[
            "id"
        ]
        _judge(again, response)


def _judge(data: bytes, response: ir.Response) -> None:
    try:
        final = oracles.stream("openai", data)
    except openai.LengthFinishReasonError as exc:  # how the SDK says that an answer was cut
        final = exc.completion
    except openai.ContentFilterFinishReasonError:
        assert response.finish is ir.FinishReason.REFUSAL
        return
    assert isinstance(final, ChatCompletion)
    message = final.choices[0].message
    assert (message.content or "") == "".join(p.text for p in response.parts if isinstance(p, ir.Text))
    calls = [p for p in response.parts if isinstance(p, ir.ToolCall)]
    cut = response.finish is ir.FinishReason.LENGTH
    found = [c for c in message.tool_calls or () if c.type == "function"]
    assert [(c.function.name, c.function.arguments) for c in found] == [
        (call.name, call.arguments or ("" if cut else "{}")) for call in calls
    ]


def test_every_error_has_a_kind_and_a_sentence() -> None:
    count = 0
    for case in cases(1):
        if case["status"] < 400:
            continue
        body = case["response_text"].encode() if case["response"] is None else json.dumps(case["response"]).encode()
        error = DIALECT.decode_error(case["status"], list(case["response_headers"].items()), body)
        assert error.message
        assert error.kind not in (ir.ErrorKind.SERVER, ir.ErrorKind.UPSTREAM) or case["status"] >= 500
        head, sent = DIALECT.encode_error(error)
        assert head.status == case["status"]
        assert json.loads(sent)
        count += 1
    assert count > 20
