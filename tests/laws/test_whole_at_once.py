"""An answer that is there at once, head and body, is the same answer as one that comes in its three steps."""

from __future__ import annotations

import json as stdjson
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.conversation import Conversation, converse
from ferryllm_proto.dialect import Headers
from ferryllm_proto.entries import Entry, Operation
from ferryllm_proto.errors import LocalProtocolError
from ferryllm_proto.policy.route import RoutePolicies
from ferryllm_proto.policy.transforms import Drop, Replace, Transforms
from ferryllm_proto.questions.forward import Forwarding
from ferryllm_proto.responses.stateful import NO_MEMORY, Memory
from ferryllm_proto.routing.table import Route
from ferryllm_proto.snapshot import Provider
from ferryllm_proto.translate import State
from support import spoilt
from support.answers import ASK

NAMES = tuple(DIALECTS)
FEWER = settings(max_examples=settings().max_examples // 3)
"""Each example is an answer twice over, and there are pairs of dialects to go through."""

_TRANSFORMS = RoutePolicies(
    transforms=Transforms(
        response=(Drop(lambda value: [("usage",)] if isinstance(value, dict) and "usage" in value else []),),
        stream=(
            Replace(str.upper, lambda value: [("model",)] if isinstance(value, dict) and "model" in value else []),
        ),
    ),
)


def seen(talk: Conversation, out: bytes) -> dict[str, Any]:
    """Everything that an exchange can see of ``talk`` after its answer."""
    told = {
        name: getattr(talk, name)
        for name in ("state", "head", "error", "losses", "model", "stream", "cut", "usage", "finish_reason", "complete")
    }
    told["answer_id"] = getattr(talk, "answer_id", None)
    again = talk.receive_eof() + talk.receive_data(b"more") + talk.commit() + talk.ping()
    late = talk.fail(ir.Error(ir.ErrorKind.TIMEOUT, "late"))
    return {**told, "out": out, "model of the provider": talk.upstream_model, "last": talk.last, "behind": again + late}


def compare(make: Callable[[], Conversation], status: int, headers: Headers, data: bytes) -> None:
    slow, fast = make(), make()
    slow.receive_response_head(status, headers)
    expected = seen(slow, (slow.receive_data(data) if data else b"") + slow.receive_eof())
    assert seen(fast, fast.receive_whole(status, headers, data)) == expected
    assert fast.state in (State.DONE, State.FAILED)
    assert fast.head is not None


def asked(
    entry: str,
    backend: str,
    *,
    stream: bool = False,
    model: str | None = None,
    operation: Operation = Operation.GENERATE,
    memory: Memory = NO_MEMORY,
    policies: RoutePolicies = RoutePolicies(usage=True),  # noqa: B008 - frozen
    **fields: Any,
) -> Conversation:
    """A conversation whose request is with the provider."""
    path = None
    body = {"model": "asked", "stream": stream, **ASK[entry], **fields}
    if entry == "gemini":
        path = f"/v1beta/models/asked:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"
        del body["model"], body["stream"]
    talk = converse(
        Entry(operation, entry),
        Route("", "p", rewrite_model=model, policies=policies),
        Provider("p", backend),
        "POST",
        5.0,
        1,
        "req_1",
        memory,
    )
    assert talk.receive_request(stdjson.dumps(body).encode(), (), path) is not None, talk.error
    return talk


@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize("entry", NAMES)
@FEWER
@given(st.data())
def test_an_answer_at_once_is_the_answer_in_steps(entry: str, backend: str, data: st.DataObject) -> None:
    stream, model = (
        data.draw(st.sampled_from([False, False, True])),
        data.draw(st.sampled_from([None, "real", "asked"])),
    )
    fields: dict[str, Any] = {}
    if entry == "anthropic" and data.draw(st.booleans()):
        fields["top_k"] = 5  # a loss, which stands in the head
    compare(
        lambda: asked(entry, backend, stream=stream, model=model, **fields),
        data.draw(spoilt.STATUSES),
        data.draw(spoilt.HEADS),
        data.draw(spoilt.bodies(backend)),
    )


@pytest.mark.parametrize("backend", ["openai_responses", "openai"])
@FEWER
@given(st.data())
def test_an_answer_that_somebody_keeps_is_the_same_at_once(backend: str, data: st.DataObject) -> None:
    native = backend == "openai_responses"
    kept = data.draw(st.booleans())
    items = data.draw(st.sampled_from([None, (b'{"role":"user","content":"before"}',)]))
    memory = Memory(None if items is None else "resp_1", items, kept=kept, keep=kept, point=not kept, native=native)
    stream, filtered = data.draw(st.booleans()), data.draw(st.booleans())
    compare(
        lambda: asked(
            "openai_responses",
            backend,
            stream=stream,
            model="real",
            memory=memory,
            policies=_TRANSFORMS if filtered else RoutePolicies(),
        ),
        data.draw(spoilt.STATUSES),
        data.draw(spoilt.HEADS),
        data.draw(spoilt.bodies(backend)),
    )


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
@FEWER
@given(st.data())
def test_an_answer_through_transforms_is_the_same_at_once(backend: str, data: st.DataObject) -> None:
    stream = data.draw(st.booleans())
    compare(
        lambda: asked("openai", backend, stream=stream, policies=_TRANSFORMS),
        data.draw(spoilt.STATUSES),
        data.draw(spoilt.HEADS),
        data.draw(spoilt.bodies(backend)),
    )


@pytest.mark.parametrize(
    ("operation", "backend"),
    [
        (Operation.COUNT_TOKENS, "anthropic"),
        (Operation.EMBED, "openai"),
        (Operation.COMPLETE, "openai"),
        (Operation.COMPLETE, "anthropic"),
    ],
)
@FEWER
@given(st.data())
def test_other_questions_are_answered_the_same_at_once(operation: Operation, backend: str, data: st.DataObject) -> None:
    entry = "anthropic" if operation is Operation.COUNT_TOKENS else "openai"
    fields: dict[str, Any] = {Operation.EMBED: {"input": "x"}, Operation.COMPLETE: {"prompt": "x"}}.get(operation, {})
    body = st.one_of(spoilt.bodies(backend), st.sampled_from([b'{"input_tokens":5}', b'{"data":[],"model":"m"}']))
    compare(
        lambda: asked(entry, backend, operation=operation, **fields),
        data.draw(spoilt.STATUSES),
        data.draw(spoilt.HEADS),
        data.draw(body),
    )


@FEWER
@given(spoilt.STATUSES, spoilt.HEADS, spoilt.bodies("openai"))
def test_what_is_handed_on_is_the_same_at_once(status: int, headers: Headers, data: bytes) -> None:
    def make() -> Conversation:
        talk = Forwarding(entry="openai", backend="openai", method="POST", target="/v1/audio/speech")
        assert talk.receive_request(b"{}") is not None
        return talk

    compare(make, status, headers, data)


@pytest.mark.parametrize("model", [None, "real"])
@pytest.mark.parametrize("backend", ["openai", "anthropic"])
@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_long_answer_at_once_is_the_answer_in_steps(backend: str, size: int, model: str | None) -> None:
    """Around the bound up to which a whole answer is held until its end."""
    text = "x" * (size - 300)
    response = ir.Response(
        "id_1", "real", (ir.Text(text),), ir.FinishReason.END, created=5, usage=ir.Usage(1, output=9)
    )
    data = DIALECTS[backend].encode_response(response)
    data += b" " * (size - len(data))
    for odd in (data, data[:-250], b"x" + data):
        compare(lambda: asked(backend, backend, model=model), 200, (), odd)


def test_an_answer_at_once_belongs_behind_the_request() -> None:
    talk = asked("openai", "openai")
    talk.receive_whole(200, (), b"{}")
    with pytest.raises(LocalProtocolError):
        talk.receive_whole(200, (), b"{}")
