"""translation.md A32 to A43: parameters of Messages clients, and counting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import DIALECTS
from ferryllm_proto.questions.count import CountTokens
from support.messages_client import (
    BYTES,
    IMAGE,
    OPENAI,
    TOOL,
    USER,
    ask,
    assistant,
    document,
    result,
    text,
    use,
    user,
)
from support.sent import Sent


def test_a32_the_limit_has_the_providers_name() -> None:
    assert ask("openai", model="gpt-5.4").body["max_completion_tokens"] == 4000
    assert ask("openai", model="llama-4").body["max_tokens"] == 4000
    assert ask("openai_responses").body["max_output_tokens"] == 4000
    least = Sent("anthropic", "openai_responses", {"model": "m", "max_tokens": 1, "messages": [USER]})
    assert least.body["max_output_tokens"] == 16
    assert least.lost("degraded max_tokens")


@pytest.mark.parametrize("backend", OPENAI)
def test_g5_warming_a_cache_without_an_answer_is_refused(backend: str) -> None:
    assert Sent("anthropic", backend, {"model": "m", "max_tokens": 0, "messages": [USER]}).refused == "max_tokens"


def test_a33_stops_are_a_list_or_refused() -> None:
    assert ask("openai", stop_sequences=["END"]).body["stop"] == ["END"]
    assert ask("openai_responses", stop_sequences=["END"]).refused == "stop_sequences"
    assert ask("openai", stop_sequences=list("abcde")).refused == "stop_sequences"
    assert ask("openai_responses", stop_sequences=[]).refused == ""


@pytest.mark.parametrize("backend", OPENAI)
def test_a34_models_that_refuse_sampling_do_not_get_it(backend: str) -> None:
    sent = ask(backend, temperature=0.70, top_p=0.5, top_k=3, model="gpt-5.4")
    assert not sent.body.keys() & {"temperature", "top_p", "top_k"}
    assert all(sent.lost(f"dropped {name}") for name in ("temperature", "top_p", "top_k"))
    other = ask(backend, temperature=0.70, top_p=0.5, top_k=3, model="llama-4")
    assert (other.body["temperature"], other.body["top_p"]) == (0.7, 0.5)
    assert other.losses == ["dropped top_k"]
    assert ask(backend, temperature=1, model="gpt-5.4").losses == []


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),  # the least that gpt-5.4 knows
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 20000}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "xhigh"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "xhigh"),  # the most
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
        ({"output_config": {"effort": "low"}}, "low"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({}, None),
    ],
)
def test_a35_thinking_is_effort(fields: dict[str, Any], effort: str | None) -> None:
    body = {"max_tokens": 64000, **fields}
    assert ask("openai", **body).body.get("reasoning_effort") == effort
    sent = ask("openai_responses", **body)
    assert sent.body.get("reasoning", {}).get("effort") == effort
    if "budget_tokens" in json.dumps(fields):
        assert sent.lost("thinking")


@pytest.mark.parametrize("backend", OPENAI)
def test_a35_more_budget_is_never_less_effort_and_a_budget_beside_an_effort_is_reported(backend: str) -> None:
    order = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

    def effort(budget: int) -> int:
        sent = ask(backend, max_tokens=99999, thinking={"type": "enabled", "budget_tokens": budget})
        return order.index(sent.body.get("reasoning_effort") or sent.body["reasoning"]["effort"])

    found = [effort(budget) for budget in range(0, 70000, 997)]
    assert found == sorted(found)
    both = ask(backend, thinking={"type": "enabled", "budget_tokens": 2000}, output_config={"effort": "high"})
    assert both.lost("thinking.budget_tokens")


def test_a35_b22_thoughts_are_shown_where_the_client_wants_them() -> None:
    sent = ask("openai_responses", thinking={"type": "adaptive"})
    assert sent.body["reasoning"]["summary"] == "auto"
    assert sent.body["include"] == ["reasoning.encrypted_content"]
    hidden = ask("openai_responses", thinking={"type": "adaptive", "display": "omitted"})
    assert "summary" not in hidden.body["reasoning"]
    off = ask("openai_responses", thinking={"type": "disabled"})
    assert "include" not in off.body
    assert "summary" not in off.body["reasoning"]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-chat-latest"])
@pytest.mark.parametrize("backend", OPENAI)
def test_a35_models_that_do_not_think_are_not_asked_to(backend: str, model: str) -> None:
    sent = ask(backend, thinking={"type": "adaptive"}, output_config={"effort": "high"}, model=model)
    assert not sent.body.keys() & {"reasoning", "reasoning_effort", "include"}
    assert sent.lost("dropped thinking")


OPEN = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"maximum": 1.0}}}
CLOSED = {**OPEN, "required": ["a", "b"], "additionalProperties": False}


@pytest.mark.parametrize("key", ["output_config", "output_format"])
@pytest.mark.parametrize("backend", OPENAI)
def test_a36_formats_bind_where_their_schema_can(backend: str, key: str) -> None:
    def ask_for(schema: Any) -> tuple[dict[str, Any], Sent]:
        format_ = {"type": "json_schema", "schema": schema}
        fields: dict[str, Any] = {key: {"format": format_} if key == "output_config" else format_}
        sent = ask(backend, **fields)
        found = sent.body["response_format"]["json_schema"] if backend == "openai" else sent.body["text"]["format"]
        return found, sent

    bound, sent = ask_for(CLOSED)
    assert (bound["strict"], bound["schema"]) == (True, CLOSED)
    assert sent.losses == []
    loose, sent = ask_for(OPEN)
    assert (loose["strict"], loose["schema"]) == (False, OPEN)
    assert sent.lost("degraded output_")


@pytest.mark.parametrize("backend", OPENAI)
def test_a37_a_long_user_id_becomes_the_same_short_one_every_time(backend: str) -> None:
    long_id = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "s" * 36})
    one, two = (ask(backend, metadata={"user_id": long_id}) for _ in range(2))
    assert one.body["user"] == two.body["user"]
    assert len(one.body["user"]) <= 64
    assert one.lost("metadata.user_id")
    assert ask(backend, metadata={"user_id": long_id + "x"}).body["user"] != one.body["user"]
    assert ask(backend, metadata={"user_id": "u1"}).body["user"] == "u1"


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("inference_geo", "eu"),
        ("container", "c"),
        ("mcp_servers", [{"type": "url", "name": "m", "url": "u"}]),
        ("context_management", {"edits": []}),
        ("speed", "fast"),
        ("fallbacks", ["x"]),
        ("diagnostics", {"previous_message_id": None}),
        ("cache_control", {"type": "ephemeral"}),
        ("zz_martian", 1),
    ],
)
def test_a38_a39_fields_without_a_counterpart_are_reported(backend: str, name: str, value: Any) -> None:
    sent = ask(backend, **{name: value})
    assert sent.losses == [f"dropped {name}"]
    assert name.encode() not in sent.raw
    assert ask(backend, **{name: None}).losses == []


@pytest.mark.parametrize("backend", OPENAI)
def test_a38_the_tier_in_the_providers_word(backend: str) -> None:
    assert ask(backend, service_tier="standard_only").body["service_tier"] == "default"
    assert ask(backend, service_tier="auto").body["service_tier"] == "auto"


@pytest.mark.parametrize("backend", OPENAI)
def test_a41_breakpoints_are_dropped_and_reported(backend: str) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    sent = ask(
        backend,
        user({**text("a"), **mark}),
        assistant({**use(), **mark}),
        user({**result(content=[{**text("r"), **mark}]), **mark}),
        system=[{**text("s"), **mark}],
        tools=[{**TOOL, **mark}],
    )
    assert b"cache_control" not in sent.raw
    assert sorted(loss for loss in sent.losses) == [
        "dropped messages[0].content[0].cache_control",
        "dropped messages[1].content[0].cache_control",
        "dropped messages[2].content[0].cache_control",
        "dropped messages[2].content[0].content[0].cache_control",
        "dropped system[0].cache_control",
        "dropped tools[0].cache_control",
    ]


def test_a43_counting_needs_no_limit_and_is_never_zero() -> None:
    count = CountTokens(entry="anthropic", backend="openai", model="claude-sonnet-4-5")
    body = {"model": "m", "messages": [user(text("hi"), IMAGE, document(BYTES))], "tools": [TOOL], "system": "s"}
    assert count.receive_request(json.dumps(body).encode()) is None
    assert count.head is not None
    assert ("x-ferryllm-estimate", "input_tokens") in count.head.headers
    assert json.loads(count.receive_eof())["input_tokens"] > 1000
    request = DIALECTS["anthropic"].decode_count(b'{"model":"m","messages":[{"role":"user","content":""}]}')
    assert request.max_output is None
