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


NO_POLICIES = RoutePolicies()
