"""`ferryllm version`."""

from __future__ import annotations

import json
import platform

import click


def version_text() -> str:
    """`ferryllm 1.2.3`."""
    from ferryllm_proto._version import __version__

    return f"ferryllm {__version__}"


@click.command(epilog="Examples: ferryllm version; ferryllm version --json for a report of a fault.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with the versions it runs on.")
def command(as_json: bool) -> None:
    """Print the version."""
    if not as_json:
        click.echo(version_text())
        return
    name, _, number = version_text().partition(" ")
    facts = {name: number, "python": platform.python_version(), "platform": platform.platform()}
    facts.update((library, _installed(library)) for library in ("h11", "h2", "anyio", "trio", "msgspec"))
    click.echo(json.dumps(facts))


def _installed(library: str) -> str:
    from importlib import metadata

    return metadata.version(library)
