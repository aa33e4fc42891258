"""Signatures and encrypted reasoning the mock mints, and what it says when they come back.

Providers refuse a chain of thought whose proof was altered; so does the mock, and this is how a test sees that a
gateway carried it whole. The proofs are plain hashes: nothing here is a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

_SIGNATURE = "mocksig_"
_ENCRYPTED = "mockenc_"


def sign(text: str) -> str:
    """The signature over a chain of thought."""
    body = _digest(f"text/{text}")
    return f"{_SIGNATURE}{body}.{_digest(body)}"


def is_signature(signature: str, text: str) -> bool:
    """Whether ``signature`` is ours and over ``text``; an empty text (thoughts that were omitted) needs ours alone."""
    body, _, check = signature.removeprefix(_SIGNATURE).partition(".")
    if not signature.startswith(_SIGNATURE) or check != _digest(body):
        return False
    return not text or body == _digest(f"text/{text}")


def encrypt(text: str) -> str:
    """Reasoning as one opaque token."""
    body = base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).rstrip(b"=").decode()
    return f"{_ENCRYPTED}{body}.{_digest(body)}"


def is_encrypted(token: str) -> bool:
    """Whether ``token`` is a token of ours, whole."""
    return decrypt(token) is not None


def decrypt(token: str) -> str | None:
    """The reasoning in a token; None when it is not ours or was altered."""
    body, _, check = token.removeprefix(_ENCRYPTED).partition(".")
    if not token.startswith(_ENCRYPTED) or not token.isascii() or check != _digest(body):
        return None
    try:
        return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeDecodeError):
        return None


def _digest(text: str) -> str:
    data = hashlib.sha256(f"ferryllm mock/{text}".encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(data[:15]).decode()
