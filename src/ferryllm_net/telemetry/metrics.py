"""Metrics: what a gateway counts and shows, as the rest of it sees that.

The names stand in `families`, what a request counts in `tally`, the numbers in `cells`, other workers in `siblings`,
the text in `exposition`; this holds them together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import anyio.abc

from ferryllm_proto import __version__
from ferryllm_proto.actions import Record

from . import siblings
from .cells import SHARED, Cell, Cells, Numbers, SharedCells, add
from .families import BUILD, EVENTS, WORKERS, Family
from .tally import Tally

Read: TypeAlias = Callable[[], "float | Mapping[str, float] | Mapping[tuple[str, ...], float]"]
"""Looks when somebody asks: a number, or one for each value, or values, of the gauge's labels."""


_PYTHON = ".".join(map(str, sys.version_info[:3]))


class _Gauge(NamedTuple):
    family: Family
    read: Read


class Metrics:
    """One gateway's numbers; of all its workers where `cells.SHARED` is in ``environ``.

    ``keys``: whether there are series for the keys of clients.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, *, keys: bool = False) -> None:
        folder = environ.get(SHARED)
        self._folder = Path(folder) if folder and os.name == "posix" else None  # who has no workers shares nothing
        self._cells: Cells | SharedCells = Cells() if self._folder is None else SharedCells(self._folder)
        self._tally = Tally(self._cells, keys=keys)
        self.observe: Callable[[Record], None] = self._tally.observe
        """Count a request that is over."""
        self.way, self.fold, self.lost = self._tally.way, self._tally.fold, self._tally.lost
        """The same for requests that look alike, where there are no series for `keys`; `fold` runs several times a
        second while there are any."""
        self._events: dict[tuple[str, ...], Cell] = {}
        self._gauges: list[_Gauge] = []

    @property
    def keys(self) -> bool:
        """Whether there are series for the keys of clients; may be set while it runs."""
        return self._tally.keys

    @keys.setter
    def keys(self, wanted: bool) -> None:
        self._tally.keys = wanted

    def count(self, event: str, n: float = 1, **labels: str) -> None:
        """Count something that is no request: ``event`` is a name of `families.EVENTS`, and all of its labels are
        given. Raises KeyError for another name or label."""
        family = EVENTS[event]
        values = tuple([labels[name] for name in family.labels])
        known = (event, *values)
        cell = self._events.get(known)
        if cell is None:
            cell = self._events[known] = self._cells.cell(family, *values)
        cell[0] += n

    def watch(self, family: Family, read: Read) -> None:
        """Show what ``read`` finds, once a scrape and at no other time. It runs in the gateway's event loop."""
        self._gauges.append(_Gauge(family, read))

    @property
    def shared(self) -> bool:
        """Whether other processes count with this one: then `tell_others` runs beside the server."""
        return self._folder is not None

    async def tell_others(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Tell the other workers the gauges of this one; runs until cancelled. Raises OSError where no socket can be
        made in the shared folder."""
        await siblings.answer(self._socket(), self.gauges, task_status=task_status)

    async def scrape(self, accept: str | None = None) -> tuple[bytes, str]:
        """The text for a Prometheus server that sent ``accept``, and its content type."""
        self.fold()
        numbers = self._cells.numbers()
        add(numbers, self.gauges())
        if self._folder is not None:
            others, _ = await siblings.ask(self._folder, self._socket())
            add(numbers, others)
        from .exposition import render

        return render(numbers, accept, keys=self.keys)

    def gauges(self) -> Numbers:
        """Those of this process, now."""
        found: Numbers = {(WORKERS.name,): [1.0], (BUILD.name, __version__, _PYTHON): [1.0]}
        for family, read in self._gauges:
            numbers = read()
            if not isinstance(numbers, Mapping):
                found[(family.name,)] = [float(numbers)]
                continue
            for values, number in numbers.items():
                labels = (values,) if isinstance(values, str) else values
                series = (family.name, *labels)
                found[series] = [float(number)]
        return found

    def close(self) -> None:
        """Leave shared numbers to whoever comes next."""
        self.fold()
        self._cells.close()

    def _socket(self) -> Path:
        assert isinstance(self._cells, SharedCells)
        return self._cells.path.with_suffix(siblings.SUFFIX)
