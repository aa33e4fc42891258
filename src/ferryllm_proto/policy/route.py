"""The policies of one route together: what an attempt at a provider is prepared with."""

from __future__ import annotations

import msgspec

from .headers import NO_HEADERS, HeaderPolicy
from .prompt_cache import NO_PROMPT_CACHE, PromptCachePolicy
from .reasoning import PRESERVE, ReasoningPolicy
from .transforms import NO_TRANSFORMS, Transforms


class RoutePolicies(msgspec.Struct, frozen=True):
    """The default changes nothing."""

    reasoning: ReasoningPolicy = PRESERVE
    prompt_cache: PromptCachePolicy = NO_PROMPT_CACHE
    transforms: Transforms = NO_TRANSFORMS
    headers: HeaderPolicy = NO_HEADERS
    """Set for each attempt: they are the provider's."""
    usage: bool = False
    """Whether requests for Chat streams that pass through ask for the usage too (see `stream_usage`)."""

    def at(self, headers: HeaderPolicy) -> RoutePolicies:
        """These policies for an attempt at a provider with ``headers``."""
        return self if headers is NO_HEADERS else msgspec.structs.replace(self, headers=headers)

    def plain(self) -> RoutePolicies:
        """The same, with what does nothing by the name that says so: every request looks for the names."""
        found = RoutePolicies(
            PRESERVE if self.reasoning.idle else self.reasoning,
            NO_PROMPT_CACHE if self.prompt_cache.idle else self.prompt_cache,
            NO_TRANSFORMS if self.transforms == NO_TRANSFORMS else self.transforms,
            NO_HEADERS if self.headers == NO_HEADERS else self.headers,
            self.usage,
        )
        return NO_POLICIES if found == NO_POLICIES else found


NO_POLICIES = RoutePolicies()
