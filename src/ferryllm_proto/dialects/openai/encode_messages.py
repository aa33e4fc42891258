"""System texts and turns as Chat ``messages``.

One assistant message for each assistant turn, its calls answered by tool messages right after it, and everything a
tool message cannot hold (images) in a user message after the whole run (translation.md A17 to A22).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ... import hosted, ir, json, opaque, system, tools
from ...toolsets import PROMPTS, keep
from ...written import Said, Written
from . import encode_written, reasoning
from .decode_messages import DEVELOPER
from .decode_parts import NAME
from .encode_parts import (
    Scope,
    Wire,
    encode,
    fields_of,
    is_plain,
    mark,
    parts,
    path_of,
    text_losses,
    unmarked,
)
from .encode_results import tool_message
from .plain import words
from .profile import Cache, CallContent, Later, Replay

CONTINUE = "Continue."
"""The user's words where nobody else said any: instructions alone are answered by no provider (A6)."""


_INSTRUCTING = frozenset({"system", "developer"})


def messages(scope: Scope, lowered: tools.Lowered) -> list[Wire]:
    """All messages of the request."""
    out = _system(scope)
    turns = scope.request.turns
    if not scope.native:
        turns = tools.pair_results(turns, scope.report)
    legacy: set[str] = set()
    if scope.native:
        legacy.update(
            part.id
            for turn in turns
            for part in turn.parts
            if isinstance(part, ir.ToolCall) and part.path.endswith(".function_call")
        )
    alone = not (scope.native or scope.profile.alternate or scope.profile.model.bridge)
    written, append = Written.of(turns) if alone else None, None
    if written is not None:
        append = encode_written.writer(written, scope, lowered)
    each: Sequence[ir.Turn | Said] = turns if written is None else written.said
    marks = scope.profile.cache is not Cache.NONE
    for n, turn in enumerate(each):
        if isinstance(turn, Said):
            assert append is not None
            assert written is not None
            if turn.mark is None or not marks:
                append(turn, out, n)
            else:
                _WRITERS[turn.role](written.turn(n), scope, lowered, legacy, out)
        elif alone and (text := words(turn)):
            out.append({"role": turn.role.value, "content": text})
        else:
            _WRITERS[turn.role](turn, scope, lowered, legacy, out)
    if not scope.native:
        if (not out or out[-1]["role"] in _INSTRUCTING) and all(message["role"] in _INSTRUCTING for message in out):
            scope.report.degraded(scope.request.wire_name("turns"), "nobody says anything: a user message was added")
            out.append({"role": "user", "content": CONTINUE})
        elif each[-1].role is ir.Role.ASSISTANT and out[-1]["role"] == "assistant":
            scope.report.degraded(turns[-1].path, "Chat answers a final assistant message and does not go on with it")
    return out


# --- instructions ----------------------------------------------------------------------------------------


def _message_of(path: str) -> str:
    """``messages[3]`` of the path of something in it."""
    return path[: path.find("]") + 1]


def _system(scope: Scope) -> list[Wire]:
    texts = list(scope.request.system)
    if not texts:
        return []
    if not scope.native:
        return _told(scope)
    out: list[Wire] = []
    group: list[ir.Text] = []
    for text in texts:
        if group and _message_of(group[0].path) != _message_of(text.path):
            out.append(_instructions(group, scope))
            group = []
        group.append(text)
    return [*out, _instructions(group, scope)] if group else out


def _told(scope: Scope) -> list[Wire]:
    """The instructions of another dialect's client, as one message; what is made of a long text that comes again is
    kept, with what gets lost of it."""
    request, report, profile = scope.request, scope.report, scope.profile
    # A message of instructions behind it may have to be put to it, part by part.
    first = request.turns if (written := Written.of(request.turns)) is None else written.said
    apart = all(one.role is not ir.Role.SYSTEM for one in first) and bool(first)
    kept = PROMPTS.derived(request.system) if apart else None
    key = ("chat", request.dialect, profile.system_role, profile.cache, report.at("", "cache"))
    if kept is not None and (known := kept.get(key)) is not None:
        content, losses = known
        for loss in losses:
            report.add(loss)
        return [] if content is None else [{"role": profile.system_role, "content": content}]
    told = len(report.losses)
    texts = [text for text in system.for_foreign(request, report) if text.text]
    out = [_instructions(texts, scope)] if texts else []
    if kept is not None and (not out or out[0].keys() == _BARE):
        content = json.raw(json.encode(out[0]["content"])) if out else None
        keep(kept, key, (content, tuple(report.losses[told:])))
    return out


