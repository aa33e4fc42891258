"""Requests and answers that are words and nothing else, as nearly all small ones are.

Apart from `ir`, which holds everything there is: what is said here needs no look at what is not there. A dialect reads
a body as a `Question` or a `Reply` where it is one, and only then. Where both sides know them, nothing else is made
(`crossing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec

from . import ir

if TYPE_CHECKING:
    from .dialect import UpstreamRequest

_ROLES = {"user": ir.Role.USER, "assistant": ir.Role.ASSISTANT}

Spoken = Annotated[str, msgspec.Meta(min_length=1)]
"""What is not nothing."""
Number = int | float
"""Kept apart: 1 stays 1 and 1.0 stays 1.0 (G7)."""


class Message(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One turn, in the form that Messages and Chat have in common."""

    role: Literal["user", "assistant"]
    content: Spoken

    at: ClassVar[str] = ".content"
    """Where in the message the client wrote its words."""


class Listed(Message, frozen=True, gc=False):
    """One whose client wrote them as a list of one block."""

    at = ".content[0]"


class Question(msgspec.Struct, frozen=True):
    """A request of words."""

    model: str
    """As the client calls it."""
    messages: Sequence[Message]
    limit: int | None
    """Tokens, at least 1."""
    system: str | None
    """Not empty."""
    temperature: Number | None
    stream: bool | None

    dialect: ClassVar[str]
    """Who reads it. Its messages are under ``messages``, their words at `Message.at`, ``system`` is itself."""
    names: ClassVar[dict[str, str]]
    """As of `ir.Request`."""

    def request(self) -> ir.Request:
        """The same in `ir`."""
        turns = []
        for n, message in enumerate(self.messages):
            path = place(n)
            said = ir.Text(message.content, (), "", None, None, path + message.at)
            turns.append(ir.Turn(_ROLES[message.role], (said,), None, None, None, path))
        return ir.Request(
            self.dialect,
            self.model,
            tuple(turns),
            () if self.system is None else (ir.Text(self.system, path="system"),),
            max_output=self.limit,
            temperature=self.temperature,
            stream=self.stream is True,
            names=self.names,
        )


_PLACES = tuple([f"messages[{n}]" for n in range(64)])  # small requests have fewer


def place(n: int) -> str:
    """Where the message of a number is; most are made once, because text is put together at the cost of a struct."""
    return _PLACES[n] if n < len(_PLACES) else f"messages[{n}]"


class Reply(msgspec.Struct, frozen=True):
    """A whole answer of words."""

    id: str
    model: str
    """The provider's word for it."""
    text: str
    """Not empty."""
    finish: ir.FinishReason
    """END or LENGTH."""
    created: int | None
    """Unix seconds."""
    usage: ir.Usage
    """Input and output are known; nothing was written to a cache, and no tool of the provider's was called."""


class StreamReply(msgspec.Struct, frozen=True):
    """A whole stream of words that was there at once."""

    id: str
    model: str
    """The provider's word for it."""
    texts: Sequence[str]
    """The pieces in their order: one or more, none of them empty."""
    finish: ir.FinishReason
    """END or LENGTH."""
    usage: ir.Usage
    """Its input is known."""


AskWriter = Callable[[Question], "UpstreamRequest | None"]
"""What a provider gets; None for a question that is not that plain for him."""
ReplyWriter = Callable[[Reply, int], bytes]
"""The body for a client, with the seed of the ids."""
StreamWriter = Callable[[StreamReply, int, int], bytes]
"""The same for a stream, with the seed and the tokens that a stream begins with before they are counted."""


class CacheKeys(msgspec.Struct, frozen=True):
    """What requests of words get for the provider's prompt cache."""

    bare: str | None
    """The ``prompt_cache_key`` of those without a system prompt."""
    of: Callable[[str], str] | None
    """The one for a system prompt."""


NO_KEYS = CacheKeys(None, None)
