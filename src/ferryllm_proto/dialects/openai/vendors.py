"""The table of vendors: one row for each server of Chat Completions that has ways of its own.

A row holds what differs from `GENERIC`. What is written here was seen in recorded traffic, in the vendors' own
references or in their error messages; where nobody knows, the default stays: a field that is sent and refused shows
itself, a field that is not sent would be missed by nobody. A provider's row is found by its base URL (`detect`), named
in the configuration (``vendor``) or, without either, told by the model's name (translation.md B17 to B19).
"""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec

from ... import capabilities, opaque
from ...capabilities import EFFORTS, Thinking
from ...rules import NO_RULES, ProviderRules, Quirks
from .profile import (
    GENERIC,
    KNOBS,
    OPENAI_FIELDS,
    Cache,
    CallContent,
    Later,
    Profile,
    Reasoning,
    Replay,
    ToolContent,
    ToolIds,
)


class Vendor(msgspec.Struct, frozen=True):
    """One row."""

    title: str
    hosts: tuple[str, ...] = ()
    """Hosts it is known by: a name, or ``*.name`` for everything below it."""
    path: str = ""
    """What the base URL's path must hold as well."""
    port: int | None = None
    """The port its server takes on one's own machine."""
    profile: Profile = GENERIC
    models: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Where its models differ: the beginning of their names as a pattern, and what to change; the first counts."""
    by_model: bool = False
    """Whether a model of OpenAI's own means that OpenAI is behind it: gateways, and ports that anybody may have."""
    openai: bool = False
    """Whether it serves OpenAI's own models as OpenAI does."""


def _row(title: str, *hosts: str, path: str = "", port: int | None = None, **columns: Any) -> Vendor:
    models, by_model = columns.pop("models", ()), columns.pop("by_model", port is not None)
    openai = columns.pop("openai", False)
    return Vendor(title, hosts, path, port, msgspec.structs.replace(GENERIC, **columns), models, by_model, openai)


_OPENAI: dict[str, Any] = {
    "max_tokens_field": "max_completion_tokens",
    "efforts": EFFORTS,
    "replay": Replay.NEVER,
    "fields": KNOBS | OPENAI_FIELDS,
    "allowed_tools": True,
    "max_stop": 4,
}
_ELSEWHERE: dict[str, Any] = {
    "max_tokens_field": "max_tokens",
    "efforts": ("low", "medium", "high"),
    "replay": Replay.MODEL,
    "fields": KNOBS,
    "allowed_tools": False,
    "max_stop": None,
}
"""OpenAI's row turned back: other makers' models on Azure."""
_NO_LIMITS = KNOBS | {"top_k"}
_IMAGES = frozenset({"image", "image_url"})
_SOUND = _IMAGES | {"audio"}

