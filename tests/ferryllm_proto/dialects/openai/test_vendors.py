"""Vendors: how a row is found, what the model and the configuration change in it."""

from __future__ import annotations

import pytest

from ferryllm_proto.dialects.openai.profile import (
    CHOICES,
    FORMATS,
    GENERIC,
    KNOBS,
    MEDIA,
    OPENAI_FIELDS,
    Cache,
    Later,
    Reasoning,
    Replay,
    ToolContent,
    ToolIds,
)
from ferryllm_proto.dialects.openai.vendors import VENDORS, detect, profile
from ferryllm_proto.rules import ModelRule, ProviderRules, Quirks

from .vendor_case import MODEL, Sent

EVERY = list(VENDORS)


# --- detection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "port", "path", "vendor"),
    [
        ("api.openai.com", 443, "/v1", "openai"),
        ("eu.api.openai.com", 443, "/v1", "openai"),
        ("YOUR-RESOURCE.openai.azure.com", 443, "", "azure"),
        ("x.services.ai.azure.com", 443, "/openai/v1", "azure"),
        ("openrouter.ai", 443, "/api", "openrouter"),
        ("api.deepseek.com", 443, "", "deepseek"),
        ("api.groq.com", 443, "/openai", "groq"),
        ("api.mistral.ai", 443, "", "mistral"),
        ("api.x.ai", 443, "", "xai"),
        ("us-east-1.api.x.ai", 443, "", "xai"),
        ("dashscope.aliyuncs.com", 443, "/compatible-mode", "qwen"),
        ("dashscope-intl.aliyuncs.com", 443, "/compatible-mode/v1", "qwen"),
        ("api.moonshot.ai", 443, "/v1", "moonshot"),
        ("api.z.ai", 443, "/api/paas/v4", "zai"),
        ("open.bigmodel.cn", 443, "/api/paas/v4", "zai"),
        ("api.together.xyz", 443, "", "together"),
        ("api.fireworks.ai", 443, "/inference", "fireworks"),
        ("api.perplexity.ai", 443, "", "perplexity"),
        ("generativelanguage.googleapis.com", 443, "/v1beta/openai", "gemini"),
        ("generativelanguage.googleapis.com", 443, "/v1beta", "generic"),
        ("127.0.0.1", 8000, "", "vllm"),
        ("127.0.0.1", 30000, "", "sglang"),
        ("localhost", 8080, "/v1", "llamacpp"),
        ("::1", 1234, "", "lmstudio"),
        ("127.0.0.1", 11434, "/v1", "ollama"),
        ("127.0.0.1", 3000, "", "generic"),
        ("gpu.example.com", 8000, "", "generic"),
        ("api.siliconflow.cn", 443, "", "generic"),
        ("notapi.openai.com.evil.example", 443, "", "generic"),
        ("notopenrouter.ai", 443, "", "generic"),
        ("api.openai.com.", 443, "", "openai"),
    ],
)
def test_b17_a_vendor_is_told_by_its_base_url(host: str, port: int, path: str, vendor: str) -> None:
    assert detect(host, port, path) == vendor


def test_every_vendor_but_the_generic_one_can_be_detected() -> None:
    for name, row in VENDORS.items():
        assert name == "generic" or row.hosts or row.port, name
        for host in row.hosts:
            assert detect(host.replace("*", "x"), 443, row.path) == name


def test_every_row_stays_within_the_columns() -> None:
    for name, row in VENDORS.items():
        for changes in ({}, *(changes for _, changes in row.models)):
            found = {field: getattr(row.profile, field) for field in row.profile.__struct_fields__} | changes
            assert found["fields"] <= KNOBS | OPENAI_FIELDS | {"top_k"}, name
            assert found["choices"] <= CHOICES, name
            assert found["formats"] <= FORMATS, name
            assert found["media"] <= MEDIA, name


# --- which row ---------------------------------------------------------------------------------------------


def test_without_a_vendor_the_models_name_decides() -> None:
    assert profile("gpt-5").max_tokens_field == "max_completion_tokens"
    assert profile("llama") == GENERIC_FOR_LLAMA
    assert profile("deepseek-chat").replay is Replay.LOOP
    assert profile("llama", ProviderRules("generic")) == profile("llama")
    assert profile("llama", ProviderRules("nobody")) == profile("llama")


GENERIC_FOR_LLAMA = profile("", ProviderRules("generic"))


@pytest.mark.parametrize(
    "name", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.4-mini", "openai/gpt-6", "GPT-5"]
)
@pytest.mark.parametrize("vendor", ["", "openai", "azure", "generic", "vllm"])
def test_a32_reasoning_names_take_max_completion_tokens(name: str, vendor: str) -> None:
    found = profile(name, ProviderRules(vendor))
    assert (found.max_tokens_field, found.system_role) == ("max_completion_tokens", "developer")
    assert not found.model.temperature


@pytest.mark.parametrize("name", ["llama-3.3", "gpt-oss-120b", "qwen/qwen3", "olmo-2"])
def test_b18_everything_else_is_generic(name: str) -> None:
    found = profile(name)
    assert (found.max_tokens_field, found.fields, found.efforts) == ("max_tokens", GENERIC.fields, GENERIC.efforts)


