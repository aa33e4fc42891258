"""What of requests and answers is not written down: credentials always, and what the configuration names.

Apart from the log that uses it, because what leaks here leaks for good, and is tested by itself. It runs in the thread
that writes, so what it costs delays nobody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from ferryllm_net.config.telemetry_settings import RequestLogSettings
from ferryllm_proto.policy.transforms import Find, TransformFault

from .format import without

HIDDEN = "***"
"""What stands in the place of a credential."""

_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "x-amz-security-token",
        "x-goog-iam-authorization-token",
        "x-forwarded-client-cert",
    }
)
_HEADER_WORDS = re.compile(r"(?:^|-)(?:key|token|secret|password|passwd|credential|credentials|signature)$")
"""How the names of headers end that hold one, as far as anybody knows."""
_PARAMETER = re.compile(r"([?&][^=&]*(?:key|token|secret|password|signature|sig)[^=&]*=)[^&]*", re.IGNORECASE)
"""Parameters of a query that hold one: Google's ``key``, signatures of links."""

_KNOWN = re.compile(
    r"""
    (?<![A-Za-z0-9_-])(?:                                        # at the beginning of a word, dashes included
        (?:sk|pk|rk|gsk|csk|fy|hf|xai|nvapi|pplx|r8|fw|tgp)[-_][A-Za-z0-9_-]{16,512}    # services of models
      | AIza[A-Za-z0-9_-]{30,64}                                 # Google
      | ya29\.[A-Za-z0-9_.-]{16,2048}                            # Google, of accounts
      | (?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])                    # Amazon
      | (?:gh[pousr]|github_pat)_[A-Za-z0-9_]{20,255}            # GitHub
      | glpat-[A-Za-z0-9_-]{16,255}                              # GitLab
      | xox[abeoprs]-[A-Za-z0-9-]{10,255}                        # Slack
      | eyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,4096}      # JSON web tokens
    )
    | (?<=://)[^\s/:@"\\]{1,256}:[^\s/@"\\]{1,256}(?=@)          # user and password in a URL
    | -----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY-----[^-]{0,16384}(?:-----END[ ][A-Z ]{0,40}PRIVATE[ ]KEY-----)?
    """,
    re.VERBOSE,
)
"""Keys and tokens by their forms. Every repetition has a bound, and begins where a word does, so that the time of a
search stays in proportion to the text."""
_BEARER = re.compile(r"((?<![A-Za-z0-9])(?:[Bb]earer|[Bb]asic) {1,4})[A-Za-z0-9._~+/=-]{16,4096}")

CUT = "(left out: it was cut, and the rules of [request_log] redact whole JSON)"
NO_TEXT = "(left out: no text)"
NO_RULE = "(left out: a rule of [request_log] could not be applied)"


class Redaction:
    """The rules of ``settings``; ``secrets`` gives those of the configuration as it is then."""

    def __init__(self, settings: RequestLogSettings, secrets: Callable[[], Iterable[str]] = tuple) -> None:
        self._headers = settings.headers
        self._paths = settings.paths
        self._patterns = settings.patterns
        self._secrets = secrets

    def headers(self, found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """The fields, with `HIDDEN` for values that are not for everybody."""
        return [(name, HIDDEN if self._is_hidden(name.lower()) else self.text(value)) for name, value in found]

    def _is_hidden(self, name: str) -> bool:
        return name in _HEADERS or name in self._headers or _HEADER_WORDS.search(name) is not None

    def target(self, text: str) -> str:
        """Path and query."""
        return self.text(_PARAMETER.sub(rf"\1{HIDDEN}", text))

    def text(self, text: str) -> str:
        """Without secrets of known forms, and those of the configuration."""
        text = without(text, self._secrets())
        return _BEARER.sub(rf"\1{HIDDEN}", _KNOWN.sub(HIDDEN, text))

    def body(self, content: bytes, *, whole: bool) -> str:
        """A body, or its beginning, as a text."""
        try:
            # A cut may go through a letter.
            text = content.decode("utf-8", "strict" if whole else "ignore")
        except UnicodeDecodeError:
            return NO_TEXT
        if "\0" in text:
            return NO_TEXT
        if self._paths and text:
            text = self._by_paths(text, whole=whole)
        text = self.text(text)
        for substitute in self._patterns:
            try:
                text = substitute(text)
            except TransformFault:
                return NO_RULE
        return text

    def _by_paths(self, text: str, *, whole: bool) -> str:
        if whole:
            redacted = self._json(text)
            if redacted is not None:
                return redacted
        lines = text.splitlines(keepends=True)
        if not whole:
            lines[-1:] = [CUT]  # of a stream the last event, of a document all of it
        return "".join(map(self._line, lines))

    def _line(self, line: str) -> str:
        """A line of a stream. What holds no JSON has no place that a path could name."""
        prefix = "data:" if line.startswith("data:") else ""
        payload = line[len(prefix) :].strip()
        if not payload.startswith(("{", "[")) or payload == "[DONE]":
            return line
        redacted = self._json(payload)
        return f"{prefix} {redacted}\n".lstrip(" ") if redacted is not None else f"{prefix}{NO_RULE}\n"

    def _json(self, text: str) -> str | None:
        """None where it is none, or where it is not known what to take out."""
        try:
            value = json.loads(text)
            for find, replacement in self._paths:
                value = _replaced(value, find, replacement)
        except (ValueError, RecursionError, TransformFault):
            return None
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _replaced(value: object, find: Find, replacement: str) -> object:
    for path in find(value):
        if not path:
            return replacement
        there: object = value
        try:
            for part in path[:-1]:
                there = there[part]  # type: ignore[index] # the path is one of this value
            there[path[-1]] = replacement  # type: ignore[index]
        except (TypeError, KeyError, IndexError):
            continue  # something above it has been replaced
    return value
