"""Turns that are passed on as they were written (`written.Said`) as Chat messages.

What `encode_messages` makes of the same turns, without strings between the client's JSON and the provider's.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ids, ir, json, tools
from ...written import Said, Written
from .encode_parts import NOT_HERE, OWN_CACHE, Scope, Wire
from .profile import CallContent

_USER = ir.Role.USER

_SHORT = 1024
"""Bytes of JSON that a string is made of as quickly as a string of bytes."""

Append = Callable[[Said, list[Wire], int], None]
"""Puts the messages of a turn to the others."""


def _unmarked(turn: Said, n: int, scope: Scope) -> None:
    """Report the breakpoint of a turn for a provider that takes none (`Cache.NONE`)."""
    last = len(turn.results) - (turn.text is None)
    path = scope.report.at(f"messages[{n}].content[{last}]", "cache")
    scope.report.dropped(path, OWN_CACHE if turn.text is not None else NOT_HERE)


def writer(turns: Written, scope: Scope, lowered: tools.Lowered) -> Append:
    """For the turns of a conversation in which every call is answered where it should be (`tools.pair_results`).

    Those with a mark are for providers that take none.
    """
    rules = tools.ids_of(lowered.table.rules)
    # Of calls and of results: the other one may be in a turn that is not written here.
    found = {one.id for turn in turns.said if type(turn) is Said for one in (turn.calls or turn.results)}
    fit = None if ids.fit_as_they_are(found, rules) else {id_: ids.fit(id_, rules) for id_ in found}
    wire_name, silence = lowered.table.wire_name, scope.profile.call_content
    names: dict[str, str] = {}

    def append(turn: Said, out: list[Wire], n: int) -> None:
        text = turn.text
        if turn.role is _USER:
            for result in turn.results:
                id_ = result.id if fit is None else fit[result.id]
                out.append({"role": "tool", "tool_call_id": id_, "content": result.content})
            if text is not None:
                out.append({"role": "user", "content": text})
            if turn.mark is not None:
                _unmarked(turn, n, scope)
            return
        message: Wire = {"role": "assistant", "content": text}
        calls: list[Wire] = []
        for call in turn.calls:
            id_, name, arguments = call.id, call.name, bytes(call.arguments)
            if name not in names:
                names[name] = wire_name(None, name)
            said = arguments.decode() if len(arguments) <= _SHORT else json.quoted(arguments)
            function = {"name": names[name], "arguments": said}
            calls.append({"id": id_ if fit is None else fit[id_], "type": "function", "function": function})
        if calls:
            message["tool_calls"] = calls
            if text is None and silence is not CallContent.NULL:
                if silence is CallContent.EMPTY:
                    message["content"] = ""
                else:
                    del message["content"]
        out.append(message)

    return append
