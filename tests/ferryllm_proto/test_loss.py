from __future__ import annotations

import pytest

from ferryllm_proto import ir
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Disposition, Loss, Report, StrictRefusal, lost, wanted_logprobs, wishes


def test_g3_a_loss_reads_well() -> None:
    assert str(Loss("messages[2].content[0]", Disposition.DROPPED, "no such part")) == (
        "dropped messages[2].content[0]: no such part"
    )


def test_g3_losses_keep_their_order_and_equal_ones_are_one() -> None:
    report = Report()
    report.dropped("b", "why")
    report.degraded("a", "why")
    report.dropped("b", "why")
    report.add(Loss("a", Disposition.DEGRADED, "why"))
    assert [str(loss) for loss in report.losses] == ["dropped b: why", "degraded a: why"]


def test_g3_two_reasons_at_one_place_are_two_losses() -> None:
    report = Report()
    report.degraded("tools[0]", "sent as a function")
    report.degraded("tools[0]", "renamed")
    report.dropped("tools[0]", "renamed")
    assert len(report.losses) == 3


def test_g5_a_refusal_is_recorded_and_is_an_error_to_raise() -> None:
    report = Report()
    error = report.refuse("n", "one answer only")
    assert isinstance(error, RemoteProtocolError)
    assert report.losses == [Loss("n", Disposition.REFUSED, "one answer only")]
    assert (error.error.message, error.error.param, error.error.code) == (
        "n: one answer only",
        "n",
        "unsupported_parameter",
    )
    assert error.status_hint == 400


@pytest.mark.parametrize(
    ("path", "losses"),
    [
        ("", ["dropped logit: openai has no such field", "dropped x: openai has no such field"]),
        (
            "tools[0]",
            ["dropped tools[0].logit: openai has no such field", "dropped tools[0].x: openai has no such field"],
        ),
    ],
)
def test_g3_fields_of_another_dialect_are_reported_by_name(path: str, losses: list[str]) -> None:
    report = Report()
    report.ext(ir.Ext("anthropic", {"logit": b"1", ".id": b"null", "x": b"2"}), "openai", path)
    assert [str(loss) for loss in report.losses] == losses


def test_g3_fields_of_the_same_dialect_are_no_loss() -> None:
    report = Report()
    report.ext(ir.Ext("openai", {"x": b"1"}), "openai")
    report.ext(None, "openai")
    assert report.losses == []


# --- the client's own words ------------------------------------------------------------------------------


def test_g4_fields_of_a_part_are_named_as_the_client_wrote_them() -> None:
    names = {".cache": "prompt_cache_breakpoint", ".phase": "^phase", ".opaque": "extra_content", "turns": "input"}
    report = Report(ir.Request("openai", "m", names=names))
    assert report.at("input[1].content[0]", "cache") == "input[1].content[0].prompt_cache_breakpoint"
    assert report.at("input[1].content[0]", "phase") == "input[1].phase"
    assert report.at("input[1]", "opaque") == "input[1].extra_content"
    assert report.at("input[1]", "detail") == "input[1].detail"
    assert report.wire_name("turns") == "input"
    assert report.wire_name("tools") == "tools"


def test_without_a_request_fields_have_their_usual_names() -> None:
    report = Report()
    assert report.at("p", "cache") == "p.cache_control"
    assert report.at("p", "title") == "p.name"
    assert report.at("p", "opaque") == "p"
    assert report.at("", "cache") == "cache_control"


NAMES = {"reasoning": "thinking", "effort": "output_config.effort", "budget": "thinking.budget_tokens"}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        (None, ()),
        (ir.ReasoningParams(), ()),
        (ir.ReasoningParams(ir.ThinkingMode.ON, budget=2048), ("thinking",)),
        (ir.ReasoningParams(effort="low"), ("output_config.effort",)),
        (ir.ReasoningParams(ir.ThinkingMode.ADAPTIVE, "low"), ("thinking", "output_config.effort")),
        (ir.ReasoningParams(budget=2048), ("thinking.budget_tokens",)),
        (ir.ReasoningParams(show="summary"), ("thinking",)),
    ],
)
def test_g4_every_place_of_the_wish_to_think_is_named(
    params: ir.ReasoningParams | None, found: tuple[str, ...]
) -> None:
    request = ir.Request("anthropic", "m", reasoning=params, names=NAMES)
    assert wishes(request) == found


def test_the_wish_for_probabilities_is_named_where_it_was_said() -> None:
    assert wanted_logprobs(ir.Request("openai", "m", logprobs=True, top_logprobs=2)) == "logprobs"
    assert wanted_logprobs(ir.Request("openai", "m", top_logprobs=2)) == "top_logprobs"
    included = ir.Request("openai_responses", "m", logprobs=True, include=("x", "message.output_text.logprobs"))
    assert wanted_logprobs(included) == "include[1]"


def test_fields_an_encoder_has_taken_care_of_are_no_loss() -> None:
    report = Report()
    report.ext(ir.Ext("openai", {"moderation": b'{"model":"x"}', "prediction": b'{"x":1}'}), "y", known={"moderation"})
    assert [loss.path for loss in report.losses] == ["prediction"]


def test_g5_a_strict_refusal_names_the_first_losses_and_keeps_all() -> None:
    losses = [Loss(name, Disposition.DROPPED, "why") for name in "abcde"]
    error = StrictRefusal(losses)
    assert error.losses == tuple(losses)
    assert error.error.param == "a"
    assert error.error.message.startswith("dropped a: why; dropped b: why; dropped c: why, and 2 more. ")
    assert "more" not in StrictRefusal(losses[:3]).error.message
    assert lost([*losses[:1], Loss("z", Disposition.REFUSED, "no")]) == tuple(losses[:1])


@pytest.mark.parametrize(
    ("citation", "told"),
    [
        (b'{"type":"web_search_result_location","cited_text":"so it says","url":"https://a.example"}', True),
        (b'{"cited_text": "so"}', True),
        (b'{"cited_text":"","url":"https://a.example"}', False),
        (b'{"type":"url_citation","url":"https://a.example"}', False),
    ],
)
def test_g3_words_a_citation_quotes_are_reported_where_they_are_there(citation: bytes, told: bool) -> None:
    report = Report()
    report.quote(citation)
    report.quote(citation)
    assert [loss.path for loss in report.losses] == (["citations.cited_text"] if told else [])
