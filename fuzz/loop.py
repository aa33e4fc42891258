"""A fuzzer for where atheris cannot be installed: changes seeds by chance, seeded, without looking at coverage.

``python loop.py TARGET SECONDS SEED FOLDER`` runs one target and prints ``executions N``; an input that fails is
written to FOLDER, and the exit status is 1.
"""

from __future__ import annotations

import hashlib
import pathlib
import random
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from targets import TARGETS

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
MAX_LENGTH = 16_384
SLOW = 5.0
"""Seconds one input may take."""

WORDS = (
    *(b"data: ", b"event: ", b"\n\n", b"\r\n", b"\r", b"[DONE]", b"null", b"{}", b"[]", b'""', b'"', b"\\", b"\\ud83d"),
    *(b'"error":', b'"index":', b'"type":', b'"id":', b'"text":', b"-1", b"1e999", b"12345678901234567890", b"\xff"),
    *(b"\xed\xa0\x80", b"\xf4\x8f\xa0\x80", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"true", b"0.70", b"\x00", b":", b","),
)


def changed(rng: random.Random, corpus: list[bytes]) -> bytes:
    """A seed with some changes."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randint(0, len(data))
        kind = rng.randrange(8)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : at + rng.choice((1, 2, 8, 64, 512))]
        elif kind == 2:
            data[at:at] = rng.choice(WORDS)
        elif kind == 3:
            size = rng.randint(1, 200)
            data[at:at] = data[at : at + size]
        elif kind == 4:
            other = rng.choice(corpus)
            start = rng.randint(0, len(other))
            data[at:] = other[start:]
        elif kind == 5 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 6:
            data[at : at + len(WORDS[0])] = rng.choice(WORDS)
        else:
            _change_value(rng, data)
    return bytes(data[:MAX_LENGTH])


def _change_value(rng: random.Random, data: bytearray) -> None:
    """Replace what stands behind a colon: JSON that is still JSON gets deeper than noise."""
    at = data.find(b'":', rng.randint(0, len(data)))
    if at < 0:
        return
    end = at + 2
    while end < len(data) and data[end] not in b',}]"{[':
        end += 1
    if end < len(data) and data[end] == ord('"'):
        close = data.find(b'"', end + 1)
        end = close + 1 if close > 0 else end
    data[at + 2 : end] = rng.choice(
        (b"null", b"0", b'""', b"[]", b"{}", b"true", b'"x"', b"-1", b"1.5", b"[null]", b"[{}]")
    )


def attempt(name: str, data: bytes) -> str | None:
    """Run the target once; the traceback if it fails, or if it takes too long."""
    begun = time.monotonic()
    try:
        TARGETS[name](data)
    except Exception:
        return traceback.format_exc()
    took = time.monotonic() - begun
    return f"one input of {len(data)} bytes took {took:.1f} s" if took > SLOW else None


def main() -> int:
    name, seconds, seed, folder = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
    rng = random.Random(f"{seed} {name}")
    corpus = [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]
    end = time.monotonic() + seconds
    executions, todo = 0, list(corpus)
    while time.monotonic() < end:
        data = todo.pop() if todo else changed(rng, corpus)
        executions += 1
        failure = attempt(name, data)
        if failure is not None:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
            file.write_bytes(data)
            print(failure)
            print(f"input {file}")
            print(f"executions {executions}")
            return 1
    print(f"executions {executions}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
