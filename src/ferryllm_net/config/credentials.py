"""Where keys come from: the environment, files, the configuration itself. Values never reach a message."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .file_stamp import SourceFile, Stamped, look, read_stamped
from .key_watch import MAX_WATCHED_FILE, SUFFIXES, WatchFault, path_parts, values
from .key_watch_schema import KeyWatch
from .problems import Path as KeyPath
from .problems import Report
from .schema import Auth, Provider
from .secret import Secret, header_fault

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SOURCES = ("api_key_env", "api_key_file", "api_key", "api_key_url", "key_watch")

MAX_KEY_FILE = 64 * 1024
"""Most that is read of a key file, in bytes. Real keys stay below 4 KiB (service account tokens); a larger
file is some other file."""


class Watched(NamedTuple):
    """What `key_watch` of a provider gave."""

    key: Secret | None
    url: str | None
    """None: `base_url` counts."""
    url_path: KeyPath
    """Where the configuration says where the URL stands."""
    file: str
    """"" where no file gave a key."""


class Credentials:
    """Reads the secrets of one configuration.

    `base` is the folder that relative paths count from, `environ` the environment to look into.
    """

    def __init__(self, environ: Mapping[str, str], base: Path, report: Report) -> None:
        self._environ = environ
        self._base = base
        self._report = report
        self._watched: dict[KeyPath, Watched] = {}
        self.files: list[SourceFile] = []
        """All that were read for keys, those that could not be read among them."""

    def provider_key(self, provider: Provider, path: KeyPath) -> Secret | None:
        """The key of `provider`; None when it names no source, or when the source was reported."""
        named = [source for source in _SOURCES if getattr(provider, source) not in (None, ())]
        if len(named) > 1:
            self._report.error(
                (*path, named[1]), f"{' and '.join(named)} are set, expected one source of the key", "keep one of them"
            )
            return None
        if provider.api_key_env is not None:
            return self._from_environment(provider.api_key_env, (*path, "api_key_env"))
        if provider.api_key_file is not None:
            return self._from_file(provider.api_key_file, (*path, "api_key_file"), keys=True)
        if provider.key_watch:
            return self.watched(provider, path).key
        if provider.api_key is not None:
            return self._checked(provider.api_key, (*path, "api_key"), "the key")
        return None

    def watched(self, provider: Provider, path: KeyPath) -> Watched:
        """What the files of `key_watch` hold for ``provider``; read once, however often it is asked."""
        found = self._watched.get(path)
        if found is None:
            found = self._watched[path] = self._watch(provider.key_watch, (*path, "key_watch"))
        return found

    def client_keys(self, auth: Auth, *, others: bool = False) -> tuple[Secret, ...]:
        """The keys of clients in the environment; empty when auth is off, or when a fault was reported.

        ``others``: there are keys elsewhere, so the variable may be missing.
        """
        path: KeyPath = ("auth", "api_keys_env")
        if not self._report.accepted(path):
            return ()
        if not auth.enabled:
            if auth.api_keys_env is not None and self._report.accepted(("auth", "enabled")):
                self._report.warn(path, "not used, because auth.enabled is false", "set auth.enabled = true")
            return ()
        if auth.api_keys_env is None:
            if not others:
                mend = 'name the variable with the keys, api_keys_env = "...", or add store = "sqlite" in [keys]'
                self._report.error(path, "missing, and auth.enabled is true", mend)
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

    def key_of(self, variable: str | None, file: str | None, path: KeyPath) -> Secret | None:
        """The key that `key_env` or `key_file` in the table at `path` names; None for neither, or after a report."""
        if variable is not None:
            return self._from_environment(variable, (*path, "key_env"), "the key")
        return None if file is None else self._from_file(file, (*path, "key_file"))

    def secret_of(self, variable: str, path: KeyPath) -> Secret | None:
        """The secret in the environment that the key at `path` names; None after a report."""
        return self._from_environment(variable, path, "the secret")

    def readable(self, text: str, path: KeyPath) -> Path | None:
        """The file that `text` names, when there is one; else None after a report."""
        file = self.located(text)
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

    def _from_environment(self, name: str, path: KeyPath, content: str = "the provider's key") -> Secret | None:
        text = self._variable(name, path, content)
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

    def _watch(self, entries: tuple[KeyWatch, ...], path: KeyPath) -> Watched:
        faults: list[tuple[KeyPath, str, str]] = []
        for n, entry in enumerate(entries):
            at = (*path, n)
            places = [self._place(entry, name, at) for name in ("path", "url_path")]
            file = self.located(entry.file)
            if not all(self._report.accepted((*at, name)) for name in ("file", "path", "url_path")):
                continue
            if file.suffix.lower() not in SUFFIXES:
                expected = f"expected a file called {' or '.join(SUFFIXES)}"
                self._report.error((*at, "file"), expected, "name the program's settings")
                continue
            try:
                read = self._read(file, MAX_WATCHED_FILE, keys=True)
                found = values(file, read, places[0] or (), places[1])
                if found.key is None:
                    raise WatchFault(f"nothing stands at {entry.path} in {file}", "check the path and the file")
            except (OSError, ValueError) as fault:
                faults.append(((*at, "file"), f"cannot read {_shown(file)}: {_reason(fault)}", "check the path"))
            except WatchFault as fault:
                faults.append(((*at, "path"), str(fault), fault.mend))
            else:
                for where, message, mend in faults:
                    self._report.warn(where, message, mend)
                if open_to_all(found.mode):
                    self._report.warn((*at, "file"), f"every user of this machine can read {file}", f"chmod 600 {file}")
                key = self._checked(found.key, (*at, "path"), f"the key in {file}")
                return Watched(key, found.url, (*at, "url_path"), str(file))
        for where, message, mend in faults:
            self._report.error(where, message, mend)
        return Watched(None, None, path, "")

    def _place(self, entry: KeyWatch, name: str, at: KeyPath) -> tuple[str, ...] | None:
        text = getattr(entry, name)
        if text is None or not self._report.accepted((*at, name)):
            return None
        try:
            return path_parts(text)
        except ValueError:
            self._report.error((*at, name), "expected names with dots between them", "as in env.ANTHROPIC_AUTH_TOKEN")
            return None

    def _read(self, file: Path, most: int, *, keys: bool) -> Stamped:
        """Raises OSError or ValueError; `files` has it in any case."""
        before = look(str(file))
        try:
            read = read_stamped(file, most)
        except (OSError, ValueError):
            self.files.append(SourceFile(str(file), before, keys))
            raise
        self.files.append(SourceFile(str(file), read.stamp, keys))
        return read

    def _from_file(self, text: str, path: KeyPath, *, keys: bool = False) -> Secret | None:
        """``keys``: of a provider."""
        before = look(str(self.located(text)))
        file = self.readable(text, path)
        if file is None:
            self.files.append(SourceFile(str(self.located(text)), before, keys))
            return None
        try:
            read = self._read(file, MAX_KEY_FILE, keys=keys)
        except OSError as fault:
            self._report.error(path, f"cannot read {file}: {_reason(fault)}", "check the path and its permissions")
            return None
        content = read.content
        if len(content) > MAX_KEY_FILE:
            self._report.error(path, f"{file} is larger than {MAX_KEY_FILE} bytes", "the file holds the key alone")
            return None
        try:
            key = content.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            self._report.error(path, f"{file} is not a text", "the file holds the key alone")
            return None
        if not key:
            self._report.error(path, f"{file} is empty", "put the key there")
            return None
        if open_to_all(read.mode):
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

    def located(self, text: str) -> Path:
        """The absolute path of the file that ``text`` names."""
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
