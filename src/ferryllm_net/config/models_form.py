"""The short form: ``models`` maps a model's name to where it is, and stands for a provider and an exact route."""

from __future__ import annotations

import msgspec

from .policy_schema import Headers
from .problems import Report
from .schema import Config, Provider, Route

_PROVIDER_KEYS = {
    "type": "backend_type",
    "base_url": "endpoint",
    "request_timeout_secs": "timeout_seconds",
    "headers": "headers",
}
_ROUTE_KEYS = {"rewrite_model": "model"}


def expand(config: Config, report: Report) -> Config:
    """``config`` with a provider and a route for each of its models, in front of the others.

    What is found wrong with one of them later is reported where its entry stands.
    """
    if not config.models:
        return config
    providers, routes = list(config.providers), list(config.routes)
    for name, entry in config.models.items():
        place = ("models", name)
        if not name.strip():
            report.error(place, "a model without a name", "write its name before the colon, or in the brackets")
        provider = f"models.{name}"
        report.redirect(("providers", len(providers)), place, _PROVIDER_KEYS)
        report.redirect(("providers", len(providers), "headers", "force"), (*place, "headers"), {})
        report.redirect(("routes", len(routes)), place, _ROUTE_KEYS)
        providers.append(
            Provider(
                name=provider,
                type=entry.backend_type,
                base_url=entry.endpoint,
                api_key=entry.api_key,
                api_key_env=entry.api_key_env,
                ssl_verify=entry.ssl_verify,
                request_timeout_secs=entry.timeout_seconds,
                headers=Headers(force=entry.headers) if entry.headers else None,
            )
        )
        routes.append(
            Route(
                match=name,
                provider=provider,
                match_type="exact",
                rewrite_model=entry.model,
                transforms=entry.transforms,
            )
        )
    return msgspec.structs.replace(config, providers=tuple(providers), routes=tuple(routes))
