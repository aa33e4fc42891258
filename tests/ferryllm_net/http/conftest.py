"""Fixtures of the HTTP tests."""

from __future__ import annotations

import pytest

from support.rig import Serving
from support.rig import serving as _serving


@pytest.fixture
def serving() -> Serving:
    """A server in memory: ``async with serving(handler, limits) as rig``."""
    return _serving