_BARE = {"role", "content"}


def _role(ext: ir.Ext | None, scope: Scope) -> str:
    """``system`` or ``developer``: as the client wrote it, else what the model knows."""
    if not scope.native:
        return scope.profile.system_role
    return "developer" if ext is not None and DEVELOPER in ext.fields else "system"


def _instructions(texts: list[ir.Text], scope: Scope) -> Wire:
    message: Wire = {"role": _role(texts[0].ext, scope), "content": parts(list[ir.Part](texts), scope)}
    for text in texts:
        if scope.native and is_plain(text, scope):
            message.update(mark(text, scope))
            message.update(fields_of(text.ext))
        message.update(fields_of(text.ext, "message"))
    return message


def _later_system(turn: ir.Turn, scope: Scope, lowered: tools.Lowered, legacy: set[str], out: list[Wire]) -> None:
    found = [part for part in turn.parts if scope.native or not isinstance(part, ir.Text) or part.text]
    _turn_losses(turn, scope)
    later = Later.KEEP if scope.native else scope.profile.later_system
    if later is Later.USER and found:
        scope.report.degraded(
            turn.path or "messages", "instructions inside the conversation are a marked text of the user"
        )
        found = [_reminder(part) for part in found]
        _append(_plain("user", turn, found, scope), turn, scope, out)
    elif found or scope.native:
        message = _plain(_role(turn.ext, scope), turn, found, scope)
        if later is Later.MERGE and out and out[-1]["role"] == message["role"]:
            scope.report.degraded(turn.path or "messages", "instructions that follow each other are one message")
            _merge(message, out)
        else:
            out.append(message)


def _reminder(part: ir.Part) -> ir.Part:
    if not isinstance(part, ir.Text):
        return part
    return msgspec.structs.replace(part, text=f"<system-reminder>\n{part.text}\n</system-reminder>")


BRIDGE = "OK."
"""The assistant's words where a model wants some between a tool's result and the user (B19)."""


def _append(message: Wire, turn: ir.Turn, scope: Scope, out: list[Wire]) -> None:
    """Add a message of the user, or its content to the one before where users and assistants must take turns."""
    if scope.profile.model.bridge and not scope.native and out and out[-1]["role"] == "tool":
        scope.report.degraded(turn.path or "messages", "the model wants to speak before the user: a message was added")
        out.append({"role": "assistant", "content": BRIDGE})
    if scope.profile.alternate and not scope.native and out and out[-1]["role"] == message["role"]:
        scope.report.degraded(turn.path or "messages", "messages that follow each other are one message")
        _merge(message, out)
    else:
        out.append(message)


def _merge(message: Wire, out: list[Wire]) -> None:
    """The content of ``message`` behind that of the last one, as parts: nothing is put between them."""
    pieces: list[object] = []
    for content in (out[-1]["content"], message["content"]):
        pieces.extend(content if isinstance(content, list) else [{"type": "text", "text": content}])
    out[-1] = {**out[-1], "content": pieces}


# --- users and results -----------------------------------------------------------------------------------


def _plain(role: str, turn: ir.Turn, found: list[ir.Part], scope: Scope) -> Wire:
    message: Wire = {"role": role, "content": parts(found, scope)}
    if len(found) == 1 and scope.native and isinstance(found[0], ir.Text) and is_plain(found[0], scope):
        message.update(mark(found[0], scope))
    if turn.name is not None:
        message["name"] = turn.name
    if turn.ext is not None:
        message.update(fields_of(turn.ext))
    return message


def _turn_losses(turn: ir.Turn, scope: Scope) -> None:
    if turn.ext is not None:
        scope.report.ext(turn.ext, NAME, turn.path)
    # The id of a message is the client's own book-keeping; its absence changes nothing and is not reported.


def _user(turn: ir.Turn, scope: Scope, lowered: tools.Lowered, legacy: set[str], out: list[Wire]) -> None:
    _turn_losses(turn, scope)
    media: list[ir.Part] = []
    rest: list[ir.Part] = []
    for part in turn.parts:
        kind = type(part)
        if kind is ir.ToolResult:
            out.append(tool_message(part, scope, lowered, legacy, media))  # type: ignore[arg-type]  # just compared
        elif scope.native or kind is not ir.Text or part.text:  # type: ignore[union-attr]  # the same
            rest.append(part)
    if media or rest or (scope.native and len(rest) == len(turn.parts)):
        _append(_plain("user", turn, [*media, *rest], scope), turn, scope, out)


