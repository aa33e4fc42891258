"""How rows are written for receivers: the same objects for all of them, and the signature of what is posted."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from ferryllm_net.ledger import Row

TYPE = "ferryllm.usage"
"""The ``type`` of a posted body, so that one address can take more kinds of it one day."""


def objects(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as plain values: the columns of the ledger, with ``tries`` as a list. Costs are nano-dollars."""
    out = []
    for row in rows:
        value = msgspec.structs.asdict(row)
        value["tries"] = None if row.tries is None else msgspec.json.decode(row.tries)
        out.append(value)
    return out


def body(rows: Sequence[Row]) -> bytes:
    """What is posted."""
    return msgspec.json.encode({"type": TYPE, "rows": objects(rows)})


def lines(rows: Sequence[Row]) -> bytes:
    """One object a line."""
    return b"".join(msgspec.json.encode(value) + b"\n" for value in objects(rows))


def delivery_id(rows: Sequence[Row]) -> str:
    """The same for every attempt at the same rows."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.id}\n{row.time!r}\n".encode())
    return digest.hexdigest()[:32]


def signature(secret: str, unix: int, data: bytes) -> str:
    """The value of ``ferryllm-signature``: the time of the attempt, and HMAC-SHA256 over it, a full stop and the body.

    The time is signed so that who has seen a delivery can not repeat it later.
    """
    signed = hmac.new(secret.encode(), b"%d." % unix + data, hashlib.sha256).hexdigest()
    return f"t={unix},v1={signed}"
