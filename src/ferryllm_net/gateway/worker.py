"""What a worker and its parent say to each other: the worker's half, and the words.

One socket pair a worker. The worker writes `READY` once, the parent the words of `Order`, which wait there for a worker
that is still starting; its end tells each side that the other one is gone. Apart from `workers`, which the worker need
not load.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, MutableMapping

import anyio
import msgspec

from .listening import Given

VARIABLE = "FERRYLLM_WORKER"
"""Private: what the parent tells a worker at its start, as JSON."""
READY = b"r"


class Birth(msgspec.Struct, frozen=True):
    """The value of `VARIABLE`."""

    number: int
    """From 1 on."""
    control: int
    """Descriptor of the worker's end."""
    given: tuple[Given, ...]
    source: str | None = None
    """The configuration's file; None where there is none."""
    text: int | None = None
    """Descriptor of its text, as the parent last read it well."""


class Worker:
    """This process as a worker."""

    def __init__(self, birth: Birth) -> None:
        self.number = birth.number
        self.given = birth.given
        self.source = birth.source
        self.text = None if birth.text is None else _read(birth.text)
        """Of the configuration's file."""
        self._control = socket.socket(fileno=birth.control)
        self._control.setblocking(False)
        self._control.set_inheritable(False)
        self.heard: Callable[[bytes], object] = bytes
        """Is told the words of the parent; `wait_orphaned` listens to them."""

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Worker | None:
        """None where this process is no worker. The variable is removed: children of it are none either."""
        found = environ.pop(VARIABLE, None)
        return None if found is None else cls(msgspec.json.decode(found, type=Birth))

    def say_ready(self) -> None:
        """Tell the parent that connections are accepted."""
        try:
            self._control.send(READY)
        except OSError:
            return  # it has gone: `wait_orphaned` says so

    async def wait_orphaned(self) -> None:
        """Returns when the parent has gone."""
        while True:
            await anyio.wait_readable(self._control)
            try:
                words = self._control.recv(64)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not words:
                return
            self.heard(words)


def _read(descriptor: int) -> str:
    with open(descriptor, "rb") as file:
        return file.read().decode()
