"""Offers of permessage-deflate that are taken or left, and what it undoes."""

from __future__ import annotations

import zlib

import pytest
from wsproto.frame_protocol import CloseReason, FrameDecoder, Opcode, RsvBits

from ferryllm_net.http.deflate import Deflate, negotiate

RSV1 = RsvBits(True, False, False)
NONE = RsvBits(False, False, False)
DECODER = FrameDecoder(client=False)


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        (["permessage-deflate"], "permessage-deflate"),
        (["Permessage-Deflate; client_max_window_bits"], "permessage-deflate"),
        (["permessage-deflate; client_max_window_bits=10"], "permessage-deflate"),
        (["permessage-deflate;server_max_window_bits=8"], "permessage-deflate; server_max_window_bits=8"),
        (['permessage-deflate; server_max_window_bits="15"'], "permessage-deflate; server_max_window_bits=15"),
        (
            ["permessage-deflate; client_no_context_takeover; server_no_context_takeover"],
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (["x-other, permessage-deflate; nonsense", "permessage-deflate"], "permessage-deflate"),
        ([], None),
        (["x-webkit-deflate-frame"], None),
        (["permessage-deflate; server_max_window_bits"], None),
        (["permessage-deflate; server_max_window_bits=7"], None),
        (["permessage-deflate; server_max_window_bits=16"], None),
        (["permessage-deflate; server_max_window_bits=08"], None),
        (["permessage-deflate; client_max_window_bits=x"], None),
        (["permessage-deflate; client_no_context_takeover=1"], None),
        (["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], None),
        (["permessage-deflate; unknown"], None),
        (["permessage-deflate;"], None),
        ([", ".join(["x"] * 8 + ["permessage-deflate"])], None),
    ],
)
def test_the_first_offer_that_is_understood_is_taken(offers: list[str], answer: str | None) -> None:
    taken = negotiate(offers, 10)
    assert (taken.answer if taken is not None else None) == answer


def read(deflate: Deflate, payload: bytes, *, rsv: RsvBits = RSV1, opcode: Opcode = Opcode.TEXT) -> bytes | CloseReason:
    """One frame that is a whole message."""
    header = deflate.frame_inbound_header(DECODER, opcode, rsv, len(payload))
    if isinstance(header, CloseReason):
        return header
    body = deflate.frame_inbound_payload_data(DECODER, payload)
    if isinstance(body, CloseReason):
        return body
    rest = deflate.frame_inbound_complete(DECODER, True)
    return rest if isinstance(rest, CloseReason) else body + (rest or b"")


def squeezed(data: bytes, end: int = zlib.Z_SYNC_FLUSH) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush(end)


def make(limit: int = 100, *, fresh: bool = False) -> Deflate:
    return Deflate(limit, "permessage-deflate", fresh=fresh)


def test_plain_messages_and_control_frames_pass_as_they_are() -> None:
    deflate = make()
    assert read(deflate, b"plain", rsv=NONE) == b"plain"
    assert read(deflate, b"ping", rsv=NONE, opcode=Opcode.PING) == b"ping"
    assert deflate.frame_inbound_header(DECODER, Opcode.PING, RSV1, 0) == NONE, "so the bit is a fault"


def test_the_bit_belongs_to_the_first_frame_alone() -> None:
    deflate = make()
    assert read(deflate, b"x", opcode=Opcode.CONTINUATION) is CloseReason.PROTOCOL_ERROR


@pytest.mark.parametrize("fresh", [True, False])
def test_the_limit_is_each_messages_own(fresh: bool) -> None:
    deflate = make(fresh=fresh)
    for _ in range(3):
        assert read(deflate, squeezed(b"a" * 100)[:-4]) == b"a" * 100
    assert read(deflate, squeezed(b"a" * 101)[:-4]) is CloseReason.MESSAGE_TOO_BIG


def test_a_bomb_is_stopped_at_the_limit() -> None:
    out = make(1000)
    out.frame_inbound_header(DECODER, Opcode.TEXT, RSV1, 0)
    assert out.frame_inbound_payload_data(DECODER, squeezed(bytes(50_000_000))) is CloseReason.MESSAGE_TOO_BIG


def test_a_message_that_ends_with_a_last_block_is_followed_by_others() -> None:
    # RFC 7692 section 7.2.3.4: such a block is allowed, with an empty byte behind it.
    deflate = make()
    assert read(deflate, squeezed(b"one", zlib.Z_FINISH) + b"\x00") == b"one"
    assert read(deflate, squeezed(b"two")[:-4]) == b"two"


def test_what_is_no_compression_is_a_fault() -> None:
    assert read(make(), b"\xff\xff") is CloseReason.INVALID_FRAME_PAYLOAD_DATA


def test_it_makes_no_offer() -> None:
    assert make().offer() is False
    assert make().enabled()
