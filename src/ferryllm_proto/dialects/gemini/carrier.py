"""Thought signatures on the wire: Gemini's own, and other providers' material in their place.

A signature is base64 to the SDKs, which decode and encode it again: an envelope (`ferryllm_proto.opaque`) stands there
as the base64 of its text. Python's SDK writes the URL-safe alphabet, others the standard one; both are read.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from ... import ir, opaque
from .wire import PROVIDER

DUMMY = "skip_thought_signature_validator"
"""What Google documents for calls of a history that no Gemini 3 has made."""

DUMMY_SAID = "skip/thought/signature/validator"
"""The same bytes as clients get them: in the alphabet of base64 that all of them read."""

_MARK = "ZmVycnkxL"  # base64 of the beginning of every envelope


def read(data: str | None, model: str) -> ir.Opaque | None:
    """The material in a ``thoughtSignature``; None where there is none, and for a damaged envelope."""
    if not data or is_dummy(data):
        return None
    if data.startswith(_MARK):
        return opaque.unwrap(_decoded(data))
    if opaque.is_envelope(data):
        return opaque.unwrap(data)
    return ir.Opaque(PROVIDER, model, ir.OpaqueKind.THOUGHT_SIGNATURE, data)


def is_dummy(data: str | None) -> bool:
    """Whether a signature only stands for one that is missing."""
    return data in (DUMMY, DUMMY_SAID)


def _decoded(data: str) -> str:
    try:
        plain = data.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("ascii", "replace")
    except (binascii.Error, ValueError):
        return ""


def is_own(material: ir.Opaque) -> bool:
    """Whether it is one of Gemini's signatures."""
    return material.provider == PROVIDER and material.kind is ir.OpaqueKind.THOUGHT_SIGNATURE


def written(material: ir.Opaque) -> str:
    """What stands on the wire for ``material``: Gemini's as it is, any other in an envelope."""
    if is_own(material):
        return material.data
    return base64.b64encode(opaque.wrap(material).encode()).decode()


def reasoning(text: str, material: ir.Opaque, path: str) -> ir.Reasoning:
    """Thoughts with their proof; the text of an OpenAI reasoning item is its summary, and goes back as one."""
    if material.kind is ir.OpaqueKind.ENCRYPTED:
        return ir.Reasoning(summary=(text,) if text else (), opaque=(material,), id=material.id, path=path)
    return ir.Reasoning(text, opaque=(material,), path=path)


def attach(parts: list[ir.Part], material: ir.Opaque, path: str, *, text: str = "", floor: int = 0) -> None:
    """Put ``material`` before the part that is about to be added to ``parts`` (``text``: thoughts that come with it).

    Thoughts that stand there already get it. A client has streamed thoughts in pieces: where another provider has
    signed them they are one again, because it signed all of them at once, and be it over several contents. Gemini's own
    stay within the content that begins at ``floor``.
    """
    first = floor if is_own(material) else 0
    taken: list[ir.Reasoning] = []
    while len(parts) > first and isinstance(last := parts[-1], ir.Reasoning) and not last.opaque and last.ext is None:
        taken.append(last)
        parts.pop()
        if is_own(material):
            break
    taken.reverse()
    if not taken:
        parts.append(reasoning(text, material, path))
    elif is_own(material):
        parts.append(msgspec.structs.replace(taken[0], text=taken[0].text + text, opaque=(material,)))
    else:
        parts.append(reasoning("".join(part.text for part in taken) + text, material, taken[0].path))


_NUMBER = re.compile(r"\d")


def usable(material: ir.Opaque, model: str) -> bool:
    """Whether a provider's ``model`` may get ``material``.

    An answer names the model behind an alias (``gemini-flash-latest``): such a name has no number to compare.
    """
    if not is_own(material):
        return False
    if opaque.usable(material, PROVIDER, model):
        return True
    return not (_NUMBER.search(opaque.family(material.model)) and _NUMBER.search(opaque.family(model)))
