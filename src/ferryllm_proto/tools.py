"""Tools of one dialect in the terms of another: names, namespaces, freeform tools, ids, and the way back.

`lower` fits a request's tools, calls and results into what the provider's dialect can say; `ferryllm_proto.raising`
gives the answer's calls the client's own names, kinds and ids back. Both derive from the request alone, so the same
names come out in every turn (translation.md A13, A14, R5, R6).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import msgspec

from . import ids, ir, json, search
from .dialect import ToolRules
from .loss import Report
from .toolsets import SETS, keep
from .written import Call, Said, Written

_Key = tuple[str | None, str]
_FUNCTION = ir.ToolKind.FUNCTION
_USER, _ASSISTANT = ir.Role.USER, ir.Role.ASSISTANT

_SHIM_SCHEMA = json.encode(
    {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The whole input of the tool, as plain text."}},
        "required": ["input"],
        "additionalProperties": False,
    }
)


@functools.lru_cache(maxsize=64)
def ids_of(rules: ToolRules) -> ids.IdRules:
    """What ``rules`` say of the ids of calls."""
    return ids.IdRules(rules.id_prefix, rules.max_id, rules.id_pattern)


def _callable(tool: ir.Tool) -> tuple[ir.Function | ir.Custom, ...]:
    """The client's own tools in an entry of the list."""
    return tool.inner if isinstance(tool, ir.HostedTool) else (tool,)


class ToolTable:
    """Names on the client's side to names on the provider's and back."""

    def __init__(self, tools: tuple[ir.Tool, ...], rules: ToolRules) -> None:
        self.rules = rules
        self._pattern = ids.pattern(rules.name_pattern)
        self._wire: dict[_Key, str] = {}
        self._client: dict[str, ir.Function | ir.Custom] = {}
        self._spaced: dict[_Key, ir.Function | ir.Custom] = {}
        """With namespaces a provider's name alone says not which tool is meant."""
        if not tools:
            return
        named = [tool for one in tools for tool in _callable(one)]
        # Plain names that fit keep their name whatever comes before them; the others get one that is still free.
        for tool in sorted(named, key=lambda tool: not self._fits(tool)):
            wire = self.wire_name(tool.namespace, tool.name)
            self._client.setdefault(wire, tool)
            self._spaced.setdefault((tool.namespace, wire), tool)

    def copied(self) -> ToolTable:
        """The same table, for one more request: names it learns from that are no part of this one."""
        table = ToolTable((), self.rules)
        table._wire, table._client, table._spaced = self._wire.copy(), self._client, self._spaced
        return table

    def _fits(self, tool: ir.Function | ir.Custom) -> bool:
        plain = tool.namespace is None or self.rules.namespaces
        return plain and self._pattern.fullmatch(tool.name) is not None

    def wire_name(self, namespace: str | None, name: str) -> str:
        """The provider's name of a tool, also of one that is no longer in the request's list."""
        key = (namespace, name)
        known = self._wire.get(key)
        if known is None:
            known = self._wire[key] = self._make(namespace, name)
        return known

    def _make(self, namespace: str | None, name: str) -> str:
        plain = name if namespace is None or self.rules.namespaces else f"{namespace}__{name}"
        # Where namespaces exist, equal names in two of them are two tools.
        if self._pattern.fullmatch(plain) and (self.rules.namespaces or plain not in self._client):
            return plain
        clean = re.sub(r"[^a-zA-Z0-9_-]", "_", plain)
        mark = ids.short_hash(f"{namespace or ''}\0{name}")
        short = f"{clean[: self.rules.max_name - 9]}_{mark}"
        # Some dialects want a letter first.
        return short if self._pattern.fullmatch(short) else f"tool_{mark}"

    def client_tool(self, wire: str, namespace: str | None = None) -> ir.Function | ir.Custom | None:
        """The client's tool behind a provider's name; None for a name the request does not have.

        ``namespace`` is what the provider said; one that leaves it out means the only tool of that name.
        """
        return self._spaced.get((namespace, wire)) or self._client.get(wire)


