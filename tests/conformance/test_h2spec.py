"""h2spec, whole and strict, against a small server of ours: in clear text and over TLS, on both backends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import certificates

pytestmark = pytest.mark.conformance

CASES = 146
SOURCES = Path(__file__).parents[2]


@contextmanager
def serving(backend: str, files: list[str]) -> Iterator[int]:
    """A server in a process of its own, as h2spec waits without mercy."""
    paths = os.pathsep.join([str(SOURCES / "src"), str(SOURCES / "tests")])
    command = [sys.executable, "-m", "support.conformance", backend, *files]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with process.stdout as out:
            yield int(out.readline())
        assert process.poll() is None, "the server has ended"
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_h2spec_strict_passes_whole(backend: str, tls: bool, tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    with serving(backend, [files.cert, files.key] if tls else []) as port:
        command = [os.environ["FERRYLLM_H2SPEC"], "--strict", "--port", str(port)]
        if tls:
            command += ["--tls", "--insecure"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    counts = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", done.stdout)
    assert counts is not None, done.stdout + done.stderr
    failures = done.stdout.partition("Failures:")[2]
    assert [int(count) for count in counts.groups()] == [CASES, CASES, 0, 0], failures
