from __future__ import annotations

import pytest

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.dialect import Answer, Dialect
from ferryllm_proto.errors import RemoteProtocolError


@pytest.mark.parametrize(("asked", "shown"), [(None, False), (False, False), (True, True)])
def test_u6_a_client_sees_the_usage_chunk_only_when_it_asked(asked: bool | None, shown: bool) -> None:
    assert Answer(request=ir.Request("openai", "m", include_usage=asked)).include_usage is shown


def test_u6_without_a_request_usage_is_shown() -> None:
    assert Answer().include_usage


def test_a_dialect_has_both_halves() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Dialect()  # type: ignore[abstract]  # that it is refused is what is tested


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (b'{"model":"m"}', ("m", False)),
        (b'{"model":"m","stream":null}', ("m", False)),
        (b'{"stream":true,"x":[{}],"model":"m"}', ("m", True)),
    ],
)
def test_peek_reads_the_model_and_the_stream_flag_alone(body: bytes, seen: tuple[str, bool]) -> None:
    assert DIALECTS["openai"].peek(body) == seen


@pytest.mark.parametrize(
    ("body", "param"), [(b"{}", "model"), (b'{"model":""}', "model"), (b'{"model":1}', "model"), (b"[]", None)]
)
def test_peek_names_what_is_missing(body: bytes, param: str | None) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        DIALECTS["openai"].peek(body)
    assert caught.value.error.param == param


def test_e12_e13_only_headers_that_mean_something_are_forwarded() -> None:
    dialect = DIALECTS["anthropic"]
    fixed = {name for name, _ in dialect.fixed_headers}
    plain = dict(dialect.forwarded([("Authorization", "Bearer secret"), ("Cookie", "a=b"), ("X-Api-Key", "secret")]))
    assert set(plain) == {"content-type", *fixed}
    for name in dialect.forwarded_headers:
        assert dict(dialect.forwarded([(name.upper(), "own")]))[name] == "own"


def test_what_is_asked_of_a_stream_goes_without_the_request() -> None:
    request = ir.Request("m", "openai", include_usage=True)
    answer = Answer("m", 5, 7, request, 9, "/path", kept=True, kept_upstream=True)
    assert answer.asked() == Answer("m", 5, 7, None, 9, "/path", kept=True, kept_upstream=True)
