"""The form of `[reload]`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

POLL_SECS: float = 2
"""A look costs 0.4 ms of processor time, nearly all of it for waking up (measured, asyncio and trio, 4 to 50 files): of
an idle gateway 0.02 % of a core, where each second would be twice that. Who saves a file waits two seconds gladly."""


class Reload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the configuration, and the keys in files that it names, are read again. A configuration that is not valid
    changes nothing: what is wrong with it is logged, and the gateway goes on with what it has."""

    watch: Annotated[
        bool,
        Meta(
            description="Whether they are read again when one of the files changes. SIGHUP lets them be read again in "
            "any case."
        ),
    ] = True
    poll_secs: Annotated[
        float,
        Meta(
            ge=0.1,
            le=3600,
            description="How often the files are looked at.",
            extra={"unit": "seconds"},
        ),
    ] = POLL_SECS
