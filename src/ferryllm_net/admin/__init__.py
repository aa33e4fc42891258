"""The admin API: keys and projects over HTTP, under a key of its own."""

from .api import Admin

__all__ = ["Admin"]
