"""Where Redis is and how it is used: a leaf, because `settings` names it and everything imports that."""

from __future__ import annotations

import msgspec

from .redis_schema import OnFailure
from .secret import Secret

PORT = 6379


class RedisSettings(msgspec.Struct, frozen=True):
    """Where Redis is, and how the gateway uses it."""

    host: str
    port: int = PORT
    socket: str | None = None
    """Absolute path of the unix socket behind which it is, in place of host and port."""
    db: int = 0
    username: str | None = None
    password: Secret | None = None
    tls: bool = False
    ca_file: str | None = None
    """Absolute path; None for the authorities of the system."""
    prefix: str = "ferryllm"
    on_failure: OnFailure = "local"
    expected_replicas: int = 1
    deadline_secs: float = 0.05
    lease_secs: float = 60.0

    @property
    def place(self) -> str:
        """Where it is, in words that hold no secret."""
        if self.socket is not None:
            return f"unix:{self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
