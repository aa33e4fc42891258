"""What Ollama's models can do, as far as requests depend on it, and the lists and cards of models that clients ask for.

The table is data: names of the library's families. A model that is not in it is asked for what the client wants, and
the server is the judge.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from ... import ir, json, opaque
from . import wire
from .times import stamp

VERSION = "0.99.0"
"""What ``/api/version`` says: clients compare it with the version that brought what they need (tools, thinking)."""

CAPABILITIES = ("completion", "tools", "vision", "thinking")
"""What a model behind the gateway may be asked for; which of it the provider's model can do, the provider says."""

ARCHITECTURE = "ferryllm"

FOREVER = "2318-01-01T00:00:00Z"
"""When a model is unloaded that never is; the command line shows it as "Forever"."""

_THOUGHTLESS = re.compile(
    r"(?:llama[123]|llama-[123]|codellama|gemma[23]?(?:$|[:.-])|codegemma|mistral(?!ai/)|mixtral|codestral|qwen2|qwen:"
    r"|qwen$|phi[34]?(?:$|:)|tinyllama|smollm|starcoder|deepseek-coder|llava|command-r|granite3\.[01]|aya|olmo)"
)
"""Families without thinking: the server refuses requests for it (400 "does not support thinking")."""


def thinks(model: str) -> bool:
    """Whether a model may be asked to think: all but those that are known not to."""
    return _THOUGHTLESS.match(opaque.family(model)) is None


def takes_levels(model: str) -> bool:
    """Whether ``think`` may be a word: the server refuses it for all models but this family."""
    return "gpt-oss" in model.lower()


# --- lists and cards -------------------------------------------------------------------------------------


def digest(name: str) -> str:
    """Something that names a model by 64 hexadecimal digits: the command line shows the first twelve."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _details() -> dict[str, object]:
    return {
        "parent_model": "",
        "format": "",
        "family": ARCHITECTURE,
        "families": [ARCHITECTURE],
        "parameter_size": "",
        "quantization_level": "",
    }


def _entry(model: ir.Model) -> dict[str, object]:
    return {"name": model.id, "model": model.id}


def encode_models(models: Sequence[ir.Model]) -> bytes:
    """The body of ``GET /api/tags``."""
    entries = [
        {
            **_entry(model),
            "modified_at": stamp(model.created),
            "size": 0,
            "digest": digest(model.id),
            "details": _details(),
        }
        for model in models
    ]
    return json.encode({"models": entries})


def encode_show(model: ir.Model, *, context_length: int | None = None) -> bytes:
    """The body of ``POST /api/show``; ``context_length`` in tokens where it is known."""
    info: dict[str, object] = {"general.architecture": ARCHITECTURE, "general.basename": model.id}
    if context_length is not None:
        info[f"{ARCHITECTURE}.context_length"] = context_length
    return json.encode(
        {
            "license": "",
            "modelfile": f"FROM {model.id}\n",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": _details(),
            "model_info": info,
            "capabilities": list(CAPABILITIES),
            "modified_at": stamp(model.created),
        }
    )


def encode_ps(models: Sequence[ir.Model]) -> bytes:
    """The body of ``GET /api/ps``: every model is as good as loaded, and takes no memory here."""
    entries = [
        {
            **_entry(model),
            "size": 0,
            "digest": digest(model.id),
            "details": _details(),
            "expires_at": FOREVER,
            "size_vram": 0,
        }
        for model in models
    ]
    return json.encode({"models": entries})


def encode_version() -> bytes:
    """The body of ``GET /api/version``."""
    return json.encode({"version": VERSION})


def decode_show(body: bytes) -> str:
    """The model that a body of ``POST /api/show`` asks for. Raises `RemoteProtocolError`."""
    found = json.decode(body, wire.show_request)
    name = found.model or found.name
    if not name:
        raise json.bad_field("model", "the name of a model", "nothing")
    return name
