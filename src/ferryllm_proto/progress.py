"""How far one request and its answer have come.

Apart from `translate`, because every kind of conversation has these states, and who drives one reads them.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    REQUEST = "request"
    """Waiting for `Translator.receive_request`."""
    HEAD = "head"
    """The request is with the provider."""
    SNIFF = "sniff"
    """A good head came; the first bytes tell whether the body is a stream (S10)."""
    ERROR = "error"
    """The provider answered with an error; its body is being collected."""
    WHOLE = "whole"
    """A whole body is being collected."""
    STREAM = "stream"
    """Events are being translated."""
    RELAY = "relay"
    """Bytes pass through."""
    DONE = "done"
    FAILED = "failed"
    """The client was told of an error, or refused."""
