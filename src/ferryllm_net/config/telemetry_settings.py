"""What is told of requests beside the log: a leaf, because `settings` names it and everything imports that."""

from __future__ import annotations

import msgspec

from ferryllm_proto.policy.transforms import Find, Substitute

from .telemetry_schema import Part


class MetricsSettings(msgspec.Struct, frozen=True):
    """``/metrics``."""

    enabled: bool = True
    public: bool = False
    """Whether it is read without a key."""
    keys: bool = False
    """Whether there are series for the keys of clients."""


class FileSettings(msgspec.Struct, frozen=True):
    """A file of lines."""

    path: str
    """Absolute."""
    max_bytes: int | None
    """None: it grows."""
    keep: int
    """Older files beside it."""


class RequestLogSettings(msgspec.Struct, frozen=True):
    """The log of requests and answers."""

    file: FileSettings
    sample: float
    """0 to 1."""
    errors_only: bool
    parts: frozenset[Part]
    max_body: int
    """Bytes of each body."""
    headers: frozenset[str]
    """Names, in lower case, of headers to redact beside the known ones."""
    paths: tuple[tuple[Find, str], ...]
    """What finds the values to be redacted, and what stands in their place."""
    patterns: tuple[Substitute, ...]
