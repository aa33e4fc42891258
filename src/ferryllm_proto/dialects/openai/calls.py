"""The tool calls of one stream: which fragment belongs to which call, and when a call may start.

Servers leave out indexes, repeat ids, number every call 0, send whole calls at once, names in pieces, or the whole
call so far instead of the next piece (translation.md X3 to X5). What they mean is decided here, once.
"""

from __future__ import annotations

from ... import ir, json
from ...errors import RemoteProtocolError
from ...events import ArgsDelta, BlockEnd, BlockKind, BlockStart, Event, OpaqueDelta
from .decode_messages import signature
from .response import CallAnswer, FunctionAnswer, arguments

MAX_ARGUMENTS = 16 << 20
"""Characters of one call's arguments: as much as one event may have bytes."""

MAX_CALLS = 1024
"""Calls of one answer; the most seen in a real one is below 100."""

_LEGACY = CallAnswer()


class _Call:
    __slots__ = ("args", "cumulative", "id", "ix", "kind", "name", "opaque", "size", "started")

    def __init__(self) -> None:
        self.ix = -1
        self.id = ""
        self.name = ""
        self.kind = ir.ToolKind.FUNCTION
        self.args: list[str] = []
        self.size = 0
        self.cumulative: str | None = None
        """What was given so far, where the server sends snapshots."""
        self.opaque: list[ir.Opaque] = []
        self.started = False