class Lowered:
    """A request's tools as the provider's dialect can say them."""

    def __init__(
        self,
        tools: tuple[ir.Tool, ...],
        choice: ir.ToolChoice | None,
        parallel: bool | None,
        table: ToolTable,
    ) -> None:
        self.tools = tools
        self.choice = choice
        """None where there are no tools left: a choice without tools is refused by every provider (A10)."""
        self.parallel = parallel
        self.table = table
        self._ids = ids_of(table.rules)

    def call(self, call: ir.ToolCall) -> ir.ToolCall:
        """A call of the history with the provider's name, id and form of arguments."""
        rules = self.table.rules
        shim = call.kind is ir.ToolKind.CUSTOM and not rules.custom
        id_, name = ids.fit(call.id, self._ids), self.table.wire_name(call.namespace, call.name)
        if call.namespace is None and not shim and name == call.name and id_ == call.id:
            return call  # the usual one fits as it is
        return msgspec.structs.replace(
            call,
            id=id_,
            name=name,
            namespace=call.namespace if rules.namespaces else None,
            arguments=json.encode({"input": call.arguments}).decode() if shim else call.arguments,
            kind=ir.ToolKind.FUNCTION if shim else call.kind,
        )

    def result(self, result: ir.ToolResult) -> ir.ToolResult:
        """A result of the history with the provider's id and kind."""
        id_ = ids.fit(result.id, self._ids)
        kind = result.kind if self.table.rules.custom else ir.ToolKind.FUNCTION
        if id_ == result.id and kind is result.kind:
            return result
        return msgspec.structs.replace(result, id=id_, kind=kind)


def lower(request: ir.Request, rules: ToolRules, target: str, report: Report) -> Lowered:
    """Fit the request's tools into ``rules``.

    Hosted tools of another dialect are dropped and reported, and refused where the client forces their use. What is
    reported has the path the client wrote.
    """
    if not request.tools and request.tool_choice is None:
        return Lowered((), None, None, ToolTable((), rules))
    kept, told = SETS.derived(request.tools), len(report.losses)
    if kept is not None and (known := kept.get((rules, target))) is not None:
        found, table = known[0], known[1].copied()
        choice = _lower_choice(request, table, target, report, bool(found), set())
        return Lowered(found, choice, request.parallel, table)
    table = ToolTable(request.tools, rules)
    out: list[ir.Tool] = []
    seen: set[_Key] = set()
    gone: set[str] = set()
    for tool in request.tools:
        if isinstance(tool, ir.HostedTool):
            if tool.dialect == target:
                out.append(tool)
                continue
            if (same := search.tool(tool, target, report)) is not None:
                out.append(same)
                gone.add(tool.name or tool.type)  # nobody can be told to choose it under another type
                continue
            gone.add(tool.name or tool.type)
            report.dropped(tool.path or f"tools.{tool.type}", f"{target} cannot run the hosted tool {tool.type}")
        for one in _callable(tool):
            key = (one.namespace, one.name)
            if key in seen:
                report.dropped(one.path or f"tools.{one.name}", "a tool of this name is already defined")
                continue
            seen.add(key)
            out.append(_lower_tool(one, table, target, report))
    lowered = tuple(out)
    if kept is not None and len(report.losses) == told and not any(isinstance(t, ir.HostedTool) for t in request.tools):
        keep(kept, (rules, target), (lowered, table.copied()))
    choice = _lower_choice(request, table, target, report, bool(out), gone - {name for _, name in seen})
    return Lowered(lowered, choice, request.parallel if out else None, table)


def _lower_tool(tool: ir.Function | ir.Custom, table: ToolTable, target: str, report: Report) -> ir.Tool:
    name = table.wire_name(tool.namespace, tool.name)
    namespace = tool.namespace if table.rules.namespaces else None
    if tool.namespace_description and namespace is None:
        above = tool.path.rpartition(".tools[")[0] or f"tools.{tool.namespace}"
        report.dropped(f"{above}.description", f"{target} has no namespaces: their tools are sent with longer names")
    if isinstance(tool, ir.Custom) and not table.rules.custom:
        path = tool.path or f"tools.{tool.name}"
        report.degraded(path, f"{target} has no freeform tools: sent as a function")
        for field in tool.ext.fields if tool.ext is not None else ():
            if not field.startswith("."):  # a spelling
                report.dropped(f"{path}.{field}", "not a field of the function that is sent instead")
        return ir.Function(name, _shim_description(tool), _SHIM_SCHEMA, path=tool.path)
    if name == tool.name and namespace == tool.namespace:
        return tool
    return msgspec.structs.replace(tool, name=name, namespace=namespace)


def _shim_description(tool: ir.Custom) -> str:
    lines = [tool.description or "", "Put the whole input, as plain text, into `input`."]
    if tool.definition:
        lines.append(f"The input must match this {tool.syntax or 'lark'} grammar:\n{tool.definition}")
    return "\n\n".join(line for line in lines if line)


