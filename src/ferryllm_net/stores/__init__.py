"""What outlives a request: kept responses, in memory or in a file."""

from .memory import MemoryResponses
from .opening import open_responses
from .responses import Bounds, Responses, StoreError
from .sqlite import SqliteResponses

__all__ = ["Bounds", "MemoryResponses", "Responses", "SqliteResponses", "StoreError", "open_responses"]
