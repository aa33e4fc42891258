"""What an answer tells about itself, and the answer that says it said something and did not (T5)."""

from __future__ import annotations

import pytest

from ferryllm_proto import ir
from ferryllm_proto.events import End, Finish, Start, StreamFailed, UsageUpdate
from ferryllm_proto.observe import HOLLOW, MAX_END_TOKENS, WATCHED, Observer, blame_upstream


def seen(
    *, empty: bool = True, reason: ir.FinishReason = ir.FinishReason.END, usage: ir.Usage | None = None
) -> Observer:
    observer = Observer()
    observer.see(Start(id="a", model="real"))
    observer.empty = empty
    if usage is not None:
        observer.see(UsageUpdate(usage))
    observer.see(Finish(reason))
    return observer


def test_it_keeps_what_it_is_shown() -> None:
    observer = seen(empty=False, usage=ir.Usage(input=3, output=4))
    assert observer.see(End()) == End()
    assert (observer.model, observer.finish, observer.ended, observer.error) == (
        "real",
        ir.FinishReason.END,
        True,
        None,
    )
    assert observer.usage is not None
    assert (observer.usage.input, observer.usage.output) == (3, 4)


def test_usage_that_comes_in_parts_is_one() -> None:
    observer = Observer()
    observer.see(Start(id="a", model="", usage=ir.Usage(input=3, output=1)))
    assert (observer.id, observer.model) == ("a", None), "no name is no name"
    observer.see(UsageUpdate(ir.Usage(output=9)))
    assert observer.usage is not None
    assert (observer.usage.input, observer.usage.output) == (3, 9)


def test_t5_an_answer_without_its_content_is_a_failure_and_no_end() -> None:
    observer = seen(usage=ir.Usage(output=MAX_END_TOKENS + 1))
    assert observer.see(End()) == StreamFailed(HOLLOW)
    assert (observer.error, observer.ended) == (HOLLOW, False)


@pytest.mark.parametrize(
    "observer",
    [
        seen(usage=ir.Usage(output=MAX_END_TOKENS)),
        seen(usage=ir.Usage(output=100, reasoning=98)),
        seen(usage=ir.Usage(input=100)),
        seen(),
        seen(empty=False, usage=ir.Usage(output=100)),
        seen(reason=ir.FinishReason.LENGTH, usage=ir.Usage(output=100)),
    ],
    ids=["its end costs a little", "it thought", "input alone", "nothing counted", "content", "another end"],
)
def test_t5_an_empty_answer_that_explains_itself_is_whole(observer: Observer) -> None:
    assert observer.see(End()) == End()
    assert observer.error is None


def test_a_failure_is_kept() -> None:
    error = ir.Error(ir.ErrorKind.OVERLOADED, "busy")
    observer = Observer()
    assert observer.see(StreamFailed(error)) == StreamFailed(error)
    assert (observer.error, observer.ended) == (error, False)


@pytest.mark.parametrize(("parts", "error"), [((ir.Text("x"),), None), ((), HOLLOW)])
def test_t5_whole_answers_are_judged_alike(parts: tuple[ir.Part, ...], error: ir.Error | None) -> None:
    observer = Observer()
    observer.see_whole(
        ir.Response(id="a", model="real", parts=parts, finish=ir.FinishReason.END, usage=ir.Usage(output=50))
    )
    assert (observer.error, observer.model, observer.finish) == (error, "real", ir.FinishReason.END)


def test_it_watches_no_event_that_comes_often() -> None:
    assert {kind.__name__ for kind in WATCHED} == {"Start", "UsageUpdate", "Finish", "StreamFailed", "End"}


@pytest.mark.parametrize("code", ["invalid_json", "invalid_type", "invalid_value"])
def test_what_can_not_be_read_is_the_providers_fault(code: str) -> None:
    blamed = blame_upstream(ir.Error(ir.ErrorKind.BAD_REQUEST, "no JSON", code=code))
    assert blamed.kind is ir.ErrorKind.UPSTREAM
    assert blamed.message == "the provider's answer could not be read: no JSON"


@pytest.mark.parametrize(
    "error",
    [
        ir.Error(ir.ErrorKind.BAD_REQUEST, "prompt is too long", code="context_length_exceeded"),
        ir.Error(ir.ErrorKind.BAD_REQUEST, "no"),
        ir.Error(ir.ErrorKind.RATE_LIMIT, "slow down", code="invalid_json"),
    ],
)
def test_what_the_provider_says_itself_stays(error: ir.Error) -> None:
    assert blame_upstream(error) is error


@pytest.mark.parametrize("foreign", [True, False])
def test_x14_a_call_that_could_not_be_read_is_no_answer_for_clients_of_another_dialect(foreign: bool) -> None:
    seen = Observer(foreign=foreign)
    event = seen.see(Finish(ir.FinishReason.MALFORMED_TOOL))
    assert (type(event) is StreamFailed) is foreign
    assert (seen.error is not None) is foreign
    assert (seen.finish is None) is foreign
    whole = Observer(foreign=foreign)
    whole.see_whole(ir.Response("id", "m", (ir.Text("a"),), ir.FinishReason.MALFORMED_TOOL))
    assert (whole.error is not None) is foreign
