"""The price list of the package genai-prices, taken out of it without importing it.

The package keeps its list as a Python module that makes objects of its own classes. To import them takes pydantic, 150
ms and 32 MB; the module itself is nothing but calls with names and values. Here it is run with classes that keep what
they are given, which takes 11 ms and 6 MB (CPython 3.11, genai-prices 0.2.3), and written as the JSON that the package
is made from. A future form that this cannot read is an error with words, and a cost that is unknown.
"""

from __future__ import annotations

import builtins
import importlib.metadata
import importlib.util
import types
from collections.abc import Callable, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import msgspec

from .fault import PricesError

PACKAGE = "genai_prices"
EXTRA = 'pip install "ferryllm[prices]"'
_MOST_BYTES = 64 << 20
"""Of its module: forty times what it has in 2026."""
_KEPT = frozenset({"id", "models", "match", "prices", "fallback_model_providers"})
"""What is read of sellers and models; descriptions are half of the whole."""


def version() -> str | None:
    """The installed version; None where the package is not installed."""
    try:
        return importlib.metadata.version("genai-prices")
    except importlib.metadata.PackageNotFoundError:
        return None


def read_package() -> bytes:
    """The list as JSON, for `price_data.read_prices`. Raises `PricesError` where it is not there or not understood."""
    spec = importlib.util.find_spec(PACKAGE)  # of a package at the top: nothing is imported for it
    if spec is None or not spec.submodule_search_locations:
        raise PricesError("the package genai-prices is not installed", EXTRA)
    path = Path(spec.submodule_search_locations[0], "data.py")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PricesError(f"{path} is larger than {_MOST_BYTES} bytes", "name a list in prices.file")
        code = SourceFileLoader(f"{PACKAGE}.data", str(path)).get_code(f"{PACKAGE}.data")
        assert code is not None
        providers = _run(code)
        return msgspec.json.encode([_seller(provider) for provider in providers])
    except OSError as exc:
        raise PricesError(f"cannot read {path}: {exc.strerror or exc}", "install genai-prices again") from None
    except PricesError:
        raise
    except Exception as exc:
        # Whatever a module of another form does: it is not ours to go wrong with it.
        what = f"genai-prices {version()} keeps its list in a form that is not known ({type(exc).__name__})"
        raise PricesError(what, "name a list in prices.file, or update ferryllm") from exc


class _Kept(dict[str, Any]):
    """What a class of the package was called with; ``kind`` is its name."""

    kind = ""


def _keeper(name: str) -> Callable[..., _Kept]:
    def keep(**given: Any) -> _Kept:
        kept = _Kept(given)
        kept.kind = name
        return kept

    return keep


def _run(code: types.CodeType) -> list[_Kept]:
    """The list ``providers`` that the module makes."""
    classes = types.ModuleType("types")
    for name in code.co_names:
        if name[:1].isupper() and name != "Decimal":
            setattr(classes, name, _keeper(name))

    def load(name: str, *arguments: Any) -> Any:
        relative = len(arguments) > 3 and arguments[3]
        return classes if relative else builtins.__import__(name, *arguments)

    space: dict[str, Any] = {"__name__": f"{PACKAGE}.data", "__builtins__": {"__import__": load, "list": list}}
    exec(code, space)
    found: list[_Kept] = space["providers"]
    return found


def _seller(provider: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in provider.items() if name in _KEPT}
    kept["models"] = [_model(model) for model in provider["models"]]
    return kept


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    prices = model["prices"]
    if isinstance(prices, list):
        prices = [{name: _plain(value) for name, value in row.items()} for row in prices]
    return {"id": model["id"], "match": _clause(model["match"]), "prices": _plain(prices)}


def _clause(clause: Mapping[str, Any]) -> dict[str, Any]:
    ((name, value),) = clause.items()
    if isinstance(value, list):
        return {name.rstrip("_"): [_clause(inner) for inner in value]}
    return {name: value}


def _plain(value: Any) -> Any:
    """Dates, times and decimals become texts in JSON; a constraint of a time has to be told from one of a date."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return value
