"""What outlives a request: kept responses, in memory or in a file (`sqlite`, loaded where it is asked for)."""

from .memory import MemoryResponses
from .opening import open_responses
from .responses import Bounds, Responses, StoreError

__all__ = ["Bounds", "MemoryResponses", "Responses", "StoreError", "open_responses"]
