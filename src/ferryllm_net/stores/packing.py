"""Several texts as one, for stores that keep a response's items in one place."""

from __future__ import annotations


def packed(items: tuple[bytes, ...]) -> bytes:
    """``items`` each behind its length: no JSON list, whose reading could change a byte of them."""
    return b"".join([b"%d:%b" % (len(item), item) for item in items])


def unpacked(data: bytes) -> tuple[bytes, ...]:
    """What `packed` was given. Raises ValueError for what it did not write."""
    items: list[bytes] = []
    at = 0
    while at < len(data):
        colon = data.index(b":", at, at + 20)
        digits = data[at:colon]
        if not digits.isdigit():
            raise ValueError("an item has no length")
        at = colon + 1 + int(digits)
        items.append(data[colon + 1 : at])
    if at != len(data):
        raise ValueError("the last item is cut short")
    return tuple(items)
