"""A provider without a model: it speaks every dialect, says what it is told to, and breaks in every known way.

The tests' upstream and the demo of `ferryllm serve`. `directives` is the language it is told in, `script` decides and
plans, `*_rules` refuse what the real APIs refuse, `provider` puts the plan on the wire.
"""

from __future__ import annotations

from .directives import DirectiveError, Directives, parse
from .provider import MockProvider
from .received import Received
from .script import Plan, Step, plan
from .serve import run_mock, serve_mock

__all__ = [
    "DirectiveError",
    "Directives",
    "MockProvider",
    "Plan",
    "Received",
    "Step",
    "parse",
    "plan",
    "run_mock",
    "serve_mock",
]
