"""S1 to S18: framing of the provider's stream and of ours, through every pair of dialects."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import Translator, ir
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    CREATED,
    DIALECTS,
    DONE,
    NATIVE,
    PAIRS,
    ROLE,
    STREAM,
    TEXT,
    WHOLE,
    Told,
    ask,
    chat,
    chat_usage,
    chunk,
    event,
    message_item,
    message_start,
    messages,
    response_object,
    responses,
    tell,
    text_block,
    through,
)
from support.native import (
    gemini,
    gemini_call,
    gemini_chunk,
    gemini_whole,
    ollama,
    ollama_call,
    ollama_line,
    ollama_whole,
)

ALL = [(entry, backend) for entry in DIALECTS for backend in DIALECTS]
FRAMED = [(entry, backend) for entry, backend in PAIRS if backend != "ollama"]
"""Those whose provider sends Server-Sent Events."""
EVENTS = {backend: data.replace(b"\r\n", b"\n") for backend, data in STREAM.items()}


def text_of(entry: str, told: Told) -> str:
    """The text, where the stream is a whole and valid one."""
    assert told.state is State.DONE, told.error
    assert told.status == 200
    seen = grammar.validate(entry, told.body)
    assert seen.ended
    assert not seen.failed
    return seen.text


@pytest.mark.parametrize(("entry", "backend"), FRAMED)
@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"])
def test_s1_line_ends_of_every_kind_and_cut_in_two(entry: str, backend: str, end: bytes) -> None:
    wanted = through(entry, backend, EVENTS[backend]).body
    data = EVENTS[backend].replace(b"\n", end)
    assert through(entry, backend, data).body == wanted
    assert through(entry, backend, *(data[n : n + 1] for n in range(len(data)))).body == wanted


@pytest.mark.parametrize(("entry", "backend"), FRAMED)
def test_s1_line_ends_may_be_mixed(entry: str, backend: str) -> None:
    lines = EVENTS[backend].split(b"\n")
    ends = [b"\r\n", b"\n", b"\r"]
    mixed = b"".join(line + ends[n % 3] for n, line in enumerate(lines[:-1]))
    # A CR before an empty line's LF would be one CRLF: that reading has an event less to end, so mind the order.
    mixed = mixed.replace(b"\r\n\n", b"\r\n\r\n")
    assert text_of(entry, through(entry, backend, mixed)) == TEXT


@pytest.mark.parametrize(("entry", "backend"), FRAMED)
def test_s2_data_without_a_space(entry: str, backend: str) -> None:
    wanted = through(entry, backend, EVENTS[backend]).body
    assert (
        through(entry, backend, EVENTS[backend].replace(b"data: ", b"data:").replace(b"event: ", b"event:")).body
        == wanted
    )


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_s3_no_split_shows(entry: str, backend: str) -> None:
    data = STREAM[backend].replace(b"\\u2028", "\u2028".encode()).replace(b"\\u00e9", "é".encode())
    data = data.replace(b"\\ud83d\\ude00", "😀".encode())
    wanted = through(entry, backend, data)
    assert text_of(entry, wanted) == TEXT
    for size in (1, 2, 3, 5, 7):
        assert through(entry, backend, *(data[n : n + size] for n in range(0, len(data), size))).body == wanted.body
    for cut in range(1, len(data), 1 + len(data) // 1000):
        assert through(entry, backend, data[:cut], data[cut:]).body == wanted.body


@pytest.mark.parametrize(("entry", "backend"), FRAMED)
def test_s4_s5_comments_and_other_fields_are_no_data(entry: str, backend: str) -> None:
    noise = b": OPENROUTER PROCESSING\n\nid: 7\nretry: 3000\nunknown: x\n\n:\n\n"
    told = through(entry, backend, noise + EVENTS[backend].replace(b"\n\n", b"\n\n" + noise))
    assert text_of(entry, told) == TEXT
    assert b"OPENROUTER" not in told.body


@pytest.mark.parametrize(("entry", "backend"), FRAMED)
def test_s5_data_on_several_lines_is_one_event(entry: str, backend: str) -> None:
    data = (
        EVENTS[backend]
        .replace(b'"type": ', b'\ndata: "type":\ndata: ')
        .replace(b'"model": ', b'\ndata: "model":\ndata: ')
        .replace(b'"modelVersion": ', b'\ndata: "modelVersion":\ndata: ')
    )
    assert data != EVENTS[backend]
    assert text_of(entry, through(entry, backend, data)) == TEXT


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
@pytest.mark.parametrize("missing", [1, 2])
def test_s6_a_last_event_without_its_blank_line_counts(entry: str, backend: str, missing: int) -> None:
    data = {
        "openai": ROLE + chunk({"content": TEXT}) + chunk({}, "stop"),
        "anthropic": messages(text_block(0, TEXT)),
        "openai_responses": responses(message_item(TEXT)),
        "gemini": gemini({"text": TEXT}),
        "ollama": ollama({"content": TEXT}) + b"\n",
    }[backend]
    assert text_of(entry, through(entry, backend, data[:-missing])) == TEXT


@pytest.mark.parametrize("entry", ["openai_responses", "anthropic"])
@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data:  [DONE] \n\n", b"data: [DONE]", b""])
def test_s7_done_ends_the_stream_whatever_its_spaces(entry: str, done: bytes) -> None:
    data = ROLE + chunk({"content": TEXT}) + chunk({}, "stop")
    assert text_of(entry, through(entry, "openai", data + done)) == TEXT


@pytest.mark.parametrize("entry", ["openai_responses", "anthropic"])
def test_s7_what_follows_done_is_dropped(entry: str) -> None:
    wanted = through(entry, "openai", chat({"content": TEXT})).body
    more = chunk({"content": "more"}) + b'data: {"error":{"message":"late"}}\n\n' + DONE
    assert through(entry, "openai", chat({"content": TEXT}) + more).body == wanted
    assert through(entry, "openai", chat({"content": TEXT}), more).body == wanted


@pytest.mark.parametrize(("entry", "backend"), FRAMED)
@pytest.mark.parametrize(
    "noise", [b"data:\n\n", b"data: prose\n\n", b"data: {}\n\n", b"data: []\n\n", b"data: null\n\n", b"data: 1\n\n"]
)
def test_s8_empty_and_foreign_data_do_not_kill_the_stream(entry: str, backend: str, noise: bytes) -> None:
    first, rest = EVENTS[backend].split(b"\n\n", 1)
    for data in (noise + EVENTS[backend], first + b"\n\n" + noise + rest):
        assert text_of(entry, through(entry, backend, data)) == TEXT


@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n\r\n", b"\n\n \n", b": wait\n\n"])
def test_s9_s10_what_may_come_before_the_answer(entry: str, backend: str, stream: bool, lead: bytes) -> None:
    if b":" in lead and backend == "ollama":
        pytest.skip("lines of JSON have no comments")
    if entry == backend and entry in NATIVE and stream and lead != b"\xef\xbb\xbf":
        pytest.skip("the provider's bytes pass, and the SDKs of these dialects read no comments and no blanks")
    if b":" in lead:
        told = through(entry, backend, lead + STREAM[backend], stream=stream, rename=True)
    else:
        told = through(entry, backend, lead + (STREAM if stream else WHOLE)[backend], stream=stream, rename=True)
    if entry == backend:  # bytes pass with the label they came with
        told.headers["content-type"] = _type(entry, stream)
    assert _folded(entry, told, stream).model == "asked"


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _strings(one)]


def _type(entry: str, stream: bool) -> str:
    if not stream:
        return "application/json"
    return "application/x-ndjson" if entry == "ollama" else "text/event-stream"


def _folded(entry: str, told: Told, stream: bool) -> oracles.Answer:
    assert told.state is State.DONE, told.error
    assert told.status == 200
    assert told.headers["content-type"].startswith(_type(entry, stream))
    folded: oracles.Answer = (oracles.stream if stream else oracles.whole)(entry, told.body)
    return folded


@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [True, False])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "application/x-ndjson"])
def test_s10_the_body_decides_and_not_its_label(entry: str, backend: str, stream: bool, came: bool, kind: str) -> None:
    data = (STREAM if came else WHOLE)[backend]
    translator = ask(entry, backend, stream=stream, rename=True)
    told = tell(translator, *(data[n : n + 11] for n in range(0, len(data), 11)), headers=[("content-type", kind)])
    if entry == backend and (came is stream or (entry == "ollama" and stream)):  # one line is a stream too
        told.headers["content-type"] = _type(entry, stream)  # bytes pass with the label they came with
    folded = _folded(entry, told, stream)
    assert TEXT in "".join(_strings(folded.model_dump()))
    assert folded.model == "asked"
    assert told.usage is not None
    assert told.usage.output == 7
    assert told.finish is ir.FinishReason.END


@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("page", [b": Bad Gateway", b"OK", b"", b"  \n"])
def test_s10_t4_prose_with_a_good_status_is_an_error(entry: str, backend: str, stream: bool, page: bytes) -> None:
    told = through(entry, backend, page, stream=stream)
    assert told.state is State.FAILED
    assert told.status == 502
    assert isinstance(oracles.error(entry, told.status, told.headers, told.body), Exception)
    assert told.message


@pytest.mark.parametrize(("entry", "backend"), [pair for pair in PAIRS if pair[0] not in NATIVE])
def test_s12_event_lines_are_the_types_and_chat_has_none(entry: str, backend: str) -> None:
    frames = grammar.frames(through(entry, backend, STREAM[backend]).body)
    for name, payload in frames:
        assert name == ("" if entry == "openai" else json.loads(payload)["type"])


@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_s13_every_event_leaves_before_the_next_one_comes(entry: str, backend: str) -> None:
    translator = ask(entry, backend, rename=True)
    translator.receive_response_head(200, [])
    letters = "abcdefgh"
    data = {
        "openai": [ROLE, *(chunk({"content": c}) for c in letters)],
        "anthropic": [
            message_start() + event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": c}) for c in letters),
        ],
        "openai_responses": [
            CREATED
            + event("response.output_item.added", output_index=0, item={**message_item(), "status": "in_progress"})
            + event(
                "response.content_part.added",
                output_index=0,
                item_id="msg_1",
                content_index=0,
                part={"type": "output_text", "text": "", "annotations": []},
            ),
            *(
                event("response.output_text.delta", output_index=0, item_id="msg_1", content_index=0, delta=c)
                for c in letters
            ),
        ],
        "gemini": [gemini_chunk({"text": ""}), *(gemini_chunk({"text": c}) for c in letters)],
        "ollama": [ollama_line(), *(ollama_line({"content": c}) for c in letters)],
    }[backend]
    translator.receive_data(data[0])
    for letter, piece in zip(letters, data[1:], strict=True):
        assert b'"%b"' % letter.encode() in translator.receive_data(piece)


PRETTY_TOOL = {
    "type": "function",
    "name": "f",
    "description": "a\nb",
    "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
}


@pytest.mark.parametrize("backend", ["openai", "anthropic", "gemini", "ollama"])
def test_s14_a_request_over_several_lines_is_echoed_on_one(backend: str) -> None:
    body = {"model": "asked", "input": "hi", "stream": True, "tools": [PRETTY_TOOL], "metadata": {"a": "b\r\nc"}}
    translator = Translator(entry="openai_responses", backend=backend, model="real")
    translator.receive_request(json.dumps(body, indent=2).replace("\n", "\r\n").encode())
    told = tell(translator, STREAM[backend])
    assert text_of("openai_responses", told) == TEXT
    folded = oracles.stream("openai_responses", told.body).model_dump()
    assert folded["metadata"] == {"a": "b\r\nc"}
    assert folded["tools"][0]["parameters"] == PRETTY_TOOL["parameters"]


@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_s14_an_answer_over_several_lines_is_streamed_on_one_each(entry: str, backend: str) -> None:
    page = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 3}
    whole = {
        "openai": {
            **json.loads(WHOLE["openai"]),
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "logprobs": {"content": [{"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}]},
                    "message": {
                        "role": "assistant",
                        "content": TEXT,
                        "annotations": [{"type": "url_citation", "url_citation": page}],
                    },
                }
            ],
        },
        "anthropic": {
            **json.loads(WHOLE["anthropic"]),
            "content": [
                {
                    "type": "text",
                    "text": TEXT,
                    "citations": [
                        {
                            "type": "web_search_result_location",
                            "cited_text": "c",
                            "encrypted_index": "e",
                            "title": "A",
                            "url": "https://a.example",
                        }
                    ],
                },
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            ],
        },
        "openai_responses": response_object(
            output=[
                {
                    **message_item(),
                    "content": [
                        {
                            "type": "output_text",
                            "text": TEXT,
                            "logprobs": [],
                            "annotations": [{"type": "url_citation", **page}],
                        }
                    ],
                },
                {
                    "id": "ws_1",
                    "type": "web_search_call",
                    "status": "completed",
                    "action": {"type": "search", "query": "q"},
                },
            ]
        ),
        "gemini": json.loads(gemini_whole({"text": TEXT}, gemini_call("f", {"a": {"b": [1, 2]}}))),
        "ollama": json.loads(ollama_whole({"content": TEXT, "tool_calls": [ollama_call("f", {"a": [1, {"b": 2}]})]})),
    }[backend]
    if entry == backend == "ollama":
        pytest.skip("the provider's bytes pass")
    told = through(entry, backend, json.dumps(whole, indent=1).encode())
    assert text_of(entry, told) == TEXT
    oracles.stream(entry, told.body)


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
@pytest.mark.parametrize("stream", [True, False])
def test_s14_lone_surrogates_leave_as_the_escapes_they_came_as(entry: str, backend: str, stream: bool) -> None:
    data = {
        "openai": chat({"content": "a\ud83d"}, {"content": "\ude00b"}),
        "anthropic": messages(text_block(0, "a\ud83d", "\ude00b")),
        "openai_responses": responses(
            message_item("a\ud83d\ude00b".encode("utf-16", "surrogatepass").decode("utf-16"))
        ),
        "gemini": gemini({"text": "a\ud83d"}, {"text": "\ude00b"}),
        "ollama": ollama({"content": "a\ud83d"}, {"content": "\ude00b"}),
    }[backend]
    told = through(entry, backend, data, stream=stream)
    told.body.decode()
    assert "\ufffd" not in told.body.decode()
    assert told.state is State.DONE
    if stream and backend != "openai_responses":
        assert rb'"a\ud83d"' in told.body
        assert rb'"\ude00b"' in told.body


def test_s16_s18_signs_of_life_are_legal_and_only_behind_the_beginning() -> None:
    for entry, backend in PAIRS:
        translator = ask(entry, backend)
        assert translator.ping() == b""
        translator.receive_response_head(200, [])
        first, rest = STREAM[backend][:-40], STREAM[backend][-40:]
        held = translator.receive_data(first[:120])
        assert translator.ping() == b"" or translator.head is not None
        out = [held, translator.receive_data(first[120:])]
        out += [translator.ping(), translator.ping(), translator.receive_data(rest), translator.receive_eof()]
        assert translator.ping() == b""
        data = b"".join(out)
        assert grammar.validate(entry, data).text == TEXT
        signs = {"anthropic": b"event: ping", "openai_responses": b"\n: "}
        assert signs.get(entry, b"") in data


BEGINNING = {
    **{name: data.split(b"\n\n")[0] + b"\n\n" for name, data in STREAM.items() if name not in NATIVE},
    "gemini": gemini_chunk({"text": ""}),
    "ollama": ollama_line(),
}


@pytest.mark.parametrize("entry", DIALECTS)
def test_s18_a_held_head_can_be_sent_without_content(entry: str) -> None:
    for backend in DIALECTS:
        translator = ask(entry, backend, rename=True)
        translator.receive_response_head(200, [])
        start = BEGINNING[backend]
        assert translator.receive_data(start) == b""
        assert translator.head is None
        held = translator.commit()
        assert translator.head is not None
        assert translator.commit() == b""
        whole = start + STREAM[backend] if backend in NATIVE else STREAM[backend]
        rest = translator.receive_data(whole[len(start) :]) + translator.receive_eof()
        if entry == backend:
            assert held + rest == whole.replace(b'"real"', b'"asked"')
        else:
            assert grammar.validate(entry, held + rest).text == TEXT


def test_u6_s7_nothing_of_the_stream_options_leaks() -> None:
    told = through("openai", "anthropic", STREAM["anthropic"], stream_options={})
    assert grammar.validate("openai", told.body).usage is None
    assert told.usage is not None
    assert chat_usage()["completion_tokens"] == told.usage.output
