"""Remembering: what one exchange has to do with kept responses, from the question to the store to the last bytes.

Apart from the `Exchange`, which runs it for Responses clients, because all the others have no past.
"""

from __future__ import annotations

from ..actions import Keep, Point, Recall
from ..conversation import Conversation
from ..errors import RemoteProtocolError
from ..inputs import Recalled
from ..refusals import too_large
from ..snapshot import Gateway, Provider
from ..translate import State
from .kept import KeptResponse
from .stateful import NO_MEMORY, KeptTranslator, NativeTranslator, Wishes, plan, prepare, read_wishes


class Remembering:
    """The kept past and future of one request.

    Parameters: ``owner`` is whose responses they are, ``created`` Unix seconds.
    """

    def __init__(self, gateway: Gateway, owner: str, created: float) -> None:
        self.memory = NO_MEMORY
        self._gateway = gateway
        self._owner = owner
        self._created = created
        self._body = b""
        self._wishes = Wishes()
        self._references: dict[str, int] = {}
        """The items it refers to, and where."""
        self._pointing: NativeTranslator | None = None
        """The conversation whose answer's place is still to be told."""
        self._last = (b"", True)
        """The end of the answer while it is being kept, and whether its provider is still open."""

    def ask(self, body: bytes) -> Recall | None:
        """The question to the store for ``body``; None where it goes on from nothing. Raises `RemoteProtocolError`."""
        from ..dialects.openai_responses.history import references

        self._body, self._wishes = body, read_wishes(body)
        if not self._gateway.keeps_responses:
            return None
        previous, self._references = self._wishes.previous_response_id, references(body)
        items = tuple(self._references)
        return Recall(previous, self._owner, items) if previous is not None or items else None

    def resume(self, recalled: Recalled | None, provider: Provider) -> bytes:
        """The body as ``provider`` is to answer it, with what was ``recalled``: once for each attempt. Raises
        `RemoteProtocolError`."""
        store = self._gateway.keeps_responses
        self.memory = plan(self._wishes, provider, recalled, store=store, references=self._references)
        body = prepare(self._body, self.memory)
        if (self.memory.items or self.memory.found) and len(body) > self._gateway.body_limit:
            error = too_large(self._gateway.body_limit)
            raise RemoteProtocolError(error.message, kind=error.kind)
        return body

    def watch(self, talk: Conversation) -> None:
        """``talk`` is the conversation now."""
        self._pointing = talk if isinstance(talk, NativeTranslator) and self.memory.point else None

    @property
    def settled(self) -> bool:
        """Whether `point` has nothing to tell any more."""
        return self._pointing is None

    def point(self, provider: Provider) -> list[Point]:
        """Where the answer is, once ``provider``, which keeps it, has named it."""
        id_ = None if self._pointing is None else self._pointing.answer_id
        if self._pointing is None or id_ is None:
            return []
        model, self._pointing = self._pointing.model, None
        return [Point(KeptResponse(id_, self._owner, self._created, provider.name, native=True, model=model))]

    def keep(self, talk: KeptTranslator, provider: Provider, out: bytes, *, upstream_open: bool) -> Keep | None:
        """The question to keep the complete answer that ends with ``out``; None for one that failed."""
        from ..dialects.openai_responses.history import item_ids

        kept = None
        if talk.state is State.DONE:
            kept = talk.remember(out, owner=self._owner, created=self._created, provider=provider.name)
        self._last = (out, upstream_open)
        return None if kept is None else Keep(kept, item_ids(kept.items))

    @property
    def over(self) -> bool:
        """Whether the provider has ended, and its answer only waits to be kept."""
        return not self._last[1]

    def release(self, talk: KeptTranslator, *, kept: bool) -> tuple[bytes, bool]:
        """The end of the answer, true to whether it was ``kept``; and whether the provider is still open."""
        (out, upstream_open), self._last = self._last, (b"", False)
        return out if kept else talk.deny(out), upstream_open
