"""`ferryllm explain`: what would become of a request at a provider, before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

import click

from . import exit_codes
from .output import say
from .translate import MAX_INPUT, NAMES

if TYPE_CHECKING:
    from ferryllm_proto import Loss, RemoteProtocolError
    from ferryllm_proto.prepare import Prepared, Target

POLICIES = ["strict", "report", "lenient"]
"""The policies; a test keeps it equal to `ferryllm_proto.loss.LossPolicy`."""

_EPILOG = """\b
Examples:
  ferryllm explain request.json --from anthropic --to openai --model gpt-5.4
  curl -s $URL/request.json | ferryllm explain - --from openai --to gemini --json
  ferryllm explain request.json --from gemini --to ollama --path /v1beta/models/m:generateContent

\b
Exit status: 0 carried whole, 1 refused or no request at all, 2 wrong usage, 4 something is lost.
"""


@click.command(epilog=_EPILOG)
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option("--from", "source", type=click.Choice(NAMES), required=True, help="Dialect of the client.")
@click.option("--to", "target", type=click.Choice(NAMES), required=True, help="Dialect of the provider.")
@click.option("--model", help="The provider's name of the model; else the client's.")
@click.option("--path", help="The path the client asks for, with its query, where it says more than the body.")
@click.option("--policy", type=click.Choice(POLICIES), default="report", show_default=True, help="As in [[routes]].")
@click.option("--vendor", default="", help="Whose server it is, for --to openai; else the model's name decides.")
@click.option("--json", "as_json", is_flag=True, help="The findings as one JSON object.")
def command(
    file: IO[bytes],
    source: str,
    target: str,
    model: str | None,
    path: str | None,
    policy: str,
    vendor: str,
    as_json: bool,
) -> None:
    """Show what a provider would get of a request.

    Each field that cannot be carried whole is listed with what becomes of it and why; nothing is sent.
    """
    from ferryllm_proto import DIALECTS, RemoteProtocolError
    from ferryllm_proto.loss import LossPolicy
    from ferryllm_proto.prepare import Target, prepare, refusal
    from ferryllm_proto.rules import ProviderRules

    _check_vendor(vendor, target)
    name = getattr(file, "name", "<stdin>")
    name = "standard input" if name == "<stdin>" else str(name)
    body = file.read(MAX_INPUT + 1)
    if len(body) > MAX_INPUT:
        raise SystemExit(_broken(name, None, f"larger than {MAX_INPUT} bytes", as_json))
    text = _decoded(body, name, as_json)
    to = Target(DIALECTS[target], model, ProviderRules(vendor=vendor), LossPolicy(policy))
    try:
        prepared = prepare(DIALECTS[source], to, body, path=path)
    except RemoteProtocolError as exc:
        losses = refusal(exc)
        if not losses:
            raise SystemExit(_broken(name, _line(text, exc.error.param), exc.error.message, as_json)) from None
        _refused(exc, losses, text, name, source, to, as_json)
        raise SystemExit(exit_codes.FAILURE) from None
    _accepted(prepared, text, name, source, to, as_json)
    raise SystemExit(exit_codes.LOSSY if prepared.losses else exit_codes.OK)


def _check_vendor(vendor: str, target: str) -> None:
    from ferryllm_proto.dialects.openai.vendors import VENDORS

    if vendor and target != "openai":
        raise click.UsageError("--vendor is for --to openai: the other protocols are the same wherever they are served")
    if vendor and vendor not in VENDORS:
        raise click.UsageError(f"--vendor {vendor}: not one of {', '.join(VENDORS)}")


def _decoded(body: bytes, name: str, as_json: bool) -> str:
    """The body as text that is JSON, so that places in it can be found."""
    try:
        text = body.decode("utf-8-sig")
        json.loads(text)
    except UnicodeDecodeError as exc:
        raise SystemExit(_broken(name, body.count(b"\n", 0, exc.start) + 1, "not UTF-8", as_json)) from None
    except RecursionError:
        raise SystemExit(_broken(name, None, "the JSON is nested too deeply", as_json)) from None
    except json.JSONDecodeError as exc:
        what = f"no JSON: {exc.msg} (column {exc.colno})"
        raise SystemExit(_broken(name, exc.lineno, what, as_json)) from None
    return text


# --- what is said ----------------------------------------------------------------------------------------


def _broken(name: str, line: int | None, what: str, as_json: bool) -> int:
    where = name if line is None else f"{name}:{line}"
    if as_json:
        click.echo(_json({"ok": False, "error": what, "file": name, "line": line}))
    else:
        say(f"{where}: {what}")
    return exit_codes.FAILURE


def _refused(
    exc: RemoteProtocolError,
    losses: tuple[Loss, ...],
    text: str,
    name: str,
    source: str,
    to: Target,
    as_json: bool,
) -> None:
    if as_json:
        error = {"message": exc.error.message, "status": exc.status_hint, "param": exc.error.param}
        click.echo(_json({"ok": False, **_head(name, source, to), "error": error, "losses": _listed(losses, text)}))
        return
    _table(_title(name, source, to), losses, text, name)
    click.echo(f"\nrefused with status {exc.status_hint}: nothing would be sent")


def _accepted(prepared: Prepared, text: str, name: str, source: str, to: Target, as_json: bool) -> None:
    losses, up = prepared.losses, prepared.upstream
    whole, partly = _carried(text, losses)
    if as_json:
        found = {
            "ok": True,
            **_head(name, source, to),
            "upstream": {"method": up.method, "path": up.path, "stream": up.stream},
            "passes_through": prepared.request is None,
            "losses": _listed(losses, text),
            "carried": whole,
            "carried_in_part": partly,
        }
        click.echo(_json(found))
        return
    _table(_title(name, source, to), losses, text, name)
    if prepared.request is None:
        click.echo("carried whole: the bytes pass through, the same protocol is on both sides")
    else:
        click.echo(("\n" if losses else "") + f"carried: {', '.join(whole) or 'nothing whole'}")
        if partly:
            click.echo(f"carried in part: {', '.join(partly)}")
    count = {0: "without loss", 1: "with 1 loss"}.get(len(losses), f"with {len(losses)} losses")
    click.echo(f"would be sent {count}: {up.method} {up.path}{', a stream' if up.stream else ''}")


def _head(name: str, source: str, to: Target) -> dict[str, Any]:
    return {
        "file": name,
        "from": source,
        "to": to.backend.name,
        "model": to.model,
        "policy": to.policy.value,
    }


def _title(name: str, source: str, to: Target) -> str:
    model = f", model {to.model}" if to.model else ""
    return f"{name}: {source} to {to.backend.name}{model}, policy {to.policy.value}"


def _listed(losses: Iterable[Loss], text: str) -> list[dict[str, Any]]:
    return [
        {
            "disposition": loss.disposition.value,
            "path": loss.path,
            "line": _line(text, loss.path),
            "reason": loss.reason,
        }
        for loss in losses
    ]


def _table(title: str, losses: Iterable[Loss], text: str, name: str) -> None:
    click.echo(title)
    rows = []
    for loss in losses:
        line = _line(text, loss.path)
        reason = loss.reason.removeprefix(f"{loss.path}: ")
        rows.append((loss.disposition.value, loss.path, f"line {line}" if line else "", reason))
    if not rows:
        return
    click.echo()
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True)]
        click.echo(("  " + "  ".join(cell for cell, width in zip(cells, (*widths, 1), strict=True) if width)).rstrip())


def _carried(text: str, losses: Iterable[Loss]) -> tuple[list[str], list[str]]:
    """The body's members that are carried whole, and those of which a part is lost."""
    lost = [loss.path for loss in losses]
    whole: list[str] = []
    partly: list[str] = []
    for name in json.loads(text):
        if name in lost:
            continue
        inner = any(path.startswith((f"{name}.", f"{name}[")) for path in lost)
        (partly if inner else whole).append(name)
    return whole, partly


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


