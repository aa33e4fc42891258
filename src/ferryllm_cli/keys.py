"""`ferryllm keys`: the keys of clients in the store of the configuration, while the gateway runs or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from .key_audit import Trail, bound_names
from .key_options import (
    NONE,
    End,
    Span,
    bound_options,
    common_options,
    fail,
    given_bounds,
    note_project,
    note_providers,
    with_store,
)
from .key_projects import projects
from .output import say

if TYPE_CHECKING:
    from ferryllm_net.keys.issuing import Issued
    from ferryllm_net.keys.store import KeyStore
    from ferryllm_net.keys.stored import StoredKey

_EPILOG = """\b
Examples:
  ferryllm keys create --name laptop --user ada
  ferryllm keys create --name ci --project web --model 'gpt-*' --rpm 60 --daily-cost 5 --expires 30d
  ferryllm keys list
  ferryllm keys rotate ci --grace 24h        the old text stays good for a day
  ferryllm keys limits ci --rpm 120 --daily-cost none
  ferryllm keys revoke laptop

\b
They are kept where [keys] of the configuration says, as digests; a running gateway sees each change within five
seconds, all its workers and replicas do. It asks for keys when [auth] has enabled = true.

\b
Exit status: 0 done, 1 failed (no such key, a name that is taken), 2 wrong usage, 3 configuration invalid or no store.
"""


@click.group(epilog=_EPILOG)
def command() -> None:
    """Make, list, change and take back the keys of clients."""


command.add_command(projects)


@command.command(
    epilog="""\b
The key is the only thing on standard output, so that a script can take it:
  KEY=$(ferryllm keys create --name ci)
It is shown this once; lost, it is replaced by `ferryllm keys rotate`.

\b
Examples:
  ferryllm keys create --name laptop --user ada
  ferryllm keys create --name ci --project web --model 'gpt-*' --rpm 60 --daily-cost 5 --expires 30d
  ferryllm keys create --name guests --tpm 20k --concurrency 2 --monthly-tokens 5m"""
)
@click.option("--name", required=True, help="What it is called in lists, logs and reports.")
@click.option("--user", default="", help="Whose it is.")
@click.option("--project", default="", help="What it is for; keys of one project share its limits.")
@click.option("--model", "models", multiple=True, metavar="GLOB", help="A model it may ask for; without it, all.")
@click.option("--provider", "providers", multiple=True, metavar="NAME", help="A provider that may answer it.")
@click.option("--expires", type=End(), help="When it ends: 30d, 12h, or a date as in 2027-01-31.")
@click.option("--unpriced", is_flag=True, help="With a budget: also models whose price is unknown.")
@bound_options
@common_options
def create(
    config: str | None,
    as_json: bool,
    name: str,
    user: str,
    project: str,
    models: tuple[str, ...],
    providers: tuple[str, ...],
    expires: object,
    unpriced: bool,
    **bounds: object,
) -> None:
    """Make a key and show it, this once."""
    import time

    from ferryllm_net.keys import issuing
    from ferryllm_net.keys.bounds import NO_BOUNDS, changed
    from ferryllm_net.keys.stored import Terms

    own = given_bounds(bounds)
    terms = Terms(user, project, models, providers, changed(NO_BOUNDS, own), unpriced)
    end = None if expires in (None, NONE) else expires
    assert end is None or isinstance(end, float)
    said = {"user": user, "project": project, "models": models, "providers": providers, "expires": end}
    given = [
        "name",
        *(word for word, value in said.items() if value),
        *(["unpriced"] if unpriced else []),
        *bound_names(own),
    ]
    trail = Trail(config)

    async def work(store: KeyStore) -> tuple[Issued, list[str]]:
        doing = issuing.create(store, name, terms, now=time.time(), expires=end)
        made = await trail.watch("key.create", name, doing, given)
        return made, [project.name for project in await store.projects()]

    made, known = with_store(config, work)
    note_project(project, known)
    note_providers(providers, config)
    _show_issued(made, "created", as_json)


@command.command(
    "list",
    epilog="""\b
