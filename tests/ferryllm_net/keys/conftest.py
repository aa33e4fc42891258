"""One PostgreSQL for all tests here, with a database of its own for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.Server]:
    missing = postgres_server.missing()
    if missing:
        pytest.skip(missing)
    with postgres_server.running() as server:
        yield server
