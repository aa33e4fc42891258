"""Pass-through: whole events leave at once, the cut one waits."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, Disposition, Loss, ir
from ferryllm_proto.loss import MAX_LOSS_HEADER
from ferryllm_proto.relay import MAX_WHOLE, Relay, answer_headers, client_headers, loss_header, passed_headers
from ferryllm_proto.sse import MAX_EVENT_SIZE


class Nothing:
    """A scanner that sees nothing."""

    usage: ir.Usage | None = None
    model: str | None = None
    finish: ir.FinishReason | None = None
    error: ir.Error | None = None
    complete = True
    last = False
    missing_end = b""

    def receive_data(self, data: bytes) -> bytes:
        return data

    def receive_eof(self) -> bytes:
        return b""

    def receive_whole(self, data: bytes) -> bytes:
        return data


def test_whole_events_leave_at_once_and_a_cut_one_waits() -> None:
    relay = Relay(Nothing(), stream=True)
    assert relay.receive_data(b"data: 1\n\n") == b"data: 1\n\n"
    assert relay.receive_data(b"data: 2\n\ndata: 3") == b"data: 2\n\n"
    assert relay.receive_data(b"4\n") == b""
    assert relay.receive_data(b"\n") == b"data: 34\n\n"
    assert relay.receive_data(b"\n\ndata: 5\n\n\n") == b"\n\ndata: 5\n\n\n"


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_an_end_cut_in_two_is_seen(end: bytes) -> None:
    whole = b"data: x" + end + b"data: y" + end
    for cut in range(len(whole) + 1):
        relay = Relay(Nothing(), stream=True)
        assert relay.receive_data(whole[:cut]) + relay.receive_data(whole[cut:]) == whole


@given(st.lists(st.sampled_from([b"\n", b"\r", b"data: a", b"\n\n", b"\r\n\r\n"])), st.lists(st.integers(0, 40)))
def test_g1_the_bytes_are_the_same_however_they_come(pieces: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(pieces)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    relay = Relay(Nothing(), stream=True)
    out = b"".join(relay.receive_data(whole[a:b]) for a, b in itertools.pairwise(edges))
    assert out + relay.receive_eof() == whole


def test_what_is_no_stream_is_not_held() -> None:
    assert Relay(Nothing(), stream=False).receive_data(b'{"a":') == b'{"a":'


def test_an_event_that_never_ends_is_let_through_at_the_limit() -> None:
    relay = Relay(Nothing(), stream=True)
    piece = b"x" * (1 << 20)
    out = b"".join(relay.receive_data(piece) for _ in range((MAX_EVENT_SIZE >> 20) + 1))
    assert len(out) > MAX_EVENT_SIZE


@pytest.mark.parametrize(
    ("rest", "torn"),
    [
        (b"", False),
        (b"data: [DONE]", False),
        (b"data: {}", False),
        (b": a comment", False),
        (b'data: {"a', True),
        (b'data: {"a":{"b":[]}', True),
        (b'data: {"a":[{"b":1}]', True),
        (b"dat", True),
    ],
)
def test_s6_an_end_inside_an_event_is_known(rest: bytes, torn: bool) -> None:
    relay = Relay(Nothing(), stream=True)
    relay.receive_data(b"data: 1\n\n" + rest)
    assert relay.receive_eof() == rest
    assert relay.torn is torn


NAMES = st.sampled_from(
    ["content-type", "Content-Type", "X-Request-Id", "request-id", "Retry-After", "x-ratelimit-a", "set-cookie", "date"]
)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["a", "b"])), max_size=6), st.booleans())
def test_a_head_is_read_by_its_names_and_shown_with_its_own_values(head: list[tuple[str, str]], lossy: bool) -> None:
    shown: list[tuple[str, str]] = []
    for name, value in head:
        lower = name.lower()
        if lower in ("x-request-id", "request-id"):
            lower = "x-upstream-request-id"
            if lower in dict(shown):
                continue
        elif lower not in ("retry-after", "x-ratelimit-a"):
            continue
        shown.append((lower, value))
    losses = [Loss("a", Disposition.DROPPED, "b")] if lossy else []
    told = [("x-ferryllm-loss", "dropped a")] if lossy else []
    assert client_headers(head) == shown
    kinds = [pair for pair in head if pair[0].lower() == "content-type"]
    assert list(passed_headers(head, "text/plain", losses)) == [
        *(kinds[:1] or [("content-type", "text/plain")]),
        *shown,
        *told,
    ]
    own = [("content-type", "x"), ("Retry-After", "7")]
    rest = [pair for pair in shown if pair[0] != "retry-after"]
    assert list(answer_headers(own, head, losses)) == [*own, *rest, *told]
    assert list(answer_headers(own[:1], head, losses)) == [*own[:1], *shown, *told]


def test_e12_only_headers_on_the_allow_list_reach_the_client() -> None:
    given_ = [
        ("Retry-After", "3"),
        ("X-RateLimit-Remaining-Tokens", "9"),
        ("anthropic-ratelimit-tokens-reset", "x"),
        ("X-Request-Id", "up"),
        ("set-cookie", "a"),
        ("access-control-allow-origin", "*"),
        ("content-length", "3"),
        ("server", "nginx"),
    ]
    assert client_headers(given_) == [
        ("retry-after", "3"),
        ("x-ratelimit-remaining-tokens", "9"),
        ("anthropic-ratelimit-tokens-reset", "x"),
        ("x-upstream-request-id", "up"),
    ]


START = b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"m"}}\n\n'
TEXT = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n'
)
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n'


def watched() -> Relay:
    return Relay(Nothing(), stream=True, decoder=DIALECTS["anthropic"].stream_decoder())


def test_t7_a_relay_has_begun_when_there_is_content() -> None:
    relay = watched()
    assert relay.receive_data(START) == START
    assert not relay.begun
    assert relay.receive_data(TEXT) == TEXT
    assert relay.begun
    relay.receive_data(ERROR)
    assert relay.failure is None


def test_t7_an_error_before_content_is_a_failure() -> None:
    relay = watched()
    relay.receive_data(START + ERROR)
    assert not relay.begun
    assert relay.failure is not None
    assert relay.failure.kind is ir.ErrorKind.OVERLOADED


def test_what_the_decoder_does_not_understand_passes() -> None:
    relay = watched()
    assert relay.receive_data(b"event: message_start\ndata: {bad\n\n") != b""
    assert relay.begun
    assert relay.failure is None


def test_e8_a_whole_body_waits_for_its_end_but_not_for_ever() -> None:
    relay = Relay(Nothing(), stream=False, decoder=DIALECTS["openai"].stream_decoder())
    relay.receive_data(b'{"error":null,')
    assert not relay.begun
    relay.receive_data(b" " * MAX_WHOLE)
    assert relay.begun


@pytest.mark.parametrize(("body", "torn"), [(b'{"a":1}', False), (b'{"a":1} \r\n', False), (b'{"a":', True)])
def test_t1_half_of_a_whole_body_is_torn(body: bytes, torn: bool) -> None:
    relay = Relay(Nothing(), stream=False, decoder=DIALECTS["openai"].stream_decoder())
    relay.receive_data(body)
    relay.receive_eof()
    assert relay.torn is torn


@pytest.mark.parametrize(
    ("rest", "out"),
    [(b"", b"END"), (b"data: {}", b"data: {}\n\nEND"), (b'data: {"a', b"END"), (b"data: {}\n", b"data: {}\n\n\nEND")],
)
def test_t3_what_the_provider_left_out_comes_behind_whole_events(rest: bytes, out: bytes) -> None:
    scanner = Nothing()
    scanner.missing_end = b"END"
    relay = Relay(scanner, stream=True)
    assert relay.receive_data(rest) == b""
    assert relay.receive_eof() == out


def test_g4_losses_become_a_header_of_pairs() -> None:
    losses = [Loss("top_k", Disposition.DROPPED, "why"), Loss("messages[0].é\r\nx: y,z", Disposition.DEGRADED, "why")]
    assert loss_header(losses) == "dropped top_k, degraded messages[0].???x: y?z"
    assert loss_header([]) == ""


def test_the_loss_header_has_a_limit() -> None:
    value = loss_header([Loss(f"messages[{n}].content[0].cache_control", Disposition.DROPPED, "") for n in range(500)])
    assert len(value) <= MAX_LOSS_HEADER
    assert value.endswith("and more")