@pytest.mark.parametrize("name", ["deepseek-chat", "moonshotai/kimi-k2-thinking", "xiaomi/mimo-v2"])
@pytest.mark.parametrize("vendor", ["", "generic", "together", "fireworks", "groq", "lmstudio"])
def test_a27_models_that_want_their_thoughts_back_in_tool_loops(name: str, vendor: str) -> None:
    assert profile(name, ProviderRules(vendor)).replay is Replay.LOOP


def test_openais_kinds_of_models() -> None:
    assert profile("gpt-4o").reasoning is Reasoning.NONE
    assert profile("gpt-4o").max_tokens_field == "max_tokens"
    assert profile("gpt-5-chat-latest").model.temperature
    assert profile("gpt-5.6").cache is Cache.BREAKPOINT
    assert profile("gpt-5.4").cache is Cache.NONE
    assert profile("ft:gpt-4o:org::1", ProviderRules("openai")).max_tokens_field == "max_tokens"
    assert profile("my-deployment", ProviderRules("azure")).max_tokens_field == "max_completion_tokens"
    assert profile("my-deployment", ProviderRules("azure")).system_role == "system"


def test_other_makers_models_on_azure_are_no_openai_models() -> None:
    found = profile("DeepSeek-V3.2", ProviderRules("azure"))
    assert (found.max_tokens_field, found.fields, found.replay) == ("max_tokens", KNOBS, Replay.LOOP)
    assert profile("Ministral-3B", ProviderRules("azure")).max_stop is None


def test_models_that_differ_from_their_vendors_others() -> None:
    assert profile("qwen/qwen3-32b", ProviderRules("groq")).efforts == ("none",)
    assert profile("llama-3.3-70b", ProviderRules("groq")).reasoning is Reasoning.NONE
    assert profile("mistral-large-latest", ProviderRules("mistral")).reasoning is Reasoning.NONE
    assert profile("mistralai/Mistral-Small", ProviderRules("vllm")).tool_ids is ToolIds.MISTRAL
    assert profile("kimi-k3", ProviderRules("moonshot")).efforts == ("low", "high", "max")
    assert profile("grok-3-mini", ProviderRules("xai")).efforts == ("low", "high")


# --- models and quirks ---------------------------------------------------------------------------------------


def test_a34_what_the_model_refuses_is_dropped_on_every_server() -> None:
    for vendor in EVERY:
        sent = Sent(vendor, temperature=0.5, top_p=0.5, rules=(ModelRule("", temperature=False, top_p=False),))
        assert {"temperature", "top_p"}.isdisjoint(sent.body)
        assert {"dropped temperature", "dropped top_p"} <= set(sent.lost)
    assert Sent("moonshot", temperature=0.5).lost == ["dropped temperature"]
    assert Sent("moonshot", model="moonshot-v1-8k", temperature=0.5).body["temperature"] == 0.5


def test_c9_claude_behind_openrouter_takes_one_of_both() -> None:
    sent = Sent("openrouter", model="anthropic/claude-sonnet-4.5", temperature=0.5, top_p=0.5)
    assert sent.body["temperature"] == 0.5
    assert sent.lost == ["dropped top_p"]


def test_a_limit_above_the_models_is_lowered_and_reported() -> None:
    sent = Sent("openai", model="gpt-4o", max_output=32000, names={"max_output": "max_tokens"})
    assert sent.body["max_tokens"] == 16384
    assert sent.lost == ["degraded max_tokens"]
    assert Sent("generic", rules=(ModelRule("llama", max_output_tokens=10),), max_output=11).body["max_tokens"] == 10


def test_groqs_qwen_separates_its_thoughts() -> None:
    assert Sent("groq", model="qwen/qwen3-32b").body["reasoning_format"] == "parsed"
    assert "reasoning_format" not in Sent("groq").body


@pytest.mark.parametrize(
    ("quirks", "field", "value"),
    [
        (Quirks(max_tokens_field="max_completion_tokens"), "max_tokens_field", "max_completion_tokens"),
        (Quirks(reasoning="thinking"), "reasoning", Reasoning.THINKING),
        (Quirks(replay_reasoning="loop"), "replay", Replay.LOOP),
        (Quirks(reasoning_field="reasoning"), "reasoning_field", "reasoning"),
        (Quirks(system_role="developer"), "system_role", "developer"),
        (Quirks(later_system="user"), "later_system", Later.USER),
        (Quirks(tool_content="image"), "tool_content", ToolContent.IMAGE),
        (Quirks(tool_id="mistral"), "tool_ids", ToolIds.MISTRAL),
        (Quirks(stream_options=False, strict=False), "fields", KNOBS - {"stream_options", "strict"}),
        (Quirks(parallel_tool_calls=False), "fields", KNOBS - {"parallel_tool_calls"}),
        (Quirks(images=False), "media", frozenset({"audio", "file"})),
        (Quirks(images=True), "media", MEDIA),
        (Quirks(json_schema=False), "formats", frozenset({"json_object"})),
    ],
)
def test_a_quirk_wins_over_the_row_and_leaves_the_rest(quirks: Quirks, field: str, value: object) -> None:
    before = profile("llama")
    after = profile("llama", ProviderRules("generic", quirks=quirks))
    assert getattr(after, field) == value
    for other in before.__struct_fields__:
        assert other == field or getattr(after, other) == getattr(before, other)


def test_every_model_of_the_tests_belongs_to_a_vendor() -> None:
    assert MODEL.keys() == VENDORS.keys()
