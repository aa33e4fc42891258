"""Who is let in: the door in front of the exchanges. `door` says what one does, `memory` is the one of a process."""

from .door import Door

__all__ = ["Door"]
