"""System text that is for one provider's eyes only."""

from __future__ import annotations

import msgspec

from . import ir
from .loss import Report

BILLING = "x-anthropic-billing-header:"
"""How Claude Code begins its first system text: a note for Anthropic's accounting that is new in every conversation.
Any other provider would never find the prompt in its cache again (translation.md A4)."""


def for_foreign(request: ir.Request, report: Report) -> tuple[ir.Text, ...]:
    """The system texts for a provider that is not Anthropic: without leading billing notes, which are reported.

    A text that holds nothing else goes as a whole, of another one the first line.
    """
    texts = request.system
    kept: list[ir.Text] = []
    for n, text in enumerate(texts):
        if not text.text.startswith(BILLING):
            kept.extend(texts[n:])
            break
        report.dropped(text.path or f"system[{n}]", "the billing note is for Anthropic alone")
        rest = text.text.partition("\n")[2].lstrip("\n")
        if rest:
            kept.append(msgspec.structs.replace(text, text=rest))
            kept.extend(texts[n + 1 :])
            break
    return tuple(kept)
