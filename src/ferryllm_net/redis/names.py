"""How keys are called, and how what they hold is written."""

from __future__ import annotations

import msgspec

from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.limits import Meter
from ferryllm_proto.routing.quota import Quota

_target = msgspec.json.Decoder(Target)


class Names:
    """Every key begins with ``{prefix}``: in a cluster what is in braces says the slot, so that one script may touch
    them all."""

    def __init__(self, prefix: str) -> None:
        self._begin = f"{{{prefix}}}:"

    def bucket(self, scope: str, meter: Meter) -> str:
        return f"{self._begin}bucket:{meter._value_}:{scope}"

    def account(self, owner: str, quota: Quota) -> str:
        # Without the limit: a quota that is raised goes on with what was used.
        return f"{self._begin}account:{quota.unit._value_}:{quota.period._value_}:{quota.offset}:{owner}"

    def leases(self, scope: str) -> str:
        return f"{self._begin}inside:{scope}"

    def record(self, id: str) -> str:  # noqa: A002
        return f"{self._begin}admitted:{id}"

    def batch(self, id: str) -> str:  # noqa: A002
        return f"{self._begin}batch:{id}"

    def place(self, session: bytes) -> str:
        return f"{self._begin}place:{session.hex()}"

    @property
    def hints(self) -> str:
        return f"{self._begin}hints"

    def responses(self, rest: str) -> str:
        return f"{self._begin}responses:{rest}"


def write_target(target: Target) -> bytes:
    return msgspec.json.encode(target)


def read_target(found: object) -> Target | None:
    """What `write_target` wrote; None for anything else, an older or newer gateway's perhaps."""
    if not isinstance(found, bytes):
        return None
    try:
        return _target.decode(found)
    except (msgspec.DecodeError, ValueError):
        return None
