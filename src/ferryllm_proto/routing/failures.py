"""What a failed attempt means: for the next step of its request (`retry`), and for who was asked (`breaker`).

By the kind of the error and not by its status alone: Gemini refuses a key with a 400, a stream fails within a 200, and
what is too long for a model is a 400 of everybody's.
"""

from __future__ import annotations

from .. import ir
from ..dialect import Headers
from .breaker import Verdict
from .retry import Failure, Fault, retry_after

_KINDS: dict[ir.ErrorKind, tuple[Fault, Verdict]] = {
    ir.ErrorKind.BAD_REQUEST: (Fault.STATUS, Verdict.NOTHING),
    ir.ErrorKind.CONTEXT_LENGTH: (Fault.CONTEXT, Verdict.NOTHING),
    ir.ErrorKind.AUTHENTICATION: (Fault.KEY, Verdict.KEY),
    # The gateway's account has no credit for this request; for a cheaper one it may have.
    ir.ErrorKind.BILLING: (Fault.KEY, Verdict.KEY_FOR_MODEL),
    ir.ErrorKind.PERMISSION: (Fault.KEY, Verdict.KEY_FOR_MODEL),
    ir.ErrorKind.NOT_FOUND: (Fault.STATUS, Verdict.NOTHING),
    ir.ErrorKind.METHOD: (Fault.STATUS, Verdict.NOTHING),
    ir.ErrorKind.CONFLICT: (Fault.STATUS, Verdict.NOTHING),
    ir.ErrorKind.TOO_LARGE: (Fault.STATUS, Verdict.NOTHING),
    ir.ErrorKind.MEDIA_TYPE: (Fault.STATUS, Verdict.NOTHING),
    ir.ErrorKind.RATE_LIMIT: (Fault.STATUS, Verdict.LIMITED),
    ir.ErrorKind.OVERLOADED: (Fault.STATUS, Verdict.LIMITED),
    ir.ErrorKind.SERVER: (Fault.STATUS, Verdict.FAILURE),
    ir.ErrorKind.UPSTREAM: (Fault.TRANSPORT, Verdict.FAILURE),
    ir.ErrorKind.TRUNCATED: (Fault.TRANSPORT, Verdict.FAILURE),
    ir.ErrorKind.TIMEOUT: (Fault.TIMEOUT, Verdict.FAILURE),
}


def judge(error: ir.Error, headers: Headers = (), unix: float = 0.0) -> tuple[Failure, Verdict]:
    """What ``error`` of an attempt means, before the client has got any content.

    ``error`` is as the provider's dialect decoded it, or as the exchange made it for a provider that was not reached or
    fell silent; ``headers`` are the provider's, ``unix`` is Unix seconds, for a Retry-After that is a date.
    """
    fault, verdict = _KINDS[error.kind]
    wait = error.retry_after if error.retry_after is not None else retry_after(headers, unix)
    status = error.status
    if status is None or status < 400:  # an error within an answer that began as a good one
        status = ir.STATUS[error.kind]
    elif fault is Fault.TRANSPORT and status >= 500:
        # A whole answer of HTTP that says so: 501 is no fault that another attempt mends, 502 is.
        fault = Fault.STATUS
    return Failure(fault, status, wait), verdict
