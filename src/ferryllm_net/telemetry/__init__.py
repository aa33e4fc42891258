"""Seeing what the gateway does: its log and its counters."""

from .format import Level, Value
from .logs import Log, Outcome, RequestDone, status_text

__all__ = ["Level", "Log", "Outcome", "RequestDone", "Value", "status_text"]
