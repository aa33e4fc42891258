"""The log lines of usual requests: made once for all that go one way, but for times, figures and ids.

Apart from `Log`, which writes any line: this writes the same ones, as a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ferryllm_proto import ir
from ferryllm_proto.actions import Note

from .format import Level, Value, plain_text, without
from .logs import Log, RequestDone, status_text

_INFO = Level.INFO
_NEXT = "\n"
_ID_CHARS = frozenset("req_0123456789abcdef")
"""What the gateway's own ids are made of."""


class UsualLines:
    """What `log` says of requests with the same three ``notes``, or none, that are answered with 200.

    ``provider``, ``entry``, ``model``, ``backend_model``, ``stream`` are those of `RequestDone`.
    """

    __slots__ = (
        "_answered", "_asked", "_bare", "_completed", "_done", "_log", "_notes", "_plain", "_stream",
        "_version", "_who",
    )  # fmt: skip

    def __init__(
        self,
        log: Log,
        notes: Sequence[Note],
        entry: str,
        provider: str,
        model: str | None,
        backend_model: str | None,
        *,
        stream: bool,
    ) -> None:
        self._log = log
        self._notes = tuple((note.name, note.fields) for note in notes)
        self._who = (entry, provider, model, backend_model)
        self._stream = stream
        self._version: object = None
        self._plain = self._bare = False
        """Lines are text. / An id of the gateway's own needs no look."""
        self._asked: tuple[str, ...] = ()
        self._answered = self._completed = self._done = ""

    def begin(self, request_id: str, *, foreign: bool) -> None:
        """The request is on its way to its provider. ``foreign``: its id is the client's."""
        log = self._log
        if self._version is not log.version:
            self._make()
        if not self._plain:
            if self._notes:
                log.notes(self._notes, request_id)
        elif self._asked:
            last = f" request_id={request_id}" if self._bare and not foreign else f" {log.request(request_id)}"
            opening = log.opening()
            # Three lines, as one text between the begin of the first and the end of the last.
            log.put(f"{opening} {f'{last}{_NEXT}{opening} '.join(self._asked)}{last}")

    def answered(self, request_id: str, secs: float, *, foreign: bool) -> None:
        """The provider has begun to answer, after ``secs`` seconds, and has not ended yet."""
        log = self._log
        if self._version is not log.version:
            self._make()
        took = round(secs * 1000)
        if not self._plain:
            if self._notes:
                log.notes([self._begun(took)], request_id)
        elif self._answered:
            last = f" request_id={request_id}" if self._bare and not foreign else f" {log.request(request_id)}"
            log.put(f"{log.opening()} {self._answered}{took}{last}")

    def end(
        self,
        request_id: str,
        secs: float,
        first: float | None,
        usage: ir.Usage | None,
        losses: int,
        key: str | None,
        note: Note | None,
        *,
        foreign: bool,
    ) -> None:
        """It was answered well after ``secs`` seconds, the first byte after ``first``; None: all of it at once, and
        `answered` was not called. ``key`` is the id of the client's, ``note`` what else there is to say."""
        log = self._log
        if self._version is not log.version:
            self._make()
        took = round(secs * 1000)
        ttfb = took if first is None else round(first * 1000)
        if not self._plain:
            self._tell(request_id, took, ttfb, usage, losses, key, note, at_once=first is None)
            return
        if not self._done:
            return
        last = f" request_id={request_id}" if self._bare and not foreign else f" {log.request(request_id)}"
        opening = log.opening()
        tokens = "" if usage is None else _tokens(usage)
        before = f"{opening} {self._answered}{took}{last}\n" if first is None and self._answered else ""
        if note is not None and self._notes:
            before += f"{opening} {self._text(note.name, note.fields)}{last}\n"
        if key is not None:
            last = f" {log.pair('key', key)}{last}"
        log.put(f"{before}{opening} {self._completed}{took} ttfb_ms={ttfb}{self._done}{tokens} losses={losses}{last}")

    def _begun(self, took: int) -> tuple[str, Mapping[str, Value | None]]:
        return "backend response ok", {"provider": self._who[1], "status": 200, "latency_ms": took}

    def _tell(
        self,
        request_id: str,
        took: int,
        ttfb: int,
        usage: ir.Usage | None,
        losses: int,
        key: str | None,
        note: Note | None,
        *,
        at_once: bool,
    ) -> None:
        """The same by the log's own ways."""
        log = self._log
        entry, provider, model, backend_model = self._who
        if self._notes:
            said = [self._begun(took)] if at_once else []
            if note is not None:
                said.append((note.name, note.fields))
            if said:
                log.notes(said, request_id)
        log.request_completed(
            RequestDone(
                request_id,
                entry,
                "ok",
                took,
                200,
                ttfb,
                model,
                backend_model,
                provider,
                self._stream,
                None if usage is None else usage.input_total,
                None if usage is None else usage.output,
                None if usage is None else usage.cache_read,
                None if usage is None else usage.cache_write,
                None if usage is None else usage.reasoning,
                losses=losses,
                key=key,
            )
        )

    def _text(self, message: str, fields: Mapping[str, Value | None]) -> str:
        shown = {name: value for name, value in fields.items() if value is not None}
        return without(plain_text(message, shown), self._log.secrets)

    def _make(self) -> None:
        """Everything that lines of this way have in common, as the log writes it now."""
        log = self._log
        self._version = log.version
        self._plain = log.plain
        # The gateway's own ids are written as they are where no secret can be part of one.
        self._bare = not any(_ID_CHARS.issuperset(secret) for secret in log.secrets)
        self._asked, self._answered = (), ""
        if not log.enabled(_INFO):
            self._done = ""
            return
        entry, provider, model, backend_model = self._who
        status = status_text(200)
        if self._notes:
            self._asked = tuple(self._text(name, fields) for name, fields in self._notes)
            self._answered = (
                self._text("backend response ok", {"provider": provider, "status": status}) + " latency_ms="
            )
        how = {"entry": entry, "outcome": "ok", "status": status}
        self._completed = self._text("request completed", how) + " latency_ms="
        names = ("display_model", "backend_model", "provider", "stream")
        who = zip(names, (model, backend_model, provider, self._stream), strict=True)
        self._done = "".join(f" {log.pair(name, value)}" for name, value in who if value is not None)


def _tokens(usage: ir.Usage) -> str:
    """The counts that are known."""
    plain, read, written, output, thought = (
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.output,
        usage.reasoning,
    )
    if written is None and plain is not None and output is not None:
        # As most answers have them: with or without what comes of a cache and of thinking.
        if read is None and thought is None:
            return f" input_tokens={plain} output_tokens={output}"
        if read is not None and thought is not None:
            return (
                f" input_tokens={plain + read} output_tokens={output}"
                f" cache_read_tokens={read} reasoning_tokens={thought}"
            )
    total = usage.input_total
    tokens = "" if total is None else f" input_tokens={total}"
    if output is not None:
        tokens += f" output_tokens={output}"
    if read is not None:
        tokens += f" cache_read_tokens={read}"
    if written is not None:
        tokens += f" cache_write_tokens={written}"
    if thought is not None:
        tokens += f" reasoning_tokens={thought}"
    return tokens
