"""A proxy, as providers and usage hooks are reached through it."""

from __future__ import annotations

from typing import Literal

import msgspec

from .secret import Secret

ProxyScheme = Literal["http", "https", "socks5", "socks5h"]


class ProxySettings(msgspec.Struct, frozen=True):
    """One proxy. What it shows of itself holds no credentials."""

    scheme: ProxyScheme
    host: str
    port: int
    user: Secret | None = None
    password: Secret | None = None
