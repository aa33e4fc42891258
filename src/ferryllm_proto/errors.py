"""What ferryllm_proto raises.

::

    ProtocolError
    ├── LocalProtocolError      our own misuse of a machine: a bug in the program that drives it
    └── RemoteProtocolError     the peer sent something wrong; carries an `ir.Error` to answer with

Stream decoders never raise for what the peer sent: their last event is `events.StreamFailed`. The one-shot functions
(`decode_request`, `decode_response`, ...) raise `RemoteProtocolError`. Anything else out of this package is a bug.
"""

from __future__ import annotations

from . import ir


class ProtocolError(Exception):
    """Base of both."""


class LocalProtocolError(ProtocolError):
    """The machine was told to do what is not possible in its state."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what its protocol does not allow.

    ``error`` says it as data; ``status_hint`` is the HTTP status to answer with.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ir.ErrorKind = ir.ErrorKind.BAD_REQUEST,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.error = ir.Error(kind, message, param=param, code=code)

    @property
    def status_hint(self) -> int:
        return self.error.http_status
