"""From the keys of a provider to the rules of its translators, and what does not fit together."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from ferryllm_net.config import ConfigError, load_settings
from ferryllm_net.config.provider_schema import Vendor
from ferryllm_proto.rules import ModelRule, ProviderRules, Quirks

HEAD = """\
[[providers]]
name = "p"
type = "openai"
base_url = "https://api.deepseek.com/v1"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "f.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def rules(folder: Path, text: str) -> ProviderRules:
    return load_settings(written(folder, text), {}).provider("p").rules


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(folder, text), {})
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_b17_the_vendor_is_told_by_the_base_url(tmp_path: Path) -> None:
    assert rules(tmp_path, HEAD) == ProviderRules("deepseek")
    local = HEAD.replace("https://api.deepseek.com/v1", "http://127.0.0.1:11434")
    assert rules(tmp_path, local) == ProviderRules("ollama")
    assert rules(tmp_path, HEAD.replace("api.deepseek.com", "llm.example.com")) == ProviderRules("generic")


def test_b17_the_vendor_of_the_file_wins(tmp_path: Path) -> None:
    assert rules(tmp_path, HEAD + 'vendor = "vllm"\n') == ProviderRules("vllm")


def test_providers_of_other_protocols_have_no_vendor(tmp_path: Path) -> None:
    assert rules(tmp_path, HEAD.replace('"openai"', '"anthropic"')) == ProviderRules("")


def test_quirks_and_models_arrive_whole(tmp_path: Path) -> None:
    text = """\
[providers.quirks]
max_tokens_field = "max_completion_tokens"
replay_reasoning = "never"
images = true
[[providers.models]]
match = "*"
temperature = false
[[providers.models]]
match = "my-claude"
thinking = "adaptive"
efforts = ["low", "high"]
max_output_tokens = 32000
default_max_tokens = 8192
"""
    assert rules(tmp_path, HEAD + text) == ProviderRules(
        "deepseek",
        (
            ModelRule("", temperature=False),
            ModelRule(
                "my-claude",
                thinking="adaptive",
                efforts=("low", "high"),
                max_output_tokens=32000,
                default_max_tokens=8192,
            ),
        ),
        Quirks(max_tokens_field="max_completion_tokens", replay_reasoning="never", images=True),
    )


def test_every_slip_is_reported_with_its_line_and_mend(tmp_path: Path) -> None:
    text = """\
vendor = "deepsek"
[providers.quirks]
max_token_field = "max_tokens"
tool_content = "strings"
strict = "true"
vendor = "groq"
[[providers.models]]
match = "a*"
efforts = ["low", "ultra"]
temprature = true
[[providers.models]]
default_max_tokens = 0
[[providers.models]]
match = " "
default_max_tokens = 2
max_output_tokens = 1
thinking = "none"
efforts = ["low"]
[[providers.models]]
match = "b"
efforts = "low"
[[providers.models]]
match = "b"
"""
    at = "f.toml:{}: providers[0]."
    assert problems(tmp_path, HEAD + text) == [
        at.format(5)
        + "vendor: expected one of "
        + ", ".join(f'"{name}"' for name in VENDOR_NAMES)
        + ', found "deepsek" (did you mean "deepseek"?)',
        at.format(7) + "quirks.max_token_field: unknown key (did you mean max_tokens_field?)",
        at.format(8) + 'quirks.tool_content: expected one of "string", "text", "image", found "strings" '
        '(did you mean "string"?)',
        at.format(9) + 'quirks.strict: expected true or false, found "true" (write strict = true)',
        at.format(10) + "quirks.vendor: unknown key (it belongs to [[providers]])",
        at.format(12) + 'models[0].match: "*" stands alone or not at all, found "a*" (match a beginning)',
        at.format(13) + "models[0].efforts: expected an array of "
        '"none", "minimal", "low", "medium", "high", "xhigh", "max", found "ultra" in it',
        at.format(14) + "models[0].temprature: unknown key (did you mean temperature?)",
        at.format(15) + 'models[1].match: missing (add match = "...")',
        at.format(16) + "models[1].default_max_tokens: expected a whole number from 1 to 10000000, found 0",
        at.format(18) + 'models[2].match: empty (write match = "*" for every model)',
        at.format(19) + "models[2].default_max_tokens: 2 is more than max_output_tokens, 1 (make it smaller)",
        at.format(22) + 'models[2].efforts: thinking is "none" (leave one of the two out)',
        at.format(25) + "models[3].efforts: expected an array of "
        '"none", "minimal", "low", "medium", "high", "xhigh", "max", found "low" (write efforts = ["low"])',
        at.format(27) + "models[4].match: the same match as models[3] (say everything about these models in one table)",
    ]


VENDOR_NAMES = get_args(Vendor)


def test_vendors_and_quirks_are_of_chat_alone(tmp_path: Path) -> None:
    text = HEAD.replace('"openai"', '"anthropic"') + 'vendor = "openai"\n[providers.quirks]\nimages = true\n'
    assert problems(tmp_path, text) == [
        'f.toml:5: providers[0].vendor: not for a provider of type "anthropic" (leave it out)',
        'f.toml:6: providers[0].quirks: not for a provider of type "anthropic" (leave it out)',
    ]


def test_quirks_and_models_in_the_wrong_form(tmp_path: Path) -> None:
    at = "f.toml:{}: providers[0]."
    assert problems(tmp_path, HEAD + "quirks = 1\nmodels = true\n") == [
        at.format(5) + "quirks: expected a table, found 1 (write it as [providers.quirks])",
        at.format(6) + "models: expected an array of tables, found true (write [[providers.models]] for each)",
    ]
    assert problems(tmp_path, HEAD + '[[providers.models]]\nmatch = "a"\nefforts = ["hihg"]\n')[0].endswith(
        'found "hihg" in it (did you mean "high"?)'
    )
