"""The registry. Adding a dialect is one folder, and a line and a function here.

A dialect is loaded when it is asked for: most gateways speak two or three, and each takes half a megabyte to one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..dialect import Dialect


def _openai() -> Dialect:
    from .openai import DIALECT

    return DIALECT


def _openai_responses() -> Dialect:
    from .openai_responses import DIALECT

    return DIALECT


def _anthropic() -> Dialect:
    from .anthropic import DIALECT

    return DIALECT


def _gemini() -> Dialect:
    from .gemini import DIALECT

    return DIALECT


def _ollama() -> Dialect:
    from .ollama import DIALECT

    return DIALECT


_LOADERS: dict[str, Callable[[], Dialect]] = {
    "openai": _openai,
    "openai_responses": _openai_responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
}


class _Loaded(dict[str, Dialect]):
    """Those that were asked for. Apart from `_Dialects`, so that the second look-up is the dict's own."""

    def __missing__(self, name: str) -> Dialect:
        dialect = self[name] = _LOADERS[name]()
        return dialect


class _Dialects(Mapping[str, Dialect]):
    def __init__(self) -> None:
        self._loaded = _Loaded()

    def __getitem__(self, name: str) -> Dialect:
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in _LOADERS

    def __iter__(self) -> Iterator[str]:
        return iter(_LOADERS)

    def __len__(self) -> int:
        return len(_LOADERS)


DIALECTS: Mapping[str, Dialect] = _Dialects()
"""All dialects by the name they have in configuration, logs and on the command line."""
