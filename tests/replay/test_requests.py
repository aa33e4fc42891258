"""Every recorded request, and those of real coding agents, towards every other dialect: judged by the SDKs' types."""

from __future__ import annotations

import collections
import json
import re
from typing import Any

import pytest

from ferryllm_proto import DIALECTS, Translator
from ferryllm_proto.translate import State
from support import recorded, sdk_types

pytestmark = pytest.mark.recorded

NAMES = ("openai", "openai_responses", "anthropic")
PAIRS = [(entry, backend) for entry in NAMES for backend in NAMES if entry != backend]
PATHS = {"openai": "/chat/completions", "openai_responses": "/responses", "anthropic": "/messages"}
CLIENTS = {
    "aider": "openai",
    "claude": "anthropic",
    "codex": "openai_responses",
    "llm": "openai",
    "opencode-anthropic": "anthropic",
    "opencode-chat": "openai",
    "opencode-responses": "openai_responses",
    "qwen-code": "openai",
    "sdk-py-anthropic": "anthropic",
    "sdk-py-chat": "openai",
    "sdk-py-responses": "openai_responses",
}

# What the APIs take and the SDKs' types do not know (any more), by backend.
_TAKEN = {
    "anthropic": re.compile(r"^\.(temperature|top_p|top_k): unknown"),
    "openai": re.compile(r"(?!)"),
    "openai_responses": re.compile(r"\.input_audio: unknown|'input_audio' is none of"),
}


def bodies(dialect: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (case["id"], case["request"])
        for case in recorded.cases(dialect)
        if isinstance(case["request"], dict) and case["path"].split("?")[0].endswith(PATHS[dialect])
    ]


def client_bodies(name: str) -> list[tuple[str, dict[str, Any]]]:
    out = []
    for n, request in enumerate(recorded.client_requests(name)):
        if isinstance(request["body"], dict) and request["path"].split("?")[0].endswith(PATHS[CLIENTS[name]]):
            out.append((f"{name} {n}", request["body"]))
    return out


def towards(entry: str, backend: str, body: dict[str, Any]) -> tuple[Translator, dict[str, Any] | None]:
    translator = Translator(
        entry=entry, backend=backend, model="gpt-5.4" if backend != "anthropic" else "claude-opus-4-8"
    )
    upstream = translator.receive_request(json.dumps(body).encode())
    return translator, None if upstream is None else json.loads(upstream.body)


def check(
    entry: str, backend: str, found: list[tuple[str, dict[str, Any]]], accepted: bool
) -> collections.Counter[str]:
    """Returns what was refused, by reason."""
    refused: collections.Counter[str] = collections.Counter()
    wrong = []
    for name, body in found:
        translator, sent = towards(entry, backend, body)
        if sent is None:
            assert translator.state is State.FAILED
            assert translator.error is not None
            refused[f"{translator.error.param}: {translator.error.message}"] += 1
            if accepted:
                wrong.append(f"{name}: refused: {translator.error.message}")
            continue
        bad = [p for p in sdk_types.problems(backend, sent) if not _TAKEN[backend].search(p)]
        if bad:
            wrong.append(f"{name}: {bad[0]}")
        assert DIALECTS[backend].decode_request(json.dumps(sent).encode()).model == sent["model"]
    assert not wrong, f"{len(wrong)} of {len(found)}:\n" + "\n".join(wrong[:20])
    return refused


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_every_recorded_request_is_well_formed_in_every_dialect(entry: str, backend: str) -> None:
    found = bodies(entry)
    refused = check(entry, backend, found, accepted=False)
    # What is refused names a field that can not be said there (G5); most requests hold none.
    assert sum(refused.values()) < len(found) * 0.25, refused.most_common(10)


@pytest.mark.parametrize(
    ("client", "backend"), [(c, b) for c in CLIENTS for b in NAMES if b != CLIENTS[c]], ids=lambda v: str(v)
)
def test_requests_of_real_clients_are_carried_to_every_dialect(client: str, backend: str) -> None:
    found = client_bodies(client)
    assert found
    check(CLIENTS[client], backend, found, accepted=not client.startswith("sdk-"))


@pytest.mark.parametrize("dialect", NAMES)
def test_g1_same_dialect_requests_change_in_nothing_but_the_model(dialect: str) -> None:
    for name, body in bodies(dialect):
        if not isinstance(body.get("model"), str):
            continue  # some local servers need none; a gateway needs one to choose a route
        data = json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
        same = Translator(entry=dialect, backend=dialect).receive_request(data)
        assert same is not None, name
        assert same.body == data
        renamed = Translator(entry=dialect, backend=dialect, model="other/name").receive_request(data)
        assert renamed is not None
        expected = dict(body, model="other/name")
        assert json.loads(renamed.body) == expected, name
        assert len(renamed.body) == len(data) - len(json.dumps(body["model"])) + len('"other/name"'), name
