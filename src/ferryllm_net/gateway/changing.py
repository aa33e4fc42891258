"""Changing: which settings a running gateway can take over, and which wait for the next start."""

from __future__ import annotations

import msgspec

from ferryllm_net.config import Settings

CHANGEABLE = frozenset(
    {"auth", "providers", "routes", "passthrough", "metrics", "cors", "routing", "limits", "policies"}
    | {"logging", "reload", "audit", "request_log"}  # whoever hands the settings over has seen to these
    | {"prices"}  # but for the list behind them: see below
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
            kept.append(_WRITTEN.get(name, name))
    if after.prices.file != before.prices.file:
        out["prices"] = msgspec.structs.replace(after.prices, file=before.prices.file)
        kept.append("prices.file")
    return (
        msgspec.structs.replace(after, server=msgspec.structs.replace(after.server, **server), **out),
        tuple(kept),
    )


MAX_NAMED = 100
"""Names of one change that are told of: a configuration that is written anew has thousands."""


def differing(before: Settings, after: Settings) -> tuple[str, ...]:
    """What of the settings is not the same, by its name in the file: tables, of some of them the entries."""
    out: list[str] = []
    for name in before.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if name in _NO_SETTINGS or old == new:
            continue
        if name == "server":
            differs = [field for field in old.__struct_fields__ if getattr(old, field) != getattr(new, field)]
            out += [f"server.{_WRITTEN.get(field, field)}" for field in differs]
        elif name in _NAMED:
            olds, news = ({getattr(one, _NAMED[name]): one for one in found} for found in (old, new))
            differs = [one for one in {**olds, **news} if olds.get(one) != news.get(one)]
            out += [f"{name}.{one}" for one in differs] or [name]
        else:
            out.append(name)
    return (*out[:MAX_NAMED], f"and {len(out) - MAX_NAMED} more") if len(out) > MAX_NAMED else tuple(out)


_NAMED = {"providers": "name", "routes": "match"}
"""Tables whose entries are named, and by which key."""
_WRITTEN = {"listeners": "listen", "body_limit_bytes": "body_limit_mb", "tls": "tls_cert", "hooks": "usage.hooks"}
"""How the file calls what the settings call otherwise."""
