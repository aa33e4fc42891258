"""What goes wrong with prices."""

from __future__ import annotations


class PricesError(Exception):
    """A price list could not be read. ``mend`` says what to do."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend
