"""How much to think, in every vendor's form."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai.profile import Reasoning
from ferryllm_proto.dialects.openai.vendors import VENDORS
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.rules import ModelRule, Quirks

from .vendor_case import ASSISTANT, TURNS, USER, Sent

OFF = ir.ReasoningParams(ir.ThinkingMode.OFF)
ON = ir.ReasoningParams(ir.ThinkingMode.ADAPTIVE)
HIGH = ir.ReasoningParams(effort="high")
BUDGET = ir.ReasoningParams(ir.ThinkingMode.ON, budget=5000)
NAMES = {"reasoning": "thinking", "budget": "thinking.budget_tokens", "show": "thinking.display"}
_FIELDS = (
    "reasoning_effort",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "reasoning",
    "chat_template_kwargs",
)
LOST, SAID = ["dropped thinking"], ["degraded thinking"]


def said(vendor: str, params: ir.ReasoningParams | None, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    sent = Sent(vendor, reasoning=params, names=NAMES, **fields)
    return {name: sent.body[name] for name in _FIELDS if name in sent.body}, sent.lost


FORMS: dict[str, tuple[Any, Any, Any, Any]] = {
    # What is said for: an effort of high, a budget of 5000, off, on.
    "openai": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {"reasoning_effort": "none"}, {}),
    "azure": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {"reasoning_effort": "none"}, {}),
    "openrouter": (
        {"reasoning": {"effort": "high"}},
        {"reasoning": {"max_tokens": 5000}},
        {"reasoning": {"effort": "none"}},
        {"reasoning": {"enabled": True}},
    ),
    "deepseek": (
        {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled"}},
    ),
    "groq": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, {}),
    "mistral": ({"reasoning_effort": "high"}, {"reasoning_effort": "high"}, {"reasoning_effort": "none"}, {}),
    "xai": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {}, {}),
    "qwen": (
        {"enable_thinking": True, "thinking_budget": 16384},
        {"enable_thinking": True, "thinking_budget": 5000},
        {"enable_thinking": False},
        {"enable_thinking": True},
    ),
    "moonshot": (
        {"thinking": {"type": "enabled"}},
        {"thinking": {"type": "enabled"}},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled"}},
    ),
    "zai": (
        {"thinking": {"type": "enabled"}},
        {"thinking": {"type": "enabled"}},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled"}},
    ),
    "together": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {}, {}),
    "fireworks": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {"reasoning_effort": "none"}, {}),
    "perplexity": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {}, {}),
    **dict.fromkeys(
        ("vllm", "sglang", "llamacpp"),
        (
            {"chat_template_kwargs": {"enable_thinking": True}},
            {"chat_template_kwargs": {"enable_thinking": True}},
            {"chat_template_kwargs": {"enable_thinking": False}},
            {"chat_template_kwargs": {"enable_thinking": True}},
        ),
    ),
    "lmstudio": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {}, {}),
    "ollama": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {"reasoning_effort": "none"}, {}),
    "gemini": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {"reasoning_effort": "none"}, {}),
    "generic": ({"reasoning_effort": "high"}, {"reasoning_effort": "low"}, {}, {}),
}

EXACT = {
    # What is no loss: an effort of high, a budget of 5000, off, on. Everything else is reported.
    **dict.fromkeys(FORMS, (True, False, True, True)),
    "openrouter": (True, True, True, True),
    "qwen": (False, True, True, True),
    **dict.fromkeys(("moonshot", "zai", "vllm", "sglang", "llamacpp"), (False, False, True, True)),
    **dict.fromkeys(("groq", "xai", "together", "perplexity", "lmstudio", "generic"), (True, False, False, True)),
}


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_a35_every_vendor_is_told_in_its_own_form(vendor: str) -> None:
    for params, form, exact in zip((HIGH, BUDGET, OFF, ON), FORMS[vendor], EXACT[vendor], strict=True):
        found, lost = said(vendor, params)
        assert found == form, params
        assert bool(lost) == (not exact), params
    assert said(vendor, None) == ({}, [])


def test_models_that_do_not_think_are_told_nothing() -> None:
    assert said("openai", HIGH, model="gpt-4o") == ({}, LOST)
    assert said("openai", OFF, model="gpt-4o") == ({}, [])
    assert said("mistral", HIGH, model="codestral-latest") == ({}, LOST)
    assert said("gemini", HIGH, model="gemini-2.0-flash") == ({}, LOST)
    assert said("vllm", HIGH, rules=(ModelRule("Qwen", thinking="none"),)) == ({}, LOST)


def test_models_that_always_think_are_told_the_least_or_nothing() -> None:
    assert said("openai", OFF, model="o3") == ({"reasoning_effort": "low"}, SAID)
    assert said("moonshot", OFF, model="kimi-k2.7-code") == ({}, LOST)
    assert said("moonshot", OFF, model="kimi-k3") == ({"reasoning_effort": "low"}, SAID)
    assert said("gemini", OFF, model="gemini-2.5-pro") == ({"reasoning_effort": "minimal"}, SAID)
    assert said("zai", OFF, model="glm-5.3") == ({"reasoning_effort": "low"}, SAID)
    assert said("zai", HIGH, model="glm-5.3") == ({"reasoning_effort": "high"}, [])
    assert said("xai", HIGH, model="grok-4") == ({}, LOST)
    assert said("xai", OFF, model="grok-4") == ({}, LOST)
    assert said("groq", HIGH, model="qwen/qwen3-32b") == ({}, LOST)
    assert said("groq", OFF, model="qwen/qwen3-32b") == ({"reasoning_effort": "none"}, [])


def test_a35_words_are_clamped_to_the_models() -> None:
    for asked, word in (("minimal", "low"), ("xhigh", "high"), ("max", "max")):
        assert said("deepseek", ir.ReasoningParams(effort=asked))[0]["reasoning_effort"] == word
    assert said("openai", ir.ReasoningParams(effort="xhigh"), model="gpt-5.1")[0] == {"reasoning_effort": "high"}
    assert said("openrouter", ir.ReasoningParams(effort="max")) == ({"reasoning": {"effort": "xhigh"}}, SAID)
    assert said("openai", ir.ReasoningParams(effort="max"), rules=(ModelRule("gpt-", efforts=("low", "max")),)) == (
        {"reasoning_effort": "max"},
        [],
    )


def test_a_word_nobody_knows_is_the_providers_to_judge() -> None:
    assert said("groq", ir.ReasoningParams(effort="default"))[0] == {"reasoning_effort": "default"}
    assert said("openrouter", ir.ReasoningParams(effort="extreme"))[0] == {"reasoning": {"effort": "extreme"}}


def test_a_budget_beside_a_word_is_reported() -> None:
    both = ir.ReasoningParams(ir.ThinkingMode.ON, "high", 5000)
    for vendor in ("openai", "deepseek", "openrouter"):
        assert said(vendor, both)[1] == ["degraded thinking.budget_tokens"]


def test_thoughts_that_shall_not_be_seen() -> None:
    hidden = ir.ReasoningParams(show="omitted")
    assert said("openrouter", hidden) == ({"reasoning": {"exclude": True}}, [])
    assert said("openai", hidden) == ({}, [])
    assert said("openai", ir.ReasoningParams(show="summary")) == ({}, ["dropped thinking.display"])
    assert said("openrouter", ir.ReasoningParams(show="summary")) == ({}, [])
    assert said("openai", ir.ReasoningParams(ir.ThinkingMode.BETWEEN_TOOLS)) == ({}, SAID)


@pytest.mark.parametrize("vendor", sorted(VENDORS.keys() - {"openrouter"}))
def test_a_wish_about_showing_alone_says_nothing_of_thinking(vendor: str) -> None:
    assert said(vendor, ir.ReasoningParams(show="omitted")) == ({}, [])


def test_templates_have_their_own_switch() -> None:
    assert said("sglang", OFF, model="deepseek-ai/DeepSeek-V3.2")[0] == {"chat_template_kwargs": {"thinking": False}}
    assert said("vllm", HIGH, model="openai/gpt-oss-20b")[0] == {
        "reasoning_effort": "high",
        "chat_template_kwargs": {"reasoning_effort": "high"},
    }


# --- thinking that has to be put off -------------------------------------------------------------------------

TOOLS = (ir.Function("f", path="tools[0]"),)
FORCED = ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",))


def test_a_forced_tool_puts_thinking_off_where_the_provider_refuses_both() -> None:
    disabled = {"thinking": {"type": "disabled"}}
    for vendor in ("deepseek", "moonshot"):
        assert said(vendor, None, tools=TOOLS, tool_choice=FORCED) == (disabled, ["degraded tool_choice"])
        assert said(vendor, HIGH, tools=TOOLS, tool_choice=FORCED) == (disabled, SAID)
        assert said(vendor, OFF, tools=TOOLS, tool_choice=FORCED) == (disabled, [])
    assert said("qwen", HIGH, tools=TOOLS, tool_choice=FORCED) == ({"enable_thinking": False}, SAID)
    assert said("qwen", None, tools=TOOLS, tool_choice=FORCED) == ({}, [])
    assert said("zai", HIGH, tools=TOOLS, tool_choice=FORCED)[0] == {"thinking": {"type": "enabled"}}
    with pytest.raises(RemoteProtocolError, match="always thinks") as caught:
        said("moonshot", None, model="kimi-k3", tools=TOOLS, tool_choice=FORCED)
    assert caught.value.error.param == "tool_choice"


def _loop(*thoughts: ir.Part) -> tuple[ir.Turn, ...]:
    call = ir.Turn(ASSISTANT, (*thoughts, ir.ToolCall("t1", "f", "{}")), path="messages[1]")
    return (*TURNS, call, ir.Turn(USER, (ir.ToolResult("t1", (ir.Text("r"),)),), path="messages[2]"))


def test_a27_a_loop_without_its_thoughts_puts_thinking_off_where_it_would_be_refused() -> None:
    disabled = {"thinking": {"type": "disabled"}}
    bare, whole = _loop(), _loop(ir.Reasoning("hm"))
    for vendor in ("deepseek", "moonshot"):
        assert said(vendor, None, turns=bare, tools=TOOLS) == (disabled, ["degraded turns"])
        assert said(vendor, HIGH, turns=bare, tools=TOOLS) == (disabled, SAID)
        assert said(vendor, None, turns=whole, tools=TOOLS) == ({}, [])
    assert said("zai", None, turns=bare, tools=TOOLS) == ({}, [])
    assert said("moonshot", HIGH, model="kimi-k2.7-code", turns=bare, tools=TOOLS)[0] == {
        "thinking": {"type": "enabled"}
    }


def test_the_configuration_names_the_form() -> None:
    for form in Reasoning:
        found, _ = said("generic", ON, quirks=Quirks(reasoning=form.value))
        assert (
            set(found)
            == {
                Reasoning.NONE: set(),
                Reasoning.EFFORT: set(),
                Reasoning.THINKING: {"thinking"},
                Reasoning.ENABLE: {"enable_thinking"},
                Reasoning.OBJECT: {"reasoning"},
                Reasoning.TEMPLATE: {"chat_template_kwargs"},
            }[form]
        )
