from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryllm_proto import sse
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.ir import ErrorKind
from ferryllm_proto.sse import Frame, FrameDecoder


def whole(stream: bytes) -> list[Frame]:
    decoder = FrameDecoder()
    return decoder.receive_data(stream) + decoder.receive_eof()


def pieces(stream: list[bytes]) -> list[Frame]:
    decoder = FrameDecoder()
    frames = [frame for piece in stream for frame in decoder.receive_data(piece)]
    return frames + decoder.receive_eof()


def bytewise(stream: bytes) -> list[Frame]:
    return pieces([stream[at : at + 1] for at in range(len(stream))])


CASES: list[tuple[str, bytes, list[Frame]]] = [
    ("one line of data", b"data: a\n\n", [Frame("", b"a")]),
    ("no space behind the colon", b'data:{"a":1}\n\n', [Frame("", b'{"a":1}')]),
    ("only one space is stripped", b"data:  a \n\n", [Frame("", b" a ")]),
    ("a tab is data", b"data:\ta\n\n", [Frame("", b"\ta")]),
    ("event and data", b"event: x\ndata: a\n\n", [Frame("x", b"a")]),
    ("event behind data", b"data: a\nevent: x\n\n", [Frame("x", b"a")]),
    ("event without a space", b"event:x\ndata:a\n\n", [Frame("x", b"a")]),
    ("the last event field counts", b"event: x\nevent: y\ndata: a\n\n", [Frame("y", b"a")]),
    ("an event of no name", b"event: x\nevent\ndata: a\n\n", [Frame("", b"a")]),
    ("the event's name ends with its event", b"event: x\ndata: a\n\ndata: b\n\n", [Frame("x", b"a"), Frame("", b"b")]),
    ("CRLF", b"event: x\r\ndata: a\r\n\r\n", [Frame("x", b"a")]),
    ("CR", b"event: x\rdata: a\r\r", [Frame("x", b"a")]),
    ("mixed line ends", b"event: x\rdata: a\r\n\ndata: b\n\r\n", [Frame("x", b"a"), Frame("", b"b")]),
    ("several lines of data", b"data: a\ndata: b\ndata:\ndata: c\n\n", [Frame("", b"a\nb\n\nc")]),
    ("data without a colon is an empty line", b"data\ndata\n\n", [Frame("", b"\n")]),
    ("empty data is an event", b"data:\n\ndata: \n\n", [Frame("", b""), Frame("", b"")]),
    ("an event without data is none", b"event: x\n\ndata: a\n\n", [Frame("", b"a")]),
    ("comments", b": ping\n\n:\ndata: a\n: in between\ndata: b\n\n", [Frame("", b"a\nb")]),
    ("unknown fields, id and retry", b"id: 1\nretry: 5\nfoo: bar\nfoo\ndata: a\n\n", [Frame("", b"a")]),
    ("fields are matched exactly", b"Data: x\n data: y\ndatax: z\ndata: a\n\n", [Frame("", b"a")]),
    ("blank lines", b"\n\n\ndata: a\n\n\n\n\n\ndata: b\n\n\n", [Frame("", b"a"), Frame("", b"b")]),
    ("a BOM", b"\xef\xbb\xbfdata: a\n\n", [Frame("", b"a")]),
    ("one BOM and no more", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [Frame("", b"b")]),
    ("a BOM later is no BOM", b"data: \xef\xbb\xbfa\n\n", [Frame("", b"\xef\xbb\xbfa")]),
    ("half a BOM", b"\xef\xbb", []),
    (
        "line separators are text",
        "data: a\u2028b\u2029c\u0085d\x0be\x0c\n\n".encode(),
        [Frame("", "a\u2028b\u2029c\u0085d\x0be\x0c".encode())],
    ),
    ("bad UTF-8", b"event: \xff\ndata: \xff\n\n", [Frame("\ufffd", "\ufffd".encode())]),
    ("S6: no blank line at the end", b"data: a\n\ndata: b\n", [Frame("", b"a"), Frame("", b"b")]),
    ("S6: no line end at the end", b"data: a\n\nevent: x\ndata: b", [Frame("", b"a"), Frame("x", b"b")]),
    ("S6: a name alone is no event at the end", b"data: a\n\nevent: x", [Frame("", b"a")]),
    ("nothing", b"", []),
]


