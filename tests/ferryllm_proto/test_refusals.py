"""The gateway's own errors: a sentence that helps, within bounds, whatever the client sent."""

from __future__ import annotations

import pytest

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.entries import NoEntry, find
from ferryllm_proto.refusals import no_entry, too_large, unknown_model


def test_a_wrong_method_names_the_right_ones() -> None:
    entry = find("GET", "/v1/messages", ())
    assert isinstance(entry, NoEntry)
    error = no_entry("GET", "/v1/messages", entry)
    assert error.kind is ir.ErrorKind.METHOD
    assert error.message == "GET is not possible here; use POST"
    both = find("DELETE", "/v1/responses", ())
    assert isinstance(both, NoEntry)
    assert no_entry("DELETE", "/v1/responses", both).message.endswith("use POST or GET or HEAD")


def test_an_unknown_path_names_the_doors_and_not_itself() -> None:
    path = "/v1/secret-" + "x" * 10_000
    error = no_entry("POST", path, NoEntry("openai"))
    assert (error.kind, error.code) == (ir.ErrorKind.NOT_FOUND, "not_found")
    assert "secret" not in error.message
    doors = (
        "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/responses/input_tokens", "/v1/messages",
        "/v1/messages/count_tokens", "/v1/embeddings", "/v1/models", "/api/chat", "/api/generate", "/api/embed",
    )  # fmt: skip
    for door in doors:
        assert door in error.message
        bare = door if door == "/v1/models" else "POST " + door
        assert not isinstance(find("GET" if bare == door else "POST", door, ()), NoEntry), "each of them is there"


def test_an_unknown_model_is_named_with_where_to_look() -> None:
    error = unknown_model("gpt-9")
    assert (error.kind, error.param, error.code) == (ir.ErrorKind.NOT_FOUND, "model", "model_not_found")
    assert "'gpt-9'" in error.message
    assert "GET /v1/models" in error.message


@pytest.mark.parametrize("model", ["x" * 101, "x" * 10_000_000])
def test_a_long_name_is_cut(model: str) -> None:
    message = unknown_model(model).message
    assert "x" * 100 + "..." in message
    assert len(message) < 250


def test_a_name_of_just_the_length_is_not_cut() -> None:
    assert "..." not in unknown_model("x" * 100).message


@pytest.mark.parametrize("model", ["a\r\nb", "a\x00b", "\u202egpj", "\ud800", "a'b\"c", ""])
@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_hostile_names_make_a_well_formed_error(model: str, dialect: str) -> None:
    error = unknown_model(model)
    assert error.message.isprintable(), "no control character or bidirectional override gets into a log or a terminal"
    head, body = DIALECTS[dialect].encode_error(error)
    assert head.status == 404
    assert body.decode().isprintable()


def test_too_large_names_the_limit_and_its_key() -> None:
    error = too_large(1234)
    assert error.kind is ir.ErrorKind.TOO_LARGE
    assert "1234 bytes" in error.message
    assert "body_limit_mb" in error.message
