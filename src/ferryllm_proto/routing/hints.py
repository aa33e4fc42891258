"""Hints of clients: which provider shall answer, said beside the model's name.

Three forms: a header, the client's key (launchers can set nothing else in some agents), the model's name. They choose
among configured providers only: no client names an address, or a key that is sent there.
"""

from __future__ import annotations

import binascii

from ..dialect import Headers

HINT_HEADER = "x-ferryllm-provider"
KEY_PREFIX = "ferryllm-provider:"
"""In front of the hex digits of the provider's name in UTF-8; behind another colon the client's true key, if any."""
MODEL_PREFIX = "provider:"
"""In front of ``<provider>/<model>`` as the name of a model."""
ALIAS_MARK = "--ferryllm-"
"""Begins what the desktop program appends to the names it makes."""


def split_key(key: str) -> tuple[str | None, str]:
    """The provider a key hints at, and the key without the hint: "" where nothing else is in it.

    What only looks like a hint is a key.
    """
    if not key.startswith(KEY_PREFIX):
        return None, key
    digits, _, rest = key[len(KEY_PREFIX) :].partition(":")
    try:
        name = binascii.unhexlify(digits.encode("ascii")).decode("utf-8")
    except (ValueError, UnicodeError):
        return None, key
    return (name, rest) if name else (None, key)


def read_hint(headers: Headers) -> str | None:
    """The provider that headers ask for: by their own one, by ``Authorization``, by ``x-api-key``, in this order."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value)
    return hint_in(found)


def hint_in(fields: dict[str, str]) -> str | None:
    """`read_hint` of headers by their names in lower case, of one that is repeated the first."""
    own = fields.get(HINT_HEADER)
    if own is not None and (own := own.strip()):
        return own
    bearer, key = fields.get("authorization", ""), fields.get("x-api-key", "")
    if KEY_PREFIX not in bearer and KEY_PREFIX not in key:
        return None
    scheme, _, bearer = bearer.strip().partition(" ")
    keys = [bearer.strip()] if scheme.lower() == "bearer" else []
    for key in (*keys, key.strip()):
        provider, _ = split_key(key)
        if provider is not None:
            return provider
    return None


def split_model(model: str) -> tuple[str, str] | None:
    """``provider:a/b`` as ``("a", "b")``; None for other names."""
    if not model.startswith(MODEL_PREFIX):
        return None
    provider, slash, rest = model[len(MODEL_PREFIX) :].partition("/")
    return (provider, rest) if slash and provider and rest else None
