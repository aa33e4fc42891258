"""Which result answers which call, where neither has an id (translation.md N2).

Gemini matches by id when there is one, otherwise by name and order. Every other dialect wants ids: calls without one
get an id that depends on their place alone, so that it is the same in every turn of the conversation.
"""

from __future__ import annotations

from ... import ids


class Pairing:
    """Ids of the calls and results of one conversation, in order."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str, bool]] = []
        """Id, name and whether the id is the client's, of the calls that wait for a result."""
        self._answering = False

    def turn(self, *, model: bool) -> None:
        """The next content begins; a new answer of the model forgets what was left open before it."""
        if model and self._answering:
            self._open.clear()
        self._answering = not model

    def call(self, id_: str | None, name: str, place: str) -> str:
        """The id of a call at ``place``."""
        found = id_ or ids.mint("call_", 0, f"{place}/{name}")
        self._open.append((found, name, bool(id_)))
        return found

    def result(self, id_: str | None, name: str | None, place: str) -> str:
        """The id of the call a result at ``place`` answers; a new one where there is no such call."""
        found = self._by_id(id_) if id_ else None
        if found is None:
            found = self._by_name(name, given=bool(id_))
        if found is not None:
            return self._open.pop(found)[0]
        return id_ or ids.mint("call_", 0, f"{place}/result")

    def _by_id(self, id_: str) -> int | None:
        return next((n for n, (known, _, _) in enumerate(self._open) if known == id_), None)

    def _by_name(self, name: str | None, *, given: bool) -> int | None:
        """The first open call of that name; a result with an id of its own is for a call that has none."""
        for n, (_, called, own) in enumerate(self._open):
            if (not name or called == name) and not (given and own):
                return n
        return None
