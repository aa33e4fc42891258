"""What a client made of an exchange that is over: an answer, an error it can read, or nothing; never half of one."""

from __future__ import annotations

import json

from ferryllm_proto import DIALECTS
from ferryllm_proto.actions import Cut, Outcome, Record
from ferryllm_proto.inputs import DeadlinePassed, Stopping, UpstreamEnd
from support import grammar
from support.wellformed import check_error, check_headers
from support.wires.meaning import Meant
from support.wires.trial import CAN_REFUSE, same_text

from .ledger import Ledger
from .questions import Question
from .scripts import Script


def judge(question: Question, script: Script | None, ledger: Ledger) -> str:
    """How the answer ended, in a word. Raises AssertionError for what no client could live with."""
    record, head = ledger.record, ledger.head
    assert record is not None
    if ledger.client_gone:
        assert record.outcome in (Outcome.CANCELLED, Outcome.OK, Outcome.TRUNCATED, Outcome.ERROR)
        return "left"
    assert head is not None
    assert record.outcome is not Outcome.CANCELLED, "cancelled by nobody"
    if not question.forwards:
        check_headers(head.headers)
    names = [name.lower() for name, _ in head.headers]
    assert len(names) == len(set(names)), f"a header twice: {names}"
    if isinstance(ledger.terminal, Cut):
        assert question.forwards, "cut, where words were possible"
        return "cut"
    if question.forwards and script is not None:
        return "forwarded"
    body = bytes(ledger.body)
    if not 200 <= head.status < 300:
        return _error(question, ledger, body)
    assert record.error is None or record.outcome is not Outcome.OK
    # A count the provider would not make is estimated; an object of equal dialects is the client's to judge.
    passed = question.entry == question.backend and body[:1] == b"{" and script is not None and script.kind == "page"
    # Where the providers failed, the gateway may know the answer itself: Ollama's empty question that loads a model.
    own = record.attempts > 0 and all(one.outcome != "ok" for one in record.tries)
    if script is not None and script.cut and record.operation != "count_tokens" and not passed and not own:
        assert record.outcome is not Outcome.OK, f"a success out of half an answer ({script.kind})"
    ended = isinstance(ledger.events[-1][1], UpstreamEnd)
    whole = script is not None and script.whole and question.generates and ended
    if script is not None and whole and script.meant is not None and record.outcome is Outcome.OK:
        _counted(script.meant, record)
    if (
        question.sound
        and whole
        and not any(isinstance(event, (DeadlinePassed, Stopping)) for _, event in ledger.events)
    ):
        assert record.outcome is Outcome.OK, f"a good answer became {record.outcome.value}"
    kind = {name.lower(): value for name, value in head.headers}["content-type"]
    # Without alt=sse a stream of Gemini's is a JSON array.
    array = question.entry == "gemini" and "alt=sse" not in question.request.target and body[:1] == b"["
    if question.generates and record.stream and (array or not kind.startswith("application/json")):
        return _stream(question, script, ledger, body)
    if not kind.startswith("application/json") and not question.generates:
        return "stream"
    return _whole(question, script, ledger, body)


def _counted(meant: Meant, record: Record) -> None:
    """What it cost stands in the record, as the provider told it."""
    if meant.usage is not None:
        assert record.usage is not None, "no usage in the record"
        found = (record.usage.input_total, record.usage.output)
        assert found == (meant.usage.input, meant.usage.output), f"{found} tokens, meant {meant.usage}"


def _error(question: Question, ledger: Ledger, body: bytes) -> str:
    record, head = ledger.record, ledger.head
    assert record is not None
    assert head is not None
    assert record.outcome is not Outcome.OK, "an error that is recorded as success"
    assert record.error is not None
    assert ("content-type", "application/json") in [(n, v.partition(";")[0]) for n, v in head.headers]
    dialect = question.entry if record.operation != "none" else record.entry
    # An error in the client's own dialect is relayed as its provider wrote it (E1).
    if body != record.error.raw:
        check_error(dialect, head.status, body)
    return "status"


def _whole(question: Question, script: Script | None, ledger: Ledger, body: bytes) -> str:
    assert ledger.record is not None
    if ledger.record.stream and question.entry == question.backend and ledger.record.outcome is not Outcome.OK:
        # The provider's head called its stream JSON, and the head has gone.
        _, seen = grammar.judge(question.entry, body, path=question.request.target)
        assert seen.failed, "half an answer, or an error, that looks like a whole answer"
        return "in-stream error"
    assert ledger.record.outcome is Outcome.OK, "half an answer, or an error, that looks like a whole answer"
    if script is not None and question.entry == question.backend and not script.clean:
        return "whole"  # bytes of equal dialects are the provider's
    json.loads(body)
    if question.generates and (script is None or question.entry != question.backend):
        DIALECTS[question.entry].decode_response(body)
    return "whole"


def _stream(question: Question, script: Script | None, ledger: Ledger, body: bytes) -> str:
    record, entry = ledger.record, question.entry
    assert record is not None
    path = question.request.target
    problems, seen = grammar.judge(entry, body, path=path)
    if question.backend != entry:
        wrong = [problem for problem in problems if problem.rule != grammar.CUT]
        assert not wrong, f"{entry}: {wrong[0]}"
        assert seen.ended != seen.failed, "an end beside an error" if seen.ended else "neither an end nor an error"
    if question.backend == entry and script is not None and not script.clean:
        pass  # damage passes too, and what is the end then is anybody's guess
    elif record.outcome is Outcome.OK:
        # [DONE] says nothing that the finish has not said: some servers never send it, and bytes pass untouched.
        assert seen.ended or (question.backend == entry == "openai" and seen.finish is not None), (
            "a success without its end"
        )
        assert not seen.failed or question.backend == entry
    else:
        assert seen.failed, f"{record.outcome.value}, and the client was not told"
    told = script is not None and script.clean and script.meant is not None and question.backend != entry
    if told:
        assert script is not None
        assert script.meant is not None
        meant = script.meant.prose(refusals=entry not in CAN_REFUSE)
        if seen.ended:
            same_text(seen.text, meant)
        else:
            found, wanted = (text.encode("utf-16", "surrogatepass") for text in (seen.text, meant))
            assert wanted.startswith(found), "text that was not meant"
    return "stream" if seen.ended else "in-stream error"
