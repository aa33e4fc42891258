"""The log: who writes which entry at which level. Entries are few, about five a request and none a chunk.

Not on the stdlib's logging: its records, locks and handler walks cost more than the line itself, and its global state
would mix what an embedding program logs with what the gateway does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Literal, Protocol

import msgspec

from ferryllm_net.config import LoggingSettings, Secret

from .format import Level, Value, json_line, milliseconds, pair, plain_text, text_begin, text_line, without

Outcome = Literal["ok", "error", "truncated", "cancelled"]
"""How a request ended: answered; refused or failed, by anyone; begun and cut by the upstream; left by the client."""

MIN_SECRET = 6
"""Shortest secret that is looked for in entries, in characters. Shorter ones are placeholders ("dummy", "x") that
backends without keys are given, and occur in other words."""


MAX_OLD_SECRETS = 64
"""Secrets that are still looked for after they were replaced. With a new one every hour the longest stream is over
before its key falls out; each costs a search in every entry."""
HELD_LINES = 256
"""Lines that wait for `Log.flush` at most: some 40 KiB, what is written at once then."""
MAX_KEPT = 256
"""Characters of a value that is remembered: names of models are below 200 in practice, and 2,048 of them half a MB."""
MAX_TEXTS = 2048
"""Formatted texts that are remembered: those of a few hundred requests under way, with all models and providers."""


_INFO = Level.INFO


class Sink(Protocol):
    """Where lines go: a text stream."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class RequestDone(msgspec.Struct, frozen=True):
    """What the final entry of one request says. None: not known, and left out."""

    request_id: str
    entry: str
    outcome: Outcome
    latency_ms: int
    """From the request's arrival to its last byte."""
    status: int | None = None
    """HTTP status that the client got; None when it left before one."""
    ttfb_ms: int | None = None
    """From the request's arrival to the first byte of its answer."""
    display_model: str | None = None
    backend_model: str | None = None
    provider: str | None = None
    stream: bool | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    sent_bytes: int | None = None
    """Of the answer's body, on paths that pass as they are: what is not counted in tokens."""
    losses: int = 0
    """How many fields the translation dropped or degraded."""
    attempts: int | None = None
    """At providers; left out where there was one."""
    key: str | None = None
    """Id of the client's key."""
    cost: int | None = None
    """Nano-dollars."""
    error_kind: str | None = None


