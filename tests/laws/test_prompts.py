"""A system prompt that comes again becomes what it became, whatever it comes with."""

from __future__ import annotations

import json as stdjson
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, prepare, toolsets
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.policy.prompt_cache import PromptCachePolicy
from ferryllm_proto.policy.route import RoutePolicies
from ferryllm_proto.rules import ProviderRules

TEXTS = st.sampled_from(["", "a", "héé — ☂", "x-anthropic-billing-header: a\nb", "be brief", "\U0010f8ab"])
MARKS = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}, {"cache_control": None}, {"citations": []}])
BLOCKS = st.builds(lambda text, more: {"type": "text", "text": text, **more}, TEXTS, MARKS)
ODD: list[Any] = [None, 3, {}, [{"type": "image", "source": {}}], [{"text": "no type"}], "lone \ud800"]
PROMPTS = st.one_of(TEXTS, st.lists(BLOCKS, max_size=3), st.lists(BLOCKS, max_size=3), st.sampled_from(ODD))
MESSAGES = st.sampled_from(
    [
        [{"role": "user", "content": "hi"}],
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        [{"role": "system", "content": "more"}, {"role": "user", "content": "hi"}],
    ]
)
TOOLS: list[list[Any]] = [[], *([{"name": name, "input_schema": {"type": "object"}}] for name in "fg")]
RULES = st.sampled_from([ProviderRules(), *(ProviderRules(vendor=name) for name in ("mistral", "openrouter"))])
MODELS = st.sampled_from(["gpt-4.1", "gpt-5.4", "claude", "mistral-large"])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """The same request with some tools, and with others."""
    body = {"model": "m", "max_tokens": 9, "system": draw(PROMPTS), "messages": draw(MESSAGES)}
    spelled = draw(st.booleans())
    one, other = (
        stdjson.dumps({**body, "tools": draw(st.sampled_from(TOOLS))}, ensure_ascii=spelled).encode("utf-8", "replace")
        for _ in range(2)
    )
    return (one.replace("é".encode(), b"\xe9", 1), other) if not draw(st.integers(0, 9)) else (one, other)


@given(bodies(), RULES, st.lists(MODELS, min_size=2, max_size=3))
def test_prompts_that_come_again_become_what_they_became(
    found: tuple[bytes, bytes], rules: ProviderRules, models: list[str]
) -> None:
    """With the tools they had and with others, for one model and for others."""
    entry, policies = DIALECTS["anthropic"], RoutePolicies(prompt_cache=PromptCachePolicy(key="k"))
    targets = [prepare.Target(DIALECTS["openai"], model, rules, policies=policies) for model in models]

    def made_of(body: bytes, target: prepare.Target) -> Any:
        try:
            return prepare.prepare(entry, target, body, peeked=entry.look(body))
        except RemoteProtocolError as exc:
            return exc.error

    def made() -> list[Any]:
        return [made_of(body, target) for target in targets for body in (*found, found[0])]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolsets, "MIN_PROMPT", 1 << 20)
        expected = made()
        patch.setattr(toolsets, "MIN_PROMPT", 0)
        assert made() == expected
