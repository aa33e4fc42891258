"""Who may come in: keys, and browsers from elsewhere.

With keys switched off whoever reaches the port may use it, so a web page the user happens to visit must not reach it:
foreign ``Origin``, cross-site fetch metadata, a foreign ``Host`` on a loopback listener (DNS rebinding) and form types
are refused.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re

import msgspec

from .. import ir
from ..dialect import Headers
from ..routing.hints import split_key
from ..routing.keys import ClientKey, KeyBook, Refusal, invalid
from .cors import NO_CORS, CorsPolicy, allows
from .key_text import is_mistyped


class AccessRules(msgspec.Struct, frozen=True):
    loopback: bool = True
    """The listener is bound to a loopback address."""
    hosts: tuple[str, ...] = ()
    """Further host names the gateway answers to."""
    pages: CorsPolicy = NO_CORS
    """Which pages of other sites may use it from a browser."""


def key_digest(key: str) -> bytes:
    """What a `KeyBook` holds of a key. Keys are long and random, so a fast hash is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def by_name(headers: Headers) -> dict[str, str]:
    """The fields of a head by their names in lower case; of one that is repeated the first."""
    fields = dict(headers)
    # The usual head has its names in lower case, each once: both are seen without a step of Python for each field.
    names = "".join(fields)
    if len(fields) == len(headers) and names == names.lower():
        return fields
    return {name.lower(): value for name, value in reversed(list(headers))}


def identify(
    rules: AccessRules,
    keys: KeyBook | None,
    method: str,
    headers: Headers,
    target: str = "",
    unix: float = 0.0,
    *,
    uploads: bool = False,
    hints: bool = False,
    fields: dict[str, str] | None = None,
) -> ClientKey | Refusal | None:
    """Whose request this is, or why it is turned away; None where keys are off: anybody's.

    ``target`` is path and query: Gemini's clients put keys there. ``unix`` is Unix seconds. ``uploads``: the path
    takes bodies of any type. ``hints``: a hint may stand in front of a key. ``fields`` are `by_name` of ``headers``,
    where the caller has them.
    """
    if fields is None:
        fields = by_name(headers)
    if keys is None:
        return _check_browser(rules, method, fields, uploads=uploads)
    given = _given(headers, fields, target)
    if not isinstance(given, str):
        return given
    if hints:
        given = split_key(given)[1]
        if not given:
            return _unauthorised("the key is a hint alone: put the gateway's own key behind it, after a colon")
    key = keys.find(key_digest(given))
    if key is None:
        return _unauthorised(_MISTYPED if is_mistyped(given) else "this API key is not known here")
    if key.expires is None and key.revoked is None:
        return key
    return invalid(key, unix) or key


_KEY_HEADERS = frozenset({"x-api-key", "x-goog-api-key", "api-key"})
"""Where clients put their key: Anthropic's, Google's, Azure's."""


_BEARERS = _KEY_HEADERS | {"authorization"}


def query_keys(target: str) -> list[str]:
    """The values of ``key`` in a query: how Google's REST examples authenticate (translation.md N5)."""
    pairs = (pair.partition("=") for pair in target.partition("?")[2].split("&"))
    # Escapes only: a plus is a plus in keys, whatever forms make of it.
    return [unescaped(value) for name, _, value in pairs if unescaped(name) == "key" and value]


def without_keys(query: str) -> str:
    """``query`` without what `query_keys` reads: these keys open the gateway and are no provider's business."""
    return "&".join(pair for pair in query.split("&") if unescaped(pair.partition("=")[0]) != "key")


_ESCAPES = re.compile("(?:%[0-9A-Fa-f]{2})+")


def unescaped(text: str) -> str:
    """``text``, a name or a value in a query, without percent escapes."""
    return _ESCAPES.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace"), text)


def owner(key: ClientKey | None) -> str:
    """Whose a stored object is: a name made from the client's key; "" with keys off."""
    if key is None:
        return ""
    if key.lasting:
        return hashlib.sha256(b"owner of key/" + key.id.encode("utf-8", "surrogateescape")).hexdigest()
    # Not the digest that opens the gateway: this one is written to disk.
    return hashlib.sha256(b"owner/" + key.digest).hexdigest()


