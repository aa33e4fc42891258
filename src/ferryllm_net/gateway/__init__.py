"""The gateway: runs exchanges over the HTTP layer."""

from .app import App
from .serve import Serving, serve

__all__ = ["App", "Serving", "serve"]
