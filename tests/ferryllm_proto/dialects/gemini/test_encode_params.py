from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.errors import RemoteProtocolError

from .build import NEW, OLD, encoded, foreign, paths

T = ir.ThinkingMode
PRO3 = "gemini-3-pro-preview"
PRO25 = "gemini-2.5-pro"


def _config(model: str = OLD, **fields: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    body, losses = encoded(foreign(model=model, **fields))
    return body.get("generationConfig", {}), paths(losses)


def test_sampling() -> None:
    config, losses = _config(
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=0,
        stop=("a",),
        max_output=5,
    )
    assert config == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 3,
        "seed": 7,
        "presencePenalty": 0.5,
        "stopSequences": ["a"],
        "maxOutputTokens": 5,
    }
    assert losses == []


def test_values_out_of_range_are_fitted_and_said() -> None:
    config, losses = _config(temperature=3, seed=2**40 + 5, max_output=10**6)
    assert config == {"temperature": 2, "seed": 5, "maxOutputTokens": 65_536}
    assert losses == [("degraded", "temperature"), ("degraded", "seed"), ("degraded", "max_tokens")]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"stop": tuple("abcdef")}, "stop"),
        ({"n": 2}, "n"),
        ({"max_output": 0}, "max_tokens"),
        ({"previous_id": "r"}, "previous_id"),
        ({"conversation": b'"c"'}, "conversation"),
        ({"background": True}, "background"),
    ],
)
def test_g5_contracts_are_refused(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"^{name}: ") as caught:
        _config(**fields)
    assert caught.value.error.code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logit_bias", b"{}"),
        ("verbosity", "low"),
        ("cache_key", "k"),
        ("cache_retention", "24h"),
        ("metadata", b"{}"),
        ("user", "u"),
        ("safety_id", "s"),
        ("store", True),
        ("truncation", "auto"),
    ],
)
def test_g5_knobs_are_dropped_and_reported(field: str, value: Any) -> None:
    assert _config(**{field: value}) == ({}, [("dropped", field)])


def test_parallel_and_include() -> None:
    _, losses = _config(parallel=False, tools=(ir.Function("f"),), include=("reasoning.encrypted_content", "x"))
    assert losses == [("dropped", "parallel"), ("dropped", "include[1]")]
    assert _config(parallel=False)[1] == []


def test_probabilities_are_asked_for() -> None:
    assert _config(logprobs=True, top_logprobs=2) == ({"responseLogprobs": True, "logprobs": 2}, [])
    assert _config(logprobs=False) == ({}, [])


def test_structured_output() -> None:
    schema = b'{"type":"object","properties":{"a":{"const":"x"}},"additionalProperties":false}'
    format_ = ir.Format(ir.FormatKind.JSON_SCHEMA, name="n", schema=schema, strict=True)
    config, losses = _config(format=format_)
    assert config == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {"a": {"enum": ["x"]}},
            "additionalProperties": False,
        },
    }
    assert losses == [("dropped", "response_format.name")]
    config, _ = _config("gemini-1.5-pro", format=format_)
    assert set(config) == {"responseMimeType", "responseSchema"}
    assert _config(format=ir.Format(ir.FormatKind.JSON_OBJECT))[0] == {"responseMimeType": "application/json"}
    assert _config(format=ir.Format(ir.FormatKind.TEXT)) == ({}, [])


@pytest.mark.parametrize(
    ("model", "params", "config", "lost"),
    [
        (NEW, ir.ReasoningParams(effort="low"), {"thinkingLevel": "LOW"}, []),
        (NEW, ir.ReasoningParams(effort="none"), {"thinkingLevel": "MINIMAL"}, ["reasoning_effort"]),
        (NEW, ir.ReasoningParams(T.OFF), {"thinkingLevel": "MINIMAL"}, ["reasoning_effort"]),
        (NEW, ir.ReasoningParams(effort="max"), {"thinkingLevel": "HIGH"}, ["reasoning_effort"]),
        (PRO3, ir.ReasoningParams(effort="medium"), {"thinkingLevel": "LOW"}, ["reasoning_effort"]),
        (
            NEW,
            ir.ReasoningParams(T.ON, budget=20_000),
            {"thinkingLevel": "HIGH", "includeThoughts": True},
            ["reasoning_effort"],
        ),
        (OLD, ir.ReasoningParams(effort="low"), {"thinkingBudget": 4096}, []),
        (OLD, ir.ReasoningParams(effort="max"), {"thinkingBudget": 24_576}, []),
        (OLD, ir.ReasoningParams(effort="none"), {"thinkingBudget": 0}, []),
        (PRO25, ir.ReasoningParams(T.OFF), {"thinkingBudget": 128}, ["reasoning_effort"]),
        (
            OLD,
            ir.ReasoningParams(T.ON, budget=99_999),
            {"thinkingBudget": 24_576, "includeThoughts": True},
            ["reasoning_effort"],
        ),
        (OLD, ir.ReasoningParams(T.ADAPTIVE), {"thinkingBudget": -1, "includeThoughts": True}, []),
        (OLD, ir.ReasoningParams(show="omitted", effort="low"), {"thinkingBudget": 4096, "includeThoughts": False}, []),
        (OLD, ir.ReasoningParams(show="summary"), {"includeThoughts": True}, []),
        ("gemini-2.0-flash", ir.ReasoningParams(effort="low"), None, ["reasoning_effort"]),
        ("gemini-2.0-flash", ir.ReasoningParams(T.OFF), None, []),
        ("gemma-3", ir.ReasoningParams(effort="low"), None, ["reasoning_effort"]),
    ],
)
def test_a35_thinking(model: str, params: ir.ReasoningParams, config: object, lost: list[str]) -> None:
    found, losses = _config(model, reasoning=params)
    assert found.get("thinkingConfig") == config
    assert [path for _, path in losses] == lost


def test_tiers() -> None:
    for tier, sent in (("auto", None), ("default", None), ("flex", "flex"), ("priority", "priority"), ("scale", None)):
        body, losses = encoded(foreign(service_tier=tier))
        assert body.get("serviceTier") == sent
        assert bool(losses) == (tier == "scale")
