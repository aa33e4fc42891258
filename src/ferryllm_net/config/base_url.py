"""Reading the base URL of a provider."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

_ENDPOINTS = (
    # Longest first: what people paste from a curl example.
    "/chat/completions",
    "/messages/count_tokens",
    "/completions",
    "/responses",
    "/messages",
    "/embeddings",
    "/models",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/tags",
)
_METHOD = re.compile(r"/models/[^/]+:\w+$")
"""The end of an endpoint of Gemini."""
_VISIBLE = re.compile(r"[!-~]+")
_SOCKET_BYTES = 103
"""Longest path of a unix socket: 107 on Linux, 103 on macOS and the BSDs."""
_HOST = re.compile(r"[A-Za-z0-9._~%:-]+")


class BaseUrl(msgspec.Struct, frozen=True):
    """A base URL in its parts."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str
    """Without a slash at its end; "" for none."""
    socket: str | None = None
    """Absolute path of the unix socket behind which it is; host and port then name nobody."""


class BaseUrlFault(ValueError):
    """The URL cannot be a base; `mend` says what would do. Neither shows a password or a query."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def parse_base_url(text: str) -> BaseUrl:
    """The parts of `text`, an http or https URL of a host and perhaps a path. Raises BaseUrlFault."""
    if _VISIBLE.fullmatch(text) is None:
        raise BaseUrlFault(
            "expected a URL, found " + ("an empty text" if not text else "spaces or characters outside ASCII"),
            'as in "https://api.example.com/v1"',
        )
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError as fault:
        raise BaseUrlFault(f"not a URL: {_reason(fault)}", 'as in "https://api.example.com/v1"') from None
    if split.username is not None or split.password is not None:
        # Before anything that quotes the text: the part before the @ is a secret.
        raise BaseUrlFault("a name or password in the URL", "give the key as api_key_env, api_key_file or api_key")
    if "?" in text or "#" in text:
        raise BaseUrlFault("a query or a fragment in the URL", "keep the part before it; the request's path is added")
    if split.scheme == "http+unix":
        return _of_socket(split, text)
    scheme = _scheme(split, text)
    if not split.hostname or _HOST.fullmatch(split.hostname) is None:
        raise BaseUrlFault(f'no host in "{text}"', 'as in "https://api.example.com/v1"')
    if port == 0:
        raise BaseUrlFault(f'port 0 in "{text}"', "use a port from 1 to 65535")
    path = split.path.rstrip("/")
    method = _METHOD.search(path)
    for endpoint in (*_ENDPOINTS, *([method[0]] if method else [])):
        if path.endswith(endpoint):
            base = text.rstrip("/").removesuffix(endpoint)
            raise BaseUrlFault(f'"{text}" is the URL of an endpoint, not of the provider', f'write "{base}"')
    return BaseUrl(scheme, split.hostname, port or (443 if scheme == "https" else 80), path)


def _of_socket(split: SplitResult, text: str) -> BaseUrl:
    """`http+unix://%2Frun%2Fserver.sock/v1`: the path of the socket is the host, its slashes escaped."""
    path = unquote(split.netloc)
    if not path.startswith("/") or "\0" in path or len(path.encode()) > _SOCKET_BYTES:
        raise BaseUrlFault(
            f'expected the absolute path of a unix socket in "{text}"', 'as in "http+unix://%2Frun%2Fserver.sock/v1"'
        )
    return BaseUrl("http", "localhost", 80, split.path.rstrip("/"), path)


def _scheme(split: SplitResult, text: str) -> Literal["http", "https"]:
    if split.scheme == "https":
        return "https"
    if split.scheme == "http":
        return "http"
    if "://" in text:
        raise BaseUrlFault(f'expected http or https, found "{split.scheme}"', "use https, or http for a local backend")
    host = text.lstrip("/").partition("/")[0].partition(":")[0]
    local = host == "localhost" or host.startswith("127.")
    guess = f"{'http' if local else 'https'}://{text.lstrip('/')}"
    raise BaseUrlFault(f'"{text}" has no scheme', f'write "{guess}"')


def _reason(fault: ValueError) -> str:
    # urllib's words, without the value that it may quote behind them.
    return "its port is not a number from 1 to 65535" if "ort" in str(fault) else "its host is malformed"
