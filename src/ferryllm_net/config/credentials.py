"""Where keys come from: the environment, files, the configuration itself. Values never reach a message."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from .problems import Path as KeyPath
from .problems import Report
from .schema import Auth, Provider
from .secret import Secret, header_fault

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SOURCES = ("api_key_env", "api_key_file", "api_key")

MAX_KEY_FILE = 64 * 1024
"""Most that is read of a key file, in bytes. Real keys stay below 4 KiB (service account tokens); a larger
file is some other file."""


class Credentials:
    """Reads the secrets of one configuration.

    `base` is the folder that relative paths count from, `environ` the environment to look into.
    """

    def __init__(self, environ: Mapping[str, str], base: Path, report: Report) -> None:
        self._environ = environ
        self._base = base
        self._report = report

    def provider_key(self, provider: Provider, path: KeyPath) -> Secret | None:
        """The key of `provider`; None when it names no source, or when the source was reported."""
        named = [source for source in _SOURCES if getattr(provider, source) is not None]
        if len(named) > 1:
            self._report.error(
                (*path, named[1]), f"{' and '.join(named)} are set, expected one source of the key", "keep one of them"
            )
            return None
        if provider.api_key_env is not None:
            return self._from_environment(provider.api_key_env, (*path, "api_key_env"))
        if provider.api_key_file is not None:
            return self._from_file(provider.api_key_file, (*path, "api_key_file"))
        if provider.api_key is not None:
            return self._checked(provider.api_key, (*path, "api_key"), "the key")
        return None

    def client_keys(self, auth: Auth) -> tuple[Secret, ...]:
        """The keys that clients may use; empty when auth is off, or when a fault was reported."""
        path: KeyPath = ("auth", "api_keys_env")
        if not self._report.accepted(path):
            return ()
        if not auth.enabled:
            if auth.api_keys_env is not None and self._report.accepted(("auth", "enabled")):
                self._report.warn(path, "not used, because auth.enabled is false", "set auth.enabled = true")
            return ()
        if auth.api_keys_env is None:
            self._report.error(
                path, "missing, and auth.enabled is true", 'name the variable with the keys: api_keys_env = "..."'
            )
            return ()
        text = self._variable(auth.api_keys_env, path, "the keys, separated by commas")
        if text is None:
            return ()
        items = list(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
        if not items:
            self._report.error(
                path, f"{auth.api_keys_env} holds no key, only commas", "put the keys there, separated by commas"
            )
        keys = [self._checked(item, path, f"a key in {auth.api_keys_env}") for item in items]
        return tuple(key for key in keys if key is not None)

    def readable(self, text: str, path: KeyPath) -> Path | None:
        """The file that `text` names, when there is one; else None after a report."""
        file = self._located(text)
        try:
            if file.is_dir():
                self._report.error(path, f"{file} is a folder, expected a file")
            else:
                with file.open("rb"):
                    return file
        except (OSError, ValueError) as fault:  # ValueError: a NUL in the path
            message = f"cannot read {_shown(file)}: {_reason(fault)}"
            self._report.error(path, message, "check the path and its permissions")
        return None

    def _from_environment(self, name: str, path: KeyPath) -> Secret | None:
        text = self._variable(name, path, "the provider's key")
        return None if text is None else self._checked(text, path, f"the value of {name}")

    def _variable(self, name: str, path: KeyPath, content: str) -> str | None:
        if not self._report.accepted(path):
            return None
        if _VARIABLE.fullmatch(name) is None or _looks_like_key(name):
            # Not quoted: the most frequent reason is that the key itself stands here.
            self._report.error(
                path, "expected the name of an environment variable", f"put {content} in a variable and name it here"
            )
            return None
        text = self._environ.get(name)
        if text is None:
            self._report.error(path, f"the environment variable {name} is not set", f"set {name} to {content}")
            return None
        if not text.strip():
            self._report.error(path, f"the environment variable {name} is empty", f"set {name} to {content}")
            return None
        return text

    def _from_file(self, text: str, path: KeyPath) -> Secret | None:
        file = self.readable(text, path)
        if file is None:
            return None
        try:
            with file.open("rb") as stream:
                content = stream.read(MAX_KEY_FILE + 1)
            mode = file.stat().st_mode
        except OSError as fault:
            self._report.error(path, f"cannot read {file}: {_reason(fault)}", "check the path and its permissions")
            return None
        if len(content) > MAX_KEY_FILE:
            self._report.error(path, f"{file} is larger than {MAX_KEY_FILE} bytes", "the file holds the key alone")
            return None
        try:
            key = content.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            self._report.error(path, f"{file} is not a text", "the file holds the key alone")
            return None
        if not key:
            self._report.error(path, f"{file} is empty", "put the provider's key there")
            return None
        if open_to_all(mode):
            self._report.warn(path, f"every user of this machine can read {file}", f"chmod 600 {file}")
        return self._checked(key, path, f"the content of {file}")

    def _checked(self, value: str, path: KeyPath, what: str) -> Secret | None:
        if not self._report.accepted(path):
            return None
        if not value.strip():
            self._report.error(path, "empty", "give a key, or leave the line out for a backend without keys")
            return None
        fault = header_fault(value)
        if fault is not None:
            self._report.error(path, f"{what} cannot be sent in a header: {fault}", "copy the key again")
            return None
        return Secret(value)

    def _located(self, text: str) -> Path:
        home = self._environ.get("HOME") or self._environ.get("USERPROFILE")
        if text.startswith("~/") and home:
            return Path(home, text[2:])
        return (self._base / text).absolute()


def open_to_all(mode: int) -> bool:
    """Whether a file of this mode can be read by every user. Windows does not tell by the mode."""
    return sys.platform != "win32" and bool(mode & stat.S_IROTH)


def _looks_like_key(name: str) -> bool:
    # Some providers' keys are letters and digits alone, and would pass as a name.
    return len(name) >= 20 and any(char.islower() for char in name) and any(char.isdigit() for char in name)


def _shown(file: Path) -> str:
    text = str(file)
    return text if text.isprintable() else "the file"


def _reason(fault: Exception) -> str:
    return (fault.strerror if isinstance(fault, OSError) else None) or "the path is not valid"