class Log:
    """Writes entries of at least `level` to `stream`, one line each.

    `now` gives seconds since the epoch. `secrets` never reach the stream, whatever an entry holds. A stream that
    fails (closed, full disk) loses entries, counted in `lost`; it never fails a request.
    """

    def __init__(
        self,
        stream: Sink,
        level: str = "info",
        form: Literal["text", "json"] = "text",
        *,
        now: Callable[[], float],
        ansi: bool = False,
        secrets: Iterable[Secret] = (),
    ) -> None:
        self._stream = stream
        self._level = Level.named(level)
        self._json = form == "json"
        self._ansi = ansi
        self._now = now
        self._old: list[str] = []
        """Secrets that were replaced: requests under way may still use them."""
        self._secrets = _texts(secrets)
        self.lost = 0
        self.held = False
        """Lines below a warning wait for `flush`, which somebody calls several times a second: a request then costs no
        write of its own."""
        self._lines: list[str] = []
        self._texts: dict[tuple[Value | None, ...], str] = {}
        self._begun = ""
        """How lines of the millisecond from `_since` to `_until` begin."""
        self._since = self._until = 0.0
        self._second = -1
        """The one in which lines begin with `_before`, the millisecond and `_behind`."""
        self._before = self._behind = ""
        self._last_id = self._last = ""
        self.version = object()
        """Another one whenever a line made before may look otherwise now."""

    @classmethod
    def from_settings(
        cls,
        settings: LoggingSettings,
        stream: Sink,
        environ: Mapping[str, str],
        *,
        now: Callable[[], float],
        secrets: Iterable[Secret] = (),
    ) -> Log:
        """The log that `settings` ask for; colours as they say, else by terminal, NO_COLOR and TERM."""
        ansi = wants_colour(stream, environ) if settings.ansi is None else settings.ansi
        return cls(stream, settings.level, settings.format, now=now, ansi=ansi, secrets=secrets)

    def change(self, settings: LoggingSettings, secrets: Iterable[Secret]) -> None:
        """Write from now on as ``settings`` ask; colours stay where they do not say. ``secrets`` are those of now."""
        self._level = Level.named(settings.level)
        self._json = settings.format == "json"
        self._ansi = self._ansi if settings.ansi is None else settings.ansi
        new = _texts(secrets)
        gone = [text for text in self._secrets if text not in new and text not in self._old]
        self._old = (gone + self._old)[:MAX_OLD_SECRETS]
        self._secrets = sorted({*new, *self._old}, key=len, reverse=True)
        # What was made before may hold a word that is a secret now, or colours.
        self._texts.clear()
        self._since = self._until = 0.0
        self._second = -1
        self._last_id = self._last = ""
        self.version = object()

    @property
    def plain(self) -> bool:
        """Lines are text, not JSON."""
        return not self._json

    @property
    def secrets(self) -> Sequence[str]:
        """What reaches no stream."""
        return self._secrets

    def enabled(self, level: Level) -> bool:
        """Whether an entry of `level` would be written: asked before computing something for one."""
        return level >= self._level

    def trace(self, message: str, **fields: Value | None) -> None:
        self.entry(Level.TRACE, message, fields)

    def debug(self, message: str, **fields: Value | None) -> None:
        self.entry(Level.DEBUG, message, fields)

    def info(self, message: str, **fields: Value | None) -> None:
        self.entry(_INFO, message, fields)

    def warn(self, message: str, **fields: Value | None) -> None:
        self.entry(Level.WARN, message, fields)

    def error(self, message: str, **fields: Value | None) -> None:
        self.entry(Level.ERROR, message, fields)

    def incoming_request(self, *, entry: str, model: str, stream: bool, request_id: str) -> None:
        """A request was read. `model`: as the client wrote it."""
        self.note("incoming request", {"entry": entry, "model": model, "stream": stream}, request_id)

    def resolved_route(
        self, *, entry: str, display_model: str, backend_model: str, provider: str, request_id: str
    ) -> None:
        """A provider was chosen. `backend_model`: what the provider is asked for."""
        fields: dict[str, Value | None] = {
            "entry": entry,
            "display_model": display_model,
            "backend_model": backend_model,
            "provider": provider,
        }
        self.note("resolved route", fields, request_id)

    def sending_chat_request(self, *, provider: str, model: str, stream: bool, request_id: str) -> None:
        """The upstream request leaves. `model`: as the provider gets it."""
        self.note("sending chat request", {"provider": provider, "model": model, "stream": stream}, request_id)

    def backend_response_ok(self, *, provider: str, status: int, latency_ms: int, request_id: str) -> None:
        """The provider began a good answer, `latency_ms` after the request was sent."""
        self.note(
            "backend response ok",
            {"provider": provider, "status": status, "latency_ms": latency_ms},
            request_id,
        )

    def request_completed(self, done: RequestDone) -> None:
        """The last entry of a request. A fault of the gateway or the provider is an error, of the client a warning."""
        level = _INFO
        if done.outcome == "truncated":
            level = Level.ERROR
        elif done.outcome == "error":
            # An error after the head went out came from the provider, whatever the head said.
            blamed_client = done.status is not None and 400 <= done.status < 500
            level = Level.WARN if blamed_client else Level.ERROR
        if level < self._level:
            return
        if level is _INFO and not self._json and done.error_kind is None:
            self.put(self._completed_line(done))
            return
        fields: dict[str, Value | None] = {
            "entry": done.entry,
            "outcome": done.outcome,
            "status": None if done.status is None else status_text(done.status),
            "latency_ms": done.latency_ms,
            "ttfb_ms": done.ttfb_ms,
            "display_model": done.display_model,
            "backend_model": done.backend_model,
            "provider": done.provider,
            "stream": done.stream,
            "input_tokens": done.input_tokens,
            "output_tokens": done.output_tokens,
            "cache_read_tokens": done.cache_read_tokens,
            "cache_write_tokens": done.cache_write_tokens,
            "reasoning_tokens": done.reasoning_tokens,
            "sent_bytes": done.sent_bytes,
            "losses": done.losses,
            "attempts": done.attempts,
            "key": done.key,
            "cost_usd": None if done.cost is None else dollars(done.cost),
            "error_kind": done.error_kind,
            "request_id": done.request_id,
        }
        self.entry(level, "request completed", fields)

    def _completed_line(self, done: RequestDone) -> str:
        """The same as `entry` writes, of texts that repeat from request to request and the figures between them."""
        who: tuple[Value | None, ...] = (done.display_model, done.backend_model, done.provider, done.stream)
        text = self._texts.get(who)
        if text is None:
            names = ("display_model", "backend_model", "provider", "stream")
            pairs = [self.pair(name, value) for name, value in zip(names, who, strict=True) if value is not None]
            text = self._remember(who, "".join(f" {one}" for one in pairs))
        how: tuple[Value | None, ...] = (done.entry, done.outcome, done.status)
        begin = self._texts.get(how)
        if begin is None:
            fields = {"entry": done.entry, "outcome": done.outcome}
            if done.status is not None:
                fields["status"] = status_text(done.status)
            begin = self._remember(how, without(plain_text("request completed", fields), self._secrets))
        figures = f" latency_ms={done.latency_ms}"
        if done.ttfb_ms is not None:
            figures += f" ttfb_ms={done.ttfb_ms}"
        tokens = ""
        if done.input_tokens is not None:
            tokens = f" input_tokens={done.input_tokens}"
        if done.output_tokens is not None:
            tokens += f" output_tokens={done.output_tokens}"
        if done.cache_read_tokens is not None:
            tokens += f" cache_read_tokens={done.cache_read_tokens}"
        if done.cache_write_tokens is not None:
            tokens += f" cache_write_tokens={done.cache_write_tokens}"
        if done.reasoning_tokens is not None:
            tokens += f" reasoning_tokens={done.reasoning_tokens}"
        if done.sent_bytes is not None:
            tokens += f" sent_bytes={done.sent_bytes}"
        rest = f" losses={done.losses}"
        if done.attempts is not None:
            rest += f" attempts={done.attempts}"
        if done.key is not None:
            rest += f" {self.pair('key', done.key)}"
        if done.cost is not None:
            rest += f' cost_usd="{dollars(done.cost)}"'
        last = self._last if done.request_id is self._last_id else self.request(done.request_id)
        return f"{self.opening()} {begin}{figures}{text}{tokens}{rest} {last}"

    def entry(self, level: Level, message: str, fields: Mapping[str, Value | None]) -> None:
        """One entry with any keys; those whose value is None are left out."""
        if level < self._level:
            return
        if level is _INFO and not self._json:
            line = self._quick_line(message, fields)
        else:
            known = {
                key: without(value, self._secrets) if isinstance(value, str) else value
                for key, value in fields.items()
                if value is not None
            }
            message = without(message, self._secrets)
            if self._json:
                line = json_line(self._now(), level, message, known)
            else:
                line = text_line(self._now(), level, message, known, ansi=self._ansi)
        self.put(line)
        if level > _INFO:
            self.flush()

    def note(self, message: str, fields: Mapping[str, Value | None], request_id: str) -> None:
        """An info entry about a request under way: `entry` for those that come once a request. The same fields give
        the same text, which is made once."""
        self.notes(((message, fields),), request_id)

    def notes(self, notes: Iterable[tuple[str, Mapping[str, Value | None]]], request_id: str) -> None:
        """`note` for several that come at once: their messages and fields. A status stands with its phrase."""
        if self._level > _INFO:
            return
        if self._json:
            for message, fields in notes:
                self.entry(_INFO, message, {**_with_phrase(fields), "request_id": request_id})
            return
        opening, texts, lines = self.opening(), self._texts, self._lines
        last = self._last if request_id is self._last_id else self.request(request_id)
        for message, fields in notes:
            key, end = (message, *fields.values()), ""
            if type(key[-1]) is int and (name := [*fields][-1]) != "status":  # a figure of this request alone
                key, end = key[:-1], f" {name}={key[-1]}"
            text = texts.get(key)
            if text is None:
                text = self._note_text(message, fields, key)
            lines.append(f"{opening} {text}{end} {last}")
        if not self.held or len(lines) >= HELD_LINES:
            self.flush()

    def _note_text(self, message: str, fields: Mapping[str, Value | None], key: tuple[Value | None, ...]) -> str:
        """The text of a note, up to where ``key`` ends; the next request has the same, where it has no figures."""
        known = [(name, value) for name, value in _with_phrase(fields).items()][: len(key) - 1]
        shown = {name: value for name, value in known if value is not None}
        text = without(plain_text(message, shown), self._secrets)
        if any(type(value) is int and name != "status" for name, value in known):
            return text
        return self._remember(key, text)

    def request(self, request_id: str) -> str:
        """The pair of a request's id; most lines of a request come one after the other."""
        self._last_id = request_id
        self._last = last = pair("request_id", without(request_id, self._secrets))
        return last

    def _quick_line(self, message: str, fields: Mapping[str, Value | None]) -> str:
        """The same as `text_line`, with texts that have been made before."""
        parts = [self.opening(), self.pair("", message)]
        for key, value in fields.items():
            if value is None:
                continue
            kind = type(value)
            if kind is str:
                parts.append(self.pair(key, value))
            elif kind is int:
                parts.append(f"{key}={value}")
            else:
                parts.append(pair(key, value))
        return " ".join(parts)

    def opening(self) -> str:
        """How a line of now at level info begins."""
        now = self._now()
        if not self._since <= now < self._until:  # a busy gateway has many lines in one millisecond
            passed = milliseconds(now)
            self._since, self._until = passed / 1000, (passed + 1) / 1000
            part = passed - self._second * 1000
            if not 0 <= part < 1000:
                self._second, part = divmod(passed, 1000)
                self._before, _, self._behind = text_begin(self._second, _INFO, ansi=self._ansi).rpartition("000")
            self._begun = f"{self._before}{part:03d}{self._behind}"
        return self._begun

    def pair(self, key: str, value: Value) -> str:
        """A key and its value as they stand in a line of text."""
        found = self._texts.get((key, value))
        if found is None:
            text = without(value, self._secrets) if isinstance(value, str) else value
            found = self._remember((key, value), pair(key, text))
        return found

    def put(self, line: str) -> None:
        """Write a line at level info as it is; several have line ends between them alone."""
        if not self.held:
            self._write(line + "\n")
            return
        self._lines.append(line)
        if len(self._lines) >= HELD_LINES:
            self.flush()

    def _remember(self, key: tuple[Value | None, ...], text: str) -> str:
        if any(isinstance(part, str) and len(part) > MAX_KEPT for part in key):
            return text  # a client's model name may be as long as its body
        if len(self._texts) >= MAX_TEXTS:
            self._texts.clear()
        self._texts[key] = text
        return text

    def flush(self) -> None:
        """Write what is held."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._write("\n".join(lines) + "\n")

    def _write(self, line: str) -> None:
        try:
            try:
                self._stream.write(line)
            except UnicodeEncodeError:
                # A terminal that is not UTF-8: the entry matters more than its letters.
                self._stream.write(line.encode("ascii", "backslashreplace").decode("ascii"))
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.lost += 1


def dollars(nanos: int) -> str:
    """Nano-dollars as dollars, exactly: 0.000123456, 12.5, 0."""
    whole, part = divmod(nanos, 1_000_000_000)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".")


def _texts(secrets: Iterable[Secret]) -> list[str]:
    # Longest first: a key that begins like another one would leave the other's rest behind.
    return sorted({text for secret in secrets if len(text := secret.reveal()) >= MIN_SECRET}, key=len, reverse=True)


def _with_phrase(fields: Mapping[str, Value | None]) -> Mapping[str, Value | None]:
    status = fields.get("status")
    return {**fields, "status": status_text(status)} if type(status) is int else fields


@functools.lru_cache(maxsize=64)
def status_text(status: int) -> str:
    """200 as "200 OK"; a status without a registered phrase stands alone."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def wants_colour(stream: Sink, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is a terminal and nothing in `environ` asks for plain text (see no-color.org)."""
    isatty = getattr(stream, "isatty", None)
    if isatty is None or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return bool(isatty())
