"""By what files are known again: written in place, renamed over, behind a link that is turned."""

from __future__ import annotations

import os
from pathlib import Path

from ferryllm_net.config.file_stamp import look, read_stamped


def test_what_is_not_there_has_no_stamp(tmp_path: Path) -> None:
    assert look(str(tmp_path / "none")) is None
    assert look("\0") is None


def test_a_file_that_was_written_in_place_or_renamed_over_is_another_one(tmp_path: Path) -> None:
    file, other = tmp_path / "f", tmp_path / "g"
    file.write_text("one")
    first = look(str(file))
    os.utime(file, ns=(0, 1))
    second = look(str(file))
    other.write_text("two")
    os.utime(other, ns=(0, 1))
    other.rename(file)
    third = look(str(file))
    assert len({first, second, third}) == 3


def test_a_link_that_is_turned_is_another_file(tmp_path: Path) -> None:
    """As Kubernetes does it: the file is a link through `..data`, which is a link that is renamed over."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text("same")
        os.utime(tmp_path / name / "key", ns=(0, 1))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "key").symlink_to("..data/key")
    before = look(str(tmp_path / "key"))
    (tmp_path / "..next").symlink_to("two")
    (tmp_path / "..next").rename(tmp_path / "..data")
    assert look(str(tmp_path / "key")) not in (None, before)


def test_what_is_read_has_the_stamp_of_its_content(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("content")
    read = read_stamped(file, 3)
    assert (read.content, read.stamp) == (b"cont", look(str(file))), "one byte more than asked for"
    file.write_text("longer content")
    assert look(str(file)) != read.stamp
