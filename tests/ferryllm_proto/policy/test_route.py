"""The policies of a route: what does nothing is told by its name."""

from __future__ import annotations

import msgspec
import pytest

from ferryllm_proto.policy.headers import NO_HEADERS, HeaderPolicy
from ferryllm_proto.policy.prompt_cache import NO_PROMPT_CACHE, PromptCachePolicy
from ferryllm_proto.policy.reasoning import PRESERVE, ReasoningMode, ReasoningPolicy
from ferryllm_proto.policy.route import NO_POLICIES, RoutePolicies
from ferryllm_proto.policy.transforms import NO_TRANSFORMS, Transforms


def test_policies_that_do_nothing_become_the_ones_that_are_looked_for() -> None:
    idle = RoutePolicies(
        ReasoningPolicy(ReasoningMode.FILL_MISSING), PromptCachePolicy(ttl="1h"), Transforms(), HeaderPolicy()
    )
    assert idle.plain() is NO_POLICIES
    kept = msgspec.structs.replace(idle, usage=True).plain()
    assert kept == RoutePolicies(usage=True)
    assert (kept.reasoning, kept.prompt_cache) == (PRESERVE, NO_PROMPT_CACHE)
    assert kept.transforms is NO_TRANSFORMS
    assert kept.headers is NO_HEADERS


@pytest.mark.parametrize(
    "policies",
    [
        RoutePolicies(ReasoningPolicy(ReasoningMode.FILL_MISSING, "low")),
        RoutePolicies(prompt_cache=PromptCachePolicy(key="k")),
        RoutePolicies(headers=HeaderPolicy(drop=("a",))),
        RoutePolicies(usage=True),
    ],
)
def test_policies_that_do_something_stay_as_they_are(policies: RoutePolicies) -> None:
    assert policies.plain() == policies