def _lower_choice(
    request: ir.Request, table: ToolTable, target: str, report: Report, tools_left: bool, gone: set[str]
) -> ir.ToolChoice | None:
    """The choice in the provider's terms; ``gone`` are names of tools that were dropped."""
    choice = request.tool_choice
    if choice is None:
        return None
    path = request.wire_name("tool_choice")
    if choice.mode is ir.ToolChoiceMode.HOSTED:
        if request.dialect == target:
            return choice
        raise report.refuse(path, f"{target} cannot be forced to use this hosted tool")
    if choice.raw is not None and request.dialect == target:
        return choice  # written back as it came
    left = tuple(name for name in choice.names if name not in gone)
    if left and len(left) < len(choice.names):
        report.degraded(path, f"{target} cannot choose among hosted tools: they are left out")
    named = choice.mode in (ir.ToolChoiceMode.TOOL, ir.ToolChoiceMode.ALLOWED)
    forced = choice.mode in (ir.ToolChoiceMode.TOOL, ir.ToolChoiceMode.REQUIRED) or choice.required
    if not tools_left or (named and not left):
        if forced and request.tools:  # without the tool the caller gets another answer than he asked for (G5)
            raise report.refuse(path, f"{target} has none of the tools it asks for")
        if forced or named:
            report.dropped(path, "there are no tools left to choose from")
        if tools_left:  # none of those that are left was allowed
            return ir.ToolChoice(ir.ToolChoiceMode.NONE)
        return None
    if not named:
        return choice
    names = tuple(_choice_name(name, choice, request, table) for name in left)
    kind = choice.kind if table.rules.custom else ir.ToolKind.FUNCTION
    namespace = choice.namespace if table.rules.namespaces else None
    return msgspec.structs.replace(choice, names=names, kind=kind, namespace=namespace)


def _choice_name(name: str, choice: ir.ToolChoice, request: ir.Request, table: ToolTable) -> str:
    if choice.namespace is not None:
        return table.wire_name(choice.namespace, name)
    for tool in (one for entry in request.tools for one in _callable(entry)):
        if tool.name == name:
            return table.wire_name(tool.namespace, name)
    return table.wire_name(None, name)


def pair_results(turns: tuple[ir.Turn, ...], report: Report) -> tuple[ir.Turn, ...]:
    """Every call answered right after its turn, in order of the calls (A17 to A19, B10).

    A missing result becomes a placeholder that says so, a result without its call becomes text, one that came later
    than the next answer of the model is brought to its call; all are reported. Neighbouring turns of the assistant
    become one where the calls would be cut off from their results. An id that comes again in a later call (servers
    that number anew in every answer) gets another one there, the same in every turn of the conversation (A14).
    """
    written = Written.of(turns)
    if _is_paired(turns if written is None else written.said):
        return turns
    if written is not None:
        turns = written.turns()
    answers, placed = _match(turns, report)
    turns = _distinct(turns, answers)
    out: list[ir.Turn] = []
    run: list[ir.Turn] = []
    results: list[ir.Part] = []
    for number, turn in enumerate(turns):
        if turn.role is ir.Role.ASSISTANT:
            run.append(turn)
            continue
        if run:
            results = _close_run(run, number, answers, out, report)
            run = []
        parts: list[ir.Part] = []
        for place, part in enumerate(turn.parts):
            if not isinstance(part, ir.ToolResult):
                parts.append(part)
            elif (number, place) not in placed:
                report.degraded(part.path or "tool_result", "a result without a call before it: sent as text")
                parts.extend(_as_text(part))
        if results and turn.role is not ir.Role.USER:
            out.append(ir.Turn(ir.Role.USER, tuple(results)))
            results = []
        # One whose results have all gone to their calls may still hold fields that somebody has to report.
        if results or parts or not turn.parts or turn.ext is not None or turn.name is not None:
            out.append(msgspec.structs.replace(turn, parts=(*results, *parts)))
            results = []
    if run:
        results = _close_run(run, len(turns), answers, out, report)
    if results:
        out.append(ir.Turn(ir.Role.USER, tuple(results)))
    return tuple(out)


def _is_paired(turns: Sequence[ir.Turn | Said]) -> bool:
    """Whether everything is in its place already, as agents send it: one look instead of four passes."""
    ids_: set[str] = set()
    calls: Sequence[ir.ToolCall | Call] = ()
    made: ir.ToolCall | Call
    answered = True
    for turn in turns:
        if isinstance(turn, Said):
            if turn.role is _USER:
                results = turn.results
                if len(results) != len(calls):
                    return False
                for place, result in enumerate(results):
                    made = calls[place]
                    if result.id != made.id or made.kind is not _FUNCTION:
                        return False
                answered, calls = True, ()
                continue
            if not answered or calls:
                return False
            answered, calls = False, turn.calls
            for made in calls:
                if made.id in ids_:
                    return False
                ids_.add(made.id)
            continue
        assistant = turn.role is _ASSISTANT
        if (assistant and not answered) or (calls and turn.role is not _USER):
            return False
        waiting, calls = calls, (found := [])
        if len(turn.parts) < len(waiting):
            return False
        for place, part in enumerate(turn.parts):
            if isinstance(part, ir.ToolResult):
                call = waiting[place] if place < len(waiting) else None
                if call is None or part.id != call.id or part.kind is not call.kind:
                    return False
            elif place < len(waiting):
                return False
            elif isinstance(part, ir.ToolCall):
                if not assistant or part.id in ids_:
                    return False
                ids_.add(part.id)
                found.append(part)
        answered = not assistant
    return not calls


