"""A long history whose words nobody has to understand: its turns as the client wrote them, in JSON.

An agent sends its whole conversation with every request, and nearly all of it is words that leave as they came. To make
strings of them and JSON again costs more than everything else that is done for a large request. So a `Written` stands
in `ir.Request.turns` where the encoder of the provider's dialect knows what to do with it (`Dialect.takes_written`);
whoever else looks at the turns finds the usual ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import msgspec

from . import ir
from .json import Raw

MIN_BYTES = 8192
"""Of a body whose turns are worth it: below it the strings cost less than the second form (measured)."""

_NONE = Raw()


class Words(msgspec.Struct, frozen=True, gc=False):
    """One text."""

    text: Raw
    """A JSON string."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """One call of a function."""

    id: str
    name: str
    arguments: Raw = _NONE
    """A JSON object."""

    kind = ir.ToolKind.FUNCTION


class Result(msgspec.Struct, frozen=True, gc=False):
    """What came of a call: one text, and no error."""

    id: str
    content: Raw = _NONE
    """A JSON string."""
    is_error: bool | None = None
    """False or None."""


class Said(msgspec.Struct, frozen=True):
    """A turn of words, calls of functions and their results. Nothing about them but ``mark`` could get lost.

    A user's has results, then a text; an assistant's a text, then calls. At least one of them.
    """

    role: ir.Role
    """User or assistant."""
    text: Raw | None
    """A JSON string that is not empty."""
    calls: Sequence[Call] = ()
    results: Sequence[Result] = ()
    mark: ir.CacheMark | None = None
    """The breakpoint behind the last part of a user's turn, where agents set one with each request."""


class Written(Sequence[ir.Turn]):
    """Turns, which are made when somebody asks for one. Equal to the tuple of them.

    Parameters: ``said`` holds each turn in its order, as a `Said` or, where it is not plain enough, as itself;
    ``build`` makes the turn of a number from its `Said` and raises nothing: what is written has been checked.
    """

    __slots__ = ("_build", "_turns", "said")

    @staticmethod
    def of(turns: Sequence[ir.Turn]) -> Written | None:
        """``turns`` where they are of this kind."""
        return turns if type(turns) is Written else None

    def __init__(self, said: Sequence[Said | ir.Turn], build: Callable[[int, Said], ir.Turn]) -> None:
        self.said = said
        self._build = build
        self._turns: tuple[ir.Turn, ...] | None = None

    def turns(self) -> tuple[ir.Turn, ...]:
        """All of them."""
        if self._turns is None:
            build = self._build
            self._turns = tuple(
                [build(n, one) if type(one) is Said else one for n, one in enumerate(self.said)]  # type: ignore[misc]
            )
        return self._turns

    def turn(self, n: int) -> ir.Turn:
        """One of them, and the others are not made."""
        one = self.said[n]
        return self._build(n, one) if isinstance(one, Said) else one

    def __len__(self) -> int:
        return len(self.said)

    @overload
    def __getitem__(self, index: int) -> ir.Turn: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ir.Turn, ...]: ...

    def __getitem__(self, index: int | slice) -> ir.Turn | tuple[ir.Turn, ...]:
        return self.turns()[index]

    def __iter__(self) -> Iterator[ir.Turn]:
        return iter(self.turns())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Written):
            return self is other or self.turns() == other.turns()
        return self.turns() == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.turns())

    def __repr__(self) -> str:
        return f"Written({len(self.said)} turns)"
