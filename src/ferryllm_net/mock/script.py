"""The script: a request to the plan of its answer, pure and deterministic.

`plan` reads the conversation for directives, decides what is said, and lays it out as the events of a stream with the
pauses before them. Who runs the plan (`provider`) does nothing else.
"""

from __future__ import annotations

import base64
import itertools
import re

import msgspec

from ferryllm_proto import ir, json
from ferryllm_proto.events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    End,
    Event,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ferryllm_proto.tokens.estimate import estimate_input

from .directives import Call, Directives, Failure, Fault, in_prompt, without_directives
from .proofs import encrypt, sign
from .samples import sample
from .writing import choose

MAX_PIECES = 64
"""Pieces of a text whose number nobody asked for; a long one gets longer pieces."""
QUOTE = 200
"""Characters of a prompt or of a tool's result that are quoted."""


class Step(msgspec.Struct, frozen=True):
    event: Event
    delay_ms: int = 0
    """Before it."""


class Plan(msgspec.Struct, frozen=True):
    """An answer: an error before it began, or events in time; and what goes wrong on the way."""

    steps: tuple[Step, ...] = ()
    error: ir.Error | None = None
    status: int | None = None
    """Of the error, where the dialect's own is not wanted."""
    head_ms: int = 0
    """Before the head."""
    fault: Fault | None = None


class Scene(msgspec.Struct, frozen=True):
    """What of a conversation the answer depends on."""

    prompt: str
    """What the user last asked."""
    directives: Directives
    results: tuple[ir.ToolResult, ...] = ()
    """Of the tools, where the conversation ends with them."""
    rounds: int = 0
    """Answers with tool calls since the prompt."""


def plan(request: ir.Request, defaults: Directives | None = None) -> Plan:
    """The plan for ``request``; ``defaults`` hold for what the prompt does not say.

    Raises `DirectiveError` for a directive in the prompt that cannot be followed.
    """
    scene = read(request, defaults or Directives())
    wanted = scene.directives
    again = bool(scene.results)
    head_ms = wanted.slow_head_ms or 0
    if wanted.error is not None and not again:
        return Plan(error=_error(wanted.error, request, wanted), status=wanted.error.status, head_ms=head_ms)
    steps = _Writer(request, scene).steps()
    if wanted.stream_error is not None and not again:
        steps = _broken(steps, _error(wanted.stream_error, request, wanted), wanted.after)
    return Plan(tuple(steps), head_ms=head_ms, fault=None if again else wanted.fault)


def read(request: ir.Request, defaults: Directives) -> Scene:
    """The scene at the end of the conversation."""
    last = max((n for n, turn in enumerate(request.turns) if turn.role is ir.Role.ASSISTANT), default=-1)
    ending = [turn for turn in request.turns[last + 1 :] if turn.role is ir.Role.USER]
    results = tuple(part for turn in ending for part in turn.parts if isinstance(part, ir.ToolResult))
    prompt, all_text = _words(ending)
    said = in_prompt(all_text)
    if not results or said != Directives():
        return Scene(prompt, said.over(defaults))
    rounds = 0
    for turn in reversed(request.turns[: last + 1]):
        if turn.role is ir.Role.ASSISTANT:
            rounds += any(isinstance(part, ir.ToolCall) for part in turn.parts)
        elif turn.role is ir.Role.USER and not any(isinstance(part, ir.ToolResult) for part in turn.parts):
            prompt, all_text = _words([turn])
            said = in_prompt(all_text)
            if prompt or said != Directives():  # else it is what an agent added on its own
                return Scene(prompt, said.over(defaults), results, rounds)
    return Scene("", defaults, results, rounds)


def _words(turns: list[ir.Turn]) -> tuple[str, str]:
    """What the user wrote but for directives, and all text; agents put what they add themselves into tags."""
    texts = [
        piece for turn in turns for part in turn.parts if isinstance(part, ir.Text) for piece in _pieces(part.text)
    ]
    own = [own for text in texts if (own := without_directives(text).strip()) and not own.startswith("<")]
    return (own[-1] if own else ""), "\n".join(texts)


_ADDED = re.compile(r"\s*<([A-Za-z_-]+)(?:\s[^<>]*)?>.*?</\1>", re.DOTALL)


