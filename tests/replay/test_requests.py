"""Every recorded request, and those of real coding agents, towards every other dialect.

The judges are the SDKs' types and the rules of the strict mock.
"""

from __future__ import annotations

import collections
import json
from typing import Any

import msgspec
import pytest

from ferryllm_proto import DIALECTS, Translator
from ferryllm_proto.translate import State
from support import judges, recorded
from support.sent import NAMES, PAIRS

pytestmark = pytest.mark.recorded

PATHS = {
    "openai": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic": "/messages",
    "gemini": "enerateContent",
    "ollama": "/api/chat",
}
CLIENTS = {
    "aider": "openai",
    "claude": "anthropic",
    "codex": "openai_responses",
    "gemini-cli": "gemini",
    "llm": "openai",
    "opencode-anthropic": "anthropic",
    "opencode-chat": "openai",
    "opencode-gemini": "gemini",
    "opencode-responses": "openai_responses",
    "qwen-code": "openai",
    "sdk-node": "",
    "sdk-py-anthropic": "anthropic",
    "sdk-py-chat": "openai",
    "sdk-py-gemini": "gemini",
    "sdk-py-ollama": "ollama",
    "sdk-py-responses": "openai_responses",
}
"""The dialect of each client's requests; "" where there are some of several."""
MODELS = {
    "openai": "gpt-5.4",
    "openai_responses": "gpt-5.4",
    "anthropic": "claude-opus-4-8",
    "gemini": "gemini-3-pro-preview",
    "ollama": "qwen3:8b",
}
OLDER = {"anthropic": "claude-sonnet-4-5", "gemini": "gemini-1.5-pro", "ollama": "gpt-oss:20b"}
"""Models that are asked in another way."""

_EVERY = 5
"""One recorded request of so many in the default run."""


class Found(msgspec.Struct, frozen=True):
    """One request of a client."""

    name: str
    dialect: str
    path: str
    body: dict[str, Any]
    wrong: bool = False
    """The provider that got it refused it: another may too."""


def bodies(dialect: str) -> list[Found]:
    return [
        Found(case["id"], dialect, case["path"], case["request"], case["status"] >= 400)
        for case in recorded.cases(dialect)
        if isinstance(case["request"], dict) and case["path"].split("?")[0].endswith(PATHS[dialect])
    ]


def client_bodies(name: str) -> list[Found]:
    out = []
    for n, request in enumerate(recorded.client_requests(name)):
        plain = request["path"].split("?")[0]
        dialect = next((d for d, path in PATHS.items() if plain.endswith(path)), None)
        if isinstance(request["body"], dict) and dialect is not None and CLIENTS[name] in ("", dialect):
            out.append(Found(f"{name} {n}", dialect, request["path"], request["body"]))
    return out


def check(backend: str, model: str, found: list[Found], *, accepted: bool) -> collections.Counter[str]:
    """Returns what was refused, by reason."""
    refused: collections.Counter[str] = collections.Counter()
    wrong = []
    for one in found:
        translator = Translator(entry=one.dialect, backend=backend, model=model)
        upstream = translator.receive_request(json.dumps(one.body).encode(), path=one.path)
        if upstream is None:
            error = translator.error
            assert translator.state is State.FAILED
            assert error is not None
            refused[f"{error.param}: {error.message}"] += 1
            if accepted or not error.param:
                wrong.append(f"{one.name}: refused: {error.message}")
            continue
        sent = json.loads(upstream.body)
        if not one.wrong:
            wrong += [f"{one.name}: {problem}" for problem in judges.problems(backend, model, sent)[:1]]
        again = DIALECTS[backend].decode_request(upstream.body, path=f"{upstream.path}?{upstream.query}")
        assert again.model == model
        assert b"ferry1." not in upstream.body
    assert not wrong, f"{len(wrong)} of {len(found)}:\n" + "\n".join(wrong[:20])
    return refused


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_recorded_requests_are_well_formed_in_every_dialect(entry: str, backend: str) -> None:
    check(backend, MODELS[backend], bodies(entry)[::_EVERY], accepted=False)


@pytest.mark.deep
@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_every_recorded_request_is_well_formed_in_every_dialect(entry: str, backend: str) -> None:
    found = bodies(entry)
    refused = check(backend, MODELS[backend], found, accepted=False)
    # What is refused names a field that can not be said there (G5); most requests hold none.
    assert sum(refused.values()) < len(found) * 0.25, refused.most_common(10)
    if backend in OLDER:
        check(backend, OLDER[backend], found, accepted=False)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("backend", NAMES)
def test_requests_of_real_clients_are_carried_to_every_dialect(client: str, backend: str) -> None:
    found = [one for one in client_bodies(client) if one.dialect != backend]
    assert found or CLIENTS[client] == backend
    for model in (MODELS[backend], OLDER.get(backend, MODELS[backend])):
        check(backend, model, found, accepted=not client.startswith("sdk-"))


@pytest.mark.parametrize("dialect", [name for name in NAMES if name != "gemini"])
def test_g1_same_dialect_requests_change_in_nothing_but_the_model(dialect: str) -> None:
    for one in bodies(dialect):
        body = one.body
        if not isinstance(body.get("model"), str):
            continue  # some local servers need none; a gateway needs one to choose a route
        data = json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
        same = Translator(entry=dialect, backend=dialect).receive_request(data)
        assert same is not None, one.name
        assert same.body == data
        renamed = Translator(entry=dialect, backend=dialect, model="other/name").receive_request(data)
        assert renamed is not None
        assert json.loads(renamed.body) == dict(body, model="other/name"), one.name
        assert len(renamed.body) == len(data) - len(json.dumps(body["model"])) + len('"other/name"'), one.name


def test_g1_gemini_requests_change_in_nothing_and_their_path_in_the_model_alone() -> None:
    for one in bodies("gemini"):
        data = json.dumps(one.body, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
        plain, _, query = one.path.partition("?")
        method = plain.rpartition(":")[2]
        same = Translator(entry="gemini", backend="gemini").receive_request(data, path=one.path)
        assert same is not None, one.name
        renamed = Translator(entry="gemini", backend="gemini", model="other").receive_request(data, path=one.path)
        assert renamed is not None, one.name
        assert same.body == data
        assert json.loads(renamed.body) == {**one.body, **({"model": "models/other"} if "model" in one.body else {})}
        assert same.path.rpartition("/models/")[2] == plain.rpartition("/models/")[2], one.name
        assert renamed.path.endswith(f"/models/other:{method}"), one.name
        for sent in (same, renamed):
            assert sent.stream is (method == "streamGenerateContent")
            assert ("alt=sse" in sent.query) == ("alt=sse" in query), one.name
