"""The question for a stream's usage in bytes that pass through: one splice, only where it is missing and taken."""

from __future__ import annotations

import json as stdlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.policy.stream_usage import splice
from ferryllm_proto.rules import ProviderRules, Quirks


@pytest.mark.parametrize(
    ("body", "spliced"),
    [
        (b'{"model" : "m","stream":true}', b'{"model" : "m","stream":true,"stream_options":{"include_usage":true}}'),
        (b'{"stream_options" : null , "a":1}', b'{"stream_options" : {"include_usage":true} , "a":1}'),
        (b'{"stream_options":{}}', b'{"stream_options":{"include_usage":true}}'),
        (
            b'{"stream_options":{"include_obfuscation": false},"n":1}',
            b'{"stream_options":{"include_obfuscation": false,"include_usage":true},"n":1}',
        ),
        (b'{"stream_options":{"include_usage": false }}', b'{"stream_options":{"include_usage": true }}'),
        (b'{"stream_options":{"include_usage":null}}', b'{"stream_options":{"include_usage":true}}'),
    ],
)
def test_the_question_is_put_where_it_is_missing_and_nothing_else_changes(body: bytes, spliced: bytes) -> None:
    assert splice("openai", body, model="m") == (spliced, True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"stream_options":{"include_usage": true}}',
        b'{"stream_options":5}',
        b'{"stream_options":{"include_usage":"yes"}}',
        b'{"stream_options":[]}',
    ],
)
def test_a_client_that_asks_itself_or_wrongly_is_left_alone(body: bytes) -> None:
    assert splice("openai", body, model="m") == (body, False)


@pytest.mark.parametrize("dialect", ["anthropic", "openai_responses", "gemini", "ollama"])
def test_other_dialects_count_without_being_asked(dialect: str) -> None:
    assert splice(dialect, b'{"stream":true}', model="m") == (b'{"stream":true}', False)


@pytest.mark.parametrize(
    "rules",
    [
        ProviderRules(vendor="mistral"),
        ProviderRules(vendor="perplexity"),
        ProviderRules(vendor="llamacpp", quirks=Quirks(stream_options=False)),
    ],
)
def test_vendors_that_take_no_stream_options_are_sent_none(rules: ProviderRules) -> None:
    assert splice("openai", b'{"stream":true}', model="m", rules=rules) == (b'{"stream":true}', False)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_OPTIONS = st.none() | st.dictionaries(st.sampled_from(["include_obfuscation", "x"]), _VALUES, max_size=2)


@given(st.dictionaries(st.text(max_size=8), _VALUES, max_size=4), _OPTIONS, st.sampled_from([None, 1]))
def test_whatever_else_a_body_says_stays_as_it_is(fields: dict[str, Any], options: Any, indent: int | None) -> None:
    body = {**fields, "stream_options": options}
    out, spliced = splice("openai", stdlib.dumps(body, indent=indent).encode(), model="m")
    assert spliced
    assert stdlib.loads(out) == {**body, "stream_options": {**(options or {}), "include_usage": True}}
