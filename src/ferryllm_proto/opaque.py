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
from .ir import Opaque, OpaqueKind, Struct

PREFIX = "ferry1."

MARKS: tuple[bytes, ...] = (b'"ferry1.', b"ferry1.WyJ", b"ferry1.W1tb", b"ZmVycnkxL")
"""One of these is in every body that holds an envelope: as a whole string, behind something else, in base64."""

_IN_CLEAR, _IN_BASE64 = b"ferry1.", b"ZmVycnkxL"
_Z = ord("Z")
"""Many small bodies have none, and one byte is found at a tenth of the cost of several."""


def is_marked(body: bytes) -> bool:
    """Whether one of `MARKS` is in ``body``; two looks at it where there is none, which is nearly always."""
    if _Z in body and body.find(_IN_BASE64) >= 0:
        return True
    return body.find(_IN_CLEAR) >= 0 and any(mark in body for mark in MARKS)


MAX_CARRIER = 16 << 10
"""Characters of one carrier: it travels twice in every later turn, with the call and with its result."""

_Token = tuple[str, str, str, str, str]
"""Provider, model, kind, item id or "", data."""

_decoder = json.decoder(list[str])
_carried = json.decoder(list[tuple[_Token, str, bool]])


class Thought(Struct, frozen=True):
    """A proof on its way in a tool call's id."""

    opaque: Opaque
    text: str
    """What it proves, where it is worth nothing without it."""
    late: bool
    """Whether it stood directly before the call, behind text or another call; else it opened the answer."""


def wrap(opaque: Opaque) -> str:
    """``opaque`` as one token of [A-Za-z0-9_.-]."""
    payload = json.encode(_token(opaque))
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
        # Without data it is `UNPROVEN`.
        return Opaque(provider, model, OpaqueKind(kind), data, id_ or None) if data else None
    except (RemoteProtocolError, ValueError):  # binascii.Error is a ValueError
        return None


def carry(id_: str, thoughts: list[Thought]) -> str:
    """A tool call's id that carries what was thought before the call.

    For clients that drop every field they do not know: an id they keep, in the call and in its result. "" when it
    would be longer than `MAX_CARRIER`.
    """
    payload = json.encode([(_token(one.opaque), one.text, one.late) for one in thoughts])
    text = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    carrier = f"{id_}{_JOINT}{PREFIX}{text}.{_check(text)}"
    return carrier if len(carrier) <= MAX_CARRIER else ""


def uncarry(id_: str) -> tuple[str, list[Thought]]:
    """The id itself and what it carries; a damaged carrier carries nothing."""
    plain, joint, token = id_.partition(_JOINT + PREFIX)
    if not joint:
        return id_, []
    text, _, check = token.rpartition(".")
    if not text or not text.isascii() or check != _check(text):
        return plain, []
    try:
        found = json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), _carried)
        return plain, [
            Thought(Opaque(provider, model, OpaqueKind(kind), data, item or None), said, late)
            for (provider, model, kind, item, data), said, late in found
        ]
    except (RemoteProtocolError, ValueError):
        return plain, []


def _token(opaque: Opaque) -> tuple[str, str, str, str, str]:
    return opaque.provider, opaque.model, opaque.kind.value, opaque.id or "", opaque.data


_JOINT = "~"
"""Between an id and what it carries; no provider has it in an id."""


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


UNPROVEN = wrap(Opaque("", "", OpaqueKind.ENCRYPTED, ""))
"""Says of thoughts that they have no proof, so that a provider of the client's own dialect is not asked for one."""
