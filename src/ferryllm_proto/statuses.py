"""What HTTP says of an error, whatever its body: the kind that a status stands for, and how long to wait.

Apart from the dialects, because servers of all of them sit behind the same proxies; the words of a body go before both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .ir import ErrorKind

KINDS: dict[int, ErrorKind] = {
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.BILLING,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    405: ErrorKind.METHOD,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.CONFLICT,
    413: ErrorKind.TOO_LARGE,
    415: ErrorKind.MEDIA_TYPE,
    429: ErrorKind.RATE_LIMIT,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}
"""Statuses that say more than their hundred does. 529 is Anthropic's own."""

_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)


def retry_after(headers: Sequence[tuple[str, str]]) -> float | None:
    """Seconds to wait, of ``retry-after-ms`` before ``retry-after``.

    A date needs a clock: it stays in its header, which the gateway forwards.
    """
    given = {name.lower(): value.strip() for name, value in headers}
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if _SECONDS.fullmatch(given.get(name, "")):
            return float(given[name]) / unit
    return None