Examples:
  ferryllm keys list
  ferryllm keys list --project web --all
  ferryllm keys list --json | jq -r '.[] | select(.state == "expired").name'""",
)
@click.option("--all", "with_revoked", is_flag=True, help="Also those that were revoked.")
@click.option("--project", help="Only those of this project.")
@click.option("--user", help="Only those of this user.")
@common_options
def list_keys(config: str | None, as_json: bool, with_revoked: bool, project: str | None, user: str | None) -> None:
    """List the keys: whose they are, what they may, how they stand."""
    import time

    from ferryllm_net.keys.stored import State
    from ferryllm_net.keys.times import written
    from ferryllm_net.keys.use import used_of, used_text, used_view
    from ferryllm_net.keys.views import bounds_text, key_view

    from .key_use import uses_of
    from .tables import print_table

    now = time.time()
    keys = sorted(with_store(config, lambda store: store.keys()), key=lambda key: (key.created, key.id))
    keys = [
        key
        for key in keys
        if (with_revoked or key.state(now) is not State.REVOKED)
        and (project is None or key.terms.project == project)
        and (user is None or key.terms.user == user)
    ]
    uses = uses_of(config, keys, now)
    spent = [used_of(uses, f"key/{key.id}", key.terms.bounds) for key in keys]
    if as_json:
        found = [{**key_view(key, now), "used": used_view(used)} for key, used in zip(keys, spent, strict=True)]
        click.echo(_json(found))
    elif not keys:
        say("no keys yet: `ferryllm keys create --name NAME` makes one")
    else:
        head: tuple[str, ...] = ("NAME", "ID", "KEY", "USER", "PROJECT", "STATE", "EXPIRES", "MODELS", "LIMITS")
        rows: list[tuple[str, ...]] = [
            (
                key.name,
                key.id,
                f"{key.texts[0].shown}..." if key.texts else "",
                key.terms.user or "-",
                key.terms.project or "-",
                key.state(now).value,
                "-" if key.expires is None else written(key.expires),
                " ".join(key.terms.models) or "all",
                bounds_text(key.terms.bounds) or "-",
            )
            for key in keys
        ]
        texts = [used_text(used, key.terms.bounds) for key, used in zip(keys, spent, strict=True)]
        if any(texts):
            head = (*head, "USED")
            rows = [(*row, text or "-") for row, text in zip(rows, texts, strict=True)]
        print_table(head, rows)


@command.command(
    epilog="""\b
Examples:
  ferryllm keys show ci
  ferryllm keys show key_0123456789ab --json"""
)
@click.argument("key")
@common_options
def show(config: str | None, as_json: bool, key: str) -> None:
    """Show all that is known of KEY, a name or an id."""
    import time

    from ferryllm_net.keys.use import used_of, used_text, used_view
    from ferryllm_net.keys.views import key_view

    from .key_use import uses_of

    found, now = with_store(config, lambda store: store.find(key)), time.time()
    used = used_of(uses_of(config, [found], now), f"key/{found.id}", found.terms.bounds)
    view = key_view(found, now)
    if as_json:
        click.echo(_json({**view, "used": used_view(used)}))
    else:
        _print_key(view, used_text(used, found.terms.bounds))


@command.command(
    epilog="""\b
The new text is the only thing on standard output. Examples:
  ferryllm keys rotate ci > ci.key           the old text ends now
  ferryllm keys rotate ci --grace 24h        the old text stays good for a day"""
)
@click.argument("key")
@click.option("--grace", type=Span(), default="0s", show_default=True, help="How long the old text stays good: 24h.")
@common_options
def rotate(config: str | None, as_json: bool, key: str, grace: float) -> None:
    """Give KEY, a name or an id, a new text and show it, this once.

    Its id, limits and what it has used stay.
    """
    import time

    from ferryllm_net.keys import issuing

    trail = Trail(config)

    async def work(store: KeyStore) -> Issued:
        doing = issuing.rotate(store, key, now=time.time(), grace_secs=grace)
        return await trail.watch("key.rotate", key, doing, ["grace"] if grace else [])

    made = with_store(config, work)
    _show_issued(made, "has a new text", as_json)


@command.command(
    epilog="""\b
Examples:
  ferryllm keys revoke laptop
  ferryllm keys revoke ci key_0123456789ab"""
)
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@common_options
def revoke(config: str | None, as_json: bool, keys: tuple[str, ...]) -> None:
    """Take back each KEY, a name or an id, for good and with all its texts."""
    import time

    from ferryllm_net.keys import issuing
    from ferryllm_net.keys.store import KeyStoreError
    from ferryllm_net.keys.views import key_view

    now, trail = time.time(), Trail(config)

    async def work(store: KeyStore) -> tuple[list[StoredKey], list[str]]:
        done, faults = [], []
        for which in keys:
            try:
                done.append(await trail.watch("key.revoke", which, issuing.revoke(store, which, now=now)))
            except KeyStoreError as exc:
                faults.append(str(exc))
        return done, faults

    done, faults = with_store(config, work)
    if as_json:
        click.echo(_json([key_view(key, now) for key in done]))
    for key in done:
        say(f"key {key.name} ({key.id}) is revoked: a running gateway refuses it within five seconds")
    if faults:
        fail("; ".join(faults))


@command.command(
    epilog="""\b
