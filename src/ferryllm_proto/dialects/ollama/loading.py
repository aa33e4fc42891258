"""Requests that only load or unload a model: their answers need no provider.

A prompt that is empty, or an empty list of messages, asks for nothing but that the model be in memory; with
``keep_alive`` of 0, that it leave it. The command line sends one before the first word. Source: docs/api.md, "Load a
model", "Unload a model".
"""

from __future__ import annotations

from ... import json
from ...errors import RemoteProtocolError
from . import wire
from .times import stamp
from .wire import given

_NOTHING = frozenset({None, b'""', b"[]"})
_AT_ONCE = frozenset({b"0", b"0.0", b'"0"', b'"0s"', b'"0m"', b'"0h"'})


def answer(body: bytes, created: int, path: str | None) -> tuple[str, bytes] | None:
    """The model and the answer; None where the body asks for words. Raises `RemoteProtocolError`."""
    found = json.decode(body, wire.load_request)
    generate = wire.is_generate(path)
    if given(found.prompt if generate else found.messages) not in _NOTHING:
        return None
    if not found.model:
        raise RemoteProtocolError("model is required", param="model", code="missing_required_parameter")
    said = b'"response":""' if generate else b'"message":{"role":"assistant","content":""}'
    reason = b"unload" if given(found.keep_alive) in _AT_ONCE else b"load"
    return found.model, b'{"model":%b,"created_at":"%b",%b,"done":true,"done_reason":"%b"}' % (
        json.encode_str(found.model),
        stamp(created).encode(),
        said,
        reason,
    )
