"""What the gateway runs with of `[usage]` and `[prices]`."""

from __future__ import annotations

from typing import Literal

import msgspec

from ferryllm_proto.routing.pricing import Row

from .proxy_settings import ProxySettings
from .secret import Secret


class HiddenUrl(msgspec.Struct, frozen=True):
    """A URL that may hold a secret: where a hook's deliveries are posted, where a provider's key is fetched."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str = "/"
    hidden: Secret | None = None
    """Path and query in place of ``path``, where there may be a key in them: many services keep it there. A short path
    is none, and what is a secret is made illegible wherever the log has it."""
    ca_file: str | None = None
    """Absolute path; None for the authorities of the system."""
    proxy: ProxySettings | None = None

    @property
    def target(self) -> str:
        """What is asked for there."""
        return self.path if self.hidden is None else self.hidden.reveal()


class HookSettings(msgspec.Struct, frozen=True):
    """One usage hook: exactly one of ``url``, ``command`` and ``entry_point`` is set."""

    name: str
    url: HiddenUrl | None = None
    secret: Secret | None = None
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entry_point: str | None = None
    timeout_secs: float = 10.0
    retries: int = 5
    batch: int = 100
    flush_secs: float = 1.0
    queue: int = 10_000


class PricesSettings(msgspec.Struct, frozen=True):
    """Where prices come from."""

    file: str | None = None
    """Absolute; None for the list of the package."""
    rows: tuple[Row, ...] = ()
    """They go before the list."""
