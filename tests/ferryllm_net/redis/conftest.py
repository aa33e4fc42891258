"""The server that these tests share."""

from __future__ import annotations

import pytest

from support import redis_server


@pytest.fixture(scope="session")
def redis() -> redis_server.RedisServer:
    """Skips where no redis-server is installed."""
    return redis_server.shared()
