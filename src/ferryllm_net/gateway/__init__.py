"""The gateway: runs exchanges over the HTTP layer."""

from .app import App
from .listening import Doors, ListenError
from .serve import Serving, serve

__all__ = ["App", "Doors", "ListenError", "Serving", "serve"]
