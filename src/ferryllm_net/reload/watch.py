"""Which files have changed: a machine that is fed what looks at them found, and does no looking itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ferryllm_net.config.file_stamp import FileStamp, SourceFile

MAX_UNSETTLED = 8
"""Looks in a row that may find a file moving before it is read as it is. With `reload.SETTLE_SECS` between them this
is two seconds: a file that is written longer than that is no configuration."""


class Changed(NamedTuple):
    """Files that differ from what was read of them, and do not move any more."""

    paths: frozenset[str]
    keys_only: bool
    """Whether they hold keys of providers and nothing else."""


class Watch:
    """The files of a configuration, each with the stamp that it had when it was read.

    A change counts when two looks in a row find the same: who writes a file in place, or removes it and writes it anew,
    is given time to come to the end.
    """

    def __init__(self, files: Iterable[SourceFile] = ()) -> None:
        self._known: dict[str, FileStamp | None] = {}
        self._others: frozenset[str] = frozenset()
        self._last: Mapping[str, FileStamp | None] = {}
        self._unsettled = 0
        self.read(files)

    @property
    def paths(self) -> Iterable[str]:
        """What there is to look at."""
        return self._known.keys()

    @property
    def unsettled(self) -> bool:
        """Whether something has just changed: look again soon."""
        return self._unsettled > 0

    def see(self, found: Mapping[str, FileStamp | None]) -> Changed | None:
        """A look found ``found``, a stamp for each of `paths`. What changed; None where nothing has, or not yet."""
        changed = {path for path, stamp in found.items() if path in self._known and stamp != self._known[path]}
        if not changed:
            self._unsettled = 0
            return None
        calm = all(found[path] is not None and found[path] == self._last.get(path) for path in changed)
        self._last = found
        self._unsettled += 1
        if not (calm and self._unsettled > 1) and self._unsettled < MAX_UNSETTLED:
            return None
        self._unsettled = 0
        return Changed(frozenset(changed), not changed & self._others)

    def pass_over(self, found: Mapping[str, FileStamp | None]) -> None:
        """What was found here could not be used: say nothing of it until it changes again."""
        self._known.update((path, stamp) for path, stamp in found.items() if path in self._known)

    def read(self, files: Iterable[SourceFile]) -> None:
        """These were read: from now on they are what is watched, and what they were then is what is known of them."""
        files = tuple(files)
        self._known = {file.path: file.stamp for file in reversed(files)}  # of one read twice the first counts
        self._others = frozenset(file.path for file in files if not file.keys)
        self._last, self._unsettled = {}, 0

    def read_keys(self, files: Iterable[SourceFile]) -> None:
        """The same for files with keys alone; of the others is known what was."""
        others = {path: stamp for path, stamp in self._known.items() if path in self._others}
        self._known = {file.path: file.stamp for file in reversed(tuple(files)) if file.keys} | others
        self._last, self._unsettled = {}, 0
