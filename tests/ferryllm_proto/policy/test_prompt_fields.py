"""Prompt caches helped in bytes that pass through: only where asked, and only by splices."""

from __future__ import annotations

import json as stdlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.policy.prompt_cache import MAX_BREAKPOINTS, NOTHING, PromptCachePolicy
from ferryllm_proto.policy.prompt_fields import splice
from ferryllm_proto.rules import ProviderRules

_MARK = b'"cache_control":{"type":"ephemeral"}'


def _policy(**fields: Any) -> PromptCachePolicy:
    return PromptCachePolicy(**fields, same_dialect=True)


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "openai_responses", "gemini", "ollama"])
def test_bytes_pass_untouched_unless_the_configuration_asks(dialect: str) -> None:
    policy = PromptCachePolicy(True, key="k", retention="24h", strip_prefixes=("x",), relocate=(0, 9))
    assert splice(policy, dialect, b"whatever", model="m") == (b"whatever", NOTHING)


_MOVES = [
    (
        "anthropic",
        b'{"system":"date\\u003a 1\\nbe kind" , "messages":[{"role":"user","content":"hi"}]}',
        b'{"system":"be kind" , "messages":[{"role":"user","content":"hi\\n\\ndate: 1"}]}',
    ),
    (
        "anthropic",
        (
            b'{"system":[{"type":"text","text":"date: 1"},{"type":"text","text":"be kind"}],"messages":[{"role":"user",'
            b'"content":[{"type":"text","text":"hi"}]}]}'
        ),
        (
            b'{"system":[{"type":"text","text":"be kind"}],"messages":[{"role":"user",'
            b'"content":[{"type":"text","text":"hi"},{"type":"text","text":"date: 1"}]}]}'
        ),
    ),
    (
        "openai",
        (
            b'{"messages":[{"role":"developer","content":"date: 1"},{"role":"system","content":"be kind"},'
            b'{"role":"user","content":"hi"},{"role":"tool","tool_call_id":"c","content":"r"}]}'
        ),
        (
            b'{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hi"},'
            b'{"role":"tool","tool_call_id":"c","content":"r"},{"role":"user","content":"date: 1"}]}'
        ),
    ),
    (
        "openai_responses",
        b'{"instructions":"date: 1\\nbe kind","input":"hi"}',
        b'{"instructions":"be kind","input":"hi\\n\\ndate: 1"}',
    ),
    (
        "openai_responses",
        b'{"instructions":"date: 1\\nbe kind","input":[{"role":"user","content":[]}]}',
        b'{"instructions":"be kind","input":[{"role":"user","content":[{"type":"input_text","text":"date: 1"}]}]}',
    ),
    (
        "openai_responses",
        b'{"instructions":"date: 1\\nbe kind","input":[{"type":"function_call_output","call_id":"c","output":"r"}]}',
        (
            b'{"instructions":"be kind","input":[{"type":"function_call_output","call_id":"c","output":"r"},'
            b'{"role":"user","content":"date: 1"}]}'
        ),
    ),
    (
        "gemini",
        b'{"systemInstruction":{"parts":[{"text":"date: 1\\nbe kind"}]},"contents":[{"parts":[{"text":"hi"}]}]}',
        (
            b'{"systemInstruction":{"parts":[{"text":"be kind"}]},'
            b'"contents":[{"parts":[{"text":"hi"},{"text":"date: 1"}]}]}'
        ),
    ),
    (
        "ollama",
        b'{"messages":[{"role":"system","content":"date: 1\\nbe kind"},{"role":"user","content":"hi"}]}',
        b'{"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hi\\n\\ndate: 1"}]}',
    ),
]


@pytest.mark.parametrize(("dialect", "before", "after"), _MOVES)
def test_lines_are_moved_to_the_end_of_every_dialect(dialect: str, before: bytes, after: bytes) -> None:
    out, told = splice(_policy(relocate=(0, 3)), dialect, before, model="m")
    assert out == after
    assert told.moved_bytes == 7


@pytest.mark.parametrize(("dialect", "before", "after"), _MOVES)
def test_lines_are_dropped_from_every_dialect(dialect: str, before: bytes, after: bytes) -> None:
    out, told = splice(_policy(strip_prefixes=("date:",)), dialect, before, model="m")
    assert b"date" not in out
    assert b"be kind" in out
    assert told.stripped_lines == 1
    stdlib.loads(out)


def test_breakpoints_are_members_that_are_added() -> None:
    body = (
        b'{"system":"be\\u0020kind","tools":[{"name":"f"},{"name":"g","defer_loading":true}],'
        b'"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"},'
        b' {"type":"text","text":" "}]}]}'
    )
    out, told = splice(_policy(breakpoints=True), "anthropic", body, model="m")
    marked = body.replace(b'"be\\u0020kind"', b'[{"type":"text","text":"be\\u0020kind",%b}]' % _MARK)
    for end in (b'"name":"f"', b'"tool_use_id":"a"'):
        marked = marked.replace(end, b"%b,%b" % (end, _MARK))
    assert out == marked
    assert told.breakpoints == 3


