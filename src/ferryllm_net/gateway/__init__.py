"""The gateway: runs exchanges over the HTTP layer."""

from .app import App
from .serve import serve

__all__ = ["App", "serve"]
