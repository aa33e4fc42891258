"""From a file, or from the environment alone, to Settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .base_url import parse_base_url
from .credentials import open_to_all
from .environment import read_environment
from .file_stamp import SourceFile, look
from .formats import FormatFault, read
from .given import Given, Overrides, substitute
from .log_filter import with_plain_level
from .models_form import expand
from .problems import ConfigError, Problem, Report, Severity, key_text
from .problems import Path as KeyPath
from .resolve import provider_settings, resolve, resolve_providers
from .schema import Config, Provider, ProviderType, Server
from .settings import ProviderSettings, RouteSettings, Settings
from .validate import validate

MAX_FILE = 4 * 1024 * 1024
"""Largest configuration file that is read, in bytes. A thousand providers take about a tenth of it; more is
some other file."""


def load_settings(
    path: Path,
    environ: Mapping[str, str],
    *,
    listen: str | Sequence[str] | None = None,
    log_level: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    workers: int | None = None,
    backend: str | None = None,
) -> Settings:
    """The settings in the file at `path`, TOML, YAML or JSON by its name; variables of `environ` that name its keys
    go before it, and what comes from the command line before both.

    Raises ConfigError with every problem of the file, of the secrets it names and of the command line.
    """
    return load_file(path, environ, command_line(listen, log_level, tls_cert, tls_key, workers, backend)).settings


Flags = Mapping[KeyPath, tuple[str, object]]
"""What the command line sets: key path -> (name of the option, value)."""
Locate = Callable[[KeyPath], tuple[str, "int | None", str]]


class Loaded(NamedTuple):
    """A configuration that is valid, with what it was made of."""

    settings: Settings
    config: Config
    environ: Mapping[str, str]
    base: Path
    locate: Locate
    text: str | None = None
    """The file as it was read; None where there is none."""

    def refresh(self, current: Sequence[ProviderSettings]) -> Refreshed:
        """Read the keys of the providers again, and nothing else. What cannot be read is as in ``current``."""
        report = Report(self.locate)
        found, files = resolve_providers(self.config, self.environ, self.base, report)
        kept = {provider.name: provider for provider in current}
        names = [provider.name for provider in expand(self.config, Report(self.locate)).providers]
        providers = (found.get(index, kept.get(name)) for index, name in enumerate(names))
        errors = tuple(one for one in report.problems if one.severity is Severity.ERROR)
        return Refreshed(tuple(one for one in providers if one is not None), files, errors)


class Refreshed(NamedTuple):
    """What reading the keys again gave."""

    providers: tuple[ProviderSettings, ...]
    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    """Errors alone: of warnings the start has told."""


def load_file(path: Path, environ: Mapping[str, str], flags: Flags, text: str | None = None) -> Loaded:
    """As `load_settings`, which see; ``text`` counts in place of what the file holds now."""
    stamp = look(str(path))  # before it is read: a change in between is seen, at worst twice
    try:
        text = read_text(path) if text is None else text
        document, places = read(text, path.name)
    except FormatFault as fault:
        raise read_failed(path, fault.line, str(fault), fault.mend) from None
    overrides = Overrides(environ)

    def locate(key: KeyPath) -> tuple[str, int | None, str]:
        if key[:2] in flags:  # also one of several addresses
            return "command line", None, flags[key[:2]][0]
        variable = overrides.variable(key)
        if variable is not None:
            return "environment", None, variable
        return str(path), places.line(key), key_text(key)

    report = Report(locate)
    document = overrides.apply(substitute(document, environ, report), report)
    config = validate(with_plain_level(_overridden(document, flags), report), report)
    base = path.absolute().parent
    settings = resolve(config, environ, base, report)
    if open_to_all(_mode(path)):
        for place in _written_keys(document):
            if report.accepted(place):
                report.warn(place, "every user of this machine can read this file", f"chmod 600 {path}")
    report.raise_errors()
    files = (SourceFile(str(path.absolute()), stamp), *settings.files)
    settings = msgspec.structs.replace(settings, source=str(path), files=files, warnings=report.warnings)
    return Loaded(settings, config, environ, base, locate, text)


def default_settings(
    environ: Mapping[str, str],
    *,
    listen: str | Sequence[str] | None = None,
    log_level: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    workers: int | None = None,
    backend: str | None = None,
) -> Settings:
    """The settings without a file: the providers whose keys the environment holds.

    With none of them the result has no provider and `demo` is True; `with_demo` completes it.
    Raises ConfigError.
    """
    return load_environment(environ, command_line(listen, log_level, tls_cert, tls_key, workers, backend)).settings


def load_environment(environ: Mapping[str, str], flags: Flags) -> Loaded:
    """As `default_settings`, which see."""
    found = read_environment(environ)
    overrides = Overrides(environ)

    def locate(key: KeyPath) -> tuple[str, int | None, str]:
        if key[:2] in flags:  # also one of several addresses
            return "command line", None, flags[key[:2]][0]
        return "environment", None, overrides.variable(key) or found.variables.get(key, key_text(key))

    report = Report(locate)
    for variable, missing in found.unused.items():
        report.warn((variable,), f"not used, because {missing} is not set", f"set {missing} to use this provider")
    document = overrides.apply(found.document, report)
    config = validate(with_plain_level(_overridden(document, flags), report), report)
    demo = not config.providers and not config.models
    settings = resolve(config, environ, Path.cwd(), report, providers_required=not demo)
    report.raise_errors()
    settings = msgspec.structs.replace(settings, demo=demo, warnings=report.warnings)
    return Loaded(settings, config, environ, Path.cwd(), locate)


def with_demo(settings: Settings, base_url: str, *, dialect: ProviderType = "openai", name: str = "demo") -> Settings:
    """`settings` with a provider at `base_url`, which needs no key, behind every model that has no route.

    For the embedded demo provider, whose port is known only once it listens.
    """
    provider = provider_settings(Provider(name, dialect, base_url), Server(), parse_base_url(base_url))
    return msgspec.structs.replace(
        settings,
        providers=(*settings.providers, provider),
        routes=(*settings.routes, RouteSettings("*", "prefix", name)),
    )


def command_line(
    listen: str | Sequence[str] | None = None,
    log_level: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    workers: int | None = None,
    backend: str | None = None,
) -> Flags:
    """What the command line sets, for `load_file` and `load_environment`."""
    flags: dict[KeyPath, tuple[str, object]] = {}
    if listen is not None:
        flags["server", "listen"] = ("--listen", listen if isinstance(listen, str) else list(listen))
    if workers is not None:
        flags["server", "workers"] = ("--workers", workers)
    if backend is not None:
        flags["server", "backend"] = ("--backend", backend)
    if log_level is not None:
        flags["logging", "level"] = ("--log-level", log_level)
    for key, option, text in (("tls_cert", "--tls-cert", tls_cert), ("tls_key", "--tls-key", tls_key)):
        if text is not None:
            # Whoever types a path means the folder he is in, not the configuration's.
            flags["server", key] = (option, str(Path(text).absolute()))
    return flags


def _overridden(document: dict[str, object], flags: Flags) -> dict[str, object]:
    result: dict[str, Any] = dict(document)
    for path, (_, value) in flags.items():
        table, key = str(path[0]), str(path[1])
        old = result.get(table, {})
        if isinstance(old, Mapping):  # anything else is a fault that validation reports
            result[table] = {**old, key: value}
            if key == "listen":
                # Whoever says on the command line where to listen means there and nowhere else.
                result[table].pop("listeners", None)
    return result


def read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE + 1)
    except IsADirectoryError:
        mend = f"name the file in it, as in {path / 'ferryllm.toml'}"
        raise read_failed(path, None, "is a folder, expected a file", mend) from None
    except FileNotFoundError:
        raise read_failed(path, None, "no such file", "check the path given by --config or FERRYLLM_CONFIG") from None
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "the path is not valid"
        raise read_failed(path, None, f"cannot be read: {reason}", "check the path and its permissions") from None
    if len(content) > MAX_FILE:
        raise read_failed(path, None, f"larger than {MAX_FILE} bytes", "this is not a configuration file")
    try:
        # Some editors put a byte order mark in front.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise read_failed(path, line, "not UTF-8", "save the file with the encoding UTF-8") from None


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:  # it has gone since it was read
        return 0


def _written_keys(document: Mapping[str, object]) -> list[KeyPath]:
    """Where keys of providers stand in the file itself, and not in the environment."""
    places: list[tuple[KeyPath, object]] = []
    providers, models = document.get("providers"), document.get("models")
    if isinstance(providers, list):
        places += [(("providers", n), one) for n, one in enumerate(providers)]
    if isinstance(models, Mapping):
        places += [(("models", name), one) for name, one in models.items()]
    return [
        (*path, "api_key")
        for path, one in places
        if isinstance(one, Mapping) and "api_key" in one and not isinstance(one["api_key"], Given)
    ]


def read_failed(path: Path, line: int | None, message: str, mend: str) -> ConfigError:
    return ConfigError([Problem(Severity.ERROR, str(path), line, "", message, mend)])
