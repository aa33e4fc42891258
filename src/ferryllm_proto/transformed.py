"""Translators whose answers go through the route's transforms on their last step to the client.

Apart from `translate`, because few routes have any: the others pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ir
from .dialect import Headers
from .policy.transforms import AnswerTransform
from .responses.stateful import KeptTranslator, Memory, NativeTranslator
from .translate import State, Translator

_OVER = (State.DONE, State.FAILED)


class _Filtered(Translator):
    """What each kind of `Translator` below has in common: every byte for the client goes through one filter."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._filter: AnswerTransform | None = None
        self._inside = False
        """Whether a call of ours is under way: machines call their own methods, and their bytes come out once."""

    def receive_data(self, data: bytes) -> bytes:
        """As `Translator.receive_data`."""
        return self._passed(super().receive_data, data)

    def receive_eof(self) -> bytes:
        """As `Translator.receive_eof`."""
        return self._passed(super().receive_eof)

    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes:
        """As `Translator.receive_whole`."""
        return self._passed(super().receive_whole, status, headers, data)

    def commit(self) -> bytes:
        """As `Translator.commit`."""
        return self._passed(super().commit)

    def ping(self) -> bytes:
        """As `Translator.ping`."""
        return self._passed(super().ping)

    def fail(self, error: ir.Error) -> bytes:
        """As `Translator.fail`."""
        return self._passed(super().fail, error)

    def _passed(self, call: Callable[..., bytes], *arguments: object) -> bytes:
        if self._inside:
            return call(*arguments)
        self._inside = True
        try:
            out = call(*arguments)
        finally:
            self._inside = False
        if self.head is None:
            return out  # nothing leaves before the head
        if self._filter is None:
            kinds = [value for name, value in self.head.headers if name.lower() == "content-type"]
            self._filter = AnswerTransform(
                self._target.policies.transforms,
                # A provider may answer whole although a stream was asked for.
                stream=self.stream and not (kinds and kinds[0].startswith("application/json")),
                sse=self.entry.sse,
                good=200 <= self.head.status < 300,
            )
        out = self._filter.receive_data(out)
        return out + self._filter.receive_eof() if self.state in _OVER else out


class _Kept(_Filtered, KeptTranslator):
    """For answers that the gateway keeps."""


class _Native(_Filtered, NativeTranslator):
    """For answers that their provider keeps."""


def transformed_for(memory: Memory) -> Callable[..., Translator]:
    """As `translator_for`, for a route with transforms of answers."""
    if memory.kept:
        return lambda **options: _Kept(memory, **options)
    if memory.point or memory.items is not None:
        return lambda **options: _Native(memory, **options)
    return _Filtered
