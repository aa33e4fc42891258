"""The reference page of the configuration, made from the schema so that it cannot be out of date."""

from __future__ import annotations

import inspect as source
import json

import msgspec
from msgspec import inspect

from .validate import expected, extra, is_table, tables

_HEAD = """\
# Configuration

The file is TOML, or YAML or JSON where its name ends in `.yaml`, `.yml` or `.json`: the same tables and keys, checked
in the same way (YAML needs `pip install "ferryllm[yaml]"`). `ferryllm serve` and `ferryllm check-config` take the file
that `--config` names; else the one that the variable `FERRYLLM_CONFIG` names; else `ferryllm.toml` (`.yaml`, `.yml`,
`.json`) in the current folder; else the same in `ferryllm` in the user's configuration folder (`$XDG_CONFIG_HOME`, or
`~/.config`). Without any file the gateway serves the providers whose keys are in the environment (`OPENAI_API_KEY`,
`ANTHROPIC_API_KEY`; `OPENAI_BASE_URL` and `ANTHROPIC_BASE_URL` say where they are), and without any key a demo
provider.

`${NAME}` in any text stands for a variable of the environment, `${NAME:-default}` has a default for a variable that is
missing or empty, and `$${` is `${` itself. Variables also stand over keys of the file: `FERRYLLM_SERVER__LISTEN` over
`listen` in `[server]`, `FERRYLLM_PROVIDERS__0__API_KEY` over `api_key` in the first of `[[providers]]`. Numbers and
truth values are written as in the file, arrays with commas or as JSON. Options of the command line come before both.

Reading is strict: an unknown key, a wrong type or a missing secret is an error, all of them are reported at once, and
the gateway does not start. `ferryllm check-config` reports the same without starting it.

This page is made from the code by `python -m ferryllm_net.config.reference`.
"""

_TAIL = """
Without any `[[routes]]` every model goes to the first provider. With them, a model that no route matches is answered
404.
"""


def reference_page() -> str:
    """The page as Markdown: one table of keys for each table of the file."""
    parts = [_HEAD]
    parts.extend(_section(header, kind) for header, kind in tables())
    return "\n".join(parts) + _TAIL


def _section(title: str, kind: type[msgspec.Struct]) -> str:
    lines = [
        f"## `{title}`",
        "",
        source.cleandoc(kind.__doc__ or ""),
        "",
        "| key | value | unit | default | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for field in msgspec.structs.fields(kind):
        info = inspect.type_info(field.type)
        if is_table(info):
            continue  # it has a section of its own
        notes = extra(info)
        cells = (
            f"`{field.encode_name}`",
            expected(field).replace('"', "`"),
            str(notes.get("unit", "")),
            str(notes.get("default") or _default(field)),
            str(notes["description"]),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is None:
        return "none"
    if field.default == ():
        return "none"
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    # A default in TOML is written as in JSON for the types that occur here.
    return f"`{json.dumps(default)}`"


if __name__ == "__main__":
    print(reference_page(), end="")  # noqa: T201 - this is what the module does when it is run
