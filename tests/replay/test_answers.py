"""Every recorded answer of a provider, through every entry: judged by the grammar and by the official SDKs."""

from __future__ import annotations

import json
import os
from typing import Any

import openai
import pytest

from ferryllm_proto import Translator
from ferryllm_proto.translate import State
from support import grammar, oracles, recorded

pytestmark = pytest.mark.recorded

DIALECTS = ("openai", "openai_responses", "anthropic", "gemini", "ollama")
PAIRS = [(entry, backend) for entry in DIALECTS for backend in DIALECTS if entry != backend]
SAMPLE = 7
"""Every seventh case in the default run, all of them in the deep one."""

CUTS = 6_000 if "deep" in os.environ.get("FERRYLLM_TESTS", "") else 500
"""Places at which a stream is cut."""

ASK: dict[str, dict[str, Any]] = {
    "openai": {"messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": True}},
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


def question(entry: str, *, stream: bool) -> bytes:
    body = {"model": "asked", "stream": stream, **ASK[entry]}
    if not stream:
        body.pop("stream_options", None)
    if entry == "gemini":
        del body["model"], body["stream"]
    return json.dumps(body).encode()


def ask(entry: str, backend: str, *, stream: bool) -> Translator:
    translator = Translator(entry=entry, backend=backend, model="real", now=1_760_000_000.0, seed=1)
    upstream = translator.receive_request(question(entry, stream=stream), path=path_of(entry, stream=stream))
    assert upstream is not None, translator.error
    return translator


def answer_of(case: dict[str, Any]) -> bytes:
    if case.get("response_text") is not None:
        return str(case["response_text"]).encode("utf-8", "surrogatepass")
    return json.dumps(case["response"]).encode()


def feed(translator: Translator, case: dict[str, Any], data: bytes, step: int = 0) -> bytes:
    kind = "text/event-stream" if case["stream"] else "application/json"
    if case["stream"] and translator.backend.name == "ollama":
        kind = "application/x-ndjson"
    translator.receive_response_head(case["status"], [("content-type", kind)])
    out = []
    for start in range(0, len(data), step or max(1, len(data))):
        out.append(translator.receive_data(data[start : start + (step or len(data))]))
    out.append(translator.receive_eof())
    assert translator.state in (State.DONE, State.FAILED)
    return b"".join(out)


def cases(backend: str, *, deep: bool) -> list[dict[str, Any]]:
    found = [case for case in recorded.cases(backend) if case["path"].split("?")[0].endswith(PATHS[backend])]
    return found if deep else found[::SAMPLE]


PATHS = {
    "openai": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic": "/messages",
    "gemini": "enerateContent",
    "ollama": "/api/chat",
}


def check(entry: str, backend: str, case: dict[str, Any]) -> None:
    data = answer_of(case)
    for stream in (True, False) if case["status"] == 200 else (case["stream"],):
        translator = ask(entry, backend, stream=stream)
        out = feed(translator, case, data)
        assert translator.head is not None
        if case["status"] >= 400:
            assert translator.state is State.FAILED
            assert translator.head.status in (case["status"], {503: 529, 529: 503}.get(case["status"]))
            oracles.error(entry, translator.head.status, dict(translator.head.headers), out)
            continue
        if translator.state is State.FAILED:
            # Only for a reason: an error in the recording, or a stream without its end.
            assert translator.error is not None
            assert "error" in str(case["features"]) or case.get("complete") is False or _has_error(data), case["id"]
            if stream and translator.head.status == 200:
                assert grammar.validate(entry, out).failed
            continue
        if stream:
            seen = grammar.validate(entry, out)
            assert seen.ended
            if entry == "openai" and b'"type":"custom"' in out:
                continue  # the SDK's chunk type has no custom calls, although the API streams them (wire.md 2.3)
            try:
                folded = oracles.stream(entry, out)
            except openai.LengthFinishReasonError as exc:  # the helper's way to say that an answer was cut by a limit
                folded = exc.completion
            except openai.ContentFilterFinishReasonError:  # its way to say that an answer was refused
                continue
        else:
            folded = oracles.whole(entry, out)
        assert folded.model == "asked"
        assert "real" not in {folded.model}


def _has_error(data: bytes) -> bool:
    return b'"error":{' in data.replace(b": ", b":") or b"response.failed" in data


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_a_sample_of_recorded_answers_reads_well_in_every_dialect(entry: str, backend: str) -> None:
    _run(entry, backend, deep=False)


@pytest.mark.deep
@pytest.mark.parametrize(("entry", "backend"), PAIRS)
@pytest.mark.timeout(1200)
def test_every_recorded_answer_reads_well_in_every_dialect(entry: str, backend: str) -> None:
    _run(entry, backend, deep=True)


def _run(entry: str, backend: str, *, deep: bool) -> None:
    wrong = []
    found = cases(backend, deep=deep)
    assert found
    for case in found:
        try:
            check(entry, backend, case)
        except Exception as exc:
            wrong.append(f"{case['id']} {case['vendor']} stream={case['stream']}: {type(exc).__name__}: {exc!s:.300}")
    assert not wrong, f"{len(wrong)} of {len(found)}:\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("backend", DIALECTS)
def test_g1_same_dialect_answers_pass_byte_for_byte(backend: str) -> None:
    for case in cases(backend, deep=True):
        if case["status"] != 200 or case.get("complete") is False or case["fidelity"] != "raw":
            continue
        data = answer_of(case)
        translator = Translator(entry=backend, backend=backend)
        path = case["path"] if backend == "gemini" else None  # says the framing too
        assert translator.receive_request(question(backend, stream=case["stream"]), path=path) is not None
        assert feed(translator, case, data) == data, case["id"]


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_s3_every_split_gives_the_same_bytes(entry: str, backend: str) -> None:
    streams = [c for c in cases(backend, deep=True) if c["stream"] and c["status"] == 200]
    for case in [c for c in streams if len(answer_of(c)) < 12_000][::12]:
        data = answer_of(case)
        whole = feed(ask(entry, backend, stream=True), case, data)
        for step in (1, 7):
            assert feed(ask(entry, backend, stream=True), case, data, step) == whole, case["id"]


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_t1_a_stream_cut_at_any_byte_is_never_a_success(entry: str, backend: str) -> None:
    streams = [c for c in cases(backend, deep=True) if c["stream"] and c["status"] == 200 and c["complete"]]
    picked = [c for c in streams if 500 < len(answer_of(c)) < 9_000 and not _has_error(answer_of(c))][:3]
    assert picked
    for case in picked:
        data = answer_of(case)
        reference = grammar.validate(entry, feed(ask(entry, backend, stream=True), case, data))
        for cut in range(0, len(data), 1 + len(data) // CUTS):
            translator = ask(entry, backend, stream=True)
            out = feed(translator, case, data[:cut])
            assert translator.head is not None
            if translator.head.status != 200:
                assert translator.state is State.FAILED
                continue
            seen = grammar.validate(entry, out)
            assert seen.failed != seen.ended
            if seen.ended:  # only when all the client can see was already there
                assert translator.finish_reason is not None
                assert seen.text == reference.text
                assert seen.tools == reference.tools
