"""A value that must never be printed, and the check that it may travel in a header."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from typing import NoReturn

import msgspec


class Secret:
    """A key or token. It shows as ``***`` in every text form, and no encoder knows how to write it.

    The value leaves by `reveal` alone, so a search for that word finds every place that handles keys.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. For the header of an upstream request, nothing else."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Whether `candidate` is this secret, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(_octets(self._value), _octets(candidate))

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        # The width in a format spec would otherwise be applied to the text; nothing about it is wanted here.
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        # Pickles end up on disk and on pipes.
        raise TypeError("a Secret cannot be pickled; pass the name of its source instead")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


def secrets_in(value: object) -> Iterator[Secret]:
    """Every Secret in ``value``, through Structs, sequences and mappings: whatever table it stands in, it is found."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from secrets_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from secrets_in(inner)
    elif isinstance(value, (tuple, list, frozenset)):
        for inner in value:
            yield from secrets_in(inner)


def header_fault(value: str) -> str | None:
    """Why `value` cannot be sent in a header, in words that do not show any of it; None when it can.

    Visible ASCII with inner spaces is allowed. RFC 9110 section 5.5 would allow bytes above 0x7F as well, but
    no key of any provider has them, and a pasted "smart" quote or letter does.
    """
    if "\r" in value or "\n" in value:
        return "it contains a line break"
    if value != value.strip():
        return "it begins or ends with a space"
    if not value.isascii():
        return "it contains a character outside ASCII"
    if any(char < " " or char == "\x7f" for char in value):
        return "it contains a control character"
    return None


def _octets(value: str) -> bytes:
    # compare_digest refuses str outside ASCII; a lone surrogate (from a mangled header) must not raise either.
    return value.encode("utf-8", "surrogatepass")