# --- the assistant ---------------------------------------------------------------------------------------


def _assistant(turn: ir.Turn, scope: Scope, lowered: tools.Lowered, legacy: set[str], out: list[Wire]) -> None:
    _turn_losses(turn, scope)
    message: Wire = {"role": "assistant"}
    thoughts: list[ir.Reasoning] = []
    calls: list[ir.ToolCall] = []
    content: list[ir.Part] = []
    refusals: list[ir.Refusal] = []
    for part in turn.parts:
        kind = type(part)
        if kind is ir.ToolCall:
            calls.append(part)  # type: ignore[arg-type]  # just compared
        elif kind is ir.Reasoning:
            thoughts.append(part)  # type: ignore[arg-type]  # the same
        else:
            content.append(part)
            if kind is ir.Refusal:
                refusals.append(part)  # type: ignore[arg-type]  # the same
    if scope.native:
        # Mistral's thoughts are parts of the content, and a refusal may be one.
        thoughts = [t for t in thoughts if ".content[" not in t.path]
        refusals = [r for r in refusals if not r.path.endswith("]")]
        content = [p for p in turn.parts if not isinstance(p, ir.ToolCall) and p not in thoughts]
    elif calls:
        _order(turn, scope)
    if refusals:
        content = [part for part in content if part not in refusals]
    message["content"] = _said(content, scope)
    if refusals:
        message["refusal"] = "".join(part.text for part in refusals)
    if scope.native:
        citations = [raw for part in content if isinstance(part, ir.Text) for raw in part.citations]
        if citations:
            message["annotations"] = [json.raw(raw) for raw in citations]
    if thoughts:
        message.update(_thoughts(thoughts, scope, calling=bool(calls)))
    if calls:
        _calls(calls, scope, lowered, legacy, message)
    if turn.name is not None:
        message["name"] = turn.name
    if turn.ext is not None:
        message.update(fields_of(turn.ext))
        message.update(_spelled(turn.ext))
    if len(message) > 2 or message["content"] is not None or scope.native:
        if message["content"] is None and not scope.native:
            _empty(message, scope)
        out.append(message)


def _empty(message: Wire, scope: Scope) -> None:
    """What stands for the text of an assistant message that has none."""
    if scope.profile.call_content is CallContent.EMPTY:
        message["content"] = ""
    elif scope.profile.call_content is CallContent.ABSENT and "tool_calls" in message:
        del message["content"]


def _spelled(ext: ir.Ext | None) -> Wire:
    """Fields that only reproduce how a Chat client wrote the same thing."""
    if ext is None or ext.dialect != NAME:
        return {}
    return {name[1:]: json.raw(value) for name, value in ext.fields.items() if name.startswith(".")}


def _order(turn: ir.Turn, scope: Scope) -> None:
    """Report text after a call: Chat has all text before all calls (G8)."""
    called = False
    for part in turn.parts:
        if isinstance(part, ir.ToolCall):
            called = True
        elif called and isinstance(part, ir.Text) and part.text:
            scope.report.degraded(path_of(part), "Chat puts all text of a message before its tool calls")


def _said(found: list[ir.Part], scope: Scope) -> object:
    """Content of an assistant message: a string, joined where there are several texts; null when there is none."""
    if scope.native:
        if not found:
            return None
        if len(found) == 1 and isinstance(found[0], ir.Text) and is_plain(found[0], scope):
            return found[0].text
        return [wire for part in found if (wire := _thinking(part) or encode(part, scope)) is not None]
    texts: list[str] = []
    for part in found:
        if isinstance(part, ir.Text):
            if part.citations or part.phase is not None or part.cache is not None or part.ext is not None:
                text_losses(part, scope)
                unmarked(part, scope)
            said: str | None = part.text
        elif isinstance(part, ir.Hosted) and part.dialect != NAME:
            said = hosted.as_text(part, NAME, scope.report)
        else:
            said = None
            scope.report.dropped(path_of(part), "an assistant message of Chat holds text only")
        if said:
            if texts:
                scope.report.degraded(path_of(part), "several texts of one turn are joined to one")
            texts.append(said)
    return "".join(texts) if texts else None


