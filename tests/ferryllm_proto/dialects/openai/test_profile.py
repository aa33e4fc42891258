"""The columns of the table of vendors, and what holds where nothing is known."""

from __future__ import annotations

from ferryllm_proto.dialects.openai.profile import (
    GENERIC,
    KNOBS,
    OPENAI_FIELDS,
    Cache,
    Later,
    Reasoning,
    Replay,
)


def test_b18_nothing_is_known_of_a_generic_server_and_the_oldest_words_are_used() -> None:
    assert GENERIC.max_tokens_field == "max_tokens"
    assert GENERIC.system_role == "system"
    assert GENERIC.efforts == ("low", "medium", "high")
    assert (GENERIC.reasoning, GENERIC.replay) == (Reasoning.EFFORT, Replay.MODEL)
    assert (GENERIC.later_system, GENERIC.cache) == (Later.KEEP, Cache.NONE)
    assert GENERIC.fields == KNOBS


def test_fields_of_openais_own_are_no_common_knobs() -> None:
    assert KNOBS.isdisjoint(OPENAI_FIELDS)
    assert "top_k" not in KNOBS | OPENAI_FIELDS