_Place = tuple[int, int]
"""Number of the turn and of the part in it."""


def _match(turns: tuple[ir.Turn, ...], report: Report) -> tuple[dict[_Place, ir.ToolResult], set[_Place]]:
    """The result of each call, and where the results that have a call are.

    An id may come again in a later turn (some servers count anew in every answer): a result belongs to the latest
    answer with an open call of that id, and there to the first.
    """
    waiting: dict[str, list[tuple[int, _Place]]] = {}
    answers: dict[_Place, ir.ToolResult] = {}
    placed: set[_Place] = set()
    run = 0
    for number, turn in enumerate(turns):
        if turn.role is ir.Role.ASSISTANT and (number == 0 or turns[number - 1].role is not ir.Role.ASSISTANT):
            run += 1
        for place, part in enumerate(turn.parts):
            if isinstance(part, ir.ToolCall):
                waiting.setdefault(part.id, []).append((run, (number, place)))
            elif isinstance(part, ir.ToolResult) and (calls := waiting.get(part.id)):
                latest = calls[-1][0]
                first = next(n for n, (of, _) in enumerate(calls) if of == latest)
                answers[calls.pop(first)[1]] = part
                placed.add((number, place))
                if latest != run:
                    report.degraded(part.path or "tool_result", "moved to the call it answers")
    return answers, placed


def _distinct(turns: tuple[ir.Turn, ...], answers: dict[_Place, ir.ToolResult]) -> tuple[ir.Turn, ...]:
    """``turns`` in which no two calls have one id; their results in ``answers`` are given the same."""
    seen: dict[str, int] = {}
    renamed: dict[_Place, ir.ToolCall] = {}
    for number, turn in enumerate(turns):
        for place, part in enumerate(turn.parts):
            if not isinstance(part, ir.ToolCall):
                continue
            count = seen[part.id] = seen.get(part.id, 0) + 1
            if count > 1:
                id_ = ids.mint("call_", count, part.id)
                renamed[number, place] = msgspec.structs.replace(part, id=id_)
                if (answer := answers.get((number, place))) is not None:
                    answers[number, place] = msgspec.structs.replace(answer, id=id_)
    if not renamed:
        return turns
    return tuple(
        msgspec.structs.replace(turn, parts=tuple(renamed.get((n, p), part) for p, part in enumerate(turn.parts)))
        for n, turn in enumerate(turns)
    )


def _close_run(
    run: list[ir.Turn], end: int, answers: dict[_Place, ir.ToolResult], out: list[ir.Turn], report: Report
) -> list[ir.Part]:
    """Write the assistant's turns before turn ``end`` and return the results of their calls."""
    start = end - len(run)
    results: list[ir.Part] = []
    first = len(run) - 1
    for number, turn in enumerate(run):
        for place, part in enumerate(turn.parts):
            if isinstance(part, ir.ToolCall):
                first = min(first, number)
                found = answers.get((start + number, place)) or _placeholder(part, report)
                # Chat has one form of results for both kinds of calls.
                results.append(found if found.kind is part.kind else msgspec.structs.replace(found, kind=part.kind))
    # What follows a call in the same run is said in the same breath: nothing may stand between it and its result.
    out.extend(run[:first])
    out.append(_joined(run[first:], report))
    return results


def _joined(turns: list[ir.Turn], report: Report) -> ir.Turn:
    head, *others = turns
    for turn in others:
        if turn.ext is not None or turn.name is not None:
            report.degraded(turn.path or "messages", "joined to the assistant's message before it")
    phase = head.phase if all(turn.phase == head.phase for turn in others) else None
    return msgspec.structs.replace(head, parts=tuple(part for turn in turns for part in turn.parts), phase=phase)


def _placeholder(call: ir.ToolCall, report: Report) -> ir.ToolResult:
    report.degraded(call.path or f"tool call {call.id}", "no result follows this call: a placeholder was added")
    return ir.ToolResult(call.id, (ir.Text("[no result]"),), name=call.name, is_error=True, kind=call.kind)


def _as_text(result: ir.ToolResult) -> list[ir.Part]:
    head = ir.Text(f"[result of tool call {result.id}]", path=result.path)
    return [head, *(part for part in result.parts if isinstance(part, (ir.Text, ir.Image, ir.Document)))]
