"""Content codings undone a piece at a time: zstd, gzip, deflate, and br where the brotli package is installed.

A compressed body is an amplifier in the hands of whoever sent it, so nothing here can answer with more than one bounded
piece for one step: whoever asks decides how many pieces it wants. Sans-IO.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

PIECE_BYTES = 256 * 1024
"""Largest piece of output; a 1 GiB bomb in 32 KiB costs its reader this much memory a step."""

LAYERS = 2
"""Codings in one message. One is usual; chains were used as amplifiers (curl CVE-2023-23916 bounds them at 5)."""

_BROTLI_BYTES = 64 * 1024
# Its limit is passed by a block, whose sizes are 32, 64, 256 KiB.

_WINDOW_LOG = 23
"""RFC 9659: a zstd window above 8 MB must not be used as a content coding, and need not be supported."""


class CodingError(Exception):
    """A body that cannot be decoded. ``status`` is what a server answers with: 415 unknown coding, 400 broken data."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _Layer(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> None: ...


class _Zlib:
    """gzip (any number of members) and deflate (with the zlib wrapper, or without: some senders mistake the two)."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._gzip = coding == "gzip"
        self._start = b""
        # Typed loosely: the class of zlib.decompressobj has no public name.
        self._machine: Any = zlib.decompressobj(31) if self._gzip else None
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._begun = True
            if self._machine is None:
                self._start += data
                if len(self._start) < 2:
                    return
                data, self._start = self._start, b""
                wrapped = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
                self._machine = zlib.decompressobj(15 if wrapped else -15)
            if self._machine.eof:
                if not self._gzip:
                    raise CodingError(400, "bytes after the end of the deflate body")
                self._machine = zlib.decompressobj(31)
            try:
                piece = self._machine.decompress(data, PIECE_BYTES)
                data = self._machine.unconsumed_tail or self._machine.unused_data
                if piece:
                    yield piece
                # A full piece may leave output inside although all input is taken.
                while not data and len(piece) == PIECE_BYTES and not self._machine.eof:
                    piece = self._machine.decompress(b"", PIECE_BYTES)
                    data = self._machine.unused_data
                    if piece:
                        yield piece
            except zlib.error as exc:
                raise CodingError(400, f"the body is not valid {self._coding}") from exc

    def finish(self) -> None:
        if self._begun and (self._machine is None or not self._machine.eof):
            raise CodingError(400, f"the {self._coding} body is truncated")


class _Zstd:
    """One or more zstd frames (RFC 8878)."""

    def __init__(self) -> None:
        # Imported late: most processes never see zstd, and the module is another one below 3.14.
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        self._error: type[Exception] = zstd.ZstdError
        self._options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
        self._new = zstd.ZstdDecompressor
        self._machine = self._new(options=self._options)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._machine.eof:
                self._machine = self._new(options=self._options)
            self._begun = True
            try:
                piece = self._machine.decompress(data, PIECE_BYTES)
                if piece:
                    yield piece
                while not self._machine.needs_input and not self._machine.eof:
                    piece = self._machine.decompress(b"", PIECE_BYTES)
                    if piece:
                        yield piece
            except self._error as exc:
                raise CodingError(400, "the body is not valid zstd") from exc
            data = self._machine.unused_data if self._machine.eof else b""

    def finish(self) -> None:
        if self._begun and not self._machine.eof:
            raise CodingError(400, "the zstd body is truncated")


class _Brotli:
    """One brotli stream (RFC 7932). It says itself how large its window is: at most 16 MB."""

    def __init__(self) -> None:
        # An extra: no provider sends br unless it was asked for, and we ask for none.
        brotli: Any
        try:
            brotli = importlib.import_module("brotli")
        except ImportError:
            brotli = None
        # Before 1.2 it has no bound: one call gives all there is.
        if not hasattr(getattr(brotli, "Decompressor", None), "can_accept_more_data"):
            raise CodingError(415, "the content coding 'br' needs the package brotli, 1.2 or newer (ferryllm[brotli])")
        self._error: type[Exception] = brotli.error
        self._machine: Any = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._begun = True
            if self._machine.is_finished():
                raise CodingError(400, "bytes after the end of the br body")
            try:
                piece = self._machine.process(data, output_buffer_limit=_BROTLI_BYTES)
                # A last call without output may be what finds the end.
                while piece or not self._machine.can_accept_more_data():
                    if piece:
                        yield piece
                    if self._machine.is_finished():
                        break
                    piece = self._machine.process(b"", output_buffer_limit=_BROTLI_BYTES)
            except self._error as exc:
                raise CodingError(400, "the body is not valid br") from exc
            data = b""

    def finish(self) -> None:
        if self._begun and not self._machine.is_finished():
            raise CodingError(400, "the br body is truncated")


class Inflater:
    """Undoes the codings of one message.

    ``codings`` are the values of Content-Encoding in the order of the field (the last was applied last). Raises
    `CodingError` (415) for an unknown coding or more than `LAYERS` of them.
    """

    def __init__(self, codings: Sequence[str]) -> None:
        names = [name for name in codings if name != "identity"]
        if len(names) > LAYERS:
            raise CodingError(415, f"{len(names)} content codings in one body, at most {LAYERS} are read")
        self._layers: list[_Layer] = [self._layer(name) for name in reversed(names)]

    @staticmethod
    def _layer(name: str) -> _Layer:
        if name in ("gzip", "x-gzip"):
            return _Zlib("gzip")
        if name == "deflate":
            return _Zlib("deflate")
        if name == "zstd":
            return _Zstd()
        if name == "br":
            return _Brotli()
        raise CodingError(415, f"the content coding {name[:20]!r} is not known; zstd, gzip, deflate and br are")

    def __bool__(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self._layers)

    def feed(self, data: bytes, _depth: int = 0) -> Iterator[bytes]:
        """Pieces of at most `PIECE_BYTES`, made as they are asked for. Exhaust it before the next call.

        Raises `CodingError` (400) where the data breaks.
        """
        if _depth == len(self._layers):
            yield data
            return
        for piece in self._layers[_depth].feed(data):
            yield from self.feed(piece, _depth + 1)

    def finish(self) -> None:
        """The body has ended. Raises `CodingError` (400) when a coding has not."""
        for layer in self._layers:
            layer.finish()


def codings_of(values: Sequence[str]) -> list[str]:
    """The codings named by the Content-Encoding fields of one message, lower case, in order."""
    return [name for value in values for part in value.split(",") if (name := part.strip(" \t").lower())]