# --- where it stands -------------------------------------------------------------------------------------

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_SPACE = re.compile(r"[ \t\r\n]*")


def _line(text: str, path: str | None) -> int | None:
    """The line ``path`` begins on, or the nearest thing around it; None where nothing of it is there."""
    at, found = _skip(text, 0), None
    for name, number in _STEP.findall(path or ""):
        inner = _member(text, at, name) if name else _item(text, at, int(number))
        if inner is None:
            break
        found, at = inner
    return None if found is None else text.count("\n", 0, found) + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None  # it matches nothing too
    return match.end()


def _member(text: str, at: int, name: str) -> tuple[int, int] | None:
    """Where a member of the object at ``at`` begins, and its value."""
    for key, start, value in _members(text, at):
        if key == name:
            return start, value
    return None


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    decoder = json.JSONDecoder()
    if text[at] != "{":
        return
    at = _skip(text, at + 1)
    while text[at] == '"':
        start = at
        key, at = decoder.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        yield key, start, at
        _, at = decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] != ",":
            return
        at = _skip(text, at + 1)


def _item(text: str, at: int, number: int) -> tuple[int, int] | None:
    """The same for an item of the array at ``at``."""
    if text[at] != "[":
        return None
    decoder = json.JSONDecoder()
    at = _skip(text, at + 1)
    for n in range(number + 1):
        if text[at] == "]":
            return None
        if n == number:
            return at, at
        _, at = decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return None
