"""An answer in the client's terms: names, kinds and ids of its tool calls, searches the provider made, proofs.

The way back of `ferryllm_proto.tools`, whose `ToolTable` both sides derive from the request alone.
"""

from __future__ import annotations

import msgspec

from . import ids, ir
from .dialect import ToolRules
from .errors import RemoteProtocolError
from .events import ArgsDelta, BlockEnd, BlockKind, BlockStart, Event, Finish, OpaqueDelta, UsageUpdate
from .freeform import FreeformInput
from .made import Made
from .tools import ToolTable, ids_of

_FIRST_OWN = 1 << 30
"""From here on blocks are numbered that are put into an answer; providers' decoders count from 0."""

RAISED = frozenset({BlockStart, Finish, OpaqueDelta})
"""The events a `Raiser` always wants to see."""

CHANGED = frozenset({BlockStart, OpaqueDelta})
CHANGED_BLOCKS = (BlockKind.TOOL, BlockKind.HOSTED)
"""The events, and the kinds of blocks that start, without which a `Raiser` gives back what it got."""

RAISED_PARTS = frozenset({ir.Hosted, ir.Reasoning, ir.ToolCall})
"""The parts of a whole answer that may look different to the client: without one of them it stays as it is."""


class Raiser:
    """Gives the tool calls of an answer the client's names, kinds, namespaces and ids.

    ``rules`` are the provider's dialect's (as for `lower`), ``client`` those of the client's. ``model`` is the name the
    provider was asked for: what it mints comes back to that name, whatever the answer calls it (deployments, aliases).
    """

    __slots__ = (
        "_calls", "_client", "_given", "_held", "_ids", "_inputs", "_known", "_made", "_model", "_next", "_rules",
        "_seed", "_tools",
    )  # fmt: skip

    def __init__(self, request: ir.Request, rules: ToolRules, client: ToolRules, seed: int, *, model: str = "") -> None:
        self._model = model
        self._tools = request.tools
        self._rules = rules
        self._known: ToolTable | None = None
        self._ids = ids_of(client)
        self._seed = seed
        self._given: set[str] | None = None
        """Ids of calls, from the first one on; so are the tables below: most answers call nothing."""
        self._calls = 0
        self._inputs: dict[int, FreeformInput] | None = None
        self._made: Made | None = None
        self._client = request.dialect
        self._held: dict[int, BlockStart] | None = None
        self._next = _FIRST_OWN

    @property
    def _table(self) -> ToolTable:
        if self._known is None:  # most answers call nothing
            self._known = ToolTable(self._tools, self._rules)
        return self._known

    @property
    def _searches(self) -> Made:
        if self._made is None:  # hardly an answer has something its provider made by itself
            self._made = Made(self._client, self._seed)
        return self._made

    @property
    def idle(self) -> bool:
        """Whether no block is being changed: then only `BlockStart` and `Finish` need `send`."""
        return not self._inputs and not self._held

    def send(self, event: Event) -> list[Event]:
        """The event as the client shall see it; a freeform tool's JSON arguments become its plain input."""
        kind = type(event)
        if kind is BlockStart:
            return self._open(event)  # type: ignore[arg-type]  # its type was just compared
        if kind is OpaqueDelta:
            return [self._minted(event)]  # type: ignore[arg-type]  # its type was just compared
        if kind is BlockEnd and self._held and event.ix in self._held:  # type: ignore[union-attr]  # its type was just compared
            return self._searched(event)  # type: ignore[arg-type]  # its type was just compared
        if kind is Finish:
            return [*self._unanswered(), *(e for ix in list(self._inputs or ()) for e in self._drain(ix)), event]
        if not self._inputs:
            return [event]
        if kind is ArgsDelta:
            held = self._inputs.get(event.ix)  # type: ignore[union-attr]  # its type was just compared
            if held is None:
                return [event]
            text = held.receive(event.text)  # type: ignore[union-attr]  # its type was just compared
            return [ArgsDelta(event.ix, text)] if text else []  # type: ignore[union-attr]  # its type was just compared
        if kind is BlockEnd:
            return [*self._drain(event.ix), event]  # type: ignore[union-attr]  # its type was just compared
        return [event]

    # --- what the provider made by itself ---

    def _open(self, event: BlockStart) -> list[Event]:
        if event.kind is BlockKind.HOSTED and event.hosted is not None and event.hosted.dialect != self._client:
            if self._held is None:
                self._held = {}
            self._held[event.ix] = event
            return []
        return [self._start(event)]

    def _searched(self, end: BlockEnd) -> list[Event]:
        assert self._held is not None
        start = self._held.pop(end.ix)
        found = end.hosted if end.hosted is not None else start.hosted
        blocks = self._searches.receive(found) if found is not None else None
        return [start, end] if blocks is None else self._blocks(blocks)

    def _blocks(self, blocks: tuple[ir.Hosted, ...]) -> list[Event]:
        out: list[Event] = []
        for block in blocks:
            ix, self._next = self._next, self._next + 1
            out += (BlockStart(ix, BlockKind.HOSTED, hosted=block), BlockEnd(ix, block))
        return out

    def _unanswered(self) -> list[Event]:
        if self._made is None:
            return []
        out = self._blocks(self._searches.end())
        if self._searches.made:
            out.append(UsageUpdate(self._searches.usage))
        return out

    def _minted(self, event: OpaqueDelta) -> OpaqueDelta:
        return OpaqueDelta(event.ix, self._named(event.opaque))

    def _named(self, found: ir.Opaque) -> ir.Opaque:
        return msgspec.structs.replace(found, model=self._model) if self._model and found.model else found

    def _drain(self, ix: int) -> list[Event]:
        held = self._inputs.pop(ix, None) if self._inputs else None
        rest = held.end() if held is not None else ""
        return [ArgsDelta(ix, rest)] if rest else []

    def _start(self, event: BlockStart) -> BlockStart:
        if event.kind is not BlockKind.TOOL:
            return event
        if not event.name:
            raise RemoteProtocolError("the provider sent a tool call without a name", kind=ir.ErrorKind.UPSTREAM)
        tool = self._table.client_tool(event.name or "", event.namespace)
        custom = isinstance(tool, ir.Custom)
        if custom and event.tool_kind is ir.ToolKind.FUNCTION:
            if self._inputs is None:
                self._inputs = {}
            self._inputs[event.ix] = FreeformInput()
        return msgspec.structs.replace(
            event,
            id=self._id(event.id),
            name=tool.name if tool is not None else event.name,
            namespace=tool.namespace if tool is not None else event.namespace,
            tool_kind=ir.ToolKind.CUSTOM if custom else event.tool_kind,
        )

    def _id(self, id_: str | None) -> str:
        position, self._calls = self._calls, self._calls + 1
        fitted = ids.fit(id_, self._ids) if id_ else ids.mint(self._ids.prefix, self._seed, f"tool{position}")
        given = self._given
        if given is None:
            given = self._given = set()
        if fitted in given:  # some servers number calls anew in every answer, some give one id to all
            fitted = ids.mint(self._ids.prefix, self._seed, f"tool{position}/{id_}")
        given.add(fitted)
        return fitted

    def response(self, response: ir.Response) -> ir.Response:
        """The same for a whole answer."""
        parts: list[ir.Part] = []
        for part in response.parts:
            if isinstance(part, ir.Hosted) and (blocks := self._searches.receive(part)) is not None:
                parts.extend(blocks)
            elif isinstance(part, (ir.Reasoning, ir.ToolCall)):
                named = msgspec.structs.replace(part, opaque=tuple(self._named(found) for found in part.opaque))
                parts.append(self._call(named) if isinstance(named, ir.ToolCall) else named)
            else:
                parts.append(part)
        parts.extend(self._searches.end())
        usage = response.usage
        if self._searches.made and usage is not None:
            usage = usage.merge(self._searches.usage)
        return msgspec.structs.replace(response, parts=tuple(parts), usage=usage)

    def _call(self, call: ir.ToolCall) -> ir.ToolCall:
        start = self._start(
            BlockStart(0, BlockKind.TOOL, call.id, call.name, call.namespace, call.kind, item_id=call.item_id)
        )
        held = self._inputs.pop(0, None) if self._inputs else None
        arguments = call.arguments if held is None else held.receive(call.arguments) + held.end()
        return msgspec.structs.replace(
            call,
            id=start.id or "",
            name=start.name or "",
            namespace=start.namespace,
            kind=start.tool_kind,
            arguments=arguments,
        )
