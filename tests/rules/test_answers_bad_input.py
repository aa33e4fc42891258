"""Bad input from providers, every one of them behind every entry: never an exception, never a success it was not."""

from __future__ import annotations

import gzip
import random
import re
import zlib

import pytest

from ferryllm_proto import ir
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    CREATED,
    DIALECTS,
    PAIRS,
    STREAM,
    TEXT,
    WHOLE,
    Told,
    ask,
    event,
    message_item,
    response_object,
    responses_whole,
    tell,
    through,
)
from support.native import gemini_array, gemini_object, gemini_usage

ALL = [(entry, backend) for entry in DIALECTS for backend in DIALECTS]
PAGE = b"""<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title><style>p{color:red}</style></head>
<body><h1>Bad Gateway</h1><p>The server at llm-7.prod.internal:8443 is unwell. Key sk-proj-abcdefghijkl0123456789</p>
</body></html>"""


def refused(entry: str, told: Told, status: int = 502) -> str:
    """The words of an error that came instead of an answer."""
    assert told.state is State.FAILED
    assert told.status == status
    assert told.error is not None
    assert isinstance(oracles.error(entry, told.status, told.headers, told.body), Exception)
    return told.message


def no_lie(entry: str, backend: str, told: Told, *, stream: bool) -> None:
    """What a client sees is either the whole answer or an error."""
    assert told.error is not None or told.state is State.DONE
    if told.state is State.FAILED:
        if told.status != 200:
            refused(entry, told, told.status)
        elif entry != backend:
            seen = grammar.validate(entry, told.body)
            assert seen.failed
            assert not seen.ended
            assert TEXT.startswith(seen.text)
        return
    if entry == backend:
        return  # the provider's bytes, and its end
    if stream:
        seen = grammar.validate(entry, told.body)
        assert seen.ended
        assert seen.text == TEXT
    else:
        oracles.whole(entry, told.body)
        assert b"Hello" in told.body


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/event-stream", "application/json"])
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_e9_a_page_with_a_good_status_is_named_as_one(entry: str, backend: str, stream: bool, kind: str) -> None:
    for pieces in ([PAGE], [PAGE[n : n + 1] for n in range(len(PAGE))], [b"\xef\xbb\xbf\n", PAGE]):
        told = tell(ask(entry, backend, stream=stream), *pieces, headers=[("content-type", kind)])
        words = refused(entry, told)
        assert "an HTML page" in words
        assert "200" in words
        assert "Bad Gateway" in words
        assert "prod.internal" not in words
        assert "sk-proj" not in words
        assert "color:red" not in words


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"upstream connect error or disconnect/reset before headers", "upstream connect error"),
        (b"no healthy upstream\n", "no healthy upstream"),
        (b"Not what you think\n\nreally", "text (Not what you think"),
        (gzip.compress(b'{"choices":[]}' * 20, mtime=0), "gzip bytes"),
        (bytes(range(128, 250)) * 4, "bytes that are no text"),
        (b"<error/>", "markup"),
        (b"<xml><Error>quota exceeded</Error></xml>", "markup (quota exceeded)"),
        (b"", "an empty answer"),
        (b" \r\n\r\n", "an empty answer"),
    ],
)
def test_t4_prose_and_bytes_of_other_kinds_are_named(
    entry: str, backend: str, stream: bool, body: bytes, words: str
) -> None:
    assert words in refused(entry, through(entry, backend, body, stream=stream))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_s11_bytes_nobody_decoded_are_no_answer(entry: str, backend: str, stream: bool) -> None:
    data = (STREAM if stream else WHOLE)[backend]
    for body in (gzip.compress(data), zlib.compress(data), gzip.compress(data)[:40]):
        refused(entry, through(entry, backend, body, stream=stream))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_t1_an_answer_cut_anywhere_is_no_whole_one(entry: str, backend: str, stream: bool) -> None:
    body = WHOLE[backend]
    for cut in range(1, len(body), 1 + len(body) // 60):
        told = through(entry, backend, body[:cut], stream=stream)
        assert told.state is State.FAILED
        refused(entry, told)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_t1_a_stream_cut_behind_any_event_is_whole_or_an_error(entry: str, backend: str, stream: bool) -> None:
    body = STREAM[backend]
    end = rb"\n" if backend == "ollama" else rb"\r\n\r\n|\n\n"
    for found in list(re.finditer(end, body))[:-1]:
        for lost in (True, False):
            told = through(entry, backend, body[: found.end()], stream=stream, lost=lost)
            no_lie(entry, backend, told, stream=stream)
            assert told.state is State.FAILED or told.finish is not None


GARBAGE = [b"<html>", b"\x00\xff\xfe", b"}{", b"]", b'{"half":', b"data: {", b"garbage", b"event: message_stop"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_garbage_behind_a_whole_answer_makes_it_none(entry: str, backend: str, stream: bool) -> None:
    for garbage in GARBAGE:
        told = through(entry, backend, WHOLE[backend] + garbage, stream=stream)
        refused(entry, told)
    blanks = through(entry, backend, WHOLE[backend] + b"\r\n \n", stream=stream)
    assert blanks.state is State.DONE


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_s7_garbage_behind_a_whole_stream_changes_nothing(entry: str, backend: str, stream: bool) -> None:
    for garbage in GARBAGE:
        told = through(entry, backend, STREAM[backend] + garbage, stream=stream)
        no_lie(entry, backend, told, stream=stream)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_s8_garbage_between_events_is_passed_over_or_an_error(entry: str, backend: str, stream: bool) -> None:
    body = STREAM[backend]
    end = b"\r\n\r\n" if backend == "gemini" else b"\n" if backend == "ollama" else b"\n\n"
    first, rest = body.split(end, 1)
    for garbage in GARBAGE:
        told = through(entry, backend, first + end + garbage + end + rest, stream=stream)
        no_lie(entry, backend, told, stream=stream)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [True, False])
@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_wire_8_9_bytes_that_are_no_text_are_replaced(entry: str, backend: str, stream: bool, came: bool) -> None:
    data = (
        (responses_whole(message_item("Hel")) if backend == "openai_responses" else STREAM[backend])
        if came
        else WHOLE[backend]
    )
    data = data.replace(b"Hel", b"H\xffl")
    told = through(entry, backend, data, stream=stream)
    assert told.state is State.DONE, told.error
    assert "H\ufffdl" in told.body.decode() or r"H\ufffdl" in told.body.decode()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g11_events_of_many_megabytes(entry: str, backend: str, stream: bool) -> None:
    data = STREAM[backend]
    if backend == "openai_responses":
        done = event("response.output_item.done", output_index=0, item=message_item("Hello"))
        data = CREATED + done + event("response.completed", response=response_object())
    told = through(entry, backend, re.sub(rb"lo \\u2028|llo", b"x" * (3 << 20), data, count=1), stream=stream)
    assert told.state is State.DONE, told.error
    assert len(told.body) > 3 << 20
    endless = re.sub(rb"lo \\u2028|llo", b"x" * (17 << 20), data, count=1)
    told = through(entry, backend, endless, stream=stream)
    assert told.error is not None
    assert told.error.kind is ir.ErrorKind.UPSTREAM
    assert "larger than" in told.error.message or "longer than" in told.error.message
    no_lie(entry, backend, told, stream=stream)


@pytest.mark.parametrize("path", ["alt=sse", ""])
@pytest.mark.parametrize("renamed", [True, False])
def test_s10_d2_gemini_sends_the_other_framing_than_was_asked_for(path: str, renamed: bool) -> None:
    usage = gemini_usage()
    array = gemini_array(
        gemini_object({"text": "Hel"}, usage=usage),
        gemini_object({"text": TEXT[3:]}, usage=usage),
        gemini_object({"text": ""}, finish="STOP", usage=usage),
    )
    asked = f"/v1beta/models/asked:streamGenerateContent?{path}"
    data = STREAM["gemini"] if not path else array
    for step in (1, 7, 10_000):
        translator = ask("gemini", "gemini", rename=renamed, path=asked)
        told = tell(translator, *(data[n : n + step] for n in range(0, len(data), step)))
        assert told.state is State.DONE, told.error
        problems, seen = grammar.judge("gemini", told.body, path=asked)
        assert not problems
        assert seen.text == TEXT
        assert told.usage == ir.Usage(input=10, output=7)
        assert told.headers["content-type"].startswith("text/event-stream" if path else "application/json")


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize("stream", [True, False])
def test_d2_every_entry_reads_an_array_of_gemini(entry: str, stream: bool) -> None:
    array = gemini_array(gemini_object({"text": TEXT}), gemini_object({"text": ""}, finish="STOP"))
    whole = through(entry, "gemini", array, stream=stream)
    no_lie(entry, "gemini", whole, stream=stream)
    assert whole.state is State.DONE
    for cut in range(1, len(array) - 3, 5):
        told = through(entry, "gemini", array[:cut], stream=stream)
        assert told.state is State.FAILED or told.finish is not None
        no_lie(entry, entry if told.state is State.DONE else "gemini", told, stream=stream)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_damage_of_every_kind_is_an_answer_or_an_error(entry: str, backend: str, seed: int) -> None:
    rng = random.Random(f"{entry} {backend} {seed}")
    for _ in range(25):
        stream, came = rng.random() < 0.5, rng.random() < 0.7
        data = bytearray((STREAM if came else WHOLE)[backend])
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            if rng.random() < 0.3:
                del data[at : at + rng.randint(1, 30)]
            elif rng.random() < 0.5:
                data[at] = rng.randrange(256)
            else:
                data[at:at] = rng.choice(GARBAGE)
        told = through(entry, backend, bytes(data), stream=stream)
        if told.state is State.FAILED and told.status != 200:
            refused(entry, told, told.status)
        elif stream and entry != backend:
            grammar.validate(entry, told.body)