@pytest.mark.parametrize(("stream", "frames"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_s1_to_s9_the_same_frames_whole_and_byte_by_byte(stream: bytes, frames: list[Frame]) -> None:
    assert whole(stream) == frames
    assert bytewise(stream) == frames


@pytest.mark.parametrize(("stream", "frames"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_s3_every_cut_in_two_gives_the_same_frames(stream: bytes, frames: list[Frame]) -> None:
    for cut in range(len(stream) + 1):
        assert pieces([stream[:cut], b"", stream[cut:]]) == frames


def test_s13_frames_come_with_the_read_that_completes_them() -> None:
    decoder = FrameDecoder()
    assert decoder.receive_data(b"data: a\n") == []
    assert decoder.receive_data(b"\nda") == [Frame("", b"a")]
    assert decoder.receive_data(b"ta: b\r\n\r") == [Frame("", b"b")]
    assert decoder.receive_data(b"\ndata: c\n\n") == [Frame("", b"c")]


def test_s6_an_unterminated_last_event_is_flagged() -> None:
    decoder = FrameDecoder()
    decoder.receive_data(b"data: a\n\ndata: b")
    assert not decoder.unterminated
    assert decoder.receive_eof() == [Frame("", b"b")]
    assert decoder.unterminated


def test_a_terminated_last_event_is_not_flagged() -> None:
    decoder = FrameDecoder()
    decoder.receive_data(b"data: a\n\n: bye")
    assert decoder.receive_eof() == []
    assert not decoder.unterminated


def test_receive_eof_is_idempotent() -> None:
    decoder = FrameDecoder()
    decoder.receive_data(b"event: x\ndata: a")
    assert decoder.receive_eof() == [Frame("x", b"a")]
    assert decoder.receive_eof() == []


@pytest.mark.parametrize("size", [1, 3, 64])
@pytest.mark.parametrize(
    "tail", [b"data: 123456789", b"data: 1234\ndata: 1234", b"data\n" * 11, b"event: 123456789", b": 123456789012345"]
)
def test_g11_an_event_too_large_fails_the_same_at_every_chunking(size: int, tail: bytes) -> None:
    good = b"data: a\n\ndata: b\n\n"
    stream = good + tail + b"\n\ndata: c\n\n"
    decoder = FrameDecoder(max_event_size=10)
    frames: list[Frame] = []

    def feed() -> None:
        for at in range(0, len(stream), size):
            frames.extend(decoder.receive_data(stream[at : at + size]))

    with pytest.raises(RemoteProtocolError, match="one event is larger than 10 bytes") as caught:
        feed()
    assert caught.value.error.kind is ErrorKind.UPSTREAM
    assert frames + decoder.frames_before_fault == [Frame("", b"a"), Frame("", b"b")]
    assert decoder.receive_data(b"data: d\n\n") == []
    assert decoder.receive_eof() == []


def test_g11_an_event_of_just_the_limit_passes_at_every_chunking() -> None:
    stream = b"data: 1234\n\ndata:1\ndata:2\n\n" * 3
    for size in range(1, len(stream) + 1):
        decoder = FrameDecoder(max_event_size=10)
        frames = [f for at in range(0, len(stream), size) for f in decoder.receive_data(stream[at : at + size])]
        assert frames == [Frame("", b"1234"), Frame("", b"1\n2")] * 3


def test_names_are_remembered_within_a_bound() -> None:
    stream = b"".join(b"event: %d\ndata: x\n\n" % n for n in range(1000))
    decoder = FrameDecoder()
    assert [frame.event for frame in decoder.receive_data(stream * 2)] == [str(n) for n in range(1000)] * 2
    assert len(decoder._names) <= 64


def test_encode_writes_what_the_decoder_reads() -> None:
    assert sse.encode("", b"{}") == b"data: {}\n\n"
    assert sse.encode("ping", b"{}") == b"event: ping\ndata: {}\n\n"
    assert whole(sse.encode("", b"{}") + sse.encode("é", b" x")) == [Frame("", b"{}"), Frame("é", b" x")]


def test_a_comment_is_no_event() -> None:
    assert sse.comment() == b": \n\n"
    assert whole(sse.comment("ferry") + sse.encode("", b"1")) == [Frame("", b"1")]


TEXT = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12)
LINE_END = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINE = st.one_of(
    st.builds(lambda space, text: b"data:" + space + text.encode(), st.sampled_from([b"", b" ", b"  "]), TEXT),
    st.builds(lambda text: b"event: " + text.encode(), TEXT),
    st.builds(lambda text: b":" + text.encode(), TEXT),
    st.sampled_from([b"data", b"event", b"id: 1", b"\xff\xfe", b"\xef\xbb\xbf", b"", b"", b""]),
    TEXT.map(str.encode),
)
STREAM = st.lists(st.tuples(LINE, LINE_END), max_size=20).map(lambda lines: b"".join(a + b for a, b in lines))


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    stream = draw(STREAM) + draw(st.sampled_from([b"", b"data: end", b"\r", b"\xef\xbb"]))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return stream, [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def reference(stream: bytes) -> list[Frame]:
    """The algorithm of the specification, line by line, in its own words."""
    stream = stream.removeprefix(b"\xef\xbb\xbf") if stream != b"\xef\xbb" else b""
    text = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    frames, event, data = [], "", b""
    for line in [*text.split(b"\n"), b""]:
        if line == b"":
            if data:
                frames.append(Frame(event, data[:-1]))
            event, data = "", b""
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data += value + b"\n"
        if field == b"event":
            event = value.decode("utf-8", "replace")
    return frames


@given(cut_streams())
def test_s3_any_stream_in_any_pieces_gives_the_frames_of_the_specification(case: tuple[bytes, list[bytes]]) -> None:
    stream, cut = case
    expected = reference(stream)
    assert whole(stream) == expected
    assert pieces(cut) == expected
    assert bytewise(stream) == expected


@pytest.mark.deep
@settings(max_examples=20_000, deadline=None)
@given(cut_streams())
def test_s3_the_same_for_very_many_streams(case: tuple[bytes, list[bytes]]) -> None:
    stream, cut = case
    assert pieces(cut) == bytewise(stream) == whole(stream) == reference(stream)