def _given(headers: Headers, fields: dict[str, str], target: str) -> str | Refusal:
    """The one key of a request."""
    found: list[str] = query_keys(target) if "?" in target else []
    if len(fields) == len(headers):
        given = [(name, fields[name]) for name in _BEARERS if name in fields]
    else:  # a field that is repeated may hold two keys
        given = [(name.lower(), value) for name, value in headers if name.lower() in _BEARERS]
    for name, value in given:
        if name != "authorization":
            found.append(value.strip())
        else:
            scheme, _, rest = value.strip().partition(" ")
            if scheme.lower() != "bearer" or not rest.strip():
                return _unauthorised("the Authorization header must be: Bearer <key>")
            found.append(rest.strip())
    if not found:
        return _unauthorised("no API key: send it as `x-api-key: <key>` or `Authorization: Bearer <key>`")
    if len(found) > 1 and len(set(found)) > 1:
        return _unauthorised("the request carries different keys (x-api-key, Authorization, ...): send one")
    return found[0]


_MISTYPED = "this API key has a slip in it, or is cut short: its last characters do not fit the others; copy it again"


def _unauthorised(message: str) -> Refusal:
    return Refusal(ir.Error(ir.ErrorKind.AUTHENTICATION, message, code="invalid_api_key"), {}, "key")


def _check_browser(rules: AccessRules, method: str, fields: dict[str, str], *, uploads: bool) -> Refusal | None:
    host = fields.get("host", "").strip()
    if rules.loopback and not _is_local(host, rules.hosts):
        return _forbidden("the Host header names another machine; this gateway listens on loopback without keys")
    origin = fields.get("origin")
    if origin is None and "sec-fetch-site" not in fields and fields.get("content-type") == "application/json":
        return None  # a program, as nearly always
    welcome = origin is not None and allows(rules.pages, origin.strip())
    if not welcome and fields.get("sec-fetch-site", "none").strip() not in ("none", "same-origin"):
        return _forbidden("requests from other sites' pages are refused while auth is off")
    if not welcome and origin is not None and origin.strip().partition("://")[2].lower() != host.lower():
        return _forbidden("requests with a foreign Origin are refused while auth is off")
    kind = fields.get("content-type", "").partition(";")[0].strip().lower()
    if method != "POST" or not kind or kind == "application/json" or kind.endswith("+json"):
        return None
    if kind == "application/x-www-form-urlencoded" and fields.get("user-agent", "").strip().startswith("curl/"):
        return None  # what curl calls every body by itself; a page can not make a browser call itself curl unasked
    if uploads:
        return None if _is_program(fields) else _forbidden(_NO_KEY)
    what = "the Content-Type must be application/json"
    return Refusal(ir.Error(ir.ErrorKind.MEDIA_TYPE, what, code="unsupported_media_type"), {}, "browser")


_NO_KEY = (
    "uploads need a key header while auth is off, whatever key it is: a web page can not send one without asking. "
    "Send `Authorization: Bearer any`"
)


def _is_program(headers: dict[str, str]) -> bool:
    """Whether no page can have sent this: forms have no headers of their own, and a script that adds one of these to
    a request for another site makes the browser ask first (a preflight), which nobody here says yes to. Every SDK
    sends one, whatever its key is."""
    if any(name in headers for name in _KEY_HEADERS):
        return True
    return headers.get("authorization", "").strip().lower().startswith("bearer ")


def _forbidden(message: str) -> Refusal:
    return Refusal(ir.Error(ir.ErrorKind.PERMISSION, message, code="forbidden"), {}, "browser")


MAX_HOST = 255
"""Characters of a host that is remembered: the longest name that DNS has (RFC 1035 section 2.3.4)."""
_USUAL_HOSTS = ("127.0.0.1", "localhost", "::1")
"""Host names that need not be understood as addresses: that costs ten times the rest."""


def _is_local(host: str, extra: tuple[str, ...]) -> bool:
    return _known_local(host, extra) if len(host) <= MAX_HOST else _local(host, extra)


def _local(host: str, extra: tuple[str, ...]) -> bool:
    name = host.lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    if name in _USUAL_HOSTS or name.endswith(".localhost") or name in extra:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


# Clients name the same few; what anybody may send as a name is bounded in length and in number.
_known_local = functools.lru_cache(maxsize=64)(_local)
