"""The arguments of a call where a protocol has an object for them and no text (wire.md 7.3).

Apart from `tools`, which is about names, ids and kinds of tools: this is about what one call says.
"""

from __future__ import annotations

from . import json

RAW = "_raw"
"""The one member of an object that stands for arguments that are none."""


def as_object(arguments: str) -> tuple[bytes, bool]:
    """The object for ``arguments`` as JSON, and whether that is what they were.

    A call without arguments has an empty object. What is no object, as of a call that was cut off in the middle of its
    JSON, stands as a text under `RAW`: whoever asks reports it.
    """
    if not arguments.strip():
        return b"{}", True
    if json.is_object(arguments):
        return arguments.encode("utf-8", "surrogatepass"), True
    return json.encode({RAW: arguments}), False
