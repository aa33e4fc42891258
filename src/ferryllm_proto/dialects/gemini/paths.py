"""Gemini's paths: the model, what is asked for and the framing of a stream are in them and not in the body."""

from __future__ import annotations

import re

import msgspec

from ...errors import RemoteProtocolError

GENERATE = "generateContent"
STREAM = "streamGenerateContent"
COUNT = "countTokens"

_VERSIONS = ("v1beta", "v1alpha", "v1")
_DEFAULT = "v1beta"
_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")
_PLAIN = re.compile(rb"[^A-Za-z0-9._~/:@-]")  # a model's name may hold slashes and colons, and servers expect them so
_DOTS = frozenset({".", ".."})
_FOLDER = re.compile(r"(?:^|/)(models|tunedModels)/")


class Asked(msgspec.Struct, frozen=True):
    """What a path says. Empty strings are absent."""

    model: str = ""
    method: str = ""
    version: str = _DEFAULT
    sse: bool = True
    """Whether a stream is Server-Sent Events; else it is one JSON array."""

    @property
    def stream(self) -> bool:
        return self.method == STREAM


def read(path: str | None) -> Asked:
    """The parts of ``path``, with its query; None asks for nothing special."""
    if path is None:
        return Asked()
    plain, _, query = path.partition("?")
    found = _FOLDER.search(plain)
    model, method = "", ""
    if found is not None:
        name, colon, word = plain[found.end() :].rpartition(":")
        if colon and word.isalpha():
            model, method = name, word
        else:
            model = plain[found.end() :]
        model = plain_name(unquote(model))
        if found[1] == "tunedModels" and model:
            model = f"tunedModels/{model}"
    before = plain[: found.start()] if found is not None else plain
    version = next((step for step in reversed(before.split("/")) if step in _VERSIONS), _DEFAULT)
    return Asked(model, method, version, _is_sse(query))


def _is_sse(query: str) -> bool:
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if unquote(name) in ("alt", "$alt") and unquote(value).partition(";")[0] == "sse":
            return True
    return False


def plain_name(model: str) -> str:
    """A model's name without the folder clients write before it."""
    return model.removeprefix("models/")


def build(model: str, method: str, version: str = _DEFAULT) -> str:
    """The path of ``model``; a name that brings its folder keeps it."""
    name = quote(plain_name(model))
    folder = "" if name.startswith("tunedModels/") else "models/"
    return f"/{version}/{folder}{name}:{method}"


def unquote(text: str) -> str:
    """``text`` without percent escapes."""
    if "%" not in text:
        return text
    raw = text.encode("utf-8", "surrogatepass")
    return _ESCAPE.sub(lambda m: bytes((int(m[1], 16),)), raw).decode("utf-8", "replace")


def quote(text: str) -> str:
    """``text``, a model's name, with percent escapes for what has no place in a path. Raises `RemoteProtocolError`
    where it would lead to another model's, or out of their folder: servers and proxies resolve dots."""
    if "." in text and not _DOTS.isdisjoint(text.split("/")):
        raise RemoteProtocolError(
            "model: expected a name without segments of dots", param="model", code="invalid_value"
        )
    return _PLAIN.sub(lambda m: b"%%%02X" % m[0][0], text.encode("utf-8", "replace")).decode()
