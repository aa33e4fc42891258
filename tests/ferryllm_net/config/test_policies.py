"""Policies from the file to the values that the machines decide with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Settings, load_settings
from ferryllm_proto import __version__
from ferryllm_proto.policy.headers import HeaderMode, HeaderPolicy
from ferryllm_proto.policy.prompt_cache import PromptCachePolicy
from ferryllm_proto.policy.reasoning import ReasoningMode, ReasoningPolicy

PROVIDER = '\n[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "https://a.example/v1"\n'
ROUTE = '\n[[routes]]\nmatch = "*"\nprovider = "p"\n'


def load(folder: Path, text: str) -> Settings:
    path = folder / "f.toml"
    path.write_text(text)
    return load_settings(path, {})


def problems(folder: Path, text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [(one.key, one.message) for one in caught.value.problems]


def test_what_stands_when_nothing_is_said(tmp_path: Path) -> None:
    (route,) = load(tmp_path, PROVIDER).routes
    assert route.policies.reasoning.idle
    assert route.policies.prompt_cache == PromptCachePolicy(breakpoints=True, key="ferryllm")
    assert not route.policies.prompt_cache.same_dialect


@pytest.mark.parametrize(
    "text",
    [
        '[reasoning]\npolicy = "cap"\ndefault_effort = "low"\nmax_effort = "x_high"\n',
        '[server]\nreasoning_policy = "cap"\ndefault_reasoning_effort = "low"\nmax_reasoning_effort = "xhigh"\n',
    ],
)
def test_reasoning_is_said_in_its_table_or_in_the_servers(tmp_path: Path, text: str) -> None:
    (route,) = load(tmp_path, text + PROVIDER).routes
    assert route.policies.reasoning == ReasoningPolicy(ReasoningMode.CAP, "low", "xhigh")


def test_a_route_says_what_is_different_for_it(tmp_path: Path) -> None:
    text = (
        '[reasoning]\npolicy = "cap"\nmax_effort = "high"\n'
        + PROVIDER
        + ROUTE
        + 'max_reasoning_effort = "low"\n[routes.prompt_cache]\nopenai_prompt_cache_key = ""\n'
        + '\n[[routes]]\nmatch = "x"\nprovider = "p"\nreasoning_policy = "preserve"\n'
    )
    first, second = load(tmp_path, text).routes
    assert first.policies.reasoning == ReasoningPolicy(ReasoningMode.CAP, None, "low")
    assert first.policies.prompt_cache.key is None
    assert second.policies.reasoning.idle
    assert second.policies.prompt_cache.key == "ferryllm"


def test_every_key_of_the_prompt_cache_has_its_place(tmp_path: Path) -> None:
    text = """
[prompt_cache]
auto_inject_anthropic_cache_control = false
cache_system = false
cache_tools = false
cache_last_user_message = false
anthropic_cache_ttl = "1h"
openai_prompt_cache_key = "team"
openai_prompt_cache_retention = "24h"
relocate_system_prefix_range = "3..70"
strip_system_line_prefixes = [" note: "]
same_dialect = true
"""
    (route,) = load(tmp_path, text + PROVIDER).routes
    assert route.policies.prompt_cache == PromptCachePolicy(
        False, False, False, False, "1h", "team", "24h", ("note:",), (3, 70), True
    )


def test_a_providers_headers_stand_in_place_of_the_common_ones(tmp_path: Path) -> None:
    text = (
        '[headers]\nmode = "whitelist"\nnames = ["X-Trace*"]\nanthropic_beta = ["a"]\nuser_agent = ""\n'
        + PROVIDER
        + PROVIDER.replace('"p"', '"q"')
        + '[providers.headers]\nforce = { "X-Team" = "blue" }\nadd = {"x-a" = "1"}\ndrop = ["X-B"]\n'
        + ROUTE
    )
    first, second = load(tmp_path, text).providers
    assert first.headers == HeaderPolicy(
        HeaderMode.WHITELIST, ("x-trace*",), beta=("a",), user_agent=f"ferryllm/{__version__}"
    )
    assert second.headers == HeaderPolicy(force=(("x-team", "blue"),), add=(("x-a", "1"),), drop=("x-b",))


def test_pages_are_named(tmp_path: Path) -> None:
    text = '[cors]\nallow_origins = ["https://app.example.com"]\nallow_methods = ["post"]\nallow_credentials = true\n'
    cors = load(tmp_path, text + PROVIDER).cors
    assert (cors.origins, cors.methods, cors.credentials) == (("https://app.example.com",), ("POST",), True)


def test_everything_wrong_with_policies_comes_at_once(tmp_path: Path) -> None:
    text = """
[server]
max_reasoning_effort = "low"
[reasoning]
policy = "cap"
default_effort = "hihg"
max_effort = "high"
[prompt_cache]
openai_prompt_cache_key = "0123456789012345678901234567890123456789"
relocate_system_prefix_range = "9..3"
strip_system_line_prefixes = ["  "]
[headers]
mode = "whitelist"
names = ["Authorization", "x y"]
force = { host = "x", "x-a" = "secret\\nvalue" }
[cors]
allow_origins = ["*", "app.example.com"]
allow_credentials = true
[[transforms]]
type = "drop"
path = "$.["
"""
    found = problems(tmp_path, text + PROVIDER)
    assert [key for key, _ in found] == [
        "server.max_reasoning_effort",
        "reasoning.default_effort",
        "prompt_cache.openai_prompt_cache_key",
        "prompt_cache.relocate_system_prefix_range",
        "prompt_cache.strip_system_line_prefixes[0]",
        "headers.names[0]",
        "headers.names[1]",
        "headers.force.host",
        "headers.force.x-a",
        "cors.allow_origins[1]",
        "cors.allow_origins",
        "cors.allow_credentials",
        "transforms[0].path",
    ]
    assert not any("secret" in message for _, message in found)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[reasoning]\npolicy = "preserve"\ndefault_effort = "low"\n', "reasoning.default_effort"),
        ('[reasoning]\npolicy = "fill_missing"\nmax_effort = "low"\n', "reasoning.max_effort"),
        ('[server]\nreasoning_policy = "cap"\nmax_reasoning_effort = "low"\ndefault_reasoning_effort = "max"\n', ""),
        ('[headers]\nnames = ["x-a"]\n', "headers.names"),
        ('[cors]\nallow_origins = ["*"]\n', "cors.allow_origins"),
    ],
)
def test_what_has_no_effect_or_a_bad_one_is_told(tmp_path: Path, text: str, key: str) -> None:
    (warning,) = load(tmp_path, text + PROVIDER).warnings
    assert warning.key == (key or "server.default_reasoning_effort")


def test_a_cap_without_an_effort_is_no_cap(tmp_path: Path) -> None:
    ((key, message),) = problems(tmp_path, '[reasoning]\npolicy = "cap"\n' + PROVIDER)
    assert (key, message) == ("reasoning.policy", '"cap" without an effort to cap at')
