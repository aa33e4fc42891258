"""What is remembered of prompts: nothing large beside them, and nothing where a later message is put to them."""

from __future__ import annotations

import json as stdjson
import sys
from typing import Any

import pytest

from ferryllm_proto import Translator
from ferryllm_proto.policy.prompt_cache import PromptCachePolicy
from ferryllm_proto.policy.route import NO_POLICIES, RoutePolicies
from ferryllm_proto.rules import NO_RULES, ProviderRules
from ferryllm_proto.toolsets import PROMPTS


def asked(rules: ProviderRules = NO_RULES, policies: RoutePolicies = NO_POLICIES, **body: Any) -> Any:
    """The body for the provider, and whose it is."""
    talk = Translator("anthropic", "openai", "mx", rules, policies=policies, seed=1)
    request = talk.receive_request(stdjson.dumps({"model": "m", "max_tokens": 5, **body}).encode())
    assert request is not None
    return stdjson.loads(request.body), talk


def test_no_tools_are_held_by_the_prompts_they_came_with() -> None:
    policies = RoutePolicies(prompt_cache=PromptCachePolicy(key="k"))
    prompt = "kept beside its key " * 60
    for n in range(3):
        tools = [{"name": f"f{n}", "description": "x" * 50_000, "input_schema": {"type": "object"}}]
        _, talk = asked(
            ProviderRules(vendor="openai"),
            policies,
            system=prompt,
            tools=tools,
            messages=[{"role": "user", "content": "hi"}],
        )
        kept = PROMPTS.derived(talk.request.system)
        assert kept, "the prompt is remembered"
        keys = [value for name, value in kept.items() if isinstance(name, tuple) and name[0] == "cache key"]
        assert keys
        assert all(type(value) is str and len(value) < 200 for value in keys)


@pytest.mark.parametrize("vendor", ["mistral", "qwen", "openai", ""])
@pytest.mark.parametrize("first", ["", [], [{"type": "text", "text": ""}]], ids=str)
def test_a_later_system_message_is_put_to_a_prompt_that_came_before_as_to_any(vendor: str, first: Any) -> None:
    system = [{"type": "text", "text": "P" * 9000}, {"type": "text", "text": "b"}]
    said = [
        {"role": "user", "content": first},
        {"role": "system", "content": "SYS"},
        {"role": "user", "content": "hi"},
    ]
    once, again = (asked(ProviderRules(vendor=vendor), system=system, messages=said)[0] for _ in range(2))
    assert once == again


def test_breakpoints_of_a_long_history_cost_what_their_number_says() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}

    def steps(turns: int) -> int:
        said: list[dict[str, Any]] = []
        for _ in range(turns):
            said.append({"role": "user", "content": [{"type": "text", "text": "a" * 40, **mark}]})
            said.append({"role": "assistant", "content": [{"type": "text", "text": "b" * 40}]})
        said.append({"role": "user", "content": "x"})
        body = stdjson.dumps({"model": "m", "max_tokens": 5, "messages": said}).encode()
        talk, count = Translator("anthropic", "openai", seed=1), 0

        def see(frame: object, event: str, arg: object) -> Any:
            nonlocal count
            count += 1
            return see

        before = sys.gettrace()
        sys.settrace(see)
        try:
            assert talk.receive_request(body) is not None
        finally:
            sys.settrace(before)
        assert [loss.path for loss in talk.losses][:2] == [
            "messages[0].content[0].cache_control",
            "messages[2].content[0].cache_control",
        ]
        return count

    few = steps(150)
    assert steps(600) < 6 * few, "as many again for each, not for all before it"
