"""The small language that tells the mock what to answer: nouns and their parser, pure.

A directive is ``name``, ``name=word`` or ``name=rest of the line``. In a prompt, directives stand on lines that begin
with ``mock:``; on the command line they are the values of ``--directive``. `TOPICS` is the reference: the help and the
documentation are made from it.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable

import msgspec

from ferryllm_proto import RemoteProtocolError, ir, json

MAX_NUMBER = 1_000_000
"""Of any count or number of milliseconds in a directive: a script stays a script."""
MAX_CALLS = 128
"""Tool calls in one answer; OpenAI allows as many tools in a request."""


class DirectiveError(ValueError):
    """A directive that cannot be followed; the message names it, what was expected, and the mend."""


class Call(msgspec.Struct, frozen=True):
    """A tool call to make."""

    name: str
    arguments: str
    """JSON for a function, plain text for a freeform tool."""
    kind: ir.ToolKind = ir.ToolKind.FUNCTION


class Write(msgspec.Struct, frozen=True):
    """A file the client's tools shall write."""

    path: str
    text: str


class FaultKind(enum.Enum):
    CUT = "cut"
    """The connection breaks."""
    EOF = "eof"
    """The answer ends cleanly before its dialect's end."""
    STALL = "stall"
    """Nothing more comes, the connection stays."""
    GARBAGE = "garbage"
    """What comes is not the protocol."""
    RESET = "reset"
    """The connection breaks before the head."""
    REDIRECT = "redirect"
    HTML = "html"
    """A page instead of an answer."""


class Fault(msgspec.Struct, frozen=True):
    kind: FaultKind
    after: int = 0
    """Body writes before it."""
    status: int = 200


class Failure(msgspec.Struct, frozen=True):
    """An error in the dialect's own words."""

    kind: ir.ErrorKind
    status: int | None = None
    """The status asked for; None is the dialect's own for the kind."""


class Directives(msgspec.Struct, frozen=True):
    """What an answer shall be; None leaves it to the defaults (`script`)."""

    text: str | None = None
    then: str | None = None
    reasoning: str | None = None
    calls: tuple[Call, ...] = ()
    write: Write | None = None
    tools: int | None = None
    rounds: int | None = None
    interleave: bool | None = None
    chunks: int | None = None
    delay_ms: int | None = None
    slow_head_ms: int | None = None
    usage: ir.Usage | None = None
    stop: ir.FinishReason | None = None
    error: Failure | None = None
    stream_error: Failure | None = None
    retry_after: float | None = None
    after: int | None = None
    fault: Fault | None = None

    def over(self, defaults: Directives) -> Directives:
        """These, and ``defaults`` for what they do not say."""
        said = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) not in (None, ())}
        return msgspec.structs.replace(defaults, **said)


_LINE = re.compile(r"^[ \t]*mock:(.*)$", re.MULTILINE)
_WORD = re.compile(r"\s*([A-Za-z_]+)(=?)")
_PLAIN_WRITE = re.compile(
    r"\b(?:write|create|make) (?:a |the |me a )?(?:new )?file (?:named |called |at )?[`'\"]?(?P<path>[^\s`'\"]+)[`'\"]?"
    r" (?:with|containing|that (?:says|contains))(?: (?:the )?(?:text|contents?|words?|line))?:? (?P<text>[^\n]+)",
    re.IGNORECASE,
)


def in_prompt(text: str) -> Directives:
    """The directives of a prompt's ``mock:`` lines, and the plain words "write a file PATH with TEXT".

    Raises `DirectiveError`.
    """
    found = parse(*(line.group(1) for line in _LINE.finditer(text)))
    if found == Directives() and (plain := _PLAIN_WRITE.search(text)):
        return Directives(write=Write(plain["path"], _unquoted(plain["text"].strip())))
    return found


def without_directives(text: str) -> str:
    """``text`` without its ``mock:`` lines."""
    return _LINE.sub("", text)


def parse(*lines: str) -> Directives:
    """Directives, one or more on a line. Raises `DirectiveError`."""
    found = Directives()
    for line in lines:
        rest = line.strip()
        while rest:
            word = _WORD.match(rest)
            if word is None:
                raise DirectiveError(f"expected a directive, found {_shown(rest)}; they are: {', '.join(TOPICS)}")
            topic = _topic(word[1])
            if topic.rest:
                value, rest = rest[word.end() :].strip(), ""
            elif word[2]:
                value, _, rest = rest[word.end() :].partition(" ")
            else:
                value, rest = "", rest[word.end() :]
                if rest and not rest[0].isspace():
                    raise DirectiveError(f"expected a directive, found {_shown(rest)}")
            try:
                found = topic.read(found, word[1].lower(), value)
            except DirectiveError as exc:
                raise DirectiveError(f"{word[1]}: {exc}, as in {topic.example}") from None
            rest = rest.strip()
    return found


