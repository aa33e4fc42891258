"""What requests for embeddings and their answers are, and what a dialect that has them must do.

Apart from `ir`, which is about conversations; apart from `embeddings`, so that dialects can be made of it.

Numbers stay the JSON text the provider wrote, so nothing is rounded; only where one side wants base64 are they read.
"""

from __future__ import annotations

import abc
import base64
import binascii
import struct

import msgspec

from . import ir, json
from .loss import Report


class EmbedRequest(msgspec.Struct, frozen=True):
    """One request for vectors."""

    dialect: str
    """Who wrote it."""
    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    """Texts, or texts as token numbers of the model's own tokenizer."""
    single: bool = False
    """The client wrote one input, not a list of them."""
    dimensions: int | None = None
    encoding: str | None = None
    """``float`` or ``base64``; None is the dialect's default."""
    user: str | None = None
    task: str | None = None
    """What the vectors are for, in Gemini's words: ``RETRIEVAL_QUERY``, ``CLUSTERING``, ..."""
    title: str | None = None
    """Of the document that is embedded."""
    ext: ir.Ext | None = None
    names: dict[str, str] = {}
    """Fields whose key the client wrote otherwise, as in `ir.Request`."""

    def wire_name(self, field: str) -> str:
        """The key under which the client wrote ``field``."""
        return self.names.get(field, field)


class EmbedResponse(msgspec.Struct, frozen=True):
    """The vectors, in the order of the inputs."""

    vectors: tuple[bytes, ...]
    """Each one a JSON array of numbers, as the provider wrote it."""
    model: str = ""
    """The provider's word for the model that answered."""
    usage: ir.Usage | None = None


class Embedder(abc.ABC):
    """The embeddings of one dialect, both halves. Instances hold no state.

    Bodies in, bodies out; every method raises `RemoteProtocolError` for what is wrong with a body.
    """

    # --- client half ---

    @abc.abstractmethod
    def decode_request(self, body: bytes, path: str | None) -> EmbedRequest:
        """A client's body that came to ``path`` (with its query; None is the dialect's usual one)."""

    @abc.abstractmethod
    def encode_response(
        self, response: EmbedResponse, request: EmbedRequest, path: str | None, report: Report
    ) -> bytes:
        """The answer to ``request``, which came to ``path``; it shows the client's name of the model."""

    # --- provider half ---

    @abc.abstractmethod
    def encode_request(self, request: EmbedRequest, model: str, report: Report) -> tuple[str, bytes]:
        """Path and body for a provider; ``model`` is its name of the model."""

    @abc.abstractmethod
    def decode_response(self, body: bytes) -> EmbedResponse:
        """A provider's whole answer."""

    # --- the same dialect on both sides ---

    @abc.abstractmethod
    def pass_request(self, body: bytes, path: str | None, model: str | None) -> tuple[str, bytes]:
        """Path and body for a provider: the client's own, with ``model`` put in (None: the client's)."""

    def pass_response(self, body: bytes, model: str) -> bytes:
        """The provider's body with the client's name of the model, ``model``, where it shows one."""
        return json.splice(body, ("model",), json.encode_str(model))


# --- numbers ---------------------------------------------------------------------------------------------

_floats = json.decoder(list[float])


def to_base64(vector: bytes, path: str) -> str:
    """A JSON array of numbers as OpenAI's ``base64``: little endian floats of 4 bytes."""
    values = json.decode(vector, _floats, path)
    try:
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    except OverflowError:
        raise json.bad_field(path, "numbers of 32 bits", "a larger one") from None


def from_base64(text: str, path: str) -> bytes:
    """The other way: a JSON array of exactly these numbers."""
    try:
        data = base64.b64decode(text, validate=True)
        return json.encode([number for (number,) in struct.iter_unpack("<f", data)])
    except (binascii.Error, ValueError, struct.error):
        raise json.bad_field(path, "base64 of 32-bit floats", "something else") from None


def vector(raw: msgspec.Raw, path: str) -> bytes:
    """A vector as a provider wrote it: an array of numbers, or base64."""
    kind = json.kind(raw)
    if kind == "string":
        return from_base64(json.decode(raw, _text, path), path)
    if kind != "array":
        raise json.bad_field(path, "an array of numbers", kind)
    json.decode(raw, _floats, path)
    return bytes(raw)


_text = json.decoder(str)
