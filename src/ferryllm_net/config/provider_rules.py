"""What the configuration says of a provider's ways and of its models, as the translators take it."""

from __future__ import annotations

import msgspec

from ferryllm_proto.dialects.openai.vendors import detect
from ferryllm_proto.rules import ModelRule, ProviderRules
from ferryllm_proto.rules import Quirks as Ways

from .base_url import BaseUrl
from .problems import Path as KeyPath
from .problems import Report
from .provider_schema import Model, Quirks
from .schema import Provider

CHAT = "openai"
"""The type of provider that has vendors: the other protocols are the same wherever they are served."""


def provider_rules(provider: Provider, url: BaseUrl) -> ProviderRules:
    """The rules of `provider`: its own words, and what its base URL tells."""
    vendor = provider.vendor or (detect(url.host, url.port, url.path) if provider.type == CHAT else "")
    return ProviderRules(
        vendor, tuple(_rule(model) for model in provider.models), Ways(**msgspec.structs.asdict(provider.quirks))
    )


def check_rules(provider: Provider, path: KeyPath, report: Report) -> None:
    """Report what does not fit together in the rules of `provider`, which stands at `path`."""
    if provider.type != CHAT and report.accepted((*path, "type")):
        kinds = (("vendor", provider.vendor is not None), ("quirks", provider.quirks != Quirks()))
        for name, written in kinds:
            if written:
                report.error((*path, name), f'not for a provider of type "{provider.type}"', "leave it out")
    first: dict[str, int] = {}
    for index, model in enumerate(provider.models):
        _check_model(model, (*path, "models", index), report)
        if model.match in first and model.match:
            report.error(
                (*path, "models", index, "match"),
                f"the same match as models[{first[model.match]}]",
                "say everything about these models in one table",
            )
        first.setdefault(model.match, index)


def _check_model(model: Model, path: KeyPath, report: Report) -> None:
    at = (*path, "match")
    if report.accepted(at):
        if not model.match.strip():
            report.error(at, "empty", 'write match = "*" for every model')
        elif "*" in model.match and model.match != "*":
            report.error(at, f'"*" stands alone or not at all, found "{model.match}"', "match a beginning")
    most, usual = model.max_output_tokens, model.default_max_tokens
    if most is not None and usual is not None and usual > most:
        report.error(
            (*path, "default_max_tokens"), f"{usual} is more than max_output_tokens, {most}", "make it smaller"
        )
    if model.thinking == "none" and model.efforts:
        report.error((*path, "efforts"), 'thinking is "none"', "leave one of the two out")


def _rule(model: Model) -> ModelRule:
    fields = msgspec.structs.asdict(model)
    return ModelRule(**{**fields, "match": "" if model.match == "*" else model.match})
