"""The machine that tells which files have changed: over looks that the test writes down."""

from __future__ import annotations

from ferryllm_net.config.file_stamp import FileStamp, SourceFile
from ferryllm_net.reload.watch import MAX_UNSETTLED, Changed, Watch

CONFIG, KEY = "/etc/ferryllm.toml", "/run/key"


def stamp(modified: int, inode: int = 1, size: int = 10) -> FileStamp:
    return FileStamp(7, inode, size, modified)


OLD = stamp(1)


def watch() -> Watch:
    return Watch([SourceFile(CONFIG, OLD), SourceFile(KEY, OLD, keys=True)])


def found(config: FileStamp | None = OLD, key: FileStamp | None = OLD) -> dict[str, FileStamp | None]:
    return {CONFIG: config, KEY: key}


def test_nothing_is_said_while_nothing_changes() -> None:
    one = watch()
    assert set(one.paths) == {CONFIG, KEY}
    assert [one.see(found()) for _ in range(3)] == [None] * 3
    assert not one.unsettled


def test_a_change_is_said_once_two_looks_agree() -> None:
    one = watch()
    assert one.see(found(stamp(2))) is None
    assert one.unsettled
    assert one.see(found(stamp(3))) is None, "it is still being written"
    assert one.see(found(stamp(3))) == Changed(frozenset({CONFIG}), keys_only=False)
    assert not one.unsettled


def test_whatever_makes_it_another_file_is_a_change() -> None:
    for other in (stamp(2), stamp(1, inode=2), stamp(1, size=11), FileStamp(8, 1, 10, 1)):
        one = watch()
        one.see(found(key=other))
        assert one.see(found(key=other)) == Changed(frozenset({KEY}), keys_only=True)


def test_keys_and_configuration_together_are_read_as_one() -> None:
    one = watch()
    one.see(found(stamp(2), stamp(2)))
    assert one.see(found(stamp(2), stamp(2))) == Changed(frozenset({CONFIG, KEY}), keys_only=False)


def test_a_file_that_comes_back_as_it_was_has_not_changed() -> None:
    one = watch()
    assert one.see(found(None)) is None
    assert one.see(found()) is None
    assert not one.unsettled


def test_a_file_that_is_gone_is_waited_for_and_then_said() -> None:
    one = watch()
    seen = [one.see(found(None)) for _ in range(MAX_UNSETTLED)]
    assert seen == [None] * (MAX_UNSETTLED - 1) + [Changed(frozenset({CONFIG}), keys_only=False)]


def test_a_file_that_never_stops_moving_is_read_all_the_same() -> None:
    one = watch()
    seen = [one.see(found(stamp(n))) for n in range(2, 2 + MAX_UNSETTLED)]
    assert [item is None for item in seen] == [True] * (MAX_UNSETTLED - 1) + [False]


def test_what_could_not_be_used_is_said_again_when_it_changes_again() -> None:
    one = watch()
    one.see(found(stamp(2)))
    assert one.see(found(stamp(2))) is not None
    one.pass_over(found(stamp(2)))
    assert one.see(found(stamp(2))) is None
    one.see(found(stamp(3)))
    assert one.see(found(stamp(3))) is not None


def test_what_was_read_is_known_by_its_stamp_then() -> None:
    one = watch()
    one.read([SourceFile("/other", stamp(5))])
    assert set(one.paths) == {"/other"}
    assert one.see({"/other": stamp(5)}) is None
    one.see({"/other": stamp(6)})
    assert one.see({"/other": stamp(6)}) == Changed(frozenset({"/other"}), keys_only=False)


def test_keys_that_were_read_alone_leave_what_is_known_of_the_rest() -> None:
    one = watch()
    one.read_keys([SourceFile(CONFIG, stamp(9)), SourceFile("/run/next", stamp(2), keys=True)])
    assert set(one.paths) == {CONFIG, "/run/next"}
    assert one.see({CONFIG: OLD, "/run/next": stamp(2)}) is None


def test_of_a_file_that_was_read_twice_the_first_time_counts() -> None:
    """It was written between the two: the one who read it first has the old content."""
    one = Watch([SourceFile(KEY, stamp(1), keys=True), SourceFile(KEY, stamp(2), keys=True)])
    one.see({KEY: stamp(2)})
    assert one.see({KEY: stamp(2)}) is not None
