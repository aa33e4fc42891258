from __future__ import annotations

import json as stdjson
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import words
from ferryllm_proto.words import Reply

USUAL: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def read(**more: Any) -> object:
    return words.question(stdjson.dumps(USUAL | more).encode())


@pytest.mark.parametrize(
    "more",
    [{}, {"stream": None}, {"stream": True}, {"system": "be brief"}, {"temperature": 0}],
    ids=str,
)
def test_words_are_read(more: dict[str, Any]) -> None:
    assert read(**more) is not None


@pytest.mark.parametrize(
    "more",
    [
        {"model": ""},
        {"max_tokens": 0},
        {"max_tokens": None},
        {"max_tokens": 1 << 60},
        {"messages": []},
        {"messages": [{"role": "system", "content": "hi"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 2}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": None}]}]},
        {"messages": [{"role": "user", "content": "\ud800"}]},
        {"system": ""},
        {"system": []},
        {"tools": []},
        {"top_p": 1},
        {"stop_sequences": None},
        {"new": 1},
    ],
    ids=str,
)
def test_what_is_more_or_less_than_words_is_left_to_the_whole_reader(more: dict[str, Any]) -> None:
    assert read(**more) is None


def test_bytes_that_are_no_text_are_no_words() -> None:
    assert words.question(stdjson.dumps(USUAL).encode().replace(b"hi", b"\xff")) is None
    assert words.question(b"") is None


@pytest.mark.parametrize("id_", ["chatcmpl-1", "msg_1", 'msg_"%é'])
def test_a_reply_has_an_id_of_a_message(id_: str) -> None:
    usage = ir.Usage(3, 4, None, None, 2, 1)
    reply = Reply(id_, "real", "50% \U0010f8ab", ir.FinishReason.LENGTH, None, usage)
    body = words.reply_writer("100%d")(reply, (1 << 96) + 7)
    answer = stdjson.loads(body)
    assert answer.pop("id") == (id_ if id_.startswith("msg_") else f"msg_{7:024x}")
    assert answer == {
        "type": "message",
        "role": "assistant",
        "model": "100%d",
        "content": [{"type": "text", "text": "50% \ud8ab"}],
        "stop_reason": "max_tokens",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 4,
            "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 1},
        },
    }
