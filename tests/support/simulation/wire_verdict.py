"""What must hold of a world that is over: for every client at its end of the wire, and for what is left behind."""

from __future__ import annotations

import json

from ferryllm_proto import DIALECTS
from support import grammar
from support.faults.rig import parse
from support.planted import PROVIDER_KEY, leaks
from support.wellformed import check_error, check_headers
from support.wires.trial import CAN_REFUSE, same_text

from .worlds import Told, World, is_over


def judge(world: World) -> list[str]:
    """How each answer ended, in a word. Raises AssertionError, with the number of the request where it is about one."""
    assert world.errors == [], f"a handler failed: {world.errors!r}"
    assert world.open == world.idle, (
        f"{world.open} connections to providers are open, {world.idle} are idle in the pool"
    )
    assert world.left == 0, f"{world.left} connections to providers survive the pool"
    log = world.log.getvalue()
    assert leaks(log, (PROVIDER_KEY,)) == []
    begun = sum(bool(told.data or told.played) for told in world.told)
    records = log.count("request completed")
    assert begun <= records <= len(world.told), f"{records} records of {begun} to {len(world.told)} requests"
    ends = []
    for told in world.told:
        try:
            ends.append(_judge(told))
        except Exception as exc:
            played = f"{told.played!r:.3000}"
            raise AssertionError(f"{type(exc).__name__}: {exc}\n{told.data!r:.3000}\n{told!r:.300}\n{played}") from exc
    return ends


def _judge(told: Told) -> str:
    if not told.stayed or (told.again and not told.data):
        return "left"
    last = told.played[-1] if told.played else None
    script = last.script if last is not None and not last.hurt else None
    if told.slow and not is_over(told.data):
        return "cut off"
    reply = parse(told.data)
    assert reply.whole, "cut, where words were possible"
    check_headers(pair for pair in reply.headers if pair[0] != "server")
    assert not leaks(told.data.decode("utf-8", "replace"), (PROVIDER_KEY,))
    if reply.status != 200:
        assert reply.status >= 400
        try:
            check_error(told.entry, reply.status, reply.body)
        except (AssertionError, ValueError, KeyError):
            assert told.entry == told.backend, "an error no client can read"
            assert last is not None  # relayed as its provider wrote it (E1)
        return "status"
    assert last is not None, "an answer that nobody gave"
    kind = dict(reply.headers)["content-type"]
    lenient = told.entry == told.backend and (script is None or not script.clean)
    if told.stream and told.entry == told.backend and kind.startswith("application/json"):
        # The provider's head called its stream JSON, and the head has gone.
        _, seen = grammar.judge(told.entry, reply.body, path=told.path)
        if seen.failed:
            return "in-stream error"
    if not told.stream or kind.startswith("application/json"):
        if not lenient:
            assert script is None or not script.cut, f"a success out of half an answer ({last.script.kind})"
            json.loads(reply.body)
            if told.entry != told.backend:
                DIALECTS[told.entry].decode_response(reply.body)
        return "whole"
    problems, seen = grammar.judge(told.entry, reply.body, path=told.path)
    if told.entry != told.backend:
        wrong = [problem for problem in problems if problem.rule != grammar.CUT]
        assert not wrong, f"{told.entry}: {wrong[0]}"
        assert seen.ended != seen.failed
    elif not lenient:
        finished = told.entry == "openai" and seen.finish is not None
        assert seen.ended or seen.failed or finished, "neither an end nor an error"
    if script is not None and script.cut and not lenient:
        assert not seen.ended, f"a success out of half an answer ({script.kind})"
    if script is not None and script.clean and script.meant is not None and told.entry != told.backend:
        meant = script.meant.prose(refusals=told.entry not in CAN_REFUSE)
        if seen.ended:
            same_text(seen.text, meant)
        else:
            found, wanted = (text.encode("utf-16", "surrogatepass") for text in (seen.text, meant))
            assert wanted.startswith(found), "text that was not meant"
    return "stream" if not seen.failed else "in-stream error"