def _pieces(text: str) -> list[str]:
    """What stands in tags at the beginning of ``text``, and the rest: Ollama has one text for all of a message."""
    pieces = []
    while (added := _ADDED.match(text)) is not None:
        pieces.append(added[0])
        text = text[added.end() :]
    return [*pieces, text]


# --- errors ----------------------------------------------------------------------------------------------

_MESSAGES = {
    ir.ErrorKind.RATE_LIMIT: "Rate limit reached for requests (asked for by the prompt)",
    ir.ErrorKind.OVERLOADED: "Overloaded",
    ir.ErrorKind.AUTHENTICATION: "Incorrect API key provided",
    ir.ErrorKind.BILLING: "You exceeded your current quota, please check your plan and billing details",
}
_CONTEXT = {
    "anthropic": "prompt is too long: 208310 tokens > 200000 maximum",
    "openai": "This model's maximum context length is 128000 tokens. However, your messages resulted in 208310 tokens. "
    "Please reduce the length of the messages.",
    "ollama": "the input length exceeds the context length",
    "gemini": "The input token count (208310) exceeds the maximum number of tokens allowed (200000).",
    "openai_responses": "Your input exceeds the context window of this model. Please adjust your input and try again.",
}
"""The providers' own words: clients look for them."""


def _error(failure: Failure, request: ir.Request, wanted: Directives) -> ir.Error:
    message = _MESSAGES.get(failure.kind, f"{failure.kind.value} (asked for by the prompt)")
    if failure.kind is ir.ErrorKind.CONTEXT_LENGTH:
        message = _CONTEXT.get(request.dialect, _CONTEXT["openai"])
    return ir.Error(failure.kind, message, retry_after=wanted.retry_after)


_CONTENT = frozenset({TextDelta, ReasoningDelta, ArgsDelta})


