"""What a client may get while its provider fails: all of the answer, or an error it can read."""

from __future__ import annotations

import json

from ferryllm_proto import DIALECTS
from support import grammar, oracles
from support.answers import TEXT, path_of
from support.planted import PROVIDER_KEY, leaks
from support.wellformed import check_error, check_headers

from .catalogue import Fault
from .rig import Reply

EVIL = b"EVIL"


def judge(fault: Fault, entry: str, backend: str, reply: Reply, *, stream: bool) -> str:
    """How it ended, in a word. Raises AssertionError for what no client could live with."""
    assert reply.whole, "the message was cut where words were possible"
    check_headers(pair for pair in reply.headers if pair[0] != "server")
    assert not leaks(reply.body.decode("utf-8", "replace") + repr(reply.headers), (PROVIDER_KEY,)), "the key leaks"
    assert EVIL not in reply.body, "somebody else's answer"
    assert b"canary" not in reply.body
    expected = fault.expected(stream)
    if not 200 <= reply.status < 300:
        assert expected != "answer", f"status {reply.status} for a whole answer: {reply.body[:200]!r}"
        assert reply.status in fault.statuses, f"status {reply.status}, expected {sorted(fault.statuses)}"
        _check_refusal(entry, reply)
        return "status"
    assert reply.status == 200
    if stream:
        return _judge_stream(fault, entry, backend, reply, expected)
    assert expected != "error", f"a success: {reply.body[:300]!r}"
    _check_whole(entry, backend, reply)
    return "whole"


def _check_refusal(entry: str, reply: Reply) -> None:
    fields = dict(reply.headers)
    if reply.status in (429, 529):
        assert "retry-after" in fields, "the provider's wait was lost"
    assert fields["content-type"].startswith("application/json")
    check_error(entry, reply.status, reply.body)
    oracles.error(entry, reply.status, {"content-type": "application/json"}, reply.body)


def _check_whole(entry: str, backend: str, reply: Reply) -> None:
    if entry == backend:
        json.loads(reply.body.decode("utf-8", "replace"))
        return
    response = DIALECTS[entry].decode_response(reply.body)
    assert response.finish is not None
    oracles.whole(entry, reply.body)


def _judge_stream(fault: Fault, entry: str, backend: str, reply: Reply, expected: str) -> str:
    problems, seen = grammar.judge(entry, reply.body, path=path_of(entry, stream=True))
    if entry != backend:
        wrong = [problem for problem in problems if problem.rule != grammar.CUT]
        assert not wrong, f"{entry}: {wrong[0]}"
        assert seen.ended != seen.failed, "neither an end nor an error" if not seen.ended else "an end beside an error"
    if expected == "answer":
        assert seen.ended, f"no end: {reply.body[-300:]!r}"
        assert not seen.failed, f"an error: {reply.body[-300:]!r}"
        assert entry == backend or seen.text == TEXT, f"text {seen.text!r}"
        if entry != backend:
            oracles.stream(entry, reply.body)
        return "stream"
    if expected == "error":
        assert seen.failed, f"half an answer without an error: {reply.body[-300:]!r}"
        assert not seen.ended, "an end beside an error"
        assert entry == backend or TEXT.startswith(seen.text), f"text {seen.text!r}"
    else:
        assert seen.failed or seen.ended
    return "in-stream error" if seen.failed else "stream"