def _topic(name: str) -> Topic:
    topic = TOPICS.get(name.lower())
    if topic is None:
        near = difflib.get_close_matches(name.lower(), TOPICS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"they are: {', '.join(TOPICS)}"
        raise DirectiveError(f"there is no directive {_shown(name)}; {hint}")
    return topic


def _shown(text: str) -> str:
    return f'"{text[:40]}"'


def _unquoted(value: str) -> str:
    """A JSON string as its text, so that a directive can say a line end; anything else as it is."""
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        try:
            text = json.loads(value)
        except RemoteProtocolError:
            return value
        return text if isinstance(text, str) else value
    return value


# --- the topics ------------------------------------------------------------------------------------------

_Read = Callable[[Directives, str, str], Directives]


class Topic(msgspec.Struct, frozen=True):
    """One directive: how it is read and what the reference says of it."""

    read: _Read
    example: str
    what: str
    rest: bool = False
    """Its value is the rest of the line."""


def _set(found: Directives, name: str, value: object) -> Directives:
    return msgspec.structs.replace(found, **{name: value})


def _text(found: Directives, name: str, value: str) -> Directives:
    return _set(found, name, _unquoted(value))


def _number(value: str, least: int = 0, most: int = MAX_NUMBER) -> int:
    if not value.isascii() or not value.isdecimal() or not least <= int(value[:9]) <= most:
        raise DirectiveError(f"expected a number from {least} to {most}, found {_shown(value)}")
    return int(value)


def _count(found: Directives, name: str, value: str) -> Directives:
    return _set(found, name, _number(value))


def _calls(found: Directives, name: str, value: str) -> Directives:
    tool, _, arguments = value.partition(" ")
    if not tool:
        raise DirectiveError("expected the name of a tool, found nothing")
    kind = ir.ToolKind.CUSTOM if name == "custom" else ir.ToolKind.FUNCTION
    arguments = _unquoted(arguments.strip()) if kind is ir.ToolKind.CUSTOM else arguments.strip() or "{}"
    if len(found.calls) >= MAX_CALLS:
        raise DirectiveError(f"there are more than {MAX_CALLS} calls")
    return _set(found, "calls", (*found.calls, Call(tool, arguments, kind)))


def _tools(found: Directives, name: str, value: str) -> Directives:
    return _set(found, name, _number(value, 1, MAX_CALLS))


def _flag(found: Directives, name: str, value: str) -> Directives:
    if value:
        raise DirectiveError(f"it takes no value, found {_shown(value)}")
    return _set(found, name, True)


def _write(found: Directives, name: str, value: str) -> Directives:
    path, _, text = value.partition(" ")
    if not path:
        raise DirectiveError("expected a path and a text, found nothing")
    return _set(found, name, Write(path, _unquoted(text.strip())))


_COUNTERS = {
    "cached": "cache_read",
    "written": "cache_write",
    "reasoning": "reasoning",
    "input": "input",
    "output": "output",
}


def _usage(found: Directives, name: str, value: str) -> Directives:
    counters: dict[str, int] = {}
    for place, piece in enumerate(value.split(",")):
        key, sep, number = piece.rpartition("=")
        field = _COUNTERS.get(key) if sep else ("input", "output")[place] if place < 2 else None
        if field is None:
            raise DirectiveError(f"expected input,output and {', '.join(_COUNTERS)}, found {_shown(piece)}")
        counters[field] = _number(number)
    return _set(found, name, msgspec.structs.replace(ir.Usage(), **counters))


_STOPS = {
    "end": ir.FinishReason.END,
    "end_turn": ir.FinishReason.END,
    "max_tokens": ir.FinishReason.LENGTH,
    "length": ir.FinishReason.LENGTH,
    "context": ir.FinishReason.CONTEXT,
    "stop_sequence": ir.FinishReason.STOP,
    "tool_use": ir.FinishReason.TOOL_USE,
    "pause": ir.FinishReason.PAUSE,
    "refusal": ir.FinishReason.REFUSAL,
    "content_filter": ir.FinishReason.REFUSAL,
}


def _stop(found: Directives, name: str, value: str) -> Directives:
    if value not in _STOPS:
        raise DirectiveError(f"expected one of {', '.join(_STOPS)}, found {_shown(value)}")
    return _set(found, name, _STOPS[value])


_FAILURES = {
    "context": ir.ErrorKind.CONTEXT_LENGTH,
    "auth": ir.ErrorKind.AUTHENTICATION,
    "quota": ir.ErrorKind.BILLING,
    **{kind.value: kind for kind in ir.ErrorKind},
}
_STATUSES = {
    **{status: kind for kind, status in reversed(ir.STATUS.items())},
    400: ir.ErrorKind.BAD_REQUEST,
    408: ir.ErrorKind.TIMEOUT,
    502: ir.ErrorKind.UPSTREAM,
    529: ir.ErrorKind.OVERLOADED,
}


def _failure(found: Directives, name: str, value: str) -> Directives:
    if value in _FAILURES:
        return _set(found, name, Failure(_FAILURES[value]))
    if re.fullmatch(r"[45]\d\d", value):
        status = int(value)
        kind = _STATUSES.get(status, ir.ErrorKind.BAD_REQUEST if status < 500 else ir.ErrorKind.SERVER)
        return _set(found, name, Failure(kind, status))
    raise DirectiveError(f"expected a status from 400 to 599 or one of {', '.join(_FAILURES)}, found {_shown(value)}")


def _seconds(found: Directives, name: str, value: str) -> Directives:
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", value):
        raise DirectiveError(f"expected seconds, found {_shown(value)}")
    return _set(found, name, float(value))


def _fault(found: Directives, name: str, value: str) -> Directives:
    return _set(found, "fault", Fault(FaultKind(name), _number(value or "0")))


def _bare_fault(found: Directives, name: str, value: str) -> Directives:
    if value:
        raise DirectiveError(f"it takes no value, found {_shown(value)}")
    return _set(found, "fault", Fault(FaultKind(name)))


def _html(found: Directives, name: str, value: str) -> Directives:
    return _set(found, "fault", Fault(FaultKind.HTML, status=_number(value or "502", 200, 599)))


TOPICS: dict[str, Topic] = {
    "text": Topic(_text, "text=hello world", "Say this. A JSON string may hold line ends.", rest=True),
    "then": Topic(_text, "then=all done", "Say this once the tools have answered.", rest=True),
    "reasoning": Topic(
        _text,
        "reasoning=let me think",
        "Think this first. With it goes a signature (Messages), encrypted content (Responses) or signed"
        " reasoning_details (Chat); when they come back altered the request is refused with 400.",
        rest=True,
    ),
    "tool": Topic(
        _calls,
        'tool=get_weather {"city":"Paris"}',
        "Call this function. Several lines are several calls in one answer.",
        rest=True,
    ),
    "custom": Topic(
        _calls,
        "custom=apply_patch *** Begin Patch",
        "Call this freeform tool; the rest of the line is its input.",
        rest=True,
    ),
    "write": Topic(
        _write,
        "write hello.txt Hello there",
        'Write this file with whichever tool of the client can. In plain words: "write a file hello.txt with Hello".',
        rest=True,
    ),
    "tools": Topic(
        _tools,
        "tools=2",
        "So many calls in one answer: of `tool` and `custom`, or of the client's tools with made-up arguments.",
    ),
    "rounds": Topic(_tools, "rounds=3", "Call so many times, one answer after the other, before the last text."),
    "interleave": Topic(_flag, "interleave", "Fragments of parallel calls alternate (Chat)."),
    "chunks": Topic(_count, "chunks=20", "Send the text in so many pieces; without a text they are numbered words."),
    "delay_ms": Topic(_count, "delay_ms=50", "Wait so long before each piece."),
    "slow_head_ms": Topic(_count, "slow_head_ms=2000", "Wait so long before the head."),
    "usage": Topic(
        _usage, "usage=100,20,cached=30", f"Tokens: uncached input, output, or by name ({', '.join(_COUNTERS)})."
    ),
    "stop": Topic(_stop, "stop=max_tokens", f"End for this reason: {', '.join(_STOPS)}."),
    "error": Topic(_failure, "error=429", f"Refuse with this status, or for this reason: {', '.join(_FAILURES)}."),
    "retry_after": Topic(_seconds, "retry_after=3", "Seconds in the retry-after of `error`."),
    "stream_error": Topic(_failure, "stream_error=overloaded", "Break off with this error inside the stream."),
    "after": Topic(_count, "after=3", "Events before `stream_error`; by default half of them."),
    "cut": Topic(_fault, "cut=3", "Break the connection after so many writes of the body."),
    "eof": Topic(_fault, "eof=3", "End the body cleanly there, without the end its dialect asks for."),
    "stall": Topic(_fault, "stall=3", "Say nothing more there and keep the connection."),
    "garbage": Topic(_fault, "garbage=3", "Send there what is not the protocol."),
    "reset": Topic(_bare_fault, "reset", "Break the connection before the head."),
    "redirect": Topic(_bare_fault, "redirect", "Answer 307 to another place."),
    "html": Topic(_html, "html=502", "Answer with this status and a page of HTML, as a proxy would."),
}
"""Every directive by its name. Not in it: anything else, which is refused by name."""


def reference() -> list[tuple[str, str]]:
    """Example and explanation of each directive, in order."""
    return [(topic.example, topic.what) for topic in TOPICS.values()]
