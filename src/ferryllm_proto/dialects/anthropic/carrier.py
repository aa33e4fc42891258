"""Opaque material on the Messages wire: signatures and encrypted thoughts, ours and other providers'.

Both halves need it: what a client sends back and what an upstream says are read by the same rules. A signature that is
an envelope (`ferryllm_proto.opaque`) holds another provider's material; a damaged envelope is no material at all.
"""

from __future__ import annotations

from ... import ir, opaque
from .wire import PROVIDER


def read(data: str | None, model: str, kind: ir.OpaqueKind) -> ir.Opaque | None:
    """The material in a ``signature`` or in the ``data`` of a redacted block; None when there is none."""
    if not data:
        return None  # llama.cpp signs with an empty string
    if opaque.is_envelope(data):
        return opaque.unwrap(data)
    return ir.Opaque(PROVIDER, model, kind, data)


def reasoning(text: str, material: ir.Opaque | None, *, path: str = "", ext: ir.Ext | None = None) -> ir.Reasoning:
    """A thinking block; the text of an OpenAI reasoning item is its summary, and goes back as one."""
    if material is None:
        return ir.Reasoning(text, path=path, ext=ext)
    if material.kind is ir.OpaqueKind.ENCRYPTED:
        summary = (text,) if text else ()
        return ir.Reasoning(summary=summary, opaque=(material,), id=material.id, path=path, ext=ext)
    return ir.Reasoning(text, opaque=(material,), path=path, ext=ext)


def written(material: ir.Opaque) -> str:
    """What stands on the wire for ``material``: Anthropic's as it is, any other in an envelope."""
    own = material.provider == PROVIDER and material.kind in (ir.OpaqueKind.SIGNATURE, ir.OpaqueKind.REDACTED)
    return material.data if own else opaque.wrap(material)


def is_redacted(material: ir.Opaque) -> bool:
    """Whether it is a block of its own (``redacted_thinking``) and not the proof of one."""
    return material.provider == PROVIDER and material.kind is ir.OpaqueKind.REDACTED
