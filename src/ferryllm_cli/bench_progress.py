"""How `ferryllm bench` says how far it is: a line that changes on a terminal, a line a tenth elsewhere, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TextIO

CLEAR = "\r\x1b[K"
"""To the line's beginning, and what stands there is gone."""


class Progress:
    """Call it with what is being done and the share of all that is done; `close` it before anything else is said."""

    def __init__(self, write: Callable[[str], object], *, live: bool) -> None:
        self._write = write
        self._live = live
        self._shown = ""

    @classmethod
    def to(cls, stream: TextIO, *, quiet: bool) -> Progress:
        """On ``stream``, as it can show it."""
        if quiet:
            return cls(lambda text: None, live=False)

        def write(text: str) -> None:
            stream.write(text)
            stream.flush()

        return cls(write, live=stream.isatty() and os.environ.get("TERM") != "dumb")

    def __call__(self, what: str, share: float) -> None:
        if self._live:
            self._write(f"{CLEAR}{share:4.0%} {what}" if what else CLEAR)
            self._shown = what
            return
        text = f"{int(share * 10) * 10}% {what}".rstrip()
        if what and text != self._shown:
            self._write(f"{text}\n")
            self._shown = text

    def close(self) -> None:
        """Leave nothing on the terminal's line."""
        if self._live and self._shown:
            self._write(CLEAR)
            self._shown = ""
