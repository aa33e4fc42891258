"""The paths that go to a provider as they are, as `[[passthrough]]` says it, checked with what else answers."""

from __future__ import annotations

import re

from ferryllm_proto.entries import Entry, find

from .problems import Path as KeyPath
from .problems import Report, nearest
from .schema import Config, Passthrough, ProviderType
from .settings import PassthroughSettings

_PATH = re.compile(r"/[!-~]*[!-.0-~]/?")
_METHODS = ("GET", "POST")


def resolve_passthrough(config: Config, report: Report) -> tuple[PassthroughSettings, ...]:
    """What `config` means, the longest path first. Faults go to `report`."""
    kinds: dict[str, ProviderType] = {one.name: one.type for one in config.providers if one.name}
    found: dict[str, int] = {}
    settings = []
    for index, one in enumerate(config.passthrough):
        path: KeyPath = ("passthrough", index)
        plain = one.path.rstrip("/")
        if report.accepted((*path, "path")) and _check_path(one.path, path, report):
            if plain in found:
                report.error((*path, "path"), f"the same path as passthrough[{found[plain]}]", "remove one of them")
            found.setdefault(plain, index)
        if report.accepted((*path, "provider")) and one.provider not in kinds:
            _unknown_provider(one, path, list(kinds), report)
        settings.append(PassthroughSettings(plain, one.provider, one.dialect or _words(kinds.get(one.provider))))
    return tuple(sorted(settings, key=lambda one: -len(one.path)))


def _words(kind: ProviderType | None) -> ProviderType:
    """Whose words the errors of a provider's other paths are in: OpenAI's are the same on all of its paths."""
    return "openai" if kind is None or kind == "openai_responses" else kind


def _check_path(text: str, path: KeyPath, report: Report) -> bool:
    path = (*path, "path")
    if not text.startswith("/"):
        report.error(path, f'expected a path, found "{text}"', 'as in path = "/v1/images"')
    elif _PATH.fullmatch(text) is None or "?" in text or "#" in text or "\\" in text or "%" in text:
        report.error(path, "not a plain path", 'as in path = "/v1/images", without a query')
    elif any(segment in ("", ".", "..") for segment in text.strip("/").split("/")):
        report.error(path, "a segment that is empty or dots alone", 'as in path = "/v1/images"')
    elif text.strip("/") in ("v1", "v1beta", "v1alpha", "api"):
        report.error(path, "every path of a version", "name the paths that shall be open, one by one")
    else:
        taken = [method for method in _METHODS if isinstance(find(method, text, ()), Entry)]
        if taken:
            report.warn(
                path,
                f"the gateway answers {' and '.join(taken)} here itself, so these are never passed through",
                "name a path that it does not have",
            )
        return True
    return False


def _unknown_provider(one: Passthrough, path: KeyPath, names: list[str], report: Report) -> None:
    near = nearest(one.provider, names)
    known = ", ".join(f'"{name}"' for name in names) or "none"
    report.error(
        (*path, "provider"),
        f'no provider is called "{one.provider}"; there are: {known}',
        f'did you mean "{near}"?' if near else "name one of them, or add [[providers]]",
    )
