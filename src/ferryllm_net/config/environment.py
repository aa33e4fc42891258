"""The configuration that the environment alone makes: what `serve` runs with when there is no file."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .problems import Path


class _Known(msgspec.Struct, frozen=True):
    """A provider that common variables describe."""

    name: str
    type: str
    base_url: str
    key_variable: str
    url_variable: str
    prefixes: tuple[str, ...]


_PROVIDERS = (
    _Known(
        name="openai",
        type="openai",
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        url_variable="OPENAI_BASE_URL",
        prefixes=("gpt-", "o1", "o3", "o4", "chatgpt-"),
    ),
    _Known(
        name="anthropic",
        type="anthropic",
        base_url="https://api.anthropic.com",
        key_variable="ANTHROPIC_API_KEY",
        url_variable="ANTHROPIC_BASE_URL",
        prefixes=("claude-",),
    ),
)


class FromEnvironment(msgspec.Struct, frozen=True):
    """A document in the form of the file, and the variable behind each of its keys."""

    document: dict[str, object]
    variables: dict[Path, str]
    unused: dict[str, str]
    """Variables that are set and have no effect, with the variable that is missing for it."""


def read_environment(environ: Mapping[str, str]) -> FromEnvironment:
    """The providers that `environ` holds keys for, their usual model names as routes, and `*` to the first."""
    providers: list[dict[str, object]] = []
    routes: list[dict[str, object]] = []
    variables: dict[Path, str] = {}
    unused: dict[str, str] = {}
    for known in _PROVIDERS:
        base_url = environ.get(known.url_variable, "").strip()
        if not environ.get(known.key_variable, "").strip():
            if base_url:
                unused[known.url_variable] = known.key_variable
            continue
        place: Path = ("providers", len(providers))
        variables |= {(*place, "api_key_env"): known.key_variable, (*place, "base_url"): known.url_variable}
        providers.append(
            {
                "name": known.name,
                "type": known.type,
                "base_url": base_url or known.base_url,
                "api_key_env": known.key_variable,
            }
        )
        routes.extend({"match": prefix, "provider": known.name} for prefix in known.prefixes)
    if providers:
        routes.append({"match": "*", "provider": providers[0]["name"]})
    return FromEnvironment({"providers": providers, "routes": routes} if providers else {}, variables, unused)
