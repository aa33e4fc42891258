"""`logging.level` as a filter of targets (`ferryllm=debug,hyper=warn`), of which one level is ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .given import Given
from .problems import Report
from .schema import Logging

_TARGET = "ferryllm"
_PATH = ("logging", "level")
_LEVELS = ("trace", "debug", "info", "warn", "error")


def with_plain_level(document: Mapping[str, object], report: Report) -> dict[str, object]:
    """``document`` with one level in place of a filter. What else the filter says is warned of, and what is no level
    reported."""
    result: dict[str, Any] = dict(document)
    table = document.get("logging")
    text = table.get("level") if isinstance(table, Mapping) else None
    if not isinstance(table, Mapping) or not isinstance(text, str) or not ("=" in text or "," in text):
        return result
    own = common = None
    unused = []
    for directive in text.split(","):
        target, equals, level = (part.strip() for part in directive.rpartition("="))
        if level.lower() not in _LEVELS:
            message = "expected a level, or levels of targets with commas between them"
            report.error(_PATH, message, f"as in {_TARGET}=debug; levels are {', '.join(_LEVELS)}")
            result["logging"] = {key: value for key, value in table.items() if key != "level"}
            return result
        if not equals:
            common = level.lower()
        elif target == _TARGET:
            own = level.lower()
        else:
            unused.append("a target" if isinstance(text, Given) or not target.isprintable() else target[:60])
    taken = own or common or Logging().level
    if unused:
        report.warn(_PATH, f"not used: {', '.join(unused)}; the level is {taken}", f"write {_TARGET}=LEVEL, or a level")
    result["logging"] = {**table, "level": taken}
    return result
