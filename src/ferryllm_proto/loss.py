"""What a translation could not carry.

A field the target cannot express has exactly one fate: degraded (said in another way), dropped (left out and
reported) or refused (the request is not sent). What is carried whole is not reported (translation.md G3 to G5).
"""

from __future__ import annotations

import enum

import msgspec

from . import ir
from .errors import RemoteProtocolError


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
    "anthropic": {
        "thread": "stored conversations: send the whole input",
    },
}
"""Fields of a body that have no place in the representation and change what the caller observably gets: refused by
every other dialect (G5). Not in it: tuning knobs, which are dropped with a report, and what `ir.Request` knows."""

_NO_CONTRACT: dict[str, str] = {}

_NOTHING = frozenset({b"null", b"[]"})
"""Values that say nothing: SDKs send back answers with every field they know."""

_HARMLESS = frozenset({b"null", b"false", b"[]", b"{}", b'""', b'["text"]'})
"""Values that ask for nothing, or for what everybody gets."""


class Report:
    """Collects the losses of one translation; the same loss is kept once."""

    def __init__(self) -> None:
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

    def refuse(self, path: str, reason: str) -> RemoteProtocolError:
        """Record the refusal and return the error to raise: ``raise report.refuse(...)``."""
        self.add(Loss(path, Disposition.REFUSED, reason))
        return RemoteProtocolError(f"{path}: {reason}", param=path, code="unsupported_parameter")

    def ext(self, ext: ir.Ext | None, target: str, path: str = "") -> None:
        """Report the fields of ``ext`` as dropped unless ``target`` is the dialect they belong to.

        Without ``path`` they are fields of the body: those of the contract are refused (raises
        `RemoteProtocolError`, translation.md G5). Names that begin with a dot only reproduce a spelling (an item's id,
        a null), and values of nothing are nothing: no loss. A name that begins with ``message.`` is a field of the
        message ``path`` is in.
        """
        if ext is None or ext.dialect == target:
            return
        contract = _NO_CONTRACT if path else _CONTRACT.get(ext.dialect, _NO_CONTRACT)
        for name, value in ext.fields.items():
            if name.startswith(".") or value in _NOTHING:
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
