"""The recorded traffic of this dialect: every request, answer and stream (see docs/development.md)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from ferryllm_net.mock.gemini_rules import check
from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.gemini import DIALECT
from ferryllm_proto.dialects.gemini.wire import camel
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import StreamFailed
from support.recorded import cases, client_requests

from .build import SSE_PATH, events, fold

pytestmark = pytest.mark.recorded

SAMPLE = 7
"""Every seventh case in the default run; all of them in the deep one."""
REFUSED = "dad98dd9bf2c0626"
"""A request with a role that the API refuses too; its recorded answer is that refusal."""
CLIENTS = ("gemini-cli", "opencode-gemini", "sdk-py-gemini")

_DATA = frozenset({"args", "response", "parameters", "parametersJsonSchema", "responseJsonSchema", "responseSchema"})
"""Members whose own keys are data."""


def canonical(value: Any, *, data: bool = False) -> Any:
    """``value`` in camelCase, without nulls, which are absent members in protojson."""
    if isinstance(value, list):
        return [canonical(item, data=data) for item in value]
    if not isinstance(value, dict):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    out: dict[str, Any] = {}
    for name, item in value.items():
        key = name if data else camel(name)
        if key == "data" and isinstance(item, str):
            item = item.replace("-", "+").replace("_", "/")  # both alphabets of base64 are one to the API
        if item is not None or data:
            out[key] = canonical(item, data=data or key in _DATA)
    if not data and isinstance(out.get("tools"), dict):
        out["tools"] = [out["tools"]]  # one entry that is no list: two requests of one source have it so
    return out


def _requests(found: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(c["id"], c["path"], c["request"]) for c in found if isinstance(c["request"], dict)]


def _check_request(path: str, request: dict[str, Any]) -> None:
    body = json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()
    counting = ":countTokens" in path
    decode = DIALECT.decode_count if counting else DIALECT.decode_request
    found = decode(body, path=path)
    upstream, losses = DIALECT.encode_request(found)
    assert losses == []
    if "generateContentRequest" in request:
        request = {name: value for name, value in request["generateContentRequest"].items() if name != "model"}
    assert canonical(json.loads(upstream.body)) == canonical(request)


def _case_ids(found: list[dict[str, Any]], *, deep: bool) -> list[dict[str, Any]]:
    return found if deep else found[::SAMPLE]


def _run_requests(*, deep: bool) -> None:
    for id_, path, request in _requests(_case_ids(cases("gemini"), deep=deep)):
        if id_ == REFUSED:
            with pytest.raises(RemoteProtocolError, match="invalid_role"):
                _check_request(path, request)
        else:
            _check_request(path, request)


def test_g6_every_request_goes_back_as_it_came() -> None:
    _run_requests(deep=False)


@pytest.mark.deep
def test_g6_every_request_goes_back_as_it_came_all() -> None:
    _run_requests(deep=True)


@pytest.mark.parametrize("client", CLIENTS)
def test_requests_of_real_clients_go_back_as_they_came(client: str) -> None:
    for case in client_requests(client):
        _check_request(case["path"], case["body"])


def _run_streams(*, deep: bool) -> None:
    for case in _case_ids([c for c in cases("gemini") if c["stream"] and c["status"] == 200], deep=deep):
        data = case["response_text"].encode()
        found = events(data)
        assert not isinstance(found[-1], StreamFailed), case["id"]
        answer = fold(found)
        scanner = DIALECT.scanner(stream=True)
        assert scanner.receive_data(data) == data
        scanner.receive_eof()
        assert (scanner.complete, scanner.usage) == (True, answer.usage), case["id"]
        if answer.finish is not ir.FinishReason.TOOL_USE:
            assert scanner.finish is answer.finish, case["id"]
        encoder = DIALECT.stream_encoder(Answer(path=SSE_PATH))
        written = b"".join(encoder.send(event) for event in found)
        grammar = DIALECT.grammar(SSE_PATH)
        grammar.receive_data(written)
        grammar.receive_eof()
        assert grammar.problems == [], case["id"]
        for event in written.split(b"\r\n\r\n")[:-1]:
            types.GenerateContentResponse.model_validate_json(event.removeprefix(b"data: "))


def test_every_stream_decodes_and_what_is_written_is_valid() -> None:
    _run_streams(deep=False)


@pytest.mark.deep
def test_every_stream_decodes_and_what_is_written_is_valid_all() -> None:
    _run_streams(deep=True)


def _run_answers(*, deep: bool) -> None:
    for case in _case_ids([c for c in cases("gemini") if not c["stream"] and c["status"] == 200], deep=deep):
        if ":countTokens" in case["path"]:
            assert DIALECT.decode_count_answer(json.dumps(case["response"]).encode()) > 0
            continue
        answer = DIALECT.decode_response(json.dumps(case["response"]).encode())
        body = DIALECT.encode_response(answer)
        types.GenerateContentResponse.model_validate_json(body)
        again = DIALECT.decode_response(body)
        assert [type(p) for p in again.parts] == [type(p) for p in answer.parts], case["id"]
        assert (again.finish, again.usage) == (answer.finish, answer.usage), case["id"]


def test_every_answer_decodes_and_what_is_written_is_valid() -> None:
    _run_answers(deep=False)


@pytest.mark.deep
def test_every_answer_decodes_and_what_is_written_is_valid_all() -> None:
    _run_answers(deep=True)


def test_every_error_has_a_kind_and_words() -> None:
    for case in cases("gemini"):
        if case["status"] >= 400:
            body = json.dumps(case["response"]).encode() if case.get("response") else case["response_text"].encode()
            error = DIALECT.decode_error(case["status"], (), body)
            assert error.message
            assert error.status == case["status"]
            assert error.type, case["id"]


# --- requests of other dialects, as they are written for a provider of this one --------------------------

STEP = 29
"""Every so many cases of another dialect in the default run."""


def _run_foreign(dialect: str, *, deep: bool) -> None:
    found = cases(dialect)
    for case in found if deep else found[::STEP]:
        if not isinstance(case["request"], dict) or case["status"] != 200:
            continue
        try:
            request = DIALECTS[dialect].decode_request(json.dumps(case["request"]).encode(), path=case["path"])
        except RemoteProtocolError:
            continue  # what that dialect makes of it is its own tests' business
        for model in ("gemini-3-flash-preview", "gemini-2.5-flash", "gemini-1.5-pro"):
            try:
                upstream, _ = DIALECT.encode_request(request, model=model)
            except RemoteProtocolError as exc:
                refused = exc.error.code
            else:
                refused = None
                body = json.loads(upstream.body)
                check(body, model)
                for content in body["contents"]:
                    types.Content.model_validate(content)
                for tool in body.get("tools", []):
                    types.Tool.model_validate(tool)
                types.GenerationConfig.model_validate(body.get("generationConfig", {}))
            assert refused in (None, "unsupported_parameter"), case["id"]


OTHERS = pytest.mark.parametrize("dialect", ["openai", "openai_responses", "anthropic", "ollama"])


@OTHERS
def test_requests_of_other_dialects_are_what_a_strict_server_takes(dialect: str) -> None:
    _run_foreign(dialect, deep=False)


@OTHERS
@pytest.mark.deep
def test_requests_of_other_dialects_are_what_a_strict_server_takes_all(dialect: str) -> None:
    _run_foreign(dialect, deep=True)
