"""What is wrong with a configuration, said so that one reading is enough to mend it, and all of it at once."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping

import msgspec

from .file_words import in_words_of

Path = tuple[str | int, ...]
"""A place in the configuration: table names, indices of arrays of tables, key."""


class Severity(enum.Enum):
    ERROR = "error"
    """The gateway does not start."""
    WARNING = "warning"
    """It starts and says this at every start."""


class Problem(msgspec.Struct, frozen=True):
    """One finding. `str()` gives ``file:line: key: message (mend)``."""

    severity: Severity
    file: str
    """The file's path as the user gave it, or `environment` or `command line`."""
    line: int | None
    key: str
    """The key path, such as `providers[1].base_url`; the variable's name for the environment; "" for the file."""
    message: str
    """What was found and what was expected. Never holds a secret."""
    mend: str
    """What to do about it; may be empty."""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        label = "warning: " if self.severity is Severity.WARNING else ""
        key = f"{self.key}: " if self.key else ""
        mend = f" ({self.mend})" if self.mend else ""
        return f"{place}: {label}{key}{self.message}{mend}"


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds every finding, errors and warnings, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Report:
    """Gathers findings while a configuration is read.

    `locate` turns a key path into (file, line, name of the key), which is what differs between a TOML file,
    the environment and a command line.
    """

    def __init__(self, locate: Callable[[Path], tuple[str, int | None, str]]) -> None:
        self._locate = locate
        self._problems: list[Problem] = []
        self._refused: set[Path] = set()
        self._redirected: dict[Path, tuple[Path, Mapping[str, str]]] = {}

    def redirect(self, path: Path, to: Path, names: Mapping[str, str]) -> None:
        """Say what is found at ``path`` or in it of ``to``: there the user wrote what stands here, in the words of
        ``names`` where they differ."""
        self._redirected[path] = to, names

    def error(self, path: Path, message: str, mend: str = "") -> None:
        self._refused.add(self._written(path))
        self._add(Severity.ERROR, path, message, mend)

    def warn(self, path: Path, message: str, mend: str = "") -> None:
        self._add(Severity.WARNING, path, message, mend)

    def accepted(self, path: Path) -> bool:
        """Whether nothing was said against the value at `path`: later checks skip what is already refused,
        so that one mistake is reported once."""
        return self._written(path) not in self._refused

    def refused_within(self, path: Path) -> bool:
        """Whether the value at `path` or one in it is refused."""
        at = self._written(path)
        return any(refused[: len(at)] == at for refused in self._refused)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All findings in the order of the file; those without a line come first."""
        return tuple(sorted(self._problems, key=lambda problem: problem.line or 0))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.WARNING)

    def raise_errors(self) -> None:
        """Raises ConfigError with everything found when there is at least one error."""
        if self._refused:
            raise ConfigError(self.problems)

    def _add(self, severity: Severity, path: Path, message: str, mend: str) -> None:
        file, line, key = self._locate(self._written(path))
        self._problems.append(Problem(severity, file, line, key, message, in_words_of(file, mend)))

    def _written(self, path: Path) -> Path:
        """Where the user wrote what stands at ``path``."""
        for depth in range(len(path), 0, -1) if self._redirected else ():
            if path[:depth] in self._redirected:
                to, names = self._redirected[path[:depth]]
                first = path[depth : depth + 1]
                inner = (names.get(part, part) if isinstance(part, str) else part for part in first)
                return (*to, *inner, *path[depth + 1 :])
        return path


def key_text(path: Path) -> str:
    """`("providers", 1, "base_url")` as `providers[1].base_url`; indices count from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is most likely a slip of, if any is near enough."""
    by_fold = {name.lower().replace("-", "_"): name for name in known}
    import difflib  # nobody needs it whose names are right

    found = difflib.get_close_matches(word.lower().replace("-", "_"), by_fold, n=1, cutoff=0.7)
    return by_fold[found[0]] if found else None
