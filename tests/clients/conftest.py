"""A gateway on each async backend, with the mock provider in every dialect behind it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio.from_thread
import pytest

from ferryllm_net.mock import MockProvider, serve_mock
from support.processes import Gateway, gateway

BACKENDS = ("openai", "openai_responses", "anthropic", "gemini", "ollama")


@pytest.fixture(scope="module")
def mock() -> Iterator[tuple[MockProvider, int]]:
    provider = MockProvider()
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve_mock(provider)) as base_url,
    ):
        port = urlsplit(base_url).port
        assert port is not None
        yield provider, port


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def served(
    request: pytest.FixtureRequest, mock: tuple[MockProvider, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """Routes ``<dialect>-...``, for a slash would end the name in some clients, and ``<dialect>/...``, behind which
    Codex still knows the model's family."""
    provider = '[[providers]]\nname = "{0}"\ntype = "{0}"\nbase_url = "http://127.0.0.1:{1}"'
    route = '[[routes]]\nmatch = "{0}{1}"\nprovider = "{0}"\nrewrite_model = "demo"'
    lines = [provider.format(backend, mock[1]) for backend in BACKENDS]
    lines += [route.format(backend, mark) for backend in BACKENDS for mark in "-/"]
    config = tmp_path_factory.mktemp("gateway") / "ferryllm.toml"
    config.write_text("\n".join(lines))
    with gateway(config, backend=request.param) as running:
        yield running
