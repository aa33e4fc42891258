"""Usage hooks: whoever hears of each request once it is over.

A `Hook` takes rows from a source (its queue, or the ledger) and gives them in batches to a sink (a URL, a program, a
Python function), again until they are taken. Nothing of it is on the way of an answer.
"""

from __future__ import annotations

from .fault import HookError
from .opening import Hooks, open_hooks

__all__ = ["HookError", "Hooks", "open_hooks"]
