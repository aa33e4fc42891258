"""Bodies of ``/api/chat`` and ``/api/generate``."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.errors import RemoteProtocolError

from .build import request


def refused(path: str = "/api/chat", **fields: Any) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        request(path, **fields)
    assert caught.value.status_hint == 400
    return str(caught.value)


def test_n6_options_are_parameters() -> None:
    found = request(
        options={
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 40,
            "seed": 7,
            "num_predict": 100,
            "stop": ["a"],
            "presence_penalty": 1,
            "frequency_penalty": 2,
            "num_ctx": 8192,
            "mirostat": 1,
        },
        keep_alive="5m",
        truncate=False,
        logprobs=True,
        top_logprobs=3,
    )
    assert (found.temperature, found.top_p, found.top_k, found.seed, found.max_output) == (0.7, 0.9, 40, 7, 100)
    assert (found.stop, found.presence_penalty, found.frequency_penalty) == (("a",), 1, 2)
    assert (found.logprobs, found.top_logprobs) == (True, 3)
    assert found.ext == ir.Ext(
        "ollama",
        {"keep_alive": b'"5m"', "options.num_ctx": b"8192", "options.mirostat": b"1"},
    )
    assert (found.truncation, request(truncate=True).truncation, request().truncation) == ("disabled", "auto", None)
    assert found.wire_name("max_output") == "options.num_predict"
    assert found.wire_name("temperature") == "options.temperature"


@pytest.mark.parametrize(("value", "expected"), [(None, True), (True, True), (False, False)])
def test_a_stream_is_the_default(value: bool | None, expected: bool) -> None:
    fields: dict[str, Any] = {} if value is None else {"stream": value}
    assert request(**fields).stream is expected


@pytest.mark.parametrize("tokens", [-1, -2, 0])
def test_no_limit_is_no_limit(tokens: int) -> None:
    found = request(options={"num_predict": tokens})
    assert found.max_output is None
    assert found.ext == ir.Ext("ollama", {".num_predict": b"%d" % tokens})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, ir.ReasoningParams(ir.ThinkingMode.ON)),
        (False, ir.ReasoningParams(ir.ThinkingMode.OFF)),
        ("high", ir.ReasoningParams(effort="high")),
        ("max", ir.ReasoningParams(effort="max")),
        (None, None),
    ],
)
def test_think(value: object, expected: ir.ReasoningParams | None) -> None:
    assert request(think=value).reasoning == expected


def test_format() -> None:
    assert request(format="json").format == ir.Format(ir.FormatKind.JSON_OBJECT)
    assert request(format={"type": "object"}).format == ir.Format(
        ir.FormatKind.JSON_SCHEMA, schema=b'{"type": "object"}'
    )
    assert request(format=None).format is None
    assert request(format="").ext == ir.Ext("ollama", {".format": b'""'})


def test_tools() -> None:
    found = request(
        tools=[
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
            },
            {"function": {"name": "g"}, "items": {}},
            {"type": "web_search"},
        ]
    )
    assert found.tools == (
        ir.Function(
            "f", "d", b'{"type": "object"}', path="tools[0]", ext=ir.Ext("ollama", {"function.strict": b"true"})
        ),
        ir.Function("g", path="tools[1]", ext=ir.Ext("ollama", {"items": b"{}"})),
        ir.HostedTool("ollama", "web_search", b'{"type": "web_search"}', path="tools[2]"),
    )


def test_the_thin_form() -> None:
    found = request(
        "/api/generate/?x=1",
        prompt="p",
        system="s",
        images=["QUJD"],
        think=True,
        options={"seed": 1},
        suffix="x",
        raw=True,
    )
    assert found.system == (ir.Text("s", path="system"),)
    (turn,) = found.turns
    assert [part.path for part in turn.parts] == ["images[0]", "prompt"]
    assert (found.seed, found.stream, found.wire_name("turns")) == (1, True, "prompt")
    assert found.ext == ir.Ext("ollama", {"suffix": b'"x"', "raw": b"true"})


def test_an_empty_prompt_is_no_turn() -> None:
    assert request("/api/generate").turns == request("/api/generate", prompt="").turns == ()
    assert request("/api/generate", system="").ext == ir.Ext("ollama", {".prompt": b"null", ".system": b'""'})


@pytest.mark.parametrize(
    ("field", "value"),
    [("suffix", "x"), ("raw", True), ("context", [1, 2]), ("template", "{{ .Prompt }}"), ("width", 512)],
)
@pytest.mark.parametrize("backend", ["openai", "openai_responses"])
def test_g5_what_makes_another_answer_is_refused_elsewhere(field: str, value: object, backend: str) -> None:
    found = request("/api/generate", prompt="p", **{field: value})
    with pytest.raises(RemoteProtocolError, match=field):
        DIALECTS[backend].encode_request(found)


@pytest.mark.parametrize(("field", "value"), [("suffix", ""), ("raw", False), ("context", []), ("template", "")])
def test_what_asks_for_nothing_is_no_loss(field: str, value: object) -> None:
    found = request("/api/generate", prompt="p", **{field: value})
    assert DIALECTS["openai"].encode_request(found)[1] == []


def test_what_is_wrong_is_refused_with_its_place() -> None:
    assert refused(model="") == "model is required"
    assert refused(model=3) == "model: expected string, got integer"
    assert refused(stream="yes").startswith("stream: expected boolean")
    assert refused(options=[]).startswith("options: expected object")
    assert refused(options={"temperature": "hot"}).startswith("options.temperature: expected number")
    assert refused(options={"stop": "a"}).startswith("options.stop: expected array")
    assert refused(format="yaml") == "format: expected \"json\" or a JSON schema, found 'yaml'"
    assert refused(format=3) == 'format: expected "json" or a JSON schema, found number'
    assert refused(think="hard") == "think: expected true, false, low, medium, high, max, found 'hard'"
    assert refused(think=[]) == "think: expected true, false, low, medium, high, max, found array"
    assert refused(tools=[{"type": "function"}]) == "tools[0].function: this field is required"
    assert refused(tools=[{"function": {"name": "f", "parameters": 1}}]) == (
        "tools[0].function.parameters: expected an object, found number"
    )
    assert refused("/api/generate", prompt=["p"]).startswith("prompt: expected string")


def test_peek_reads_the_model_and_the_default() -> None:
    assert DIALECT.peek(b'{"model":"m"}') == ("m", True)
    assert DIALECT.peek(b'{"model":"m","stream":false,"x":{}}') == ("m", False)
    with pytest.raises(RemoteProtocolError, match="model is required"):
        DIALECT.peek(b"{}")
