"""Counting tokens: asked of the provider where it can count, estimated and marked where it can not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.policy.prompt_cache import PromptCachePolicy
from ferryllm_proto.policy.route import NO_POLICIES, RoutePolicies
from ferryllm_proto.questions.count import ESTIMATED, CountTokens
from ferryllm_proto.translate import State

PATHS = {"anthropic": "/v1/messages/count_tokens", "openai_responses": "/v1/responses/input_tokens"}
TEXT = "How many tokens are in this?"
BODIES: dict[str, dict[str, Any]] = {
    "anthropic": {"model": "mine", "messages": [{"role": "user", "content": TEXT}]},
    "openai_responses": {"model": "mine", "input": TEXT},
}
NUMBER = {
    "anthropic": b'{"input_tokens":%d}',
    "openai_responses": b'{"object":"response.input_tokens","input_tokens":%d}',
}
JSON = (("content-type", "application/json"),)
ENTRIES = sorted(PATHS)
SILENT = ("openai", "ollama")
"""Dialects whose providers do not count."""


def ask(entry: str, backend: str, body: bytes | None = None, **options: Any) -> tuple[CountTokens, Any]:
    count = CountTokens(entry=entry, backend=backend, **options)
    data = body if body is not None else json.dumps(BODIES[entry]).encode()
    return count, count.receive_request(data, (), PATHS[entry])


def estimated(count: CountTokens, out: bytes) -> int:
    assert count.head is not None
    assert (count.head.status, count.state, count.complete) == (200, State.DONE, True)
    assert ESTIMATED in count.head.headers
    tokens = json.loads(out)["input_tokens"]
    assert isinstance(tokens, int)
    assert out == NUMBER[count.entry.name] % tokens
    return tokens


# --- the same dialect ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES)
def test_a43_the_same_dialect_gets_the_clients_bytes_but_for_the_model(entry: str) -> None:
    odd = json.dumps(BODIES[entry]).encode().replace(b"{", b'{ "unknown":1.50,', 1)
    count, sent = ask(entry, entry, odd, model="real")
    assert (sent.method, sent.path, sent.stream) == ("POST", PATHS[entry], False)
    assert sent.body == odd.replace(b'"mine"', b'"real"')
    assert (count.model, count.state, count.complete) == ("mine", State.HEAD, False)


def test_headers_and_query_of_the_dialect_go_along() -> None:
    count = CountTokens(entry="anthropic", backend="anthropic")
    headers = (("anthropic-beta", "x"), ("cookie", "a=b"), ("authorization", "Bearer k"))
    sent = count.receive_request(json.dumps(BODIES["anthropic"]).encode(), headers, f"{PATHS['anthropic']}?beta=true")
    assert sent is not None
    assert sent.query == "beta=true"
    names = [name for name, _ in sent.headers]
    assert "anthropic-version" in names
    assert ("anthropic-beta", "x") in sent.headers
    assert not {"cookie", "authorization"} & set(names)


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_providers_count_goes_through_byte_by_byte(entry: str) -> None:
    count, _ = ask(entry, entry)
    count.receive_response_head(200, (*JSON, ("set-cookie", "a=b"), ("x-ratelimit-limit", "5")))
    answer = b'{"input_tokens": 14, "more": 1.0}'
    out = b"".join(count.receive_data(bytes([byte])) for byte in answer) + count.receive_eof()
    assert out == answer
    assert count.head is not None
    assert ("x-ratelimit-limit", "5") in count.head.headers
    assert "set-cookie" not in [name for name, _ in count.head.headers]
    assert ESTIMATED not in count.head.headers
    assert (count.error, count.losses, count.cut) == (None, [], False)
    assert count.receive_eof() == b"", "once"


# --- another dialect -----------------------------------------------------------------------------------------


def test_r13_a_messages_client_is_counted_by_a_responses_provider() -> None:
    count, sent = ask("anthropic", "openai_responses", model="real")
    assert sent.path == PATHS["openai_responses"]
    body = json.loads(sent.body)
    assert body["model"] == "real"
    assert TEXT in json.dumps(body["input"])
    assert not {"store", "stream", "max_output_tokens"} & set(body), "the endpoint takes none of them"
    count.receive_response_head(200, JSON)
    count.receive_data(b'{"object":"response.input_tokens","input_tokens":17}')
    assert count.receive_eof() == b'{"input_tokens":17}'
    assert count.head is not None
    assert ESTIMATED not in count.head.headers


def test_r13_a_responses_client_is_counted_by_a_messages_provider() -> None:
    count, sent = ask("openai_responses", "anthropic", model="real")
    assert sent.path == PATHS["anthropic"]
    assert json.loads(sent.body) == {"model": "real", "messages": [{"role": "user", "content": TEXT}]}
    count.receive_response_head(200, JSON)
    count.receive_data(b'{"input_tokens":17}')
    assert count.receive_eof() == NUMBER["openai_responses"] % 17


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("backend", SILENT)
def test_a43_where_providers_do_not_count_the_estimate_says_that_it_is_one(entry: str, backend: str) -> None:
    count, sent = ask(entry, backend)
    assert sent is None
    assert 4 <= estimated(count, count.receive_eof()) <= 40
    assert count.receive_eof() == b"", "once"


def test_what_a_provider_would_refuse_can_still_be_weighed() -> None:
    body = {**BODIES["openai_responses"], "prompt": {"id": "pmpt_1"}}
    count, sent = ask("openai_responses", "anthropic", json.dumps(body).encode())
    assert sent is None
    assert estimated(count, count.receive_eof()) > 0


def test_generation_alone_is_neither_refused_nor_reported() -> None:
    body = {**BODIES["anthropic"], "stop_sequences": ["x"], "top_k": 4, "temperature": 0.5, "max_tokens": 1}
    count, sent = ask("anthropic", "openai_responses", json.dumps(body).encode())
    assert sent is not None
    assert count.losses == []


# --- providers that know the dialect and not its count -------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize(("entry", "backend"), [("anthropic", "anthropic"), ("anthropic", "openai_responses")])
def test_a43_a_server_without_the_endpoint_is_no_failure(entry: str, backend: str, status: int) -> None:
    count, _ = ask(entry, backend)
    assert count.receive_response_head(status, JSON) is None
    count.receive_data(b"<html>Not Found</html>")
    assert estimated(count, count.receive_eof()) > 3


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"{}", b'{"input_tokens":0}', b'{"input_tokens":-1}', b"[]", b"null"]
)
def test_a43_never_0_and_never_nonsense(answer: bytes) -> None:
    count, _ = ask("anthropic", "anthropic")
    count.receive_response_head(200, JSON)
    count.receive_data(answer)
    assert estimated(count, count.receive_eof()) > 3


def test_e8_an_error_inside_a_200_is_an_error() -> None:
    count, _ = ask("anthropic", "anthropic")
    count.receive_response_head(200, JSON)
    count.receive_data(b'{"type":"error","error":{"type":"authentication_error","message":"no"}}')
    body = json.loads(count.receive_eof())
    assert count.head is not None
    assert count.head.status == 401
    assert body["error"]["type"] == "authentication_error"


# --- failures ------------------------------------------------------------------------------------------------


def test_e1_the_providers_refusal_keeps_status_and_words() -> None:
    count, _ = ask("anthropic", "anthropic", request_id="req_1")
    assert count.receive_response_head(429, (*JSON, ("retry-after", "3"))) is None
    assert count.receive_data(b'{"type":"error","error":{"type":"rate_limit_error",') == b""
    assert count.receive_data(b'"message":"slow down"}}') == b""
    body = json.loads(count.receive_eof())
    assert count.head is not None
    assert (count.head.status, body["error"]["message"]) == (429, "slow down")
    assert ("retry-after", "3") in count.head.headers
    assert count.state is State.FAILED


def test_a_refusal_of_another_dialect_is_said_in_the_clients() -> None:
    count, _ = ask("openai_responses", "anthropic")
    count.receive_response_head(401, JSON)
    count.receive_data(b'{"type":"error","error":{"type":"authentication_error","message":"bad key"}}')
    body = json.loads(count.receive_eof())
    assert count.head is not None
    assert (count.head.status, body["error"]["message"]) == (401, "bad key")
    assert "type" not in body


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("backend", sorted(DIALECTS))
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"model":5}', b"\xff", b'{"model":' + b"[" * 100_000]
)
def test_broken_bodies_are_a_400_of_the_dialect(entry: str, backend: str, body: bytes) -> None:
    count, sent = ask(entry, backend, body, request_id="req_1")
    assert sent is None
    assert count.head is not None
    assert count.head.status == 400
    assert json.loads(count.receive_eof())["error"]["type"] == "invalid_request_error"
    assert count.state is State.FAILED


def test_two_models_in_one_body_get_round_no_route() -> None:
    count, sent = ask("anthropic", "anthropic", b'{"model":"a","model":"b","messages":[]}')
    assert sent is None
    assert count.state is State.FAILED


@pytest.mark.parametrize(
    "body",
    [{"model": "m"}, {"model": "m", "messages": 5}, {"model": "m", "messages": [{"role": "martian", "content": "x"}]}],
)
def test_what_can_not_be_understood_can_not_be_estimated(body: dict[str, Any]) -> None:
    count, sent = ask("anthropic", "openai", json.dumps(body).encode())
    assert sent is None
    assert count.head is not None
    assert count.head.status == 400
    count, sent = ask("anthropic", "anthropic", json.dumps(body).encode())
    assert sent is not None
    count.receive_response_head(404, JSON)
    count.receive_eof()
    assert count.head is not None
    assert count.head.status == 400, "neither after a provider that can not count"


def test_a_provider_that_is_lost_is_an_error_status() -> None:
    count, _ = ask("anthropic", "anthropic")
    body = count.fail(ir.Error(ir.ErrorKind.UPSTREAM, "refused"))
    assert count.head is not None
    assert (count.head.status, json.loads(body)["error"]["message"]) == (502, "refused")
    assert (count.state, count.cut) == (State.FAILED, False)


def test_more_content_counts_more() -> None:
    def tokens(**more: Any) -> int:
        count, _ = ask("anthropic", "openai", json.dumps({**BODIES["anthropic"], **more}).encode())
        return estimated(count, count.receive_eof())

    system = "You are a helpful assistant. " * 20
    tool = {"name": "f", "description": "does " * 50, "input_schema": {"type": "object", "properties": {}}}
    least, with_system, with_tools = tokens(), tokens(system=system), tokens(tools=[tool])
    assert least < with_system
    assert least < with_tools
    assert tokens(system=system, tools=[tool]) > max(with_system, with_tools)


def test_the_provider_s_model_decides_the_weights() -> None:
    body = json.dumps({**BODIES["anthropic"], "tools": [{"name": "f", "input_schema": {"type": "object"}}]}).encode()
    counts = {}
    for model in ("claude-sonnet-4-5", "gpt-4o"):
        count, _ = ask("anthropic", "openai", body, model=model)
        counts[model] = estimated(count, count.receive_eof())
    assert counts["claude-sonnet-4-5"] > counts["gpt-4o"] + 300, "Claude's instructions for tools"


# --- policies --------------------------------------------------------------------------------------------

_STRIP = RoutePolicies(prompt_cache=PromptCachePolicy(strip_prefixes=("Today",)))
_SYSTEM = {**BODIES["anthropic"], "system": "Today is Saturday, the 21st of November 2026\nBe brief."}


@pytest.mark.parametrize("backend", ["gemini", "openai_responses"])
def test_a_count_is_of_what_the_provider_would_get(backend: str) -> None:
    data = json.dumps(_SYSTEM).encode()
    _, whole = ask("anthropic", backend, data)
    _, stripped = ask("anthropic", backend, data, policies=_STRIP)
    assert (b"Saturday" in whole.body, b"Saturday" in stripped.body) == (True, False)
    assert b"Be brief." in stripped.body


def test_an_estimate_is_of_what_the_provider_would_get() -> None:
    numbers = []
    for policies in (NO_POLICIES, _STRIP):
        count, sent = ask("anthropic", "openai", json.dumps(_SYSTEM).encode(), policies=policies)
        assert sent is None
        numbers.append(estimated(count, count.receive_eof()))
    assert numbers[1] < numbers[0]


def test_in_the_same_dialect_only_a_policy_that_says_so_changes_bytes() -> None:
    data = json.dumps(_SYSTEM).encode()
    _, untouched = ask("anthropic", "anthropic", data, policies=_STRIP)
    assert untouched.body == data
    same = RoutePolicies(prompt_cache=msgspec.structs.replace(_STRIP.prompt_cache, same_dialect=True))
    _, stripped = ask("anthropic", "anthropic", data, policies=same)
    assert b"Saturday" not in stripped.body
