"""Which web pages may use the gateway from a browser (the Fetch standard's CORS protocol).

Apart from `access`, which says who may come in at all: here it is decided what a browser is told. A page that is not
allowed gets no header, and its browser keeps the answer from it.
"""

from __future__ import annotations

import msgspec

from ..dialect import Headers

DAY = 86_400

DEFAULT_METHODS = ("GET", "HEAD", "POST", "DELETE")
DEFAULT_EXPOSED = ("x-request-id", "request-id", "retry-after", "x-ferryllm-loss")
"""Headers of answers that a page may read beside the few that it always may."""


class CorsPolicy(msgspec.Struct, frozen=True):
    """Who may, and what. Without origins nobody may."""

    origins: tuple[str, ...] = ()
    """``https://app.example.com``, ``https://*.example.com`` for its subdomains, or ``*`` for every page."""
    methods: tuple[str, ...] = DEFAULT_METHODS
    headers: tuple[str, ...] = ()
    """Headers of requests, in lower case; none is every one that a page asks for."""
    exposed: tuple[str, ...] = DEFAULT_EXPOSED
    credentials: bool = False
    """Whether a page may send cookies and client certificates along; not with ``*``."""
    max_age: int = 600
    """Seconds that a browser may remember the permission."""


NO_CORS = CorsPolicy()


def fault(origin: str) -> str | None:
    """Why ``origin`` can not be one of `CorsPolicy.origins`, or None."""
    if origin in ("*", "null"):
        return None if origin == "*" else "every sandboxed page and every local file has the origin null"
    scheme, found, host = origin.partition("://")
    if not found or scheme not in ("http", "https"):
        return "expected an origin, as in https://app.example.com"
    if origin != origin.lower() or not origin.isascii() or any(char in host for char in "/?#@ ,"):
        return "an origin is scheme, host in lower case and port alone, as in https://app.example.com"
    plain = host.removeprefix("*.")
    return (
        None if plain and "*" not in plain else "a * stands for everything, or for a subdomain: https://*.example.com"
    )


def allows(policy: CorsPolicy, origin: str) -> bool:
    """Whether pages of ``origin``, as browsers send it, may use the gateway."""
    return any(_fits(origin, one) for one in policy.origins)


def _fits(origin: str, allowed: str) -> bool:
    if allowed == "*" or origin == allowed:
        return True
    scheme, wild, host = allowed.partition("://*.")
    return bool(wild) and origin.startswith(f"{scheme}://") and origin.endswith(f".{host}")


def preflight(policy: CorsPolicy, method: str, headers: Headers) -> tuple[tuple[str, str], ...] | None:
    """The headers of the answer, status 204, to a browser's question before a request; None: this is no such question.

    () is a refusal: answered too, and without a permission in it.
    """
    found = {name.lower(): value.strip() for name, value in headers}
    origin, wanted = found.get("origin"), found.get("access-control-request-method")
    if method != "OPTIONS" or origin is None or wanted is None:
        return None
    asked = [name.strip().lower() for name in found.get("access-control-request-headers", "").split(",")]
    asked = [name for name in asked if name]
    if not allows(policy, origin) or wanted not in policy.methods:
        return ()
    if policy.headers and any(name not in policy.headers for name in asked):
        return ()
    out = [*_permission(policy, origin), ("access-control-allow-methods", ", ".join(policy.methods))]
    if asked or policy.headers:
        # By name: a star does not cover Authorization.
        out.append(("access-control-allow-headers", ", ".join(policy.headers or asked)))
    if found.get("access-control-request-private-network") == "true":
        out.append(("access-control-allow-private-network", "true"))
    return (*out, ("access-control-max-age", str(policy.max_age)))


def answer_headers(policy: CorsPolicy, origin: str | None) -> tuple[tuple[str, str], ...]:
    """What an answer to a page of ``origin`` carries beside its own headers; errors too, or no page could read them."""
    if not policy.origins:
        return ()
    if origin is None or not allows(policy, origin):
        # A cache must not give a page the answer that was made for another.
        return () if policy.origins == ("*",) else (("vary", "origin"),)
    exposed = (("access-control-expose-headers", ", ".join(policy.exposed)),) if policy.exposed else ()
    return (*_permission(policy, origin), *exposed)


def _permission(policy: CorsPolicy, origin: str) -> tuple[tuple[str, str], ...]:
    if "*" in policy.origins and not policy.credentials:
        return (("access-control-allow-origin", "*"),)
    out = (("access-control-allow-origin", origin), ("vary", "origin"))
    return (*out, ("access-control-allow-credentials", "true")) if policy.credentials else out
