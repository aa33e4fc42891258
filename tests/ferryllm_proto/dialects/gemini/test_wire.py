from __future__ import annotations

import pytest

from ferryllm_proto.dialects.gemini import wire


@pytest.mark.parametrize(
    ("name", "found"),
    [("thinking_config", "thinkingConfig"), ("topP", "topP"), ("top_p", "topP"), ("_x", "X"), ("a", "a")],
)
def test_names_in_camel_case(name: str, found: str) -> None:
    assert wire.camel(name) == found


def test_n1_known_fields_in_either_spelling_and_unknown_ones_as_written() -> None:
    config, extra = wire.known(b'{"top_p":1,"top_x":{"a_b":1},"seed":3,"stopSequences":["a"]}', wire.generation_config)
    assert (config.top_p, config.seed, config.stop_sequences) == (1, 3, ["a"])
    assert extra == {"top_x": b'{"a_b":1}'}


def test_the_later_of_two_spellings_counts() -> None:
    assert wire.known(b'{"top_p":1,"topP":2}', wire.generation_config)[0].top_p == 2
    assert wire.known(b'{"topP":2,"top_p":1}', wire.generation_config)[0].top_p == 1
