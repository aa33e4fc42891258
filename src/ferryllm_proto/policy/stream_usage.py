"""The usage of Chat streams on bytes that pass through: asked for where the client did not ask itself.

Chat Completions count a stream only for clients that say so (``stream_options.include_usage``). Requests that are
translated always say it; those that pass through are the client's own bytes, so there the route has to allow it. What
comes of it for a client that did not ask is taken out of its stream by `dialects.openai.quiet`.
"""

from __future__ import annotations

import msgspec

from .. import json
from ..dialects.openai.decode_parts import NAME
from ..dialects.openai.vendors import profile
from ..errors import RemoteProtocolError
from ..rules import NO_RULES, ProviderRules
from ..splices import Splices


class _Asked(msgspec.Struct, frozen=True, gc=False):
    stream_options: msgspec.Raw = msgspec.Raw(b"null")


class _Options(msgspec.Struct, frozen=True, gc=False):
    include_usage: bool | None = None


_asked = json.decoder(_Asked)
_options = json.decoder(_Options)


def splice(dialect: str, body: bytes, *, model: str, rules: ProviderRules = NO_RULES) -> tuple[bytes, bool]:
    """``body``, the request for a stream, with the question for its usage, and whether it was put there.

    It is not where the dialect needs none, where the client asks itself, and where the provider takes no
    ``stream_options``: those count without being asked. Options that cannot be read are for the provider to refuse.
    ``model`` is the provider's name of it.
    """
    if dialect != NAME or "stream_options" not in profile(model, rules).fields:
        return body, False
    try:
        options = json.decode(body, _asked).stream_options
        if json.kind(options) != "null" and json.decode(options, _options).include_usage:
            return body, False
    except RemoteProtocolError:
        return body, False
    splices = Splices(body)
    splices.put(("stream_options", "include_usage"), b"true")
    return splices.done(), True
