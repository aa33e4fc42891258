"""The words of the configuration about vendors and models are the translators' own."""

from __future__ import annotations

from enum import Enum
from typing import Any, get_args

import msgspec
import pytest

from ferryllm_net.config.provider_schema import Effort, Model, Quirks, Vendor
from ferryllm_proto import rules
from ferryllm_proto.capabilities import EFFORTS, Thinking
from ferryllm_proto.dialects.openai.profile import Later, Reasoning, Replay, ToolContent, ToolIds
from ferryllm_proto.dialects.openai.vendors import VENDORS


def test_vendors_are_the_rows_of_the_table() -> None:
    assert get_args(Vendor) == tuple(VENDORS)


def test_efforts_are_the_words_of_the_table() -> None:
    assert get_args(Effort) == EFFORTS


def choices(kind: type[msgspec.Struct], name: str) -> set[str]:
    found: list[Any] = [next(field.type for field in msgspec.structs.fields(kind) if field.name == name)]
    words: set[str] = set()
    while found:
        one = found.pop()
        words |= {one} if isinstance(one, str) else set()
        found.extend(get_args(one))
    return words


@pytest.mark.parametrize(
    ("kind", "name", "enum", "without"),
    [
        (Quirks, "reasoning", Reasoning, set()),
        (Quirks, "replay_reasoning", Replay, {"model"}),
        (Quirks, "later_system", Later, set()),
        (Quirks, "tool_content", ToolContent, set()),
        (Quirks, "tool_id", ToolIds, set()),
        (Model, "thinking", Thinking, set()),
    ],
)
def test_words_are_those_of_the_enums(
    kind: type[msgspec.Struct], name: str, enum: type[Enum], without: set[str]
) -> None:
    assert choices(kind, name) == {member.value for member in enum} - without


def test_keys_are_those_of_the_rules() -> None:
    assert Quirks.__struct_fields__ == rules.Quirks.__struct_fields__
    assert Model.__struct_fields__ == rules.ModelRule.__struct_fields__
