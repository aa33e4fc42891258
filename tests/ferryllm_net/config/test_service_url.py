"""Where a service's URL comes from; it may hold a password, so nothing quotes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ferryllm_net.config.problems import Report, key_text
from ferryllm_net.config.service_url import MAX_BYTES, read_url


def read(
    given: Mapping[str, str | None], environ: Mapping[str, str] | None = None, base: Path = Path()
) -> tuple[object, str]:
    report = Report(lambda path: ("f", None, key_text(path)))
    found = read_url("t", given, environ or {}, base, report)
    return found, "\n".join(map(str, report.problems))


def test_one_source_is_read(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("\ufeffone\n", encoding="utf-8")
    (tmp_path / "url").chmod(0o600)
    assert read({}) == (None, "")
    assert read({"url": " one "}) == (("one", ("t", "url")), "")
    assert read({"url_env": "X"}, {"X": "one"}) == (("one", ("t", "url_env")), "")
    assert read({"url_file": "url"}, base=tmp_path) == (("one", ("t", "url_file")), "")
    assert read({"url_file": "~/url"}, {"HOME": str(tmp_path)}) == (("one", ("t", "url_file")), "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": "a", "url_env": "X"}, "are set, expected one source"),
        ({"url_env": "X"}, "the environment variable X is not set (set X to the URL)"),
        ({"url_env": "redis://:secret@h"}, "expected the name of an environment variable"),
        ({"url_env": "EMPTY"}, "empty"),
        ({"url_file": "nowhere"}, "the file cannot be read: No such file"),
        ({"url_file": "a\0b"}, "the file cannot be read"),
        ({"url_file": "large"}, f"larger than {MAX_BYTES} bytes"),
        ({"url_file": "binary"}, "the file cannot be read: no text"),
    ],
)
def test_faults_are_named_without_the_url(tmp_path: Path, given: Mapping[str, str], words: str) -> None:
    (tmp_path / "large").write_text("x" * 5000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    found, text = read(given, {"EMPTY": " "}, tmp_path)
    assert found is None
    assert words in text
    assert "secret" not in text


def test_a_file_that_everybody_can_read_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("one")
    (tmp_path / "url").chmod(0o644)
    found, text = read({"url_file": "url"}, base=tmp_path)
    assert found == ("one", ("t", "url_file"))
    assert "every user of this machine can read" in text
