"""What `[postgres]` comes to. Apart from `settings` as the form is from `schema`: most gateways have no PostgreSQL."""

from __future__ import annotations

import msgspec

from .secret import Secret


class PostgresSettings(msgspec.Struct, frozen=True):
    """A PostgreSQL server."""

    url: Secret
    """With its password."""
    place: str
    """Host, port and database, as messages name it."""
    pool: int = 5
    """Most connections of one process."""
    prepared: bool = True
    """Whether statements are prepared once and used again."""
