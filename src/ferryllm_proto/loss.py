"""What a translation could not carry.

A field the target cannot express has exactly one fate: degraded (said in another way), dropped (left out and
reported) or refused (the request is not sent). What is carried whole is not reported (translation.md G3 to G5).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Sequence

import msgspec

from . import ir
from .errors import RemoteProtocolError


class LossPolicy(enum.Enum):
    """What a route does with a request that cannot be carried whole (translation.md G5)."""

    STRICT = "strict"
    """It is refused, whatever would be lost."""
    REPORT = "report"
    """Tuning knobs are left out and reported; what changes the answer's shape is refused."""
    LENIENT = "lenient"
    """What would be refused is left out and reported too, where an answer still makes sense."""


class Disposition(enum.Enum):
    DEGRADED = "degraded"
    DROPPED = "dropped"
    REFUSED = "refused"


class Loss(msgspec.Struct, frozen=True, gc=False):
    """One thing that did not get across whole."""

    path: str
    """Where the client wrote it: ``messages[2].content[0].is_error``; for answers, the upstream's field."""
    disposition: Disposition
    reason: str

    def __str__(self) -> str:
        return f"{self.disposition.value} {self.path}: {self.reason}"


def lost(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Those of ``losses`` that were left out or said in another way, and not refused."""
    return tuple(loss for loss in losses if loss.disposition is not Disposition.REFUSED)


MAX_LOSS_HEADER = 4096
"""Characters of the loss header: proxies in front of us take 8 KiB of all headers together."""


_UNSHOWN = re.compile(r"[^ -+\--~]")


def pairs(losses: Iterable[Loss]) -> list[str]:
    """What a client is told of ``losses``: ``disposition path`` each, printable ASCII without commas.

    Joined by ", " they fit into `MAX_LOSS_HEADER`; the last one is ``and more`` where they would not.
    """
    told: list[str] = []
    size = 0
    for loss in losses:
        text = f"{loss.disposition.value} {loss.path}"
        text = _UNSHOWN.sub("?", text)
        size += len(text) + 2
        if size > MAX_LOSS_HEADER - 16:
            told.append("and more")
            break
        told.append(text)
    return told


class StrictRefusal(RemoteProtocolError):
    """A request that could be sent but not whole, on a route that takes no loss."""

    def __init__(self, losses: Sequence[Loss]) -> None:
        rest = f", and {len(losses) - MAX_NAMED} more" if len(losses) > MAX_NAMED else ""
        named = "; ".join(str(loss) for loss in losses[:MAX_NAMED])
        super().__init__(
            f"{named}{rest}. This route takes only what can be carried whole (loss_policy strict)",
            param=losses[0].path,
            code="unsupported_parameter",
        )
        self.losses = tuple(losses)
        """Everything that would have been lost."""


MAX_NAMED = 3
"""Losses a refusal names; all of them are in the report."""


def wish(request: ir.Request, field: str) -> str:
    """Where the client wrote ``field`` of `ir.ReasoningParams`: ``effort``, ``budget``, ``show``."""
    return request.names.get(field) or request.wire_name("reasoning")


def wishes(request: ir.Request) -> tuple[str, ...]:
    """Every place where the client wrote that and how much the model shall think."""
    params = request.reasoning
    if params is None:
        return ()
    found = [request.wire_name("reasoning")] if params.mode is not None else []
    if params.effort is not None:
        found.append(wish(request, "effort"))
    if not found and params.budget is not None:
        found.append(wish(request, "budget"))
    if not found and params.show is not None:
        found.append(wish(request, "show"))
    return tuple(dict.fromkeys(found))


LOGPROBS = "message.output_text.logprobs"
"""How a Responses client asks for probabilities, among what it wants included."""


def wanted_logprobs(request: ir.Request) -> str:
    """Where the client wrote that it wants probabilities of tokens."""
    if LOGPROBS in request.include:
        return f"{request.wire_name('include')}[{request.include.index(LOGPROBS)}]"
    return request.wire_name("logprobs" if request.logprobs else "top_logprobs")


ONLY_ITS_OWN = "an event only its own dialect knows"
"""Why an `events.Raw` is lost."""

_FIELDS = {"cache": "cache_control", "opaque": "", "title": "name"}
"""Parts' fields by the names in `ir` whose usual name in a body is another."""

_CONTRACT: dict[str, dict[str, str]] = {
    "openai": {
        "audio": "an answer that speaks",
        "modalities": "an answer that speaks",
        "response_format": "this form of the answer",
        # What vLLM, SGLang and llama.cpp take beside response_format.
        "grammar": "this form of the answer",
        "guided_choice": "this form of the answer",
        "guided_grammar": "this form of the answer",
        "guided_json": "this form of the answer",
        "guided_regex": "this form of the answer",
        "json_schema": "this form of the answer",
        "structured_outputs": "this form of the answer",
    },
    "openai_responses": {
        "prompt": "stored prompts: send the prompt itself",
    },
    "ollama": {
        "context": "stored conversations: send the whole input",
        "height": "images",
        "raw": "answers to a prompt without its template",
        "steps": "images",
        "suffix": "text in the middle of another",
        "template": "prompts in a template of the client",
        "width": "images",
        "_debug_render_only": "prompts in place of answers",
    },
    "anthropic": {
        "thread": "stored conversations: send the whole input",
    },
    "gemini": {
        "cachedContent": "stored prompts: send the content itself",
        "generationConfig.responseFormat": "this form of the answer",
        "generationConfig.responseMimeType": "this form of the answer",
        "generationConfig.responseModalities": "an answer that is no text",
    },
}
"""Fields of a body that have no place in the representation and change what the caller observably gets: refused by
every other dialect (G5). Not in it: tuning knobs, which are dropped with a report, and what `ir.Request` knows."""

_NO_CONTRACT: dict[str, str] = {}

_NOTHING = frozenset({b"null", b"[]"})
"""Values that say nothing: SDKs send back answers with every field they know."""

_HARMLESS = frozenset({b"null", b"false", b"[]", b"{}", b'""', b'["text"]'})
"""Values that ask for nothing, or for what everybody gets."""


_QUOTE = re.compile(rb'"cited_text"\s*:\s*"[^"]')


class Report:
    """Collects the losses of one translation; the same loss is kept once. ``request`` is whose fields are named."""

    __slots__ = ("_names", "_seen", "losses")

    def __init__(self, request: ir.Request | None = None) -> None:
        self._names = {} if request is None else request.names
        self.losses: list[Loss] = []
        self._seen: set[Loss] = set()

    def add(self, loss: Loss) -> None:
        if loss not in self._seen:
            self._seen.add(loss)
            self.losses.append(loss)

    def dropped(self, path: str, reason: str) -> None:
        self.add(Loss(path, Disposition.DROPPED, reason))

    def degraded(self, path: str, reason: str) -> None:
        self.add(Loss(path, Disposition.DEGRADED, reason))

    def unplaced(self, names: Iterable[str]) -> None:
        """Report what a whole answer has beside its parts, see `ir.Response.unplaced`."""
        for name in names:
            self.dropped(name, ONLY_ITS_OWN)

    def wire_name(self, field: str) -> str:
        """The key under which the client wrote ``field`` of the request."""
        return self._names.get(field, field)

    def at(self, path: str, field: str) -> str:
        """Where the client wrote ``field`` (``cache``, ``detail``, ``title``...) of the part or tool at ``path``.

        Dialects put the same field into different objects: their decoders say so in `ir.Request.names`, under the
        field's name with a dot before it. There ``^`` is a field of the message the part is in.
        """
        name = self._names.get(f".{field}", _FIELDS.get(field, field))
        if not name:
            return path
        if name.startswith("^"):
            return f"{path.partition('.')[0]}.{name[1:]}"
        return f"{path}.{name}" if path else name

    def quote(self, citation: bytes) -> None:
        """Report the words a citation quotes, for a target whose citations only point at a page."""
        if _QUOTE.search(citation):
            self.degraded("citations.cited_text", "citations here have no quoted text")

    def refuse(self, path: str, reason: str) -> RemoteProtocolError:
        """Record the refusal and return the error to raise: ``raise report.refuse(...)``."""
        self.add(Loss(path, Disposition.REFUSED, reason))
        return RemoteProtocolError(f"{path}: {reason}", param=path, code="unsupported_parameter")

    def ext(self, ext: ir.Ext | None, target: str, path: str = "", known: Collection[str] = ()) -> None:
        """Report the fields of ``ext`` as dropped unless ``target`` is the dialect they belong to.

        Without ``path`` they are fields of the body: those of the contract are refused (raises
        `RemoteProtocolError`, translation.md G5). Names that begin with a dot only reproduce a spelling (an item's id,
        a null), and values of nothing are nothing: no loss. A name that begins with ``message.`` is a field of the
        message ``path`` is in. ``known`` are fields the target's encoder has taken care of.
        """
        if ext is None or ext.dialect == target:
            return
        contract = _NO_CONTRACT if path else _CONTRACT.get(ext.dialect, _NO_CONTRACT)
        for name, value in ext.fields.items():
            if name.startswith(".") or value in _NOTHING or name in known:
                continue
            wish = contract.get(name)
            if wish is not None:
                if b"".join(value.split()) in _HARMLESS:
                    continue
                raise self.refuse(name, f"{target} does not offer {wish}")
            if path and name.startswith("message."):
                self.dropped(f"{path.partition('.')[0]}.{name[8:]}", f"{target} has no such field")
            else:
                self.dropped(f"{path}.{name}" if path else name, f"{target} has no such field")
