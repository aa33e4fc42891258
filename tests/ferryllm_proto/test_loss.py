from __future__ import annotations

import pytest

from ferryllm_proto import ir
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Disposition, Loss, Report


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
