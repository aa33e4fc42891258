"""What `ferryllm keys` does, in the audit log: the same lines that the gateway writes, into the same file.

Apart from the commands, because they only say what they do. A file that cannot be opened stops a command before it has
changed anything: what nobody could answer for is not done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from . import exit_codes
from .output import print_problems, say

if TYPE_CHECKING:
    from ferryllm_net.config.telemetry_settings import FileSettings

T = TypeVar("T")
ACTOR = "cli"


class Trail:
    """The audit log that the configuration names, or none."""

    def __init__(self, config: str | None) -> None:
        found = _configured(config)
        self._path = None if found is None else found.path
        if self._path is not None:
            try:
                os.close(_open(self._path))
            except OSError as exc:
                say(f"error: nothing is done, because the audit log {self._path} cannot be written: {exc.strerror}")
                raise SystemExit(exit_codes.FAILURE) from None

    async def watch(self, action: str, subject: str, doing: Awaitable[T], changed: Sequence[str] = ()) -> T:
        """What ``doing`` returns, written down with what became of it. ``subject`` is what was asked for, ``changed``
        the names of the fields that were given."""
        from ferryllm_net.keys.store import KeyStoreError

        try:
            done = await doing
        except KeyStoreError as exc:
            self._tell(action, _outcome(exc), _asked(subject), "", changed)
            raise
        key = getattr(done, "key", done)  # of what was issued
        id_, name = getattr(key, "id", None), getattr(key, "name", "")
        self._tell(action, "done", id_ or name or subject, name if id_ else "", changed)
        return done

    def _tell(self, action: str, outcome: str, subject: str, name: str, changed: Sequence[str]) -> None:
        if self._path is None:
            return
        from ferryllm_net.telemetry.audit import AuditEvent, line

        event = AuditEvent(
            time.time(), action, outcome, subject, name, changed=tuple(changed), actor=ACTOR, os_user=_user()
        )
        content = line(event)
        try:
            descriptor = _open(self._path)
            try:
                os.write(descriptor, content)  # one write behind the end: lines of other processes stay whole
            finally:
                os.close(descriptor)
        except OSError as exc:
            say(f"warning: the audit log {self._path} does not tell of this: {exc.strerror}")


def bound_names(given: Iterable[str]) -> list[str]:
    """The names of bounds, as the log has them."""
    return [f"limits.{name}" for name in given]


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)


def _outcome(exc: Exception) -> str:
    """Why it was not done, in the words of the admin API."""
    from ferryllm_net.keys.issuing import RefusedError
    from ferryllm_net.keys.store import TakenError, UnknownKeyError

    words = ((RefusedError, "invalid"), (UnknownKeyError, "not_found"), (TakenError, "conflict"))
    return next((word for kind, word in words if isinstance(exc, kind)), "unavailable")


def _asked(subject: str) -> str:
    """Whoever gives a key in the place of its name has its text in no log."""
    from ferryllm_proto.policy.key_text import PREFIX, shown

    return f"{shown(subject)}..." if subject.startswith(PREFIX) else subject[:100]


def _user() -> str:
    """The account that the command runs as, as the system has it: the environment says what anybody likes."""
    if os.name != "posix":
        import getpass

        return getpass.getuser()
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # in a container nobody may have given it a name
        return str(number)


def _configured(config: str | None) -> FileSettings | None:
    from ferryllm_net.config import ConfigError, find_config
    from ferryllm_net.config.parts import load_parts
    from ferryllm_net.config.telemetry import resolve_audit

    try:
        parts = load_parts(find_config(config, os.environ, Path.cwd()), os.environ, ("audit",))
        found = resolve_audit(parts.config.audit, parts.base, parts.report)
        parts.report.raise_errors()
    except ConfigError as fault:
        print_problems(fault.problems)
        raise SystemExit(exit_codes.CONFIG_INVALID) from None
    return found
