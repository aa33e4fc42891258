"""Rows given to a program: one process for each batch, so that its end says whether it has them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

import anyio

from ferryllm_net.config.usage_settings import HookSettings
from ferryllm_net.ledger import Row

from .fault import HookError
from .form import lines

USUAL = frozenset({"PATH", "HOME", "TMPDIR", "TZ", "LANG", "USER", "LOGNAME", "SYSTEMROOT", "PATHEXT", "TEMP", "TMP"})
"""Variables that programs need to run at all. The others may be the keys of providers, which are not its business."""
REFUSED = 65
"""The exit status that says the batch is at fault (EX_DATAERR of sysexits.h): another attempt would end alike."""


class CommandSink:
    """``environ`` is the gateway's own environment."""

    def __init__(self, settings: HookSettings, environ: Mapping[str, str] | None = None) -> None:
        given = os.environ if environ is None else environ
        wanted = USUAL | set(settings.env)
        self._environ = {name: value for name, value in given.items() if name in wanted or name.startswith("LC_")}
        self._environ["FERRYLLM_HOOK"] = settings.name
        self._command = settings.command
        self._secs = settings.timeout_secs

    async def deliver(self, rows: Sequence[Row]) -> None:
        """Returns when the program has ended with 0; one that takes too long is killed. Raises `HookError`."""
        program = os.path.basename(self._command[0])
        try:
            with anyio.fail_after(self._secs), await anyio.to_thread.run_sync(_spooled, lines(rows)) as said:
                # What it prints goes where the gateway's log goes, which is where somebody looks for it.
                done = await anyio.run_process(
                    self._command,
                    stdin=said,
                    stdout=subprocess.DEVNULL,
                    stderr=None,
                    check=False,
                    env=self._environ,
                )
        except TimeoutError:
            raise HookError(f"{program} took longer than {self._secs:g} s and was killed") from None
        except OSError as exc:
            raise HookError(f"{program} did not run: {exc.strerror}") from None
        if done.returncode:
            raise HookError(f"{program} ended with status {done.returncode}", refused=done.returncode == REFUSED)

    async def aclose(self) -> None:
        """No process outlives its batch."""


def _spooled(data: bytes) -> IO[bytes]:
    """``data`` as a file without a name, to be read from its beginning. Not a pipe: a program that ends without having
    read all of it is judged by its status like any other."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    spool.write(data)
    spool.seek(0)
    return spool
