"""translation.md, section 0.1, for requests of every dialect: nothing is lost silently, nothing changes on its way.

The probes change one thing at a time in a request that uses everything and look whether anybody notices.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ferryllm_proto import Translator
from support import judges, turns
from support.rich_requests import BODIES, accepted
from support.rounds import NAMES as TOOL_NAMES
from support.rounds import conversation, tool_names
from support.sent import MODELS, NAMES, PAIRS, Sent, door, spoken

_FREE = {
    "arguments",
    "input_schema",
    "parameters",
    "schema",
    "logit_bias",
    "input_examples",
    "metadata",
    "client_metadata",
}
"""JSON of the client's own making."""

_SPELLED: dict[str, set[str | tuple[str, str]]] = {
    # Which member is there says the same.
    "openai": {"model", "type", "include_usage"},
    # Ids and states of items are the provider's book-keeping.
    "openai_responses": {"model", "type", "id", "status"},
    "anthropic": {"model", "type", "media_type"},
    # The role of instructions means nothing, and a result with an id needs no name.
    "gemini": {"model", ("systemInstruction", "role"), ("functionResponse", "name")},
    "ollama": {"model", "type", "index"},
}
"""Members whose value may change without a difference for another provider."""

Path = tuple[str | int, ...]


def walk(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = [(path, value)]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += walk(inner, (*path, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            found += walk(inner, (*path, n))
    return found


def shown(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def whole(sent: Sent) -> tuple[bytes, str]:
    """All that a provider gets."""
    assert sent.upstream is not None
    return sent.raw, f"{sent.upstream.path}?{sent.upstream.query}"


def put(body: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    out: dict[str, Any] = copy.deepcopy(body)
    place: Any = out
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return out


def is_reported(path: Path, losses: list[str]) -> bool:
    """Whether a loss names ``path``, something it is in, or (an object's own text) something in it."""
    name = shown(path)
    for loss in losses:
        lost = loss.partition(" ")[2]
        if name == lost or name.startswith((f"{lost}.", f"{lost}[")) or lost.startswith((f"{name}.", f"{name}[")):
            return True
    return False


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g3_an_unknown_field_anywhere_is_reported_or_carried(entry: str, backend: str) -> None:
    silent = []
    body = accepted(entry, backend)
    for path, value in walk(body):
        if not isinstance(value, dict) or _FREE & set(path) or path[-1:] == ("cache_control",) or "input" in path[1:]:
            continue
        changed = put(body, (*path, "zz_martian"), 1)
        sent = Sent(entry, backend, changed)
        if not (sent.refused or b"zz_martian" in sent.raw or is_reported((*path, "zz_martian"), sent.losses)):
            silent.append(shown(path))
    assert silent == []


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g3_no_value_is_without_effect_and_without_a_report(entry: str, backend: str) -> None:
    body = accepted(entry, backend)
    base = Sent(entry, backend, body)
    assert base.refused == ""
    assert judges.problems(backend, MODELS[backend], base.body) == []
    silent = []
    for path, value in walk(body):
        if (
            isinstance(value, (dict, list))
            or {path[-1], path[-2:]} & _SPELLED[entry]
            or path[-2:-1] == ("cache_control",)
        ):
            continue
        other: Any = f"{value}q" if isinstance(value, str) else not value if isinstance(value, bool) else value + 1
        sent = Sent(entry, backend, put(body, path, other))
        noticed = sent.refused or whole(sent) != whole(base) or sent.losses != base.losses
        known = (
            is_reported(path, base.losses) or is_reported(path[:-1], base.losses) or is_reported(path[:-2], base.losses)
        )
        if not noticed and not known and not (path[-1] == "strict" and backend == "anthropic"):
            silent.append(shown(path))  # Messages formats bind always: strict is what they are
    assert silent == []


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g3_paths_of_losses_are_places_in_the_clients_body(entry: str, backend: str) -> None:
    sent = Sent(entry, backend, BODIES[entry])
    for loss in sent.losses:
        path = loss.partition(" ")[2]
        assert ".." not in path
        assert not path.startswith(".")
        assert path.partition(".")[0].partition("[")[0] in BODIES[entry], loss


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g10_equal_requests_are_sent_as_equal_bytes(entry: str, backend: str) -> None:
    one, two = (Sent(entry, backend, BODIES[entry]) for _ in range(2))
    assert one.raw == two.raw
    assert one.losses == two.losses


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g10_a_longer_conversation_begins_with_the_bytes_of_the_shorter_one(entry: str, backend: str) -> None:
    before = None
    for length in range(5):
        body = Sent(entry, backend, conversation(entry, length)).body
        assert judges.problems(backend, MODELS[backend], body) == []
        prefix = json.dumps([body["tools"], *spoken(body)])
        assert before is None or prefix.startswith(before[:-1])
        before = prefix
        assert tool_names(body) == TOOL_NAMES


EXACT = (
    b'{ "model" : "mine", "max_tokens": 9, "zz": 1e3, "big": 123456789012345678901234567890, "f": 0.70, "one": 1.0,\n'
    b'  "messages": [{"role": "user", "content": "\\u00e9 \\ud83d hi", "x": {"b": 1, "a": 2, "b": 3}}], "input": "x" }'
)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gemini"])
def test_g1_g2_the_same_dialect_gets_the_same_bytes_but_for_the_model(name: str) -> None:
    sent = Sent(name, name, EXACT, "other")
    assert sent.raw == EXACT.replace(b'"mine"', b'"other"')
    assert sent.losses == []


def test_g1_g2_gemini_has_its_model_in_the_path_and_its_body_stays_as_it_is() -> None:
    body = EXACT.replace(b'"model" : "mine", ', b"")
    for method, stream in (("generateContent", False), ("streamGenerateContent", True)):
        translator = Translator(entry="gemini", backend="gemini", model="gemini-3-pro-preview")
        sent = translator.receive_request(body, path=f"/v1beta/models/mine:{method}?alt=sse&key=secret")
        assert sent is not None
        assert (sent.body, sent.path) == (body, f"/v1beta/models/gemini-3-pro-preview:{method}")
        assert (sent.stream, sent.query) == (stream, "alt=sse")


NUMBERS = b'{"big":123456789012345678901234567890,"one":1.0,"seventy":0.70,"exp":1e3,"neg":-0.0}'


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g7_numbers_of_schemas_survive(entry: str, backend: str) -> None:
    body = json.dumps(conversation(entry, 0)).encode()
    marked = body.replace(b'{"type": "string"}', b'{"type":"number","enum":[' + NUMBERS + b"]}")
    assert NUMBERS in Sent(entry, backend, marked).raw


@pytest.mark.parametrize("backend", ["openai", "openai_responses"])
def test_g7_numbers_of_metadata_and_inputs_survive(backend: str) -> None:
    used = b'{"type":"tool_use","id":"a","name":"f","input":' + NUMBERS + b"}"
    body = (
        b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":['
        + used
        + b']},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"x"}]}]}'
    )
    assert json.dumps(NUMBERS.decode())[1:-1].encode() in Sent("anthropic", backend, body).raw


# --- losses, ids, names ---


def answered(entry: str, backend: str, body: dict[str, Any], seed: int = 0) -> tuple[Any, dict[str, str]]:
    translator = Translator(entry=entry, backend=backend, model=turns.MODELS[backend], seed=seed)
    data, path = door(entry, body)
    assert translator.receive_request(data, path=path) is not None
    translator.receive_response_head(200, (("content-type", "application/json"),))
    reply = json.dumps(turns.ANSWERS[backend]).encode()
    out = translator.receive_data(reply) + translator.receive_eof()
    assert translator.head is not None
    return json.loads(out), dict(translator.head.headers)


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g4_losses_reach_the_client_and_without_losses_there_is_no_word_of_them(entry: str, backend: str) -> None:
    plain = conversation(entry, 0)
    _, headers = answered(entry, backend, {**plain, "zz_martian": 1})
    assert "dropped zz_martian" in headers["x-ferryllm-loss"]
    assert "dropped" not in answered(entry, backend, plain)[1].get("x-ferryllm-loss", "")


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g9_m1_equal_seeds_give_equal_answers_under_the_clients_name_of_the_model(entry: str, backend: str) -> None:
    one, _ = answered(entry, backend, turns.FIRST[entry], seed=1)
    two, _ = answered(entry, backend, turns.FIRST[entry], seed=1)
    assert one == two
    assert one["modelVersion" if entry == "gemini" else "model"] == "mine"


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model":3}',
        b'{"model":"m"' + b',"x":' + b"[" * 100_000,
        b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"\xff"}],"input":"\xff","contents":[]}',
        b'{"model":"m","max_tokens":9,"messages":[3],"input":[3],"contents":[3]}',
        b'{"model":"m","max_tokens":9,"messages":[{"role":"martian"}],"input":[{"role":"martian"}],"contents":[{"role":5}]}',
        b'{"model":"m","max_tokens":9,"messages":{},"input":{},"contents":3}',
    ],
    ids=range(10),
)
def test_g12_bodies_that_are_none_are_refused_with_a_sentence(entry: str, backend: str, body: bytes) -> None:
    sent = Sent(entry, backend, body)
    assert sent.upstream is None
    error = sent.refusal["error"]
    message = error if entry == "ollama" else error["message"]
    assert len(message) > 10
    if entry == "gemini":
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    elif entry != "ollama":
        assert error["type"] == "invalid_request_error"