def _thinking(part: ir.Part) -> Wire | None:
    """Mistral's form of a thought inside the content."""
    if not isinstance(part, ir.Reasoning):
        return None
    return {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}


def _thoughts(found: list[ir.Reasoning], scope: Scope, *, calling: bool) -> Wire:
    """``reasoning_content`` and ``reasoning_details``, where this provider may have them."""
    out: Wire = {}
    texts: dict[str, list[str]] = {}
    details: list[json.Raw] = []
    for thought in found:
        path = path_of(thought)
        usable = [o for o in thought.opaque if _usable(o, scope)]
        details.extend(json.raw(o.data.encode("utf-8", "surrogatepass")) for o in usable)
        key = scope.profile.reasoning_field
        if scope.native:
            key = "reasoning" if path.endswith(".reasoning") else "reasoning_content"
        said = thought.text or "\n\n".join(thought.summary)
        if scope.native and not path.endswith(("]", ".reasoning_details")):
            texts.setdefault(key, []).append(thought.text)
        elif said and not scope.native and _replays(scope, calling=calling):
            if not usable or key == "reasoning_content":  # beside it the entries alone are complete
                texts.setdefault(key, []).append(said)
        elif said and not usable:
            scope.report.dropped(path, "this provider is not sent the thoughts of earlier turns")
            continue
        if len(usable) != len(thought.opaque):
            scope.report.dropped(path, "its proof means something only to the provider that made it")
    for key, pieces in texts.items():
        out[key] = "".join(pieces)
    if details:
        out["reasoning_details"] = details
    return out


def _replays(scope: Scope, *, calling: bool) -> bool:
    """Whether this provider gets the thoughts of a turn back (A27)."""
    replay = scope.profile.replay
    return replay is Replay.ALWAYS or (replay is Replay.LOOP and calling)


def _usable(found: ir.Opaque, scope: Scope) -> bool:
    # Native material names the client's own name of the model, which is whatever this provider calls it.
    model = "" if scope.native and found.model == scope.request.model else scope.model
    return found.kind is ir.OpaqueKind.DETAILS and opaque.usable(found, reasoning.PROVIDER, model)


def _calls(found: list[ir.ToolCall], scope: Scope, lowered: tools.Lowered, legacy: set[str], message: Wire) -> None:
    calls: list[Wire] = []
    for part in found:
        call = lowered.call(part)
        if part.ext is not None:
            scope.report.ext(part.ext, NAME, path_of(part))
        if part.id in legacy:
            message["function_call"] = {"name": call.name, "arguments": call.arguments, **fields_of(part.ext)}
            continue
        said = _call(call, scope)
        if part.cache is not None or part.opaque or part.ext is not None:
            said |= {**mark(part, scope), **_signature(part, scope), **fields_of(part.ext)}
        calls.append(said)
    if calls:
        message["tool_calls"] = calls


def _call(call: ir.ToolCall, scope: Scope) -> Wire:
    if call.kind is ir.ToolKind.CUSTOM:
        custom = {"name": call.name, "input": call.arguments, **fields_of(call.ext, "custom")}
        return {"id": call.id, "type": "custom", "custom": custom}
    arguments = call.arguments if call.arguments or scope.native else "{}"
    function: Wire = {"name": call.name, "arguments": arguments}
    if call.ext is not None:
        function |= fields_of(call.ext, "function")
    return {"id": call.id, "type": "function", "function": function}


def _signature(part: ir.ToolCall, scope: Scope) -> Wire:
    """Gemini's own Chat endpoint wants its thought signatures back where they were."""
    for found in part.opaque:
        own = scope.native and found.model == scope.request.model
        fits = found.model != "" and opaque.usable(found, "gemini", scope.model)
        if found.kind is ir.OpaqueKind.THOUGHT_SIGNATURE and (own or fits):
            return {"extra_content": {"google": {"thought_signature": found.data}}}
        path = scope.report.at(path_of(part), "opaque")
        scope.report.dropped(path, "its proof means something only to the provider that made it")
    return {}


_WRITERS = {ir.Role.USER: _user, ir.Role.ASSISTANT: _assistant, ir.Role.SYSTEM: _later_system}
"""Not in it: nothing, every role has its writer."""