VENDORS: dict[str, Vendor] = {
    "openai": _row("OpenAI", "api.openai.com", "*.api.openai.com", openai=True, **_OPENAI),
    "azure": _row(
        "Azure OpenAI and Foundry",
        "*.openai.azure.com",
        "*.services.ai.azure.com",
        "*.models.ai.azure.com",
        "*.cognitiveservices.azure.com",
        openai=True,
        models=(("deepseek|grok|[a-z]*stral|(?:meta-)?llama|phi|cohere|command|kimi|qwen", _ELSEWHERE),),
        **_OPENAI,
    ),
    "openrouter": _row(
        "OpenRouter",
        "openrouter.ai",
        "*.openrouter.ai",
        reasoning=Reasoning.OBJECT,
        efforts=EFFORTS[:-1],
        replay=Replay.LOOP,
        reasoning_field="reasoning",
        tool_content=ToolContent.IMAGE,
        fields=_NO_LIMITS | {"verbosity"},
        cache=Cache.MARK,
    ),
    "deepseek": _row(
        "DeepSeek",
        "api.deepseek.com",
        reasoning=Reasoning.THINKING,
        efforts=("low", "high", "max"),
        replay=Replay.LOOP,
        forced_thinks=False,
        tool_content=ToolContent.STRING,
        call_content=CallContent.EMPTY,
        fields=frozenset({"presence_penalty", "frequency_penalty", "logprobs", "stream_options"}),
        formats=frozenset({"json_object"}),
        media=frozenset(),
        max_stop=16,
    ),
    "groq": _row(
        "Groq",
        "api.groq.com",
        max_tokens_field="max_completion_tokens",
        reasoning_field="reasoning",
        tool_content=ToolContent.STRING,
        call_content=CallContent.ABSENT,
        fields=frozenset({"seed", "user", "parallel_tool_calls", "stream_options", "strict"}),
        media=_IMAGES,
        max_stop=4,
        models=(
            # It takes "none" and "default" for an effort; without the format its thoughts stand in the text.
            (r"qwen", {"efforts": ("none",), "extra": (("reasoning_format", "parsed"),)}),
            (r"(?!gpt-oss)", {"reasoning": Reasoning.NONE}),
        ),
    ),
    "mistral": _row(
        "Mistral",
        "api.mistral.ai",
        "codestral.mistral.ai",
        later_system=Later.MERGE,
        reasoning=Reasoning.NONE,
        replay=Replay.NEVER,
        tool_content=ToolContent.STRING,
        call_content=CallContent.EMPTY,
        tool_ids=ToolIds.MISTRAL,
        # Any other field is answered 422, "extra inputs are not permitted".
        fields=frozenset({"seed", "presence_penalty", "frequency_penalty", "parallel_tool_calls", "strict"}),
        seed_field="random_seed",
        media=_SOUND,
        models=((r"mistral-(?:small|medium)", {"reasoning": Reasoning.EFFORT, "efforts": ("none", "high")}),),
    ),
    "xai": _row(
        "xAI",
        "api.x.ai",
        "*.api.x.ai",
        efforts=("low", "high"),
        replay=Replay.NEVER,
        tool_content=ToolContent.STRING,
        call_content=CallContent.ABSENT,
        fields=KNOBS - {"logit_bias"},
        media=_IMAGES,
    ),
    "qwen": _row(
        "Qwen (DashScope)",
        "dashscope.aliyuncs.com",
        "dashscope-intl.aliyuncs.com",
        "dashscope-us.aliyuncs.com",
        "*.maas.aliyuncs.com",
        later_system=Later.MERGE,
        reasoning=Reasoning.ENABLE,
        efforts=(),
        forced_thinks=False,
        choices=frozenset({"auto", "none", "tool"}),
        tool_content=ToolContent.STRING,
        call_content=CallContent.EMPTY,
        fields=frozenset({"seed", "presence_penalty", "logprobs", "top_k", "parallel_tool_calls", "stream_options"}),
        media=_SOUND,
        cache=Cache.MARK,
    ),
    "moonshot": _row(
        "Moonshot (Kimi)",
        "api.moonshot.ai",
        "api.moonshot.cn",
        "api.kimi.com",
        max_tokens_field="max_completion_tokens",
        reasoning=Reasoning.THINKING,
        efforts=(),
        replay=Replay.LOOP,
        forced_thinks=False,
        tool_content=ToolContent.STRING,
        call_content=CallContent.EMPTY,
        fields=frozenset(
            {"presence_penalty", "frequency_penalty", "stream_options", "prompt_cache_key", "safety_identifier"}
        ),
        media=frozenset({"image"}),
        max_stop=5,
    ),
    "zai": _row(
        "z.ai (Zhipu)",
        "api.z.ai",
        "open.bigmodel.cn",
        reasoning=Reasoning.THINKING,
        efforts=(),
        replay=Replay.LOOP,
        choices=frozenset({"auto", "tool"}),
        tool_content=ToolContent.STRING,
        call_content=CallContent.EMPTY,
        fields=frozenset({"stream_options"}),
        formats=frozenset({"json_object"}),
        media=_IMAGES,
        max_stop=1,
    ),
    "together": _row(
        "Together",
        "api.together.xyz",
        "api.together.ai",
        reasoning_field="reasoning",
        # Its logprobs is a number.
        fields=_NO_LIMITS - {"user", "logprobs", "strict", "parallel_tool_calls"},
        media=_IMAGES,
    ),
    "fireworks": _row(
        "Fireworks",
        "api.fireworks.ai",
        efforts=("none", "low", "medium", "high"),
        fields=_NO_LIMITS,
        media=_IMAGES,
    ),
    "perplexity": _row(
        "Perplexity",
        "api.perplexity.ai",
        later_system=Later.USER,
        alternate=True,
        efforts=("minimal", "low", "medium", "high"),
        replay=Replay.NEVER,
        tools=False,
        fields=frozenset({"presence_penalty", "frequency_penalty", "top_k"}),
        formats=frozenset({"json_schema"}),
        media=_IMAGES,
    ),
    "vllm": _row(
        "vLLM",
        port=8000,
        later_system=Later.MERGE,
        reasoning=Reasoning.TEMPLATE,
        replay=Replay.LOOP,
        reasoning_field="reasoning",
        fields=_NO_LIMITS,
        media=_SOUND,
        # Mistral's own tokenizer has no template to give variables to.
        models=((r"[a-z]*stral", {"reasoning": Reasoning.NONE, "tool_ids": ToolIds.MISTRAL}),),
    ),
    "sglang": _row(
        "SGLang",
        port=30000,
        later_system=Later.MERGE,
        reasoning=Reasoning.TEMPLATE,
        replay=Replay.LOOP,
        fields=_NO_LIMITS,
        media=_SOUND,
        models=((r"[a-z]*stral", {"tool_ids": ToolIds.MISTRAL}),),
    ),
    "llamacpp": _row(
        "llama.cpp",
        port=8080,
        later_system=Later.MERGE,
        reasoning=Reasoning.TEMPLATE,
        replay=Replay.LOOP,
        # An object for tool_choice is taken for "auto".
        choices=frozenset({"auto", "none", "required"}),
        fields=_NO_LIMITS - {"user", "strict"},
        media=_SOUND,
    ),
    "lmstudio": _row(
        "LM Studio",
        port=1234,
        later_system=Later.MERGE,
        choices=frozenset({"auto", "none", "required"}),
        fields=_NO_LIMITS - {"user", "strict", "logprobs", "parallel_tool_calls"},
        formats=frozenset({"json_schema"}),
        media=frozenset({"image"}),
    ),
    "ollama": _row(
        "Ollama, its /v1",
        "ollama.com",
        port=11434,
        efforts=("none", "low", "medium", "high", "max"),
        replay=Replay.LOOP,
        reasoning_field="reasoning",
        choices=frozenset({"auto"}),
        tool_content=ToolContent.IMAGE,
        call_content=CallContent.EMPTY,
        fields=frozenset({"seed", "presence_penalty", "frequency_penalty", "logprobs", "stream_options"}),
        media=frozenset({"image"}),
    ),
    "gemini": _row(
        "Gemini, its OpenAI endpoint",
        "generativelanguage.googleapis.com",
        "*.aiplatform.googleapis.com",
        "aiplatform.googleapis.com",
        path="openai",
        later_system=Later.MERGE,
        efforts=("none", "minimal", "low", "medium", "high"),
        replay=Replay.NEVER,
        # Any other field is answered 400, "unknown name".
        fields=frozenset({"stream_options"}),
        media=_SOUND,
        max_stop=5,
    ),
    # Whatever else there is. It is what "" means as well.
    "generic": _row("any other", by_model=True),
}
"""Name to row. Detection reads it from top to bottom."""