def test_a_breakpoint_stands_before_what_is_moved() -> None:
    body = b'{"system":"date: 1\\nkind","messages":[{"role":"user","content":"hi"}]}'
    out, _ = splice(_policy(breakpoints=True, system=False, relocate=(0, 1)), "anthropic", body, model="m")
    (turn,) = stdlib.loads(out)["messages"]
    assert [("cache_control" in block, block["text"]) for block in turn["content"]] == [
        (True, "hi"),
        (False, "date: 1"),
    ]


def test_the_clients_breakpoints_stay_and_leave_their_slots_taken() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    body = stdlib.dumps(
        {
            "system": [{"type": "text", "text": "a", "cache_control": mark}, {"type": "text", "text": "b"}],
            "tools": [{"name": "f", "cache_control": mark}],
            "cache_control": mark,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]}],
        }
    ).encode()
    out, told = splice(_policy(breakpoints=True), "anthropic", body, model="m")
    assert told.breakpoints == 1
    assert stdlib.loads(out)["messages"][0]["content"][1]["cache_control"] == {"type": "ephemeral"}
    again, told = splice(_policy(breakpoints=True), "anthropic", out, model="m")
    assert (again, told.breakpoints) == (out, 0)


def test_a_key_is_added_and_the_clients_own_stays() -> None:
    policy = _policy(key="team", retention="24h")
    openai = ProviderRules("openai")
    out, told = splice(policy, "openai", b'{"model":"m","messages":[]}', model="gpt-5.2", rules=openai)
    found = stdlib.loads(out)
    assert out.startswith(b'{"model":"m","messages":[],')
    assert found["prompt_cache_key"].startswith("team:")
    assert found["prompt_cache_retention"] == "24h"
    assert told.keyed
    body = b'{"prompt_cache_key":"mine","prompt_cache_retention":"in_memory"}'
    assert splice(policy, "openai", body, model="gpt-5.2", rules=openai)[0] == body
    assert splice(policy, "anthropic", b"{}", model="m")[0] == b"{}"


_BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking"]), "text": st.text(max_size=3)},
    optional={"cache_control": st.sampled_from([None, {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])},
)
_CONTENT = st.text(max_size=3) | st.lists(_BLOCK, max_size=3)
_BODIES = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": _CONTENT})
        )
    },
    optional={
        "system": _CONTENT,
        "tools": st.lists(_BLOCK, max_size=3),
        "cache_control": st.just({"type": "ephemeral"}),
    },
)


@given(_BODIES)
def test_never_more_than_four_breakpoints_unless_the_client_set_more(body: dict[str, Any]) -> None:
    before = stdlib.dumps(body)
    out, told = splice(_policy(breakpoints=True), "anthropic", before.encode(), model="m")
    assert _marks(stdlib.loads(out)) == _marks(body) + told.breakpoints
    assert _marks(stdlib.loads(out)) <= max(MAX_BREAKPOINTS, _marks(body))


def _marks(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_marks, value))
    if isinstance(value, dict):
        return (value.get("cache_control") is not None) + sum(map(_marks, value.values()))
    return 0


_FORMS: dict[str, Any] = {
    "anthropic": lambda text, said: {"system": text, "messages": [{"role": "user", "content": said}]},
    "openai": lambda text, said: {
        "messages": [{"role": "system", "content": text}, {"role": "user", "content": [{"type": "text", "text": said}]}]
    },
    "openai_responses": lambda text, said: {"instructions": text, "input": said},
    "gemini": lambda text, said: {
        "systemInstruction": {"parts": [{"text": text}]},
        "contents": [{"role": "user", "parts": [{"text": said}]}],
    },
    "ollama": lambda text, said: {"messages": [{"role": "system", "content": text}, {"role": "user", "content": said}]},
}


@given(
    st.sampled_from(sorted(_FORMS)),
    st.text(alphabet='aé😀\\"\n ', min_size=1, max_size=20),
    st.integers(0, 20),
    st.integers(1, 20),
    st.booleans(),
)
def test_moved_text_is_all_there_in_every_dialect(
    dialect: str, text: str, start: int, length: int, ascii_: bool
) -> None:
    body = stdlib.dumps({"x": 1.0, **_FORMS[dialect](text, "said"), "y": [1, 2]}, ensure_ascii=ascii_).encode()
    out, told = splice(_policy(relocate=(start, start + length)), dialect, body, model="m")
    assert _letters(stdlib.loads(out)) == _letters(stdlib.loads(body))
    assert out.startswith(b'{"x": 1.0, ')
    assert out.endswith(b', "y": [1, 2]}')
    if not told.moved_bytes and "\n" not in text:
        assert out == body


def _letters(value: Any) -> list[str]:
    """Every character of every text that is no name of a role or a type, but for line ends."""
    if isinstance(value, str):
        return sorted(value.replace("\n", ""))
    if isinstance(value, dict):
        value = [inner for name, inner in value.items() if name not in ("role", "type")]
    return sorted(char for inner in value for char in _letters(inner)) if isinstance(value, list) else []
