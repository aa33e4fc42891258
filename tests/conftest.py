"""Fixtures of every test: the two async backends."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(params=[pytest.param(("asyncio", {}), id="asyncio"), pytest.param(("trio", {}), id="trio")])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Every async test runs twice: nothing may work on one backend alone."""
    return request.param
