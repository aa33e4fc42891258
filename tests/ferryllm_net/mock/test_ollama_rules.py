"""Ollama, strictly: what is refused and what is not."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.mock.complaint import Complaint
from ferryllm_net.mock.ollama_rules import check
from support.recorded import cases

from .json_values import damaged

USER: dict[str, Any] = {"role": "user", "content": "hi"}
CALLS: dict[str, Any] = {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "parameters": {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": ["string", "null"], "enum": ["x"], "anyOf": [{"type": "string"}]}},
        },
    },
}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages or (USER,)), **fields}


def tool(**parameters: Any) -> dict[str, Any]:
    return body(tools=[{"function": {"name": "f", "parameters": parameters}}])


def thin(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "prompt": "hi", **fields}


@pytest.mark.parametrize(
    "asked",
    [
        body(),
        {"model": "m"},
        body(stream=None, options=None, format=None, tools=None, new=1),
        body(USER, CALLS, {"role": "tool", "content": "r", "tool_name": "f"}, tools=[TOOL]),
        body({"role": "SYSTEM", "content": None}, {**USER, "images": ["QUJD", ""]}),
        body(options={"temperature": 1, "seed": 3.0, "stop": [], "num_ctx": None, "unknown": {}}),
        body(format={}, think=True, keep_alive=-1, logprobs=True, top_logprobs=20),
        body(format="", think=False, keep_alive="1h30m"),
        {**body(think="max"), "model": "gpt-oss:20b"},
        tool(),
        tool(type="object", properties={"a": {"minimum": 3}}, additionalProperties=False),
    ],
)
def test_good_requests_pass(asked: dict[str, Any]) -> None:
    check(asked)


@pytest.mark.parametrize("asked", [thin(), {"model": "m"}, thin(system="s", images=["QUJD"], raw=False, suffix="x")])
def test_good_prompts_pass(asked: dict[str, Any]) -> None:
    check(asked, generate=True)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"messages": [USER]}, "model is required"),
        ({"model": 3}, "json: cannot unmarshal number into Go struct field ChatRequest.model of type string"),
        (body(stream="true"), "cannot unmarshal string into Go struct field ChatRequest.stream of type boolean"),
        (
            {"model": "m", "messages": {}},
            "cannot unmarshal object into Go struct field ChatRequest.messages of type array",
        ),
        (body({"role": "user", "content": [{"type": "text"}]}), "cannot unmarshal array into"),
        (body({"role": "developer", "content": "x"}), "invalid role: 'developer'"),
        (body({**USER, "images": ["data:image/png;base64,QUJD"]}), "illegal base64 data at input byte 4"),
        (body({**USER, "images": ["QUJ"]}), "illegal base64 data at input byte 3"),
        (body({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}), "arguments"),
        (tool(type=["object", "null"]), "parameters.type of type string"),
        (tool(required="a"), "parameters.required of type array"),
        (tool(properties={"a": True}), "parameters.properties of type object"),
        (tool(properties={"a": {"enum": "x"}}), "enum of type array"),
        (tool(properties={"a": {"anyOf": [1]}}), "anyOf of type object"),
        (body(options=[]), "options of type object"),
        (body(options={"temperature": "0.5"}), 'option "temperature" must be of type float32'),
        (body(options={"num_ctx": "9"}), 'option "num_ctx" must be of type integer'),
        (body(options={"stop": "x"}), 'option "stop" must be of type array'),
        (body(options={"stop": [1]}), 'option "stop" must be of type array'),
        (body(keep_alive="soon"), 'time: invalid duration "soon"'),
        (body(keep_alive=[]), "unsupported type: 'array'"),
        (body(think="hard"), 'invalid think value: "hard"'),
        (body(think=3), 'invalid think value: "number"'),
        (body(think="low"), 'think value "low" is not supported for this model'),
        (body(format="yaml"), "invalid format: 'yaml'"),
        (body(format=[]), "invalid format: "),
        (body(top_logprobs=21), "top_logprobs must be between 0 and 20"),
    ],
)
def test_bad_requests_are_refused_in_the_servers_words(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(Complaint) as raised:
        check(asked)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (thin(prompt=[]), "GenerateRequest.prompt"),
        (thin(raw=1), "GenerateRequest.raw"),
        (thin(images=[3]), "GenerateRequest.images"),
        (thin(raw=True, system="s"), "raw mode does not support"),
    ],
)
def test_bad_prompts_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(Complaint) as raised:
        check(asked, generate=True)
    assert words in str(raised.value)


@pytest.mark.recorded
def test_recorded_requests_that_were_accepted_pass() -> None:
    found = [case["request"] for case in cases("ollama") if case["status"] == 200]
    assert found
    for request in found:
        check(request)


@given(st.data(), st.booleans())
def test_damaged_requests_are_refused_or_pass(data: st.DataObject, generate: bool) -> None:
    good = body({**USER, "images": ["QUJD"]}, CALLS, tools=[TOOL], options={"stop": ["x"], "seed": 1}, keep_alive=1)
    good |= thin(system="s", raw=False, think=True, format={})
    with contextlib.suppress(Complaint):
        check(data.draw(damaged(good)), generate=generate)
