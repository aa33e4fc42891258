"""One request towards one vendor, as the tests of the vendors ask."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import ir
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.rules import NO_QUIRKS, ModelRule, ProviderRules, Quirks

USER, ASSISTANT, SYSTEM = ir.Role.USER, ir.Role.ASSISTANT, ir.Role.SYSTEM
TURNS = (ir.Turn(USER, (ir.Text("hi", path="messages[0].content"),), path="messages[0]"),)

MODEL = {
    "openai": "gpt-5.4",
    "azure": "gpt-5.4",
    "openrouter": "qwen/qwen3-max",
    "deepseek": "deepseek-v4-pro",
    "groq": "openai/gpt-oss-120b",
    "mistral": "mistral-medium-latest",
    "xai": "grok-4.3",
    "qwen": "qwen-plus",
    "moonshot": "kimi-k2.6",
    "zai": "glm-5.2",
    "together": "meta-llama/Llama-4",
    "fireworks": "accounts/fireworks/models/glm-5",
    "perplexity": "sonar-pro",
    "vllm": "Qwen/Qwen3-8B",
    "sglang": "Qwen/Qwen3-8B",
    "llamacpp": "Qwen3-8B-Q4",
    "lmstudio": "qwen3-8b",
    "ollama": "qwen3:8b",
    "gemini": "gemini-2.5-flash",
    "generic": "llama",
}
"""A model that one would ask each vendor for."""


class Sent:
    """What a vendor gets, and what was lost on the way."""

    def __init__(self, vendor: str, *, model: str | None = None, **fields: Any) -> None:
        quirks: Quirks = fields.pop("quirks", NO_QUIRKS)
        rules: tuple[ModelRule, ...] = fields.pop("rules", ())
        dialect: str = fields.pop("dialect", "anthropic")
        turns: tuple[ir.Turn, ...] = fields.pop("turns", TURNS)
        request = ir.Request(dialect, "claude", turns, **fields)
        upstream, losses = DIALECTS["openai"].encode_request(
            request, model=model or MODEL[vendor], rules=ProviderRules(vendor, rules, quirks)
        )
        self.body: dict[str, Any] = json.loads(upstream.body)
        self.messages: list[dict[str, Any]] = self.body["messages"]
        self.lost = [f"{loss.disposition.value} {loss.path}" for loss in losses]
