"""Who is let in: the door in front of the exchanges. `door` says what one does, `memory` is the one of a process."""

from .door import Door
from .memory import MemoryDoor

__all__ = ["Door", "MemoryDoor"]
