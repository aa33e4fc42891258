"""`ferryllm keys projects`: what the keys of one project may take together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from .key_audit import Trail, bound_names
from .key_options import common_options, given_bounds, project_options, with_store
from .output import say

if TYPE_CHECKING:
    from ferryllm_net.keys.store import KeyStore
    from ferryllm_net.keys.stored import StoredProject

_EPILOG = """\b
Examples:
  ferryllm keys projects create web --monthly-cost 200 --tpm 200k
  ferryllm keys projects limits web --monthly-cost 300
  ferryllm keys projects list
"""


@click.group(epilog=_EPILOG)
def projects() -> None:
    """Limits that the keys of a project share.

    A key belongs to a project by `--project` of `create` or `limits`; a project needs an entry here only where it has
    limits of its own.
    """


@projects.command(
    epilog="""\b
Examples:
  ferryllm keys projects create web --monthly-cost 200 --tpm 200k
  ferryllm keys create --name ci --project web      a key that shares them"""
)
@click.argument("name")
@project_options
@common_options
def create(config: str | None, as_json: bool, name: str, **bounds: object) -> None:
    """Give the project NAME limits for the first time."""
    import time

    from ferryllm_net.keys import issuing
    from ferryllm_net.keys.bounds import NO_BOUNDS, changed

    given, trail = given_bounds(bounds), Trail(config)
    own = changed(NO_BOUNDS, given)

    async def work(store: KeyStore) -> StoredProject:
        doing = issuing.create_project(store, name, own, now=time.time())
        return await trail.watch("project.create", name, doing, ["name", *bound_names(given)])

    _show(with_store(config, work), as_json)


@projects.command(
    "list",
    epilog="""\b
Examples:
  ferryllm keys projects list
  ferryllm keys projects list --json""",
)
@common_options
def list_projects(config: str | None, as_json: bool) -> None:
    """List the projects that have limits, and how many keys each has."""
    import time
    from collections import Counter

    from ferryllm_net.keys.stored import State
    from ferryllm_net.keys.views import bounds_text, project_view

    from .tables import print_table

    now = time.time()

    async def work(store: KeyStore) -> tuple[list[StoredProject], Counter[str]]:
        active = [key.terms.project for key in await store.keys() if key.state(now) is State.ACTIVE]
        return list(await store.projects()), Counter(active)

    found, members = with_store(config, work)
    if as_json:
        click.echo(_json([{**project_view(one), "keys": members[one.name]} for one in found]))
    elif not found:
        say("no project has limits yet: `ferryllm keys projects create NAME --monthly-cost 50` gives it some")
    else:
        rows = [(one.name, str(members[one.name]), bounds_text(one.bounds) or "-") for one in found]
        print_table(("NAME", "KEYS", "LIMITS"), rows, right=(1,))


@projects.command(
    epilog="""\b
Examples:
  ferryllm keys projects limits web --monthly-cost 300
  ferryllm keys projects limits web --tpm none"""
)
@click.argument("name")
@project_options
@common_options
def limits(config: str | None, as_json: bool, name: str, **bounds: object) -> None:
    """Change the limits of the project NAME; `none` takes one away."""
    from ferryllm_net.keys import issuing
    from ferryllm_net.keys.bounds import changed

    given, trail = given_bounds(bounds), Trail(config)

    async def work(store: KeyStore) -> StoredProject:
        doing = issuing.change_project(store, name, lambda old: changed(old, given))
        return await trail.watch("project.change", name, doing, bound_names(given))

    _show(with_store(config, work), as_json)


@projects.command(
    epilog="""\b
Example:
  ferryllm keys projects remove web"""
)
@click.argument("name")
@common_options
def remove(config: str | None, as_json: bool, name: str) -> None:
    """Take the limits of the project NAME away; its keys go on."""
    from ferryllm_net.keys import issuing

    trail = Trail(config)
    with_store(config, lambda store: trail.watch("project.remove", name, issuing.remove_project(store, name)))
    if as_json:
        click.echo(_json({"name": name, "removed": True}))
    else:
        say(f"project {name} has no limits any more; its keys go on")


def _show(project: StoredProject, as_json: bool) -> None:
    from ferryllm_net.keys.views import bounds_text, project_view

    if as_json:
        click.echo(_json(project_view(project)))
    else:
        click.echo(f"project {project.name}: {bounds_text(project.bounds) or 'no limits'}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
