"""Every field the official SDKs can send is decided by the table; what no SDK has is marked as an extension.

A newer SDK with another field fails here and names it: decide it in `ferryllm_proto.fields`.
"""

from __future__ import annotations

import re
from typing import Any

import ollama._types as ollama_types
import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_create_params
from google.genai import types as gemini_types
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from ferryllm_proto.fields import TABLE, Row
from support.oracles import OLD_GOOGLE
from support.sdk_fields import Fields

_HEADERS = {"anthropic": {"betas", "user_profile_id", "workspace_id"}}
"""Arguments of an SDK that are no fields of the body."""


def _pattern(row: Row) -> str:
    return re.escape(row.path).replace(r"\*", r"[^\])]*")


class Decisions:
    """Whether the table decides a path: a row is of it, or of what it is in and no other row looks into that."""

    def __init__(self, dialect: str) -> None:
        paths = {row.path: _pattern(row) for row in TABLE[dialect]}
        self._headers = _HEADERS.get(dialect, set())
        self.exact = {path: re.compile(pattern) for path, pattern in paths.items()}
        whole = [path for path in paths if not any(other != path and _is_in(other, path) for other in paths)]
        self._whole = [re.compile(rf"{paths[path]}(?:$|[.\[(])") for path in whole]

    def __call__(self, path: str) -> bool:
        return path in self._headers or any(pattern.match(path) for pattern in self._whole)

    def has(self, path: str) -> bool:
        return any(pattern.fullmatch(path) for pattern in self.exact.values())


def _is_in(path: str, outer: str) -> bool:
    return path.startswith(outer) and path[len(outer) :][:1] in (".", "[", "(")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


SDKS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "openai": (
        [
            completion_create_params.CompletionCreateParamsNonStreaming,
            completion_create_params.CompletionCreateParamsStreaming,
        ],
        {},
    ),
    "openai_responses": (
        [response_create_params.ResponseCreateParamsNonStreaming, response_create_params.ResponseCreateParamsStreaming],
        {},
    ),
    "anthropic": (
        [
            message_create_params.MessageCreateParamsNonStreaming,
            message_create_params.MessageCreateParamsStreaming,
            beta_create_params.MessageCreateParamsNonStreaming,
        ],
        {"untagged": ("messages[]",)},
    ),
    "gemini": ([], {"untagged": ("contents[]",), "alias": _camel}),
    "ollama": ([ollama_types.ChatRequest, ollama_types.GenerateRequest], {"untagged": ("messages[]",)}),
}


def walked(dialect: str) -> tuple[Fields, Decisions]:
    decisions = Decisions(dialect)
    kinds, options = SDKS[dialect]
    fields = Fields(decisions, **options)
    for kind in kinds:
        fields.walk(kind)
    if dialect == "gemini":
        _walk_gemini(fields)
    return fields, decisions


_AT_TOP = {"cached_content", "labels", "model_armor_config", "safety_settings", "service_tier", "store", "tool_config"}
"""Settings of the SDK's one object that stand beside ``generationConfig`` in the body."""
_OF_THE_SDK = {
    "automatic_continuation",
    "automatic_function_calling",
    "continuation_token",
    "generation_output_config",
    "http_options",
    "should_return_http_response",
}
"""What the SDK does itself and never sends."""
_WALKED = {"system_instruction", "tools"}


def _walk_gemini(fields: Fields) -> None:
    """The SDK has one object for all settings, and its own arguments among them."""
    fields.walk(list[gemini_types.Content], "contents")
    fields.walk(str, "systemInstruction.role")
    fields.walk(str, "systemInstruction.parts[].text")  # instructions are text alone, whatever the type says
    fields.walk(list[gemini_types.Tool], "tools")
    fields.walk(gemini_types.GenerationConfig, "generationConfig")
    for name, field in gemini_types.GenerateContentConfig.model_fields.items():
        if name not in _OF_THE_SDK | _WALKED:
            fields.walk(field.annotation, _camel(name) if name in _AT_TOP else f"generationConfig.{_camel(name)}")


@pytest.mark.parametrize("dialect", SDKS)
def test_g3_every_field_of_the_sdk_is_decided(dialect: str) -> None:
    fields, decisions = walked(dialect)
    assert sorted(path for path in fields.undecided if not decisions.has(path)) == []


@pytest.mark.parametrize("dialect", SDKS)
def test_a_field_no_sdk_has_is_marked_as_an_extension(dialect: str) -> None:
    if dialect == "gemini" and OLD_GOOGLE:
        pytest.skip("the SDK of Python 3.10 has not got the newest fields")
    fields, decisions = walked(dialect)
    for row in TABLE[dialect]:
        if row.extension and row.when:  # a vendor's value of a field
            continue
        pattern = decisions.exact[row.path]
        known = any(pattern.fullmatch(path) for path in fields.seen)
        assert known is not row.extension, row.path


def test_a_field_nobody_decided_is_named() -> None:
    fields = Fields(lambda path: path == "model")
    fields.walk(completion_create_params.CompletionCreateParamsNonStreaming)
    assert {"seed", "tools[function].function.strict", "stop", "response_format(text)"} <= fields.undecided
    assert "model" in fields.seen
    assert "model" not in fields.undecided
