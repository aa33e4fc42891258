"""Prompt caches helped in requests that are translated."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.policy import prompt_cache
from ferryllm_proto.policy.prompt_cache import (
    MAX_BREAKPOINTS,
    MAX_KEY,
    Observation,
    PromptCachePolicy,
    apply,
    cache_key,
    observe,
)
from ferryllm_proto.rules import ProviderRules
from ferryllm_proto.toolsets import SETS

_MARKS = PromptCachePolicy(breakpoints=True)
_REQUEST = ir.Request(
    "openai",
    "m",
    system=(ir.Text("date: today\nbe kind"),),
    tools=(ir.Function("f", "does", b"{}"), ir.Function("g", None, b"{}")),
    turns=(
        ir.Turn(ir.Role.USER, (ir.Text("one"),)),
        ir.Turn(ir.Role.ASSISTANT, (ir.Text("two"),)),
        ir.Turn(ir.Role.USER, (ir.ToolResult("c", (ir.Text("r"),)), ir.Text("three"))),
    ),
)


def test_the_default_does_nothing() -> None:
    assert PromptCachePolicy().idle
    assert apply(PromptCachePolicy(), _REQUEST, "anthropic", "m")[0] is _REQUEST


def test_breakpoints_end_the_tools_the_system_prompt_and_the_last_turn() -> None:
    out, told = apply(_MARKS, _REQUEST, "anthropic", "m")
    mark = ir.CacheMark()
    assert told.breakpoints == 3
    assert [tool.cache for tool in out.tools if isinstance(tool, ir.Function)] == [None, mark]
    assert out.system[-1].cache == mark
    assert [part.cache for part in out.turns[-1].parts if isinstance(part, (ir.Text, ir.ToolResult))] == [None, mark]
    upstream, losses = DIALECTS["anthropic"].encode_request(out)
    assert upstream.body.count(b"cache_control") == 3
    assert losses == DIALECTS["anthropic"].encode_request(_REQUEST)[1]


@pytest.mark.parametrize("backend", sorted(set(DIALECTS) - {"anthropic"}))
def test_only_anthropics_dialect_gets_breakpoints(backend: str) -> None:
    assert apply(_MARKS, _REQUEST, backend, "m") == (_REQUEST, apply(PromptCachePolicy(), _REQUEST, backend, "m")[1])


def test_a_clients_longer_lifetime_is_not_put_behind_a_shorter_one() -> None:
    turn = ir.Turn(ir.Role.USER, (ir.Text("x", cache=ir.CacheMark("1h")), ir.Text("y")))
    request = ir.Request("openai", "m", system=(ir.Text("s"),), turns=(turn,))
    out, _ = apply(_MARKS, request, "anthropic", "m")
    assert out.system[0].cache == ir.CacheMark("1h")
    assert next(part.cache for part in out.turns[0].parts if isinstance(part, ir.Text)) == ir.CacheMark("1h")
    early = ir.Request("openai", "m", system=(ir.Text("s", cache=ir.CacheMark()),), turns=(turn,))
    late = ir.Request(
        "openai",
        "m",
        system=(ir.Text("s", cache=ir.CacheMark()),),
        turns=(ir.Turn(ir.Role.USER, (ir.Text("y"),)),),
    )
    assert apply(_MARKS, early, "anthropic", "m")[0].system == early.system
    hour = PromptCachePolicy(breakpoints=True, ttl="1h")
    part = apply(hour, late, "anthropic", "m")[0].turns[0].parts[0]
    assert isinstance(part, ir.Text)
    assert part.cache == ir.CacheMark(None)


def test_relocated_lines_are_the_last_words_of_the_user_behind_the_breakpoint() -> None:
    policy = PromptCachePolicy(breakpoints=True, relocate=(0, 1))
    out, told = apply(policy, _REQUEST, "anthropic", "m")
    assert [text.text for text in out.system] == ["be kind"]
    parts = out.turns[-1].parts
    assert parts[-1] == ir.Text("date: today")
    assert isinstance(parts[-2], ir.Text)
    assert parts[-2].cache is not None
    assert told.moved_bytes == len("date: today")


def test_lines_stay_where_there_is_nowhere_to_move_them() -> None:
    request = ir.Request("openai", "m", system=(ir.Text("a\nb"),), turns=())
    assert apply(PromptCachePolicy(relocate=(0, 1)), request, "anthropic", "m")[0] == request


def test_a_text_of_which_nothing_is_left_leaves_its_breakpoint_to_the_one_before() -> None:
    request = ir.Request("openai", "m", system=(ir.Text("kind"), ir.Text("note: 1", cache=ir.CacheMark("1h"))))
    out, told = apply(PromptCachePolicy(strip_prefixes=("note:",)), request, "openai", "m")
    assert out.system == (ir.Text("kind", cache=ir.CacheMark("1h")),)
    assert told.stripped_lines == 1


def test_the_key_depends_on_the_beginning_of_the_prompt_alone() -> None:
    policy = PromptCachePolicy(key="ferryllm")
    first = apply(policy, _REQUEST, "openai_responses", "gpt-5.2")[0].cache_key
    later = ir.Request("openai", "m", system=_REQUEST.system, tools=_REQUEST.tools, turns=_REQUEST.turns[:1])
    assert first is not None
    assert first == apply(policy, later, "openai_responses", "gpt-5.2")[0].cache_key
    assert first != apply(policy, later, "openai_responses", "gpt-5.1")[0].cache_key
    assert len(first) <= MAX_KEY
    other = ir.Request("openai", "m", system=(ir.Text("be rude"),), tools=_REQUEST.tools)
    assert first != apply(policy, other, "openai_responses", "gpt-5.2")[0].cache_key


def test_a_known_key_does_not_change_with_releases() -> None:
    assert cache_key("ferryllm", "gpt-5.2", ["be kind"], [b"f"]) == ("ferryllm:6c0fd2be00108efa20d0790b722e12f7")


def test_the_clients_key_and_retention_win() -> None:
    request = ir.Request("openai", "m", cache_key="mine", cache_retention="in_memory")
    policy = PromptCachePolicy(key="ferryllm", retention="24h")
    out, told = apply(policy, request, "openai_responses", "m")
    assert (out.cache_key, out.cache_retention, told.keyed) == ("mine", "in_memory", False)
    filled, told = apply(policy, ir.Request("openai", "m"), "openai_responses", "m")
    assert (filled.cache_retention, told.keyed) == ("24h", True)


def test_providers_that_know_no_key_get_none() -> None:
    policy = PromptCachePolicy(key="ferryllm", retention="24h")
    for backend, vendor in (("openai", "vllm"), ("anthropic", ""), ("gemini", ""), ("ollama", "")):
        assert apply(policy, _REQUEST, backend, "m", ProviderRules(vendor))[0] == _REQUEST
    assert apply(policy, _REQUEST, "openai", "gpt-5.2", ProviderRules("openai"))[0].cache_key is not None


def test_usage_tells_what_the_cache_did() -> None:
    assert observe(ir.Usage(input=10, cache_read=30, cache_write=0)) == Observation(40, 30, 0, 0.75)
    assert observe(ir.Usage(input=10)) == Observation(10, None, None, None)
    assert observe(None) == Observation(None, None, None, None)
    assert observe(ir.Usage(input=0, cache_read=0)).hit_ratio is None


_MARK = st.none() | st.builds(ir.CacheMark, st.sampled_from([None, "5m", "1h"]))
_TEXTS = st.lists(st.builds(ir.Text, st.text(max_size=3), cache=_MARK), max_size=3).map(tuple)
_TURNS = st.lists(st.builds(ir.Turn, st.sampled_from(ir.Role), _TEXTS), max_size=3).map(tuple)
_TOOLS = st.lists(st.builds(ir.Function, st.just("f"), cache=_MARK), max_size=3).map(tuple)


def _marks(request: ir.Request) -> int:
    parts = [*request.system, *request.tools, *(part for turn in request.turns for part in turn.parts)]
    return sum(getattr(part, "cache", None) is not None for part in parts)


@given(st.builds(ir.Request, st.just("openai"), st.just("m"), system=_TEXTS, turns=_TURNS, tools=_TOOLS))
def test_never_more_than_four_unless_the_client_set_more(request: ir.Request) -> None:
    out, told = apply(_MARKS, request, "anthropic", "m")
    assert _marks(out) == _marks(request) + told.breakpoints
    assert _marks(out) <= max(MAX_BREAKPOINTS, _marks(request))


@given(
    st.builds(ir.Request, st.just("openai"), st.just("m"), system=_TEXTS, turns=_TURNS),
    st.integers(0, 9),
    st.integers(1, 9),
)
def test_moved_text_is_all_there(request: ir.Request, start: int, length: int) -> None:
    out, _ = apply(PromptCachePolicy(relocate=(start, start + length)), request, "anthropic", "m")
    assert sorted(_characters(out)) == sorted(_characters(request))


def _characters(request: ir.Request) -> str:
    parts = [*request.system, *(part for turn in request.turns for part in turn.parts)]
    return "".join(part.text for part in parts if isinstance(part, ir.Text)).replace("\n", "")


@given(st.sampled_from(["ferryllm", "a" * 60]), st.sampled_from(["gpt-5.2", "m" * 300, "ü"]))
def test_the_key_of_a_request_of_words_alone_is_made_as_every_other(prefix: str, model: str) -> None:
    bare = ir.Request("anthropic", "m", turns=(ir.Turn(ir.Role.USER, (ir.Text("hi"),)),))
    for _ in range(2):
        made, _ = apply(PromptCachePolicy(key=prefix), bare, "openai", model, ProviderRules("openai"))
        assert made.cache_key == cache_key(prefix, model, (), ())


@given(
    policy=st.builds(
        PromptCachePolicy,
        breakpoints=st.booleans(),
        key=st.sampled_from([None, "", "k"]),
        retention=st.sampled_from([None, "24h"]),
        strip_prefixes=st.sampled_from([(), ("date:",)]),
        relocate=st.sampled_from([None, (0, 9)]),
    ),
    request=st.builds(
        lambda turns, system, tools, key, kept: msgspec.structs.replace(
            _REQUEST, turns=turns, system=system, tools=tools, cache_key=key, cache_retention=kept
        ),
        st.sampled_from([_REQUEST.turns, _REQUEST.turns[:1], ()]),
        st.sampled_from([(), (), _REQUEST.system]),
        st.sampled_from([(), (), _REQUEST.tools]),
        st.sampled_from([None, None, "own"]),
        st.sampled_from([None, "in_memory"]),
    ),
    backend=st.sampled_from(sorted(DIALECTS)),
    model=st.sampled_from(["gpt-5.4", "mistral-large", "x" * 300]),
    rules=st.sampled_from([ProviderRules(), ProviderRules("openai"), ProviderRules("mistral")]),
)
def test_what_is_done_to_every_bare_request_is_what_is_done_to_each(
    policy: PromptCachePolicy, request: ir.Request, backend: str, model: str, rules: ProviderRules
) -> None:
    short = apply(policy, request, backend, model, rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompt_cache, "_bare", lambda *given: None)
        assert apply(policy, request, backend, model, rules) == short


@given(st.sampled_from(["gpt-5.2", "m" * 300, "ü"]), st.lists(st.text(max_size=3), max_size=3))
def test_the_key_of_tools_that_came_before_is_made_as_every_other(model: str, texts: list[str]) -> None:
    tools = SETS.read(b"tools of a test", lambda data: (ir.Function("f", "does", b"{}"), ir.Function("ü")))
    system = tuple(map(ir.Text, texts))
    kept = ir.Request("anthropic", "m", system=system, tools=tools)
    own = ir.Request("anthropic", "m", system=system, tools=(tools[0], tools[1]))
    policy = PromptCachePolicy(key="k")
    keys = [apply(policy, one, "openai_responses", model)[0].cache_key for one in (own, kept, kept)]
    assert SETS.derived(tools) is not None
    assert SETS.derived(own.tools) is None
    assert keys == [cache_key("k", model, texts, [b"f\0does\0{}", "ü\0\0".encode()])] * 3
