"""Content codings: whole, in pieces, damaged, and as bombs."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import sys
import types
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.http.decompress import PIECE_BYTES, CodingError, Inflater, codings_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

brotli: Any = importlib.import_module("brotli")
TEXT = b'{"model":"m","input":"' + b"hello " * 300 + b'"}'


def raw_deflate(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-15)
    return machine.compress(data) + machine.flush()


CODED = {
    "gzip": (["gzip"], gzip.compress(TEXT)),
    "x-gzip": (["x-gzip"], gzip.compress(TEXT)),
    "two gzip members": (["gzip"], gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "deflate": (["deflate"], zlib.compress(TEXT)),
    "deflate without wrapper": (["deflate"], raw_deflate(TEXT)),
    "zstd": (["zstd"], zstd.compress(TEXT, level=3)),
    "two zstd frames": (["zstd"], zstd.compress(TEXT[:7]) + zstd.compress(TEXT[7:])),
    "gzip then zstd": (["gzip", "zstd"], zstd.compress(gzip.compress(TEXT))),
    "br": (["br"], brotli.compress(TEXT)),
    "gzip then br": (["gzip", "br"], brotli.compress(gzip.compress(TEXT))),
    "identity": (["identity"], TEXT),
    "none": ([], TEXT),
}


def inflate(codings: list[str], pieces: list[bytes]) -> bytes:
    inflater = Inflater(codings)
    out = b"".join(out for piece in pieces for out in inflater.feed(piece))
    inflater.finish()
    return out


@pytest.mark.parametrize(("codings", "data"), CODED.values(), ids=CODED)
def test_each_coding_whole_and_byte_by_byte(codings: list[str], data: bytes) -> None:
    assert inflate(codings, [data]) == TEXT
    assert inflate(codings, [data[i : i + 1] for i in range(len(data))]) == TEXT


@pytest.mark.parametrize(("codings", "data"), CODED.values(), ids=CODED)
def test_truncation_is_found(codings: list[str], data: bytes) -> None:
    if codings in ([], ["identity"]):
        return
    for stop in (1, len(data) // 2, len(data) - 1):
        with pytest.raises(CodingError) as caught:
            inflate(codings, [data[:stop]])
        assert caught.value.status == 400


def test_an_empty_body_is_no_truncation() -> None:
    for coding in ("gzip", "deflate", "zstd", "br"):
        assert inflate([coding], [b""]) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br"])
def test_garbage_is_found(coding: str) -> None:
    with pytest.raises(CodingError, match=f"not valid {coding}"):
        inflate([coding], [b"\xff" * 100])


def test_bytes_after_the_deflate_body_are_refused() -> None:
    with pytest.raises(CodingError, match="after the end"):
        inflate(["deflate"], [zlib.compress(b"a") + b"b"])


@pytest.mark.parametrize("codings", [["sdch"], ["gzip", "sdch"], ["gzip"] * 3, ["compress"]])
def test_unknown_codings_and_long_chains_are_415(codings: list[str]) -> None:
    with pytest.raises(CodingError) as caught:
        Inflater(codings)
    assert caught.value.status == 415


BOMBS = {
    "gzip": (["gzip"], gzip.compress(b"\0" * 50_000_000)),
    "deflate": (["deflate"], zlib.compress(b"\0" * 50_000_000)),
    "zstd": (["zstd"], zstd.compress(b"\0" * 50_000_000)),
    "br": (["br"], brotli.compress(b"\0" * 50_000_000)),
    "both": (["gzip", "zstd"], zstd.compress(gzip.compress(b"\0" * 50_000_000))),
}


@pytest.mark.parametrize(("codings", "bomb"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_comes_in_bounded_pieces_made_on_demand(codings: list[str], bomb: bytes) -> None:
    pieces = Inflater(codings).feed(bomb)
    sizes = [len(next(pieces)) for _ in range(10)]
    assert max(sizes) <= PIECE_BYTES
    assert sum(sizes) > 0


@pytest.mark.parametrize(("codings", "bomb"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_complete_when_somebody_wants_all_of_it(codings: list[str], bomb: bytes) -> None:
    assert sum(len(piece) for piece in Inflater(codings).feed(bomb)) == 50_000_000


@pytest.mark.parametrize("module", [None, types.SimpleNamespace(Decompressor=object)], ids=["absent", "old"])
def test_br_without_a_library_that_has_bounds_is_415(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", module)
    with pytest.raises(CodingError, match=r"ferryllm\[brotli\]") as caught:
        Inflater(["br"])
    assert caught.value.status == 415


def test_bytes_after_the_br_body_are_refused() -> None:
    with pytest.raises(CodingError):
        inflate(["br"], [brotli.compress(b"a"), b"b"])


def test_a_zstd_window_above_8_mb_is_refused() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    machine = zstd.ZstdCompressor(options=options)
    data = machine.compress(b"abc" * 1000) + machine.flush()
    with pytest.raises(CodingError):
        inflate(["zstd"], [data])


@given(
    st.binary(max_size=300),
    st.sampled_from(["gzip", "deflate", "zstd", "br"]),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_nothing_but_coding_error_comes_out(data: bytes, coding: str, cuts: list[int]) -> None:
    ends = [*sorted(cuts), len(data)]
    with contextlib.suppress(CodingError):
        inflate([coding], [data[a:b] for a, b in zip([0, *ends], ends, strict=False)])


def test_codings_of_reads_lists_in_order_and_in_any_case() -> None:
    assert codings_of(["GZip, zstd", " , deflate"]) == ["gzip", "zstd", "deflate"]
    assert codings_of([]) == []
    assert not Inflater(["identity"])
    assert Inflater(["gzip"])


@pytest.mark.parametrize("extra", [20, 21, 60, 187])
def test_output_that_waits_inside_although_all_input_is_taken_comes_out(extra: int) -> None:
    data = raw_deflate(b"\0" * (PIECE_BYTES + extra))
    assert inflate(["deflate"], [data]) == b"\0" * (PIECE_BYTES + extra)