def _broken(steps: list[Step], error: ir.Error, after: int | None) -> list[Step]:
    """``steps`` until ``after`` pieces of content, then ``error``."""
    content = [n for n, step in enumerate(steps) if type(step.event) in _CONTENT]
    keep = max(1, len(content) // 2) if after is None else after
    end = content[keep - 1] + 1 if 0 < keep <= len(content) else 1 if keep == 0 else len(steps) - 3
    return [*steps[:end], Step(StreamFailed(error))]


# --- the answer ------------------------------------------------------------------------------------------


class _Writer:
    """Lays one answer out as steps."""

    def __init__(self, request: ir.Request, scene: Scene) -> None:
        self._request = request
        self._scene = scene
        self._wanted = scene.directives
        self._steps: list[Step] = []
        self._ix = 0
        self._written: list[str] = []

    def steps(self) -> list[Step]:
        wanted = self._wanted
        calls = self._calls()
        self._add(Start("", self._request.model, usage=ir.Usage(input=estimate_input(self._request), output=1)))
        if wanted.reasoning is not None:
            self._think(wanted.reasoning)
        reason, stopped = ir.FinishReason.END, None
        text = self._text(calls)
        if text:
            text, reason, stopped = self._limited(text, asked=wanted.text is not None)
            self._say(text)
        if calls:
            self._call(calls)
            reason = ir.FinishReason.TOOL_USE
        if wanted.stop is not None and not self._scene.results:
            reason = wanted.stop
            if reason is ir.FinishReason.STOP:
                stopped = self._request.stop[0] if self._request.stop else "END"
        self._add(Finish(reason, stopped))
        self._add(UsageUpdate(self._usage()))
        self._add(End())
        return self._steps

    def _add(self, event: Event, *, paced: bool = False) -> None:
        self._steps.append(Step(event, (self._wanted.delay_ms or 0) if paced else 0))

    def _usage(self) -> ir.Usage:
        counted = ir.Usage(
            input=estimate_input(self._request),
            output=max(1, sum(map(len, self._written)) // 4),
            reasoning=len(self._wanted.reasoning) // 4 if self._wanted.reasoning else None,
        )
        return counted if self._wanted.usage is None else counted.merge(self._wanted.usage)

    # --- text ---

    def _text(self, calls: list[tuple[ir.Function | ir.Custom | None, Call]]) -> str:
        wanted, scene, request = self._wanted, self._scene, self._request
        if scene.results:
            if calls:
                return ""
            return wanted.then if wanted.then is not None else _quote_results(scene.results)
        if wanted.text is not None:
            return wanted.text
        if wanted.write is not None and not calls:
            return "None of the tools of this request can write a file."
        if calls:
            return ""
        if wanted.chunks:
            return " ".join(f"w{n}" for n in range(1, wanted.chunks + 1))
        if request.format is not None and request.format.kind is not ir.FormatKind.TEXT:
            return sample(request.format.schema, "pong" if _asks_pong(scene.prompt) else "demo")
        if _asks_pong(scene.prompt):
            return "pong"
        if not scene.prompt:
            return "This is the demo of ferryllm, a script without a model."
        return f"This is the demo of ferryllm, a script without a model. You said: {_shortened(scene.prompt)}"

    def _limited(self, text: str, *, asked: bool) -> tuple[str, ir.FinishReason, str | None]:
        """``text`` as far as the request's stop sequences and its limit let it go."""
        found = [(text.find(stop), stop) for stop in self._request.stop if stop and stop in text]
        if found:
            at, stop = min(found)
            return text[:at], ir.FinishReason.STOP, stop
        words = re.findall(r"\S+\s*|\s+", text)
        limit = self._request.max_output
        # A text that was asked for is said whole; Chat's and Messages' 0 means "only read the prompt".
        if asked or limit is None or limit < 1 or len(words) <= limit:
            return text, ir.FinishReason.END, None
        return "".join(words[:limit]), ir.FinishReason.LENGTH, None

    def _say(self, text: str) -> None:
        ix = self._block(BlockKind.TEXT)
        for piece in pieces(text, self._wanted.chunks):
            self._written.append(piece)
            self._add(TextDelta(ix, piece), paced=True)
        self._add(BlockEnd(ix))

    def _block(self, kind: BlockKind) -> int:
        ix, self._ix = self._ix, self._ix + 1
        self._add(BlockStart(ix, kind))
        return ix

    def _think(self, text: str) -> None:
        """Thoughts and their proof in the form of the dialect that is spoken."""
        request = self._request
        ix = self._block(BlockKind.REASONING)
        hidden = request.reasoning is not None and request.reasoning.show == "omitted"
        summary = 0 if request.dialect == "openai_responses" else None
        for piece in () if hidden else pieces(text, None):
            self._add(ReasoningDelta(ix, piece, summary), paced=True)
        self._written.append(text)
        if (proof := _proof(text, request)) is not None:
            self._add(OpaqueDelta(ix, proof))
        self._add(BlockEnd(ix))

    # --- tools ---

    def _calls(self) -> list[tuple[ir.Function | ir.Custom | None, Call]]:
        """The calls to make and the tools they are of (None: a tool the request does not have)."""
        wanted, scene, request = self._wanted, self._scene, self._request
        if scene.results and scene.rounds >= (wanted.rounds or 1):
            return []
        if wanted.write is not None:
            chosen = choose(request, wanted.write)
            return [] if chosen is None else [(chosen.tool, Call(chosen.tool.name, chosen.arguments))]
        calls = [_resolved(call, request) for call in wanted.calls]
        if not calls and (wanted.tools is not None or wanted.rounds is not None):
            calls = [(tool, _made_up(tool)) for tool in request.tools if not isinstance(tool, ir.HostedTool)]
            calls = calls[: wanted.tools or 1]
        if not calls and wanted.text is None and not scene.results:
            calls = _forced(request)
        if calls and wanted.tools is not None:
            calls = [calls[n % len(calls)] for n in range(wanted.tools)]
        return calls

    def _call(self, calls: list[tuple[ir.Function | ir.Custom | None, Call]]) -> None:
        started: list[tuple[int, list[str]]] = []
        # Gemini signs the first of its calls, whether it shows its thoughts or not; shown ones have signed it already.
        shown = self._wanted.reasoning is not None and self._wanted.text is None
        signed = self._request.dialect != "gemini" or shown
        for tool, call in calls:
            ix, self._ix = self._ix, self._ix + 1
            custom = isinstance(tool, ir.Custom) or (tool is None and call.kind is ir.ToolKind.CUSTOM)
            start = BlockStart(
                ix,
                BlockKind.TOOL,
                name=call.name,
                namespace=tool.namespace if tool is not None else None,
                tool_kind=ir.ToolKind.CUSTOM if custom else ir.ToolKind.FUNCTION,
            )
            self._written.append(call.arguments)
            fragments = pieces(call.arguments, None)
            self._add(start)
            if not signed:
                signed = True
                self._add(OpaqueDelta(ix, _signature(call.arguments, self._request)))
            if self._wanted.interleave:
                started.append((ix, fragments))
                continue
            for fragment in fragments:
                self._add(ArgsDelta(ix, fragment), paced=True)
            self._add(BlockEnd(ix))
        for turn in range(max((len(fragments) for _, fragments in started), default=0)):
            for ix, fragments in started:
                if turn < len(fragments):
                    self._add(ArgsDelta(ix, fragments[turn]), paced=True)
        for ix, _ in started:
            self._add(BlockEnd(ix))


def pieces(text: str, count: int | None) -> list[str]:
    """``text`` cut into ``count`` pieces (None: about its words); joined they are the text."""
    if count is None:
        words = re.findall(r"\S+\s*|\s+", text)
        if len(words) <= MAX_PIECES:
            return words
        count = MAX_PIECES
    count = max(1, min(count, len(text)))
    edges = [len(text) * n // count for n in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def _asks_pong(prompt: str) -> bool:
    return re.search(r"\bpong\b", prompt, re.IGNORECASE) is not None


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= QUOTE else f"{text[:QUOTE]}..."


def _quote_results(results: tuple[ir.ToolResult, ...]) -> str:
    quotes = []
    for result in results:
        text = _shortened("\n".join(part.text for part in result.parts if isinstance(part, ir.Text)))
        others = sum(not isinstance(part, ir.Text) for part in result.parts)
        quotes.append(f"{text or 'nothing'}{f' (and {others} of another kind)' if others else ''}")
    return f"Done. The tool answered: {'; '.join(quotes)}"


def _proof(text: str, request: ir.Request) -> ir.Opaque | None:
    if request.dialect == "anthropic":
        return ir.Opaque("anthropic", request.model, ir.OpaqueKind.SIGNATURE, sign(text))
    if request.dialect == "openai_responses":
        # The API gives the material only to those who ask; without it the item cannot be sent back.
        if "reasoning.encrypted_content" not in request.include:
            return None
        return ir.Opaque("openai", request.model, ir.OpaqueKind.ENCRYPTED, encrypt(text))
    if request.dialect == "gemini":
        return _signature(text, request)
    if request.dialect == "ollama":
        return None  # its thoughts need no proof
    details = {"type": "reasoning.text", "text": text, "signature": sign(text), "format": "mock-v1", "index": 0}
    return ir.Opaque("openrouter", request.model, ir.OpaqueKind.DETAILS, json.encode(details).decode())


def _signature(text: str, request: ir.Request) -> ir.Opaque:
    """A thought signature, which is base64 to its clients."""
    data = base64.b64encode(sign(text).encode()).decode()
    return ir.Opaque("gemini", request.model, ir.OpaqueKind.THOUGHT_SIGNATURE, data)


def _resolved(call: Call, request: ir.Request) -> tuple[ir.Function | ir.Custom | None, Call]:
    """The call in the form in which the request has the tool: a gateway may have made a function of a freeform tool."""
    tools = [tool for tool in request.tools if not isinstance(tool, ir.HostedTool)]
    plain = call.name.rpartition(".")[2]
    exact = [tool for tool in tools if tool.name == call.name]
    found = exact or [tool for tool in tools if tool.name == plain or tool.name.endswith(f"__{plain}")]
    if not found:
        return None, call
    shim = call.kind is ir.ToolKind.CUSTOM and isinstance(found[0], ir.Function)
    arguments = json.encode({"input": call.arguments}).decode() if shim else call.arguments
    return found[0], Call(found[0].name, arguments, call.kind)


def _made_up(tool: ir.Function | ir.Custom) -> Call:
    if isinstance(tool, ir.Custom):
        return Call(tool.name, "demo", ir.ToolKind.CUSTOM)
    return Call(tool.name, sample(tool.schema))


def _forced(request: ir.Request) -> list[tuple[ir.Function | ir.Custom | None, Call]]:
    """What ``tool_choice`` asks for without a doubt: the tool it names, or the first of those it allows."""
    choice = request.tool_choice
    if choice is None:
        return []
    forced = choice.mode in (ir.ToolChoiceMode.TOOL, ir.ToolChoiceMode.REQUIRED) or choice.required
    tools = [tool for tool in request.tools if not isinstance(tool, ir.HostedTool)]
    named = [tool for tool in tools if not choice.names or tool.name in choice.names]
    return [(named[0], _made_up(named[0]))] if forced and named else []
