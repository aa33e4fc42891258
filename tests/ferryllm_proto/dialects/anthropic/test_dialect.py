"""The dialect as a whole: what the registry and the gateway see of it."""

from __future__ import annotations

from ferryllm_proto import ir
from ferryllm_proto.dialect import Dialect
from ferryllm_proto.dialects.anthropic import DIALECT


def test_it_says_who_it_is() -> None:
    assert isinstance(DIALECT, Dialect)
    assert (DIALECT.name, DIALECT.provider, DIALECT.request_path) == ("anthropic", "anthropic", "/v1/messages")
    assert DIALECT.wants_estimate is True


def test_e13_beta_flags_are_one_list_in_the_clients_order() -> None:
    headers = (
        ("Anthropic-Beta", "b, a"),
        ("anthropic-beta", "a,c,"),
        ("anthropic-version", "2026-10-21"),
        ("x-api-key", "secret"),
        ("cookie", "c"),
    )
    assert DIALECT.forwarded(headers) == (
        ("content-type", "application/json"),
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "b,a,c"),
    )


def test_a_version_is_always_sent() -> None:
    assert DIALECT.forwarded(()) == (("content-type", "application/json"), ("anthropic-version", "2023-06-01"))


def test_a43_counting() -> None:
    request = DIALECT.decode_count(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')
    assert isinstance(request, ir.Request)
    assert DIALECT.decode_count_answer(DIALECT.encode_count(12)) == 12
    assert DIALECT.encode_count(12) == b'{"input_tokens":12}'


def test_pass_through_peeks_at_the_model() -> None:
    assert DIALECT.peek(b'{"model":"m","stream":true,"messages":[{"deep":[]}]}') == ("m", True)