_LOCAL = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1|0\.0\.0\.0|host\.docker\.internal")


def detect(host: str, port: int, path: str = "") -> str:
    """The vendor behind a base URL; ``generic`` where it is none of the table.

    ``host`` without brackets, ``path`` of the base URL. On one's own machine the port tells, as the servers choose it.
    """
    name = host.lower().rstrip(".")
    for vendor, row in VENDORS.items():
        if any(_is(name, known) for known in row.hosts) and row.path in path:
            return vendor
    if _LOCAL.fullmatch(name):
        return next((vendor for vendor, row in VENDORS.items() if row.port == port), "generic")
    return "generic"


def _is(host: str, known: str) -> bool:
    return host.endswith(known[1:]) if known.startswith("*") else host == known


# --- a row becomes a profile -----------------------------------------------------------------------------


MAX_KEPT_NAME = 200
"""Characters of a model's name whose profile is kept: longer ones are no names, and clients may send any."""


def profile(model: str, rules: ProviderRules = NO_RULES) -> Profile:
    """The profile of the backend that serves ``model``, the provider's name of it."""
    return _kept(model, rules) if len(model) <= MAX_KEPT_NAME else _profile(model, rules)


def _profile(model: str, rules: ProviderRules) -> Profile:
    found = capabilities.of(model, rules)
    row = VENDORS.get(rules.vendor, VENDORS["generic"])
    if row.by_model and found.openai:
        row = VENDORS["openai"]
    out = _of_model(row, model)
    if found.openai and row.openai:
        # The older ones of OpenAI's refuse the newer names.
        out = msgspec.structs.replace(
            out,
            max_tokens_field="max_completion_tokens" if found.newer else "max_tokens",
            system_role="developer" if found.newer else "system",
            cache=Cache.BREAKPOINT if found.breakpoints else Cache.NONE,
        )
    return _with(msgspec.structs.replace(out, **_thinking(out, found), model=found), rules.quirks)


