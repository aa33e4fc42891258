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
    key_variables: tuple[str, ...]
    """The first that is set counts."""
    url_variable: str
    prefixes: tuple[str, ...]
    keyless: bool = False
    """Whether its URL alone is enough."""


_PROVIDERS = (
    _Known(
        name="openai",
        type="openai",
        base_url="https://api.openai.com/v1",
        key_variables=("OPENAI_API_KEY",),
        url_variable="OPENAI_BASE_URL",
        prefixes=("gpt-", "o1", "o3", "o4", "chatgpt-"),
    ),
    _Known(
        name="anthropic",
        type="anthropic",
        base_url="https://api.anthropic.com",
        key_variables=("ANTHROPIC_API_KEY",),
        url_variable="ANTHROPIC_BASE_URL",
        prefixes=("claude-",),
    ),
    _Known(
        name="gemini",
        type="gemini",
        base_url="https://generativelanguage.googleapis.com",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        url_variable="GOOGLE_GEMINI_BASE_URL",
        prefixes=("gemini-", "gemma-"),
    ),
    _Known(
        name="ollama",
        type="ollama",
        base_url="http://127.0.0.1:11434",
        key_variables=("OLLAMA_API_KEY",),
        url_variable="OLLAMA_HOST",
        # Names of its library; all its models have a colon in their full names, which no route can ask for.
        prefixes=("llama", "qwen", "gemma", "mistral", "phi", "gpt-oss", "deepseek-r1"),
        keyless=True,
    ),
)
"""Not in it: a look at Ollama's usual port. Starting up does not knock at doors; OLLAMA_HOST names its server."""

_OLLAMA_PORT = 11434


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
        given = environ.get(known.url_variable, "").strip()
        key = next((name for name in known.key_variables if environ.get(name, "").strip()), None)
        if (key is None and not known.keyless) or (known.keyless and not given):
            if given:
                unused[known.url_variable] = known.key_variables[0]
            continue
        place: Path = ("providers", len(providers))
        variables |= {(*place, "base_url"): known.url_variable}
        base_url = _ollama_url(given) if known.keyless else given
        provider: dict[str, object] = {
            "name": known.name,
            "type": known.type,
            "base_url": base_url or known.base_url,
        }
        if key is not None:
            variables |= {(*place, "api_key_env"): key}
            provider["api_key_env"] = key
        providers.append(provider)
        routes.extend({"match": prefix, "provider": known.name} for prefix in known.prefixes)
    if providers:
        routes.append({"match": "*", "provider": providers[0]["name"]})
    return FromEnvironment({"providers": providers, "routes": routes} if providers else {}, variables, unused)


def _ollama_url(text: str) -> str:
    """OLLAMA_HOST as a URL: its own clients take a host, a port, or both, and what a server listens on.

    What is none of these is returned as it is, for the one who reads URLs to refuse.
    """
    if "://" in text:
        return text
    address, slash, path = text.partition("/")
    host, colon, port = address.rpartition(":")
    if not colon or "]" in port:  # no port, or the colons of an IPv6 address
        host, port = address, str(_OLLAMA_PORT)
    if host in ("", "0.0.0.0", "[::]"):
        host = "127.0.0.1"
    return f"http://{host}:{port or _OLLAMA_PORT}{slash}{path}"
