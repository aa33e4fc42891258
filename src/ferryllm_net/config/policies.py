"""From what the configuration says about policies to the values that the machines decide with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ferryllm_proto import __version__
from ferryllm_proto.policy import cors as pages
from ferryllm_proto.policy import headers as fields
from ferryllm_proto.policy.cors import CorsPolicy
from ferryllm_proto.policy.headers import HeaderMode, HeaderPolicy
from ferryllm_proto.policy.prompt_cache import MAX_PREFIX, PromptCachePolicy
from ferryllm_proto.policy.reasoning import ReasoningMode, ReasoningPolicy, rank
from ferryllm_proto.policy.route import RoutePolicies
from ferryllm_proto.policy.transforms import Transforms

from .policy_schema import Cors, Headers, PromptCache, Reasoning
from .problems import Path as KeyPath
from .problems import Report
from .schema import Config, Route
from .transforms import compile_transforms

_RANGE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")
_VISIBLE = re.compile(r"[!-~]*")

_SERVER_KEYS = {
    "policy": "reasoning_policy",
    "default_effort": "default_reasoning_effort",
    "max_effort": "max_reasoning_effort",
}
"""How `[server]` and routes call the keys of `[reasoning]`."""


class Policies:
    """The common policies of one configuration, and what its routes and providers make of them."""

    def __init__(self, config: Config, report: Report) -> None:
        self._report = report
        self._reasoning, places = self._common_reasoning(config)
        self.reasoning = _reasoning(self._reasoning, places, report)
        self.prompt_cache = _prompt_cache(config.prompt_cache, ("prompt_cache",), report)
        self.headers = header_policy(config.headers, ("headers",), report)
        self.transforms = compile_transforms(config.transforms, ("transforms",), report)
        self.usage = config.usage.passthrough
        self.cors = _cors(config.cors, report, keys=config.auth.enabled)

    def common(self) -> RoutePolicies:
        """The policies of a route that says nothing itself."""
        return RoutePolicies(self.reasoning, self.prompt_cache, self.transforms, usage=self.usage)

    def of_route(self, route: Route, path: KeyPath) -> RoutePolicies:
        """The policies of ``route``, which stands at ``path``."""
        own = {name: getattr(route, _SERVER_KEYS[name]) for name in _SERVER_KEYS}
        reasoning = self.reasoning
        if any(value is not None for value in own.values()):
            mixed = {name: getattr(self._reasoning, name) if value is None else value for name, value in own.items()}
            places = {name: (*path, key) for name, key in _SERVER_KEYS.items()}
            reasoning = _reasoning(Reasoning(**mixed), places, self._report)
        prompt_cache = self.prompt_cache
        if route.prompt_cache is not None:
            prompt_cache = _prompt_cache(route.prompt_cache, (*path, "prompt_cache"), self._report)
        transforms = self.transforms
        if route.transforms:
            added = compile_transforms(route.transforms, (*path, "transforms"), self._report)
            transforms = Transforms(
                (*transforms.request, *added.request),
                (*transforms.response, *added.response),
                (*transforms.stream, *added.stream),
            )
        return RoutePolicies(reasoning, prompt_cache, transforms, usage=self.usage)

    def of_provider(self, own: Headers | None, path: KeyPath) -> HeaderPolicy:
        """The headers for the provider at ``path``."""
        return self.headers if own is None else header_policy(own, (*path, "headers"), self._report)

    def _common_reasoning(self, config: Config) -> tuple[Reasoning, dict[str, KeyPath]]:
        """What `[reasoning]` says, or `[server]` in the words it has for it; and where each is said."""
        values: dict[str, object] = {}
        places: dict[str, KeyPath] = {}
        usual = Reasoning()
        for name, key in _SERVER_KEYS.items():
            here, there = getattr(config.reasoning, name), getattr(config.server, key)
            places[name] = ("reasoning", name)
            values[name] = here
            if there is None:
                continue
            if here != getattr(usual, name):
                self._report.error(("server", key), f"reasoning.{name} says it too", "keep one of them")
            places[name], values[name] = ("server", key), there
        return Reasoning(**values), places  # type: ignore[arg-type]  # each comes from a field of the same type


def _reasoning(found: Reasoning, places: Mapping[str, KeyPath], report: Report) -> ReasoningPolicy:
    default, maximum = _effort(found.default_effort), _effort(found.max_effort)
    if found.policy == "cap":
        if maximum is None and report.accepted(places["max_effort"]):
            report.error(places["policy"], '"cap" without an effort to cap at', "set the maximum effort too")
        elif default is not None and maximum is not None and rank(default) > rank(maximum):
            report.warn(places["default_effort"], f"above the maximum, so {maximum} is sent", "make it smaller")
    elif found.policy == "preserve" and default is not None:
        report.warn(places["default_effort"], 'not used, because the policy is "preserve"', "leave it out")
    elif found.policy == "fill_missing" and maximum is not None:
        report.warn(places["max_effort"], 'not used, because the policy is "fill_missing"', 'write "cap"')
    return ReasoningPolicy(ReasoningMode(found.policy), default, maximum)


def _effort(word: str | None) -> str | None:
    return "xhigh" if word == "x_high" else word


def _prompt_cache(found: PromptCache, path: KeyPath, report: Report) -> PromptCachePolicy:
    key = found.openai_prompt_cache_key.strip()
    at = (*path, "openai_prompt_cache_key")
    if report.accepted(at) and (len(key) > MAX_PREFIX or _VISIBLE.fullmatch(key) is None):
        report.error(at, f"expected up to {MAX_PREFIX} visible ASCII characters", "shorten it: a digest follows it")
    if found.log_relocated_system_text:
        report.warn(
            (*path, "log_relocated_system_text"),
            "not done: prompts are in no line of the log",
            "leave it out; [request_log] writes whole requests",
        )
    for n, prefix in enumerate(found.strip_system_line_prefixes):
        if not prefix.strip():
            report.error((*path, "strip_system_line_prefixes", n), "empty: every line begins so", "leave it out")
    return PromptCachePolicy(
        breakpoints=found.auto_inject_anthropic_cache_control,
        system=found.cache_system,
        tools=found.cache_tools,
        last_user=found.cache_last_user_message,
        ttl=found.anthropic_cache_ttl,
        key=key or None,
        retention=found.openai_prompt_cache_retention or None,
        strip_prefixes=tuple(prefix.strip() for prefix in found.strip_system_line_prefixes),
        relocate=_range(found.relocate_system_prefix_range, (*path, "relocate_system_prefix_range"), report),
        same_dialect=found.same_dialect,
    )


def _range(text: str | None, path: KeyPath, report: Report) -> tuple[int, int] | None:
    if text is None or not report.accepted(path):
        return None
    found = _RANGE.fullmatch(text.strip())
    if found is None or int(found[1]) >= int(found[2]):
        report.error(path, "expected start..end, the end above the start", 'as in "0..120"')
        return None
    return int(found[1]), int(found[2])


def header_policy(found: Headers, path: KeyPath, report: Report) -> HeaderPolicy:
    """``found``, which stands at ``path``. Faults go to ``report``; values are never quoted."""
    listed = found.mode in ("whitelist", "blacklist")
    if listed and not found.names and report.accepted((*path, "names")):
        report.error((*path, "names"), f'empty, and mode is "{found.mode}"', 'name headers, or write mode = "none"')
    if not listed and found.names:
        report.warn((*path, "names"), f'not used, because mode is "{found.mode}"', "leave it out")
    for key, patterns in (("names", found.names), ("drop", found.drop)):
        for n, pattern in enumerate(patterns):
            plain = pattern[:-1] if pattern.endswith("*") else pattern
            why = fields.fault(plain or "x", forward=True)
            # Of what never goes anyway only a list of what shall go is wrong.
            if why is not None and ((key == "names" and found.mode == "whitelist") or "not the name" in why):
                report.error((*path, key, n), why, "leave it out")
    for key, pairs in (("force", found.force), ("add", found.add)):
        for name, value in pairs.items():
            if (why := fields.fault(name, value)) is not None:
                report.error((*path, key, name), why, "leave it out" if "line end" not in why else "mend the value")
    agent = found.user_agent
    if agent is not None and fields.fault("user-agent", agent) is not None:
        report.error((*path, "user_agent"), "a line end or another control character in it", "leave it out")
    return HeaderPolicy(
        HeaderMode(found.mode),
        _lower(found.names),
        tuple((name.lower(), value) for name, value in found.force.items()),
        tuple((name.lower(), value) for name, value in found.add.items()),
        _lower(found.drop),
        tuple(word.strip() for word in found.anthropic_beta if word.strip()),
        f"ferryllm/{__version__}" if agent == "" else agent,
    )


def _lower(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def _cors(found: Cors, report: Report, *, keys: bool) -> CorsPolicy:
    for n, origin in enumerate(found.allow_origins):
        if (why := pages.fault(origin)) is not None:
            report.error(("cors", "allow_origins", n), why)
    if found.allow_credentials and "*" in found.allow_origins:
        report.error(("cors", "allow_credentials"), 'not with the origin "*"', "name the origins")
    if "*" in found.allow_origins and not keys:
        report.warn(
            ("cors", "allow_origins"),
            "without keys every page that anybody here opens can use the providers' keys",
            "name the pages, or set auth.enabled = true",
        )
    for key in ("allow_methods", "allow_headers", "expose_headers"):
        for n, name in enumerate(getattr(found, key)):
            if fields.fault(name) == "not the name of a header":
                report.error(("cors", key, n), "not a name", "as in GET, or x-request-id")
    return CorsPolicy(
        found.allow_origins,
        tuple(method.upper() for method in found.allow_methods),
        _lower(found.allow_headers),
        _lower(found.expose_headers),
        found.allow_credentials,
        found.max_age_secs,
    )
