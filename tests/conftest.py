"""Fixtures of every test: the two async backends, and which of the long suites run."""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import pytest

WANTED = frozenset(filter(None, os.environ.get("FERRYLLM_TESTS", "").split(",")))
"""Suites asked for by scripts/test: ``deep``, ``clients``, ``conformance``."""

hypothesis.settings.register_profile("default", max_examples=60, deadline=None, derandomize=True)
hypothesis.settings.register_profile("deep", max_examples=2000, deadline=None)
hypothesis.settings.load_profile("deep" if "deep" in WANTED else "default")

_ONLY_ON_DEMAND = {name: f"scripts/test --{name}" for name in ("deep", "clients", "conformance")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, command in _ONLY_ON_DEMAND.items():
            if item.get_closest_marker(marker) is not None and marker not in WANTED:
                item.add_marker(pytest.mark.skip(reason=f"run by {command}"))
        if item.get_closest_marker("llamacpp") is not None and not os.environ.get("FERRYLLM_LLAMA_SERVER"):
            item.add_marker(pytest.mark.skip(reason="FERRYLLM_LLAMA_SERVER does not name a llama.cpp server"))


def pytest_make_parametrize_id(val: object) -> str | None:
    """gzip's head has the time in it: a test's name has to be the same in every process of a run."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


@pytest.fixture(params=[pytest.param(("asyncio", {}), id="asyncio"), pytest.param(("trio", {}), id="trio")])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Every async test runs twice: nothing may work on one backend alone."""
    return request.param
