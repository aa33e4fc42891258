"""The form of `[[providers.key_watch]]`: a part of `schema`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class KeyWatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of another program that holds the provider's key, and perhaps its URL: the settings of an agent, or of
    what switches between accounts. It is watched as `[reload]` says. Of several the first that holds a key counts, so
    the others are for when it is not there."""

    file: Annotated[
        str,
        Meta(
            description="The file, `.json` or `.toml`. A relative path counts from the configuration file, `~/` is the "
            "home folder."
        ),
    ]
    path: Annotated[
        str,
        Meta(
            description="Where the key stands in it: names with dots between them, as in `env.ANTHROPIC_AUTH_TOKEN`. A "
            'name with a dot in it stands in quotes, `hosts."api.example".key`; a number is a place in an array, '
            "counted from 0."
        ),
    ]
    url_path: (
        Annotated[
            str,
            Meta(
                description="Where the base URL stands in the same file. `base_url` counts where nothing stands there."
            ),
        ]
        | None
    ) = None
