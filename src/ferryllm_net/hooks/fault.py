"""What goes wrong with a delivery."""

from __future__ import annotations


class HookError(Exception):
    """A batch was not taken, or a hook can not be opened. The message holds nothing of rows and no secret.

    ``refused``: the receiver will not take this batch at any other time either.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