# It depends on nothing else, and costs as much as all the rest of a small request. So many names has no gateway in use.
_kept = functools.lru_cache(maxsize=512)(_profile)


def _of_model(row: Vendor, model: str) -> Profile:
    name = opaque.family(model)
    for pattern, changes in row.models:
        if re.match(pattern, name):
            return msgspec.structs.replace(row.profile, **changes)
    return row.profile


def _thinking(row: Profile, found: capabilities.Capabilities) -> dict[str, Any]:
    """How this model is told to think on this server."""
    out: dict[str, Any] = {"restless": found.restless}
    if found.thinking is Thinking.NONE:
        out["reasoning"] = Reasoning.NONE
    elif row.reasoning is Reasoning.THINKING and found.thinking is Thinking.EFFORT:
        out |= {"reasoning": Reasoning.EFFORT, "efforts": found.efforts or ()}
    elif row.reasoning is not Reasoning.OBJECT and found.efforts is not None:
        # OpenRouter knows the models' words itself and takes them all.
        out["efforts"] = tuple(word for word in found.efforts if word in row.efforts)
    if found.restless:
        out["efforts"] = tuple(word for word in out.get("efforts", row.efforts) if word != "none")
    if row.replay is Replay.MODEL:
        out["replay"] = Replay.LOOP if found.replay else Replay.NEVER
    return out


def _with(found: Profile, quirks: Quirks) -> Profile:
    """The configuration's own words on top."""
    changes: dict[str, Any] = {
        "max_tokens_field": quirks.max_tokens_field,
        "reasoning": quirks.reasoning and Reasoning(quirks.reasoning),
        "replay": quirks.replay_reasoning and Replay(quirks.replay_reasoning),
        "reasoning_field": quirks.reasoning_field,
        "system_role": quirks.system_role,
        "later_system": quirks.later_system and Later(quirks.later_system),
        "tool_content": quirks.tool_content and ToolContent(quirks.tool_content),
        "tool_ids": quirks.tool_id and ToolIds(quirks.tool_id),
    }
    fields, formats, media = found.fields, found.formats, found.media
    for name in ("parallel_tool_calls", "stream_options", "strict"):
        fields = _set(fields, name, getattr(quirks, name))
    formats = _set(formats, "json_schema", quirks.json_schema)
    media = media if quirks.images is None else media | _IMAGES if quirks.images else media - _IMAGES
    given = {name: value for name, value in changes.items() if value is not None}
    return msgspec.structs.replace(found, **given, fields=fields, formats=formats, media=media)


def _set(names: frozenset[str], name: str, value: bool | None) -> frozenset[str]:
    return names if value is None else names | {name} if value else names - {name}
