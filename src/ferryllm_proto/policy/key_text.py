"""The text of a client's key: how it looks, and whether one that is not known was mistyped.

``fy-``, 43 letters and digits that hold 256 random bits, 6 that are the CRC-32 of what stands before them. All are of
base 62, so that a double click takes them together and no header, URL or shell has to quote them. The prefix is for
people and for programs that search for secrets; the check digits tell a slip of the pen from a key that was revoked,
and spare those programs false finds. It guards against nothing: who guesses can count too.
"""

from __future__ import annotations

import binascii

PREFIX = "fy-"
SECRET_DIGITS = 43
"""62**43 is just above 2**256."""
CHECK_DIGITS = 6
"""62**6 is just above 2**32."""
LENGTH = len(PREFIX) + SECRET_DIGITS + CHECK_DIGITS
SHOWN_DIGITS = 4
"""Of the secret, in what may be shown of a key: 24 bits less to guess of 256."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def key_text(secret: int) -> str:
    """The text of a key whose 256 random bits are ``secret``."""
    text = PREFIX + _base62(secret, SECRET_DIGITS)
    return text + _check(text)


def shown(text: str) -> str:
    """The beginning of a key, for lists: enough to find the one in hand, too little to use it."""
    return text[: len(PREFIX) + SHOWN_DIGITS]


def is_mistyped(text: str) -> bool:
    """Whether ``text`` was meant to be a key of ours and has a slip in it: cut short, a letter wrong or in excess."""
    if not text.startswith(PREFIX):
        return False
    return len(text) != LENGTH or text[-CHECK_DIGITS:] != _check(text[:-CHECK_DIGITS])


def _check(text: str) -> str:
    return _base62(binascii.crc32(text.encode("utf-8", "surrogatepass")), CHECK_DIGITS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