class Calls:
    """Deltas of tool calls in, events out. ``first`` gives the next free number of a block."""

    __slots__ = ("_by_index", "_calls", "_legacy")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._legacy: _Call | None = None

    @property
    def any(self) -> bool:
        """Whether there is a call with a name."""
        return any(call.name for call in self._calls)

    @property
    def nameless(self) -> bool:
        """Whether a call has arguments and no name: nobody can answer it."""
        return any(call.args and not call.name for call in self._calls)

    def receive(self, deltas: list[CallAnswer], model: str, next_ix: int, out: list[Event]) -> int:
        """Take the deltas of one chunk; the next free block number comes back.

        Raises `RemoteProtocolError` when a call outgrows `MAX_ARGUMENTS`.
        """
        if len(deltas) == 1 and (piece := self._goes_on(deltas[0])) is not None:
            out.append(piece)
            return next_ix
        taken: list[_Call] = []
        for delta in deltas:
            call = self._find(delta, taken)
            taken.append(call)
            next_ix = self._start_others(call, next_ix, out)
            next_ix = self._apply(call, delta, model, next_ix, out)
        return next_ix

    def _goes_on(self, delta: CallAnswer) -> ArgsDelta | None:
        """What nearly every delta is, the next piece of a call's arguments; None: it may be more than that."""
        index, function = delta.index, delta.function
        if index is None or function is None or function.name or delta.id or delta.extra_content:
            return None
        call, text = self._by_index.get(index), function.arguments
        if call is None or not call.started or call.cumulative is not None or type(text) is not str or not text:
            return None
        # The second piece shows whether the server sends snapshots; other calls may wait for their turn.
        if len(call.args) < 2 or (len(self._calls) > 1 and [one for one in self._calls if not one.started]):
            return None
        call.size += len(text)
        if call.size > MAX_ARGUMENTS:
            call.size -= len(text)
            return None
        call.args.append(text)
        return ArgsDelta(call.ix, text)

    def receive_legacy(self, delta: FunctionAnswer, next_ix: int, out: list[Event]) -> int:
        """Take a ``function_call`` delta. The empty stub some servers send is nothing (D5)."""
        if self._legacy is None:
            self._legacy = self._add()
        return self._fragment(self._legacy, delta.name or "", arguments(delta), next_ix, out)

    def start_all(self, next_ix: int, out: list[Event]) -> int:
        """Start calls that waited for the rest of their name: something else began."""
        return self._start_others(None, next_ix, out)

    def end_all(self, next_ix: int, out: list[Event]) -> int:
        """End every call. Raises `RemoteProtocolError` for one that never got a name (Z12)."""
        if self.nameless:
            raise RemoteProtocolError("the provider sent a tool call without a name", kind=ir.ErrorKind.UPSTREAM)
        next_ix = self.start_all(next_ix, out)
        out.extend(BlockEnd(call.ix) for call in self._calls if call.started)
        self._calls = [call for call in self._calls if not call.started]
        return next_ix

    def _add(self) -> _Call:
        if len(self._calls) >= MAX_CALLS:
            raise RemoteProtocolError(f"the answer has more than {MAX_CALLS} tool calls", kind=ir.ErrorKind.UPSTREAM)
        call = _Call()
        self._calls.append(call)
        return call

    def _find(self, delta: CallAnswer, taken: list[_Call]) -> _Call:
        name = (delta.function.name if delta.function else None) or (delta.custom.name if delta.custom else None)
        if delta.index is not None:
            call = self._by_index.get(delta.index)
            # All calls numbered 0, told apart by id and name only.
            renewed = call is not None and delta.id and call.id and delta.id != call.id and name
            if call is None or renewed:
                call = self._by_index[delta.index] = self._add()
            return call
        if delta.id:
            for call in self._calls:
                if call.id == delta.id:
                    return call
            return self._add()
        if not self._calls:
            return self._add()
        last = self._calls[-1]
        if name and last.name and (last in taken or json.is_object("".join(last.args))):
            return self._add()
        return last

    def _start_others(self, current: _Call | None, next_ix: int, out: list[Event]) -> int:
        for call in self._calls:
            if call is not current and not call.started and call.name:
                next_ix = self._start(call, next_ix, out)
        return next_ix

    def _start(self, call: _Call, next_ix: int, out: list[Event]) -> int:
        call.started = True
        call.ix = next_ix
        out.append(BlockStart(next_ix, BlockKind.TOOL, id=call.id or None, name=call.name, tool_kind=call.kind))
        if call.args:
            out.append(ArgsDelta(next_ix, "".join(call.args)))
        out.extend(OpaqueDelta(next_ix, opaque) for opaque in call.opaque)
        return next_ix + 1

    def _apply(self, call: _Call, delta: CallAnswer, model: str, next_ix: int, out: list[Event]) -> int:
        if delta.id and not call.id:
            call.id = delta.id
        opaque = signature(delta.extra_content, model) if bytes(delta.extra_content) else None
        if opaque is not None:
            if call.started:
                out.append(OpaqueDelta(call.ix, opaque))
            else:
                call.opaque.append(opaque)
        if delta.function is not None:
            return self._fragment(call, delta.function.name or "", arguments(delta.function), next_ix, out)
        if delta.custom is not None:
            call.kind = ir.ToolKind.CUSTOM
            return self._fragment(call, delta.custom.name or "", delta.custom.input or "", next_ix, out)
        return next_ix

    def _fragment(self, call: _Call, name: str, text: str, next_ix: int, out: list[Event]) -> int:
        if name and not call.started:
            call.name = _joined(call.name, name)
        if not text:
            return next_ix
        text = self._fresh(call, text)
        if not text:
            return next_ix
        call.args.append(text)
        call.size += len(text)
        if call.size > MAX_ARGUMENTS:
            raise RemoteProtocolError(
                f"the arguments of one tool call are longer than {MAX_ARGUMENTS} characters",
                kind=ir.ErrorKind.UPSTREAM,
            )
        if call.started:
            out.append(ArgsDelta(call.ix, text))
        elif call.name:  # arguments have begun, so the name is whole
            return self._start(call, next_ix, out)
        return next_ix

    def _fresh(self, call: _Call, text: str) -> str:
        """What of ``text`` is new.

        A second fragment that begins with the whole first one, where JSON allows no new object, shows a server that
        sends the call so far each time (X4).
        """
        if call.cumulative is not None:
            known, call.cumulative = call.cumulative, text
            return text[len(known) :] if text.startswith(known) else ""
        if len(call.args) == 1 and text[0] == "{" and call.kind is ir.ToolKind.FUNCTION:
            first = call.args[0]
            if text.startswith(first) and first.rstrip()[-1:] not in ("", ":", "[", ","):
                call.cumulative = text
                return text[len(first) :]
        return text


def _joined(known: str, name: str) -> str:
    """A name that is repeated, so far, or in pieces (X5)."""
    if name == known:
        return known
    return name if name.startswith(known) else known + name
