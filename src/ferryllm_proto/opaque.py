"""The envelope that carries one provider's opaque material through clients of another dialect.

A Messages client keeps a thinking block's ``signature`` and sends it back unread; a Responses client does the same
with ``encrypted_content``. So an OpenAI reasoning item reaches a Messages client as a thinking block whose signature
is ``ferry1.<payload>.<check>``, comes back with the next turn, and is unwrapped only towards the provider and the
model family that minted it. To anybody else it is not sent: foreign signatures are refused by every provider.

The check is a plain hash: it finds damage and truncation. It is no secret; whoever forges an envelope gains nothing
but a refusal by the provider, which checks its own material.
"""

from __future__ import annotations

import base64
import hashlib
import re

from . import json
from .errors import RemoteProtocolError
from .ir import Opaque, OpaqueKind

PREFIX = "ferry1."

MARKS: tuple[bytes, ...] = (b'"ferry1.', b"ferry1.WyI", b"ZmVycnkxL")
"""One of these is in every body that holds an envelope: as a whole string, behind something else, in base64."""

_decoder = json.decoder(tuple[str, str, str, str, str])


def wrap(opaque: Opaque) -> str:
    """``opaque`` as one token of [A-Za-z0-9_.-]."""
    payload = json.encode((opaque.provider, opaque.model, opaque.kind.value, opaque.id or "", opaque.data))
    text = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    return f"{PREFIX}{text}.{_check(text)}"


def unwrap(token: str) -> Opaque | None:
    """The material in ``token``; None when it is no envelope of ours or was damaged."""
    if not token.startswith(PREFIX):
        return None
    text, _, check = token[len(PREFIX) :].rpartition(".")
    if not text or not text.isascii() or check != _check(text):
        return None
    try:
        provider, model, kind, id_, data = json.decode(
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), _decoder
        )
        # Without data the envelope only says that these thoughts have no proof, so that nobody takes them for native.
        return Opaque(provider, model, OpaqueKind(kind), data, id_ or None) if data else None
    except (RemoteProtocolError, ValueError):  # binascii.Error is a ValueError
        return None


def is_envelope(token: str) -> bool:
    """Whether ``token`` claims to be an envelope, damaged or not: such a token is never sent to a provider."""
    return token.startswith(PREFIX)


def usable(opaque: Opaque, provider: str, model: str) -> bool:
    """Whether a provider's ``model`` may get ``opaque``: same provider, and same model family where both are known."""
    if opaque.provider != provider:
        return False
    return not opaque.model or not model or family(opaque.model) == family(model)


_DATE = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d|latest|preview)$")


def family(model: str) -> str:
    """The name of a model without vendor prefix, date and case: ``openai/GPT-5.4-2026-03-05`` is ``gpt-5.4``."""
    name = model.rsplit("/", 1)[-1].lower()
    while (shorter := _DATE.sub("", name)) != name:
        name = shorter
    return name


def _check(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:9]).decode()
