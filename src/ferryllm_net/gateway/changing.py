"""Changing: which settings a running gateway can take over, and which wait for the next start."""

from __future__ import annotations

import msgspec

from ferryllm_net.config import Settings

CHANGEABLE = frozenset(
    {"auth", "providers", "routes", "passthrough", "metrics", "cors", "routing", "limits", "policies"}
    | {"logging", "reload"}  # whoever hands the settings over has seen to these
)
"""Of `Settings`: what only decides, and holds nothing open."""
CHANGEABLE_SERVER = frozenset({"check_providers"})
"""Of `ServerSettings`; the rest is in listeners, processes and connections."""
_NO_SETTINGS = frozenset({"source", "files", "demo", "warnings"})
"""What says where settings come from."""


def changed(before: Settings, after: Settings) -> tuple[Settings, tuple[str, ...]]:
    """``after`` with the old value of everything that cannot change while the gateway runs, and the names of what would
    have."""
    kept: list[str] = []
    server = {}
    for name in before.server.__struct_fields__:
        old = getattr(before.server, name)
        if name not in CHANGEABLE_SERVER and getattr(after.server, name) != old:
            server[name] = old
            kept.append(f"server.{_WRITTEN.get(name, name)}")
    out = {}
    for name in before.__struct_fields__:
        old = getattr(before, name)
        if name not in CHANGEABLE | _NO_SETTINGS | {"server"} and getattr(after, name) != old:
            out[name] = old
            kept.append(name)
    return (
        msgspec.structs.replace(after, server=msgspec.structs.replace(after.server, **server), **out),
        tuple(kept),
    )


_WRITTEN = {"listeners": "listen", "body_limit_bytes": "body_limit_mb", "tls": "tls_cert"}
"""How the file calls what the settings call otherwise."""