Without options it shows them. `none` takes a bound away; --model, --provider replace what was there.
Examples:
  ferryllm keys limits ci --rpm 120 --monthly-cost 50
  ferryllm keys limits ci --daily-cost none --expires 90d --model 'claude-*'
  ferryllm keys limits ci --model none"""
)
@click.argument("key")
@click.option("--user", help="Whose it is.")
@click.option("--project", help="What it is for.")
@click.option("--model", "models", multiple=True, metavar="GLOB", help="Models it may ask for; `none`: all.")
@click.option("--provider", "providers", multiple=True, metavar="NAME", help="Providers that may answer it.")
@click.option("--expires", type=End(), help="When it ends; `none`: never.")
@click.option("--unpriced/--priced", default=None, help="With a budget: also models whose price is unknown.")
@bound_options
@common_options
def limits(config: str | None, as_json: bool, key: str, expires: object, **given: Any) -> None:
    """Change what KEY, a name or an id, may do; its text stays."""
    import time

    import msgspec

    from ferryllm_net.keys import issuing
    from ferryllm_net.keys.bounds import changed
    from ferryllm_net.keys.stored import Terms
    from ferryllm_net.keys.views import key_view

    bounds = given_bounds(given)
    fields = {name: given[name] for name in ("user", "project", "unpriced") if given[name] is not None}
    for name in ("models", "providers"):
        if given[name]:
            fields[name] = () if given[name] == (NONE,) else given[name]
    fields = {name: "" if value == NONE else value for name, value in fields.items()}

    def change(terms: Terms) -> Terms:
        return msgspec.structs.replace(terms, bounds=changed(terms.bounds, bounds), **fields)

    asks = not bounds and not fields and expires is None
    trail = None if asks else Trail(config)

    async def work(store: KeyStore) -> StoredKey:
        if trail is None:
            return await store.find(key)
        end: Any = msgspec.UNSET if expires is None else None if expires == NONE else expires
        doing = issuing.change_terms(store, key, change, now=time.time(), expires=end)
        names = [*fields, *([] if expires is None else ["expires"]), *bound_names(bounds)]
        return await trail.watch("key.change", key, doing, names)

    view = key_view(with_store(config, work), time.time())
    if as_json:
        click.echo(_json(view))
    else:
        _print_key(view)


# --- what is shown ---------------------------------------------------------------------------------------


def _show_issued(made: Issued, what: str, as_json: bool) -> None:
    import time

    from ferryllm_net.keys.views import key_view

    text = made.text.reveal()
    if as_json:
        click.echo(_json({**key_view(made.key, time.time()), "key": text}))
        return
    say(f"key {made.key.name} ({made.key.id}) {what}; it is shown this once, nothing keeps it:")
    click.echo(text)


def _print_key(view: dict[str, Any], used: str = "") -> None:
    from ferryllm_net.keys.bounds import NO_BOUNDS, changed
    from ferryllm_net.keys.views import bounds_text

    lines = {
        "name": view["name"],
        "id": view["id"],
        "state": view["state"],
        "user": view["user"] or "-",
        "project": view["project"] or "-",
        "models": " ".join(view["models"]) or "all",
        "providers": " ".join(view["providers"]) or "all",
        "limits": bounds_text(changed(NO_BOUNDS, view["limits"])) or "-",
        **({"used": used} if used else {}),
        "created": view["created"],
        "expires": view["expires"] or "never",
    }
    if view["revoked"]:
        lines["revoked"] = view["revoked"]
    if view["unpriced"]:
        lines["unpriced"] = "models without a known price are allowed"
    for text in view["texts"]:
        until = f", good until {text['ends']}" if text["ends"] else ""
        lines[f"key {text['shown']}..."] = f"made {text['created']}{until}"
    width = max(map(len, lines))
    for name, value in lines.items():
        click.echo(f"{name.ljust(width)}  {value}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
