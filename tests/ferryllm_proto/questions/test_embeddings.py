"""Embeddings between dialects: bytes where both are the same, else translated with a report."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from ferryllm_proto.conversation import converse
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.entries import Entry, Operation
from ferryllm_proto.loss import Disposition, LossPolicy
from ferryllm_proto.questions.embeddings import Embeddings
from ferryllm_proto.routing.table import Route
from ferryllm_proto.snapshot import Provider
from ferryllm_proto.translate import State

GEMINI = "/v1beta/models/mine:embedContent"
BATCH = "/v1beta/models/mine:batchEmbedContents"
WITH = [name for name, dialect in DIALECTS.items() if dialect.embedder is not None]
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/embeddings", {"model": "mine", "input": ["one", "two"]}),
    "ollama": ("/api/embed", {"model": "mine", "input": ["one", "two"]}),
    "gemini": (
        BATCH,
        {"requests": [{"model": "models/mine", "content": {"parts": [{"text": t}]}} for t in ("one", "two")]},
    ),
}
NUMBERS = ("0.0123456789012345678", "-1E-3")
FIRST, SECOND = ("[" + number + "]" for number in NUMBERS)
ANSWERS = {
    "openai": '{"object":"list","data":[{"object":"embedding","index":1,"embedding":'
    + SECOND
    + '},{"index":0,"embedding":'
    + FIRST
    + '}],"model":"real","usage":{"prompt_tokens":4,"total_tokens":4}}',
    "ollama": '{"model":"real","embeddings":[' + FIRST + "," + SECOND + '],"prompt_eval_count":4}',
    "gemini": '{"embeddings":[{"values":'
    + FIRST
    + '},{"values":'
    + SECOND
    + '}],"usageMetadata":{"promptTokenCount":4}}',
}
PAIRS = [(entry, backend) for entry in WITH for backend in WITH if entry != backend]


def ask(entry: str, backend: str, body: Any = None, path: str | None = None, **options: Any) -> tuple[Embeddings, Any]:
    usual, fields = ASKED[entry]
    one = Embeddings(entry=entry, backend=backend, **options)
    data = json.dumps(fields if body is None else body).encode()
    return one, one.receive_request(data, (("openai-beta", "x"),), path or usual)


def answer(one: Embeddings, body: str) -> bytes:
    one.receive_response_head(200, (("x-ratelimit-limit", "7"), ("set-cookie", "a=b")))
    for at in range(0, len(body), 7):
        assert one.receive_data(body[at : at + 7].encode()) == b""
    return one.receive_eof()


def vectors(entry: str, out: bytes) -> list[list[str]]:
    """The numbers as they are written."""
    body = json.loads(out, parse_float=str, parse_int=str)
    if entry == "openai":
        assert [item["index"] for item in body["data"]] == ["0", "1"]
        return [item["embedding"] for item in body["data"]]
    return [one["values"] for one in body["embeddings"]] if entry == "gemini" else body["embeddings"]


# --- the same dialect ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", WITH)
def test_g1_the_same_dialect_changes_nothing(dialect: str) -> None:
    path, fields = ASKED[dialect]
    one, sent = ask(dialect, dialect, {**fields, "odd": [1.50, "é"]})
    assert (sent.method, sent.path, sent.stream) == ("POST", path, False)
    assert sent.body == json.dumps({**fields, "odd": [1.50, "é"]}).encode()
    assert answer(one, ANSWERS[dialect]).decode() == ANSWERS[dialect]
    assert (one.state, one.error, one.losses) == (State.DONE, None, [])
    assert one.usage is not None
    assert one.usage.input == 4
    assert one.head is not None
    assert ("x-ratelimit-limit", "7") in one.head.headers
    assert "set-cookie" not in dict(one.head.headers)


@pytest.mark.parametrize("dialect", WITH)
def test_m1_another_name_goes_out_and_the_clients_comes_back(dialect: str) -> None:
    one, sent = ask(dialect, dialect, model="real")
    assert b"mine" not in sent.body + sent.path.encode()
    assert b"real" in sent.body
    out = answer(one, ANSWERS[dialect])
    assert out.decode() == ANSWERS[dialect].replace('"real"', '"mine"')


# --- every other pair ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_numbers_cross_every_pair_as_they_were_written(entry: str, backend: str) -> None:
    one, sent = ask(entry, backend, model="real")
    assert b"mine" not in sent.body + sent.path.encode()
    assert ("openai-beta", "x") not in sent.headers
    texts = json.dumps(json.loads(sent.body))
    assert texts.index("one") < texts.index("two")
    out = answer(one, ANSWERS[backend])
    assert vectors(entry, out) == [[NUMBERS[0]], [NUMBERS[1]]]
    assert one.losses == []
    assert one.usage is not None
    assert one.usage.input == 4
    assert b"real" not in out


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_the_wrong_number_of_vectors_is_an_error(entry: str, backend: str) -> None:
    body = ASKED[entry][1]
    three = {
        **body,
        **({"requests": [*body["requests"], body["requests"][0]]} if "requests" in body else {"input": ["a"] * 3}),
    }
    one, _ = ask(entry, backend, three)
    answer(one, ANSWERS[backend])
    assert one.head is not None
    assert one.head.status == 502
    assert "2 vectors for 3 inputs" in one.error.message  # type: ignore[union-attr]  # it failed


@pytest.mark.parametrize("backend", [name for name in WITH if name != "openai"])
def test_base64_is_served_where_the_backend_has_floats(backend: str) -> None:
    """The official SDK asks for base64 unless it is told otherwise."""
    one, sent = ask("openai", backend, {"model": "mine", "input": ["one", "two"], "encoding_format": "base64"})
    assert "encoding" not in sent.body.decode()
    data = json.loads(answer(one, ANSWERS[backend]))["data"]
    assert [struct.unpack("<f", base64.b64decode(item["embedding"]))[0] for item in data] == pytest.approx(
        [float(number) for number in NUMBERS]
    )


@pytest.mark.parametrize("backend", [name for name in WITH if name != "openai"])
@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]])
def test_token_numbers_are_refused_where_they_mean_something_else(backend: str, tokens: Any) -> None:
    one, sent = ask("openai", backend, {"model": "mine", "input": tokens})
    assert sent is None
    assert one.head is not None
    assert one.head.status == 400
    assert json.loads(one.receive_eof())["error"]["param"].startswith("input")
    assert [loss.disposition for loss in one.losses] == [Disposition.REFUSED]


@pytest.mark.parametrize("backend", [name for name in WITH if name != "openai"])
def test_g4_what_can_not_be_said_is_reported(backend: str) -> None:
    one, sent = ask("openai", backend, {**ASKED["openai"][1], "dimensions": 64, "user": "u", "input_type": "query"})
    assert "64" in sent.body.decode()
    assert sorted(str(loss).partition(":")[0] for loss in one.losses) == ["dropped input_type", "dropped user"]
    answer(one, ANSWERS[backend])
    assert one.head is not None
    assert dict(one.head.headers)["x-ferryllm-loss"] == "dropped user, dropped input_type"


def test_a_strict_route_takes_no_loss() -> None:
    body = {**ASKED["openai"][1], "user": "u"}
    one, sent = ask("openai", "ollama", body, policy=LossPolicy.STRICT)
    assert sent is None
    assert one.head is not None
    assert one.head.status == 400
    assert ask("openai", "ollama", policy=LossPolicy.STRICT)[1] is not None


def test_u8_a_count_the_provider_did_not_tell_is_an_estimate_and_said_so() -> None:
    one, _ = ask("openai", "ollama")
    out = json.loads(answer(one, '{"model":"real","embeddings":[[1],[2]]}'))
    assert out["usage"]["prompt_tokens"] == out["usage"]["total_tokens"] > 0
    assert [loss.path for loss in one.losses] == ["usage"]


def test_the_error_of_another_dialect_is_said_in_the_clients() -> None:
    one, _ = ask("openai", "ollama")
    one.receive_response_head(404, ())
    one.receive_data(b'{"error":"model \\"real\\" not found, try pulling it first"}')
    body = json.loads(one.receive_eof())
    assert one.head is not None
    assert one.head.status == 404
    assert "not found" in body["error"]["message"]


@pytest.mark.parametrize("entry", WITH)
def test_a_provider_without_embeddings_is_a_clear_400(entry: str) -> None:
    one, sent = ask(entry, "anthropic")
    assert sent is None
    assert one.head is not None
    assert one.head.status == 400
    assert b"no embeddings" in one.receive_eof()


def test_providers_of_responses_have_openais_embeddings() -> None:
    talk = converse(
        Entry(Operation.EMBED, "openai"),
        Route("*", "p", rewrite_model="real"),
        Provider("p", "openai_responses"),
        method="POST",
        now=0,
        seed=0,
        request_id="r",
    )
    sent = talk.receive_request(json.dumps(ASKED["openai"][1]).encode(), (), "/v1/embeddings")
    assert sent is not None
    assert sent.path == "/v1/embeddings"


@pytest.mark.parametrize("entry", WITH)
@pytest.mark.parametrize("backend", WITH)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model":5}', b"\xff", b'{"model":' + b"[" * 100_000])
def test_broken_bodies_never_leave_a_machine_undecided(entry: str, backend: str, body: bytes) -> None:
    one = Embeddings(entry=entry, backend=backend)
    sent = one.receive_request(body, (), ASKED[entry][0])
    if sent is None:
        assert one.head is not None
        assert one.head.status == 400
        assert json.loads(one.receive_eof())
    else:  # Gemini's model is in the path: there the bytes are the provider's business
        assert entry == backend == "gemini"
