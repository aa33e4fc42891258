from __future__ import annotations

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.words import place


def test_messages_have_their_places_however_many_there_are() -> None:
    assert [place(n) for n in (0, 63, 64, 1000)] == ["messages[0]", "messages[63]", "messages[64]", "messages[1000]"]


def test_a_question_is_a_request_whose_words_know_where_they_stood() -> None:
    body = b"""{"model": "m", "max_tokens": 9, "system": "be brief", "temperature": 1.0, "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"}
    ]}"""
    question = DIALECTS["anthropic"].question(body)
    assert question is not None
    request = question.request()
    assert request == DIALECTS["anthropic"].decode_request(body)
    paths = [part.path for turn in request.turns for part in turn.parts if isinstance(part, ir.Text)]
    assert paths == ["messages[0].content", "messages[1].content[0]", "messages[2].content"]
