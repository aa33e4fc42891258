"""Whole answers for a client; that they equal streams is shown beside the stream encoder."""

from __future__ import annotations

import json

from ferryllm_proto import ir
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.loss import Report

from .build import SECONDS, paths


def test_w2_an_answer() -> None:
    found = ir.Response(
        "x", "gpt", (ir.Text("a"), ir.ToolCall("", "f", '{"b":1, "a":2.0}')), usage=ir.Usage(1, output=2)
    )
    body = DIALECT.encode_response(found, Answer(model="alias", created=SECONDS, seed=3))
    assert b'"arguments":{"b":1, "a":2.0}' in body
    value = json.loads(body)
    assert value["model"] == "alias"
    assert value["created_at"] == "2026-11-21T06:39:02Z"
    assert value["message"]["tool_calls"][0]["id"].startswith("call_")
    assert (value["done"], value["done_reason"], value["prompt_eval_count"], value["eval_count"]) == (
        True,
        "stop",
        1,
        2,
    )


def test_g9_minted_ids_depend_on_the_seed_alone() -> None:
    found = ir.Response("x", "m", (ir.ToolCall("", "f", ""), ir.ToolCall("", "f", "")))
    one, two, other = (DIALECT.encode_response(found, Answer(seed=seed)) for seed in (1, 1, 2))
    assert one == two != other
    calls = json.loads(one)["message"]["tool_calls"]
    assert calls[0]["id"] != calls[1]["id"]


def test_the_thin_form_follows_the_path() -> None:
    value = json.loads(DIALECT.encode_response(ir.Response("x", "m", (ir.Text("a"),)), Answer(path="/api/generate")))
    assert value["response"] == "a"
    assert "message" not in value


def test_u11_what_is_unknown_is_left_out() -> None:
    value = json.loads(DIALECT.encode_response(ir.Response("x", "m", usage=ir.Usage(output=2))))
    assert "prompt_eval_count" not in value
    assert value["eval_count"] == 2


def test_parts_without_a_place_are_reported() -> None:
    report = Report()
    image = ir.Image(ir.Source(ir.SourceKind.BASE64, "QUJD"))
    DIALECT.encode_response(ir.Response("x", "m", (image,)), Answer(), report)
    assert paths(report.losses) == [("dropped", "content.image")]


def test_the_time_of_the_provider_wins() -> None:
    value = json.loads(DIALECT.encode_response(ir.Response("x", "m", created=0), Answer(created=SECONDS)))
    assert value["created_at"] == "1970-01-01T00:00:00Z"
