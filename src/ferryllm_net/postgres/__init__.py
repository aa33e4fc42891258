"""One PostgreSQL server, which the ledger and the keys of many replicas share."""

from .database import Connection, Database, Found, PostgresError, connect, open_database
from .migrations import Schema, migrate, version

__all__ = [
    "Connection",
    "Database",
    "Found",
    "PostgresError",
    "Schema",
    "connect",
    "migrate",
    "open_database",
    "version",
]
