"""What the answer to a marked request may be: all of it, or an error that its client can read."""

from __future__ import annotations

from ferryllm_proto import DIALECTS, ir
from support import grammar
from support.answers import path_of
from support.faults.catalogue import HASTY, Fault
from support.faults.rig import Reply
from support.planted import PROVIDER_KEY, leaks
from support.wellformed import check_error, check_headers

from .marks import Question


def judge(question: Question, reply: Reply, fault: Fault | None = None) -> str:
    """How it ended, in a word. Raises AssertionError for what no client could live with.

    ``fault`` is what the provider did wrong, None where it did everything right.
    """
    assert reply.whole, f"the message was cut where words were possible (status {reply.status})"
    check_headers(reply.headers)
    assert b"EVIL" not in reply.body, "somebody else's answer"
    assert not leaks(reply.body.decode("utf-8", "replace"), (PROVIDER_KEY,)), "the provider's key"
    _check_mark(question, reply.body)
    expected = "answer" if fault is None else fault.expected(question.stream)
    if fault is not None and fault.door in HASTY and expected == "answer":
        expected = "either"  # its deadlines are so short that a busy machine may miss them
    entry = question.entry
    if reply.status != 200:
        assert expected != "answer", f"status {reply.status} for a whole answer: {reply.body[:200]!r}"
        assert fault is not None
        assert reply.status in fault.statuses, f"status {reply.status}, expected {sorted(fault.statuses)}"
        check_error(entry, reply.status, reply.body)
        return "status"
    passed = entry == question.backend
    if not question.stream:
        assert expected != "error", f"a success: {reply.body[:200]!r}"
        if fault is None or not passed:
            response = DIALECTS[entry].decode_response(reply.body)
            assert response.finish is not None, "an answer without its finish"
            text = "".join(part.text for part in response.parts if isinstance(part, ir.Text))
            assert text == question.mark.text or expected == "either", "another text"
        return "whole"
    return _judge_stream(question, reply, expected, faulty=fault is not None)


def _judge_stream(question: Question, reply: Reply, expected: str, *, faulty: bool) -> str:
    entry, text = question.entry, question.mark.text
    problems, seen = grammar.judge(entry, reply.body, path=path_of(entry, stream=True))
    same = entry == question.backend
    # The provider's own bytes, mistakes included.
    passed = same and faulty
    if not same:
        wrong = [problem for problem in problems if problem.rule != grammar.CUT]
        assert not wrong, f"{wrong[0]}"
    assert seen.ended or seen.failed, f"neither an end nor an error: {reply.body[-200:]!r}"
    if expected == "answer":
        assert seen.ended, f"an error: {reply.body[-200:]!r}"
        assert passed or not seen.failed, "an end beside an error"
        assert passed or seen.text == text, f"another text, of {len(seen.text)} characters instead of {len(text)}"
        return "stream"
    if expected == "error":
        assert seen.failed, f"half an answer without an error: {reply.body[-200:]!r}"
        assert not seen.ended, "an end beside an error"
        assert passed or text.startswith(seen.text), "another text"
    return "error in the stream" if seen.failed else "stream"


def _check_mark(question: Question, body: bytes) -> None:
    """No other request's mark, whatever the answer is."""
    start = 0
    while (start := body.find(b"tk", start)) >= 0:
        other = body[start + 2 : start + 14]
        if len(other) == 12 and body[start + 14 : start + 15] == b"n" and _is_hex(other):
            assert other == question.mark.id.encode(), "the answer of another request"
        start += 2


def _is_hex(data: bytes) -> bool:
    return all(byte in b"0123456789abcdef" for byte in data)
