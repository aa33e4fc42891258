"""What the admin API is sent, and what it refuses of it: JSON in, terms and bounds out."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from ferryllm_net.keys.bounds import NO_BOUNDS, BoundFault, Bounds, changed
from ferryllm_net.keys.issuing import RefusedError
from ferryllm_net.keys.stored import Terms
from ferryllm_net.keys.times import parse_end, parse_span

F = TypeVar("F", bound=msgspec.Struct)


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    user: str = ""
    project: str = ""
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    limits: dict[str, Any] = {}
    unpriced: bool = False
    expires: str | None = None


class KeyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays."""

    user: str | UnsetType = UNSET
    project: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    providers: tuple[str, ...] | UnsetType = UNSET
    limits: dict[str, Any] | UnsetType = UNSET
    """These alone; one that is null goes."""
    unpriced: bool | UnsetType = UNSET
    expires: str | UnsetType | None = UNSET


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    grace: str = "0s"


class NewProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    limits: dict[str, Any] = {}


class ProjectChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limits: dict[str, Any] = {}


def read_form(body: bytes, kind: type[F]) -> F:
    """``body`` as ``kind``; an empty one as ``{}``. Raises `RefusedError`, which quotes no value."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as exc:
        raise RefusedError("", str(exc)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RefusedError("", "the body is no JSON object") from None


def terms_of(form: NewKey) -> Terms:
    """The terms of a new key. Raises `RefusedError`."""
    own = bounds_of(NO_BOUNDS, form.limits)
    return Terms(form.user, form.project, form.models, form.providers, own, form.unpriced)


def applied(terms: Terms, form: KeyChange) -> Terms:
    """``terms`` with what ``form`` says. Raises `RefusedError`."""
    given: dict[str, Any] = {
        name: value
        for name in ("user", "project", "models", "providers", "unpriced")
        if (value := getattr(form, name)) is not UNSET
    }
    if form.limits is not UNSET:
        given["bounds"] = bounds_of(terms.bounds, form.limits)
    return msgspec.structs.replace(terms, **given)


def bounds_of(bounds: Bounds, given: dict[str, Any]) -> Bounds:
    """``bounds`` with those ``given``. Raises `RefusedError`."""
    try:
        return changed(bounds, given)
    except BoundFault as exc:
        raise RefusedError(f"limits.{exc.name[:100]}", str(exc)) from None


def end_of(text: str | None, now: float) -> float | None:
    """Unix seconds of ``expires``. Raises `RefusedError`."""
    try:
        return None if text is None else parse_end(text, now)
    except ValueError as exc:
        raise RefusedError("expires", str(exc)) from None


def grace_of(form: Rotation) -> float:
    """Seconds of ``grace``. Raises `RefusedError`."""
    try:
        return parse_span(form.grace)
    except ValueError as exc:
        raise RefusedError("grace", str(exc)) from None


def given_names(form: msgspec.Struct) -> tuple[str, ...]:
    """The fields that a form gives, for the audit log: of limits each by its own name."""
    names: list[str] = []
    for field in msgspec.structs.fields(form):
        value = getattr(form, field.name)
        if value is UNSET or value == field.default or value == {}:
            continue
        names += [f"limits.{name[:40]}" for name in list(value)[:20]] if field.name == "limits" else [field.name]
    return tuple(names)
