"""System text for one provider's eyes only."""

from __future__ import annotations

import pytest

from ferryllm_proto import ir, system
from ferryllm_proto.loss import Report

NOTE = "x-anthropic-billing-header: cc_version=2.1; cch=abc;"


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        ((NOTE, "be brief"), ("be brief",)),
        ((NOTE + "\n\nbe brief", "more"), ("be brief", "more")),
        ((NOTE, NOTE, "x"), ("x",)),
        ((NOTE,), ()),
    ],
)
def test_a4_the_billing_note_is_removed_and_reported(texts: tuple[str, ...], kept: tuple[str, ...]) -> None:
    request = ir.Request("anthropic", "m", system=tuple(ir.Text(t, path=f"system[{n}]") for n, t in enumerate(texts)))
    report = Report()
    assert tuple(text.text for text in system.for_foreign(request, report)) == kept
    assert report.losses[0].path == "system[0]"


@pytest.mark.parametrize("texts", [(), ("be brief", NOTE), ("about x-anthropic-billing-header: words",)])
def test_a4_everything_else_stays(texts: tuple[str, ...]) -> None:
    request = ir.Request("anthropic", "m", system=tuple(map(ir.Text, texts)))
    report = Report()
    assert system.for_foreign(request, report) == request.system
    assert report.losses == []
