"""ResponseReader: every framing in every cut, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.bench.reader import MAX_HEAD, BrokenAnswerError, ResponseReader

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n"
AFTER_1XX = b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + LENGTH
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello"


def read(*pieces: bytes, eof: bool = False) -> tuple[ResponseReader, bytes]:
    reader = ResponseReader()
    body = b"".join([reader.receive_data(piece) for piece in pieces])
    if eof:
        reader.receive_eof()
    return reader, body


@pytest.mark.parametrize(("answer", "eof"), [(LENGTH, False), (CHUNKED, False), (AFTER_1XX, False), (TO_THE_END, True)])
@given(data=st.data())
def test_the_body_is_the_same_in_every_cut(answer: bytes, eof: bool, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=6)))
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    reader, body = read(*pieces, eof=eof)
    assert (reader.status, body, reader.done) == (200, b"hello", True)


def test_it_is_done_with_the_last_byte_and_not_before() -> None:
    for answer in (LENGTH, CHUNKED):
        assert not read(answer[:-1])[0].done
        assert read(answer)[0].done


@pytest.mark.parametrize(
    ("answer", "keeps"),
    [
        (LENGTH, True),
        (LENGTH.replace(b"OK\r\n", b"OK\r\nConnection: Close\r\n"), False),
        (LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (TO_THE_END, False),
    ],
)
def test_whether_the_connection_can_be_used_again(answer: bytes, keeps: bool) -> None:
    assert read(answer, eof=True)[0].keep_alive is keeps


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_an_answer_without_a_body_is_done_with_its_head(answer: bytes) -> None:
    reader, body = read(answer)
    assert reader.done
    assert body == b""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n", "bad content-length"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "bad chunk size"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc", "bad chunk end"),
        (LENGTH + b"HTTP/1.1 200", "more than one answer"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * (MAX_HEAD + 1), "head too long"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1" * 5000, "size too long"),
    ],
)
def test_what_is_no_answer_is_said_so(answer: bytes, words: str) -> None:
    with pytest.raises(BrokenAnswerError, match=words):
        read(answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "connection closed"),
        (b"HTTP/1.1 2", "connection closed"),
        (LENGTH[:-1], "answer cut"),
        (CHUNKED[:-2], "answer cut"),
    ],
)
def test_a_connection_that_ends_too_early_is_said_so(answer: bytes, words: str) -> None:
    with pytest.raises(BrokenAnswerError, match=words):
        read(answer, eof=True)
