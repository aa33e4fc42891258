"""Bytes that are looked for in every chunk, as numbers.

CPython finds a number in bytes five times sooner than bytes of length one, which it first tries to read as a number.
For longer ones ``find`` is quicker than ``in``, for the same reason.
"""

from __future__ import annotations

QUOTE = 0x22
BACKSLASH = 0x5C
LF = 0x0A
CR = 0x0D
