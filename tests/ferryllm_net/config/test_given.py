"""References to the environment, and variables that stand over keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ferryllm_net.config import ConfigError, Settings, default_settings, load_settings
from ferryllm_net.config.given import Given, Overrides, substitute
from ferryllm_net.config.problems import Report, key_text

SECRET = "sk-live-0123456789abcdef"


def report() -> Report:
    return Report(lambda path: ("f.toml", 7, key_text(path)))


def load(folder: Path, text: str, environ: dict[str, str], name: str = "f.toml") -> Settings:
    path = folder / name
    path.write_text(text)
    path.chmod(0o644)
    return load_settings(path, environ)


def problems(folder: Path, text: str, environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environ)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


PROVIDER = '[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "${BASE:-https://a.example/v1}"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("x${A}y${A}", "xoneyone"),
        ("${NONE:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("${NONE:-https://h:1/x-y}", "https://h:1/x-y"),
        ("$${A}", "${A}"),
        ("$A $ $$ 5$", "$A $ $$ 5$"),
    ],
)
def test_references_are_replaced(text: str, expected: str) -> None:
    found = report()
    out = substitute({"t": [{"k": text}], "n": 1}, {"A": "one", "EMPTY": ""}, found)
    assert out == {"t": [{"k": expected}], "n": 1}
    assert found.problems == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [("${NONE}", "the environment variable NONE is not set"), ("${A", "${ without the end"), ("${-x}", "${ without")],
)
def test_what_can_not_be_replaced_names_file_key_and_variable(text: str, what: str) -> None:
    found = report()
    substitute({"server": {"listen": text}}, {"A": SECRET}, found)
    (problem,) = found.problems
    assert str(problem).startswith(f"f.toml:7: server.listen: {what}")
    assert SECRET not in str(problem)


def test_the_value_of_a_variable_is_not_read_again() -> None:
    assert substitute({"k": "${A}"}, {"A": "${B}"}, report()) == {"k": "${B}"}


def test_a_reference_becomes_what_its_field_wants(tmp_path: Path) -> None:
    text = '[server]\nbody_limit_mb = "${MB}"\nhttp2 = "${H2:-false}"\nidle_timeout_secs = "${IDLE}"\n' + PROVIDER
    settings = load(tmp_path, text, {"MB": "7", "IDLE": "1.5"})
    assert settings.server.body_limit_bytes == 7 << 20
    assert settings.server.http2 is False
    assert settings.providers[0].timeouts.idle_secs == 1.5


def test_a_wrong_value_from_the_environment_is_reported_without_being_shown(tmp_path: Path) -> None:
    text = '[server]\nbody_limit_mb = "${MB}"\n[logging]\nformat = "${F}"\n' + PROVIDER
    found = problems(tmp_path, text, {"MB": SECRET, "F": SECRET})
    assert [line.partition(" (")[0] for line in found] == [
        "f.toml:2: server.body_limit_mb: expected a whole number from 1 to 1024, found a text",
        'f.toml:4: logging.format: expected one of "text", "json", found a text',
    ]


def test_a_key_from_the_environment_is_no_key_in_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, PROVIDER + 'api_key = "${KEY}"', {"KEY": SECRET})
    assert settings.providers[0].api_key is not None
    assert settings.providers[0].api_key.reveal() == SECRET
    assert not [one for one in settings.warnings if "every user" in one.message]
    written = load(tmp_path, PROVIDER + f'api_key = "{SECRET}"', {})
    assert [one for one in written.warnings if "every user" in one.message]


def test_variables_stand_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    environ = {
        "FERRYLLM_SERVER__LISTEN": "127.0.0.1:4000",
        "FERRYLLM_SERVER__BODY_LIMIT_MB": "3",
        "FERRYLLM_SERVER__HTTP2": "false",
        "FERRYLLM_PROVIDERS__0__BASE_URL": "https://b.example",
        "FERRYLLM_PROVIDERS__1": '{"name": "q", "type": "anthropic", "base_url": "https://q.example"}',
        "FERRYLLM_CORS__ALLOW_ORIGINS": "https://a.example, https://b.example",
        "FERRYLLM_PROMPT_CACHE__STRIP_SYSTEM_LINE_PREFIXES": '["a,b"]',
        "FERRYLLM_CONFIG": "elsewhere",
        "FERRYLLM_API_KEYS": "no key of the file",
    }
    path = tmp_path / "f.toml"
    path.write_text('[server]\nlisten = "127.0.0.1:3000"\n' + PROVIDER)
    settings = load_settings(path, environ)
    assert str(settings.server.listen) == "127.0.0.1:4000"
    assert settings.server.body_limit_bytes == 3 << 20
    assert settings.server.http2 is False
    assert [one.base_url for one in settings.providers] == ["https://b.example", "https://q.example"]
    assert settings.cors.origins == ("https://a.example", "https://b.example")
    assert settings.routes[0].policies.prompt_cache.strip_prefixes == ("a,b",)
    assert str(load_settings(path, environ, listen="127.0.0.1:5000").server.listen) == "127.0.0.1:5000"


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("FERRYLLM_SERVER__LISEN", "x", "unknown key (did you mean listen?)"),
        ("FERRYLLM_SEVER__LISTEN", "x", "unknown table (did you mean server?)"),
        ("FERRYLLM_SERVER__HTTP2", "maybe", "expected true or false, found a text"),
        ("FERRYLLM_PROVIDERS__4__NAME", "x", "no item 4 there (count from 0, and leave no gap)"),
        ("FERRYLLM_PROVIDERS__0__NAME__X", "x", "what stands at name is no table (check the variable's name)"),
        ("FERRYLLM_SERVER__LISTEN__0", "x", "no item 0 there (count from 0, and leave no gap)"),
    ],
)
def test_a_variable_that_fits_nowhere_is_reported_by_its_name(
    tmp_path: Path, variable: str, value: str, what: str
) -> None:
    text = '[server]\nlisten = "127.0.0.1:3000"\n' + PROVIDER
    assert problems(tmp_path, text, {variable: value}) == [f"environment: {variable}: {what}"]


def test_variables_work_without_a_file_too() -> None:
    settings = default_settings({"FERRYLLM_SERVER__LISTEN": "127.0.0.1:4001", "OPENAI_API_KEY": SECRET})
    assert str(settings.server.listen) == "127.0.0.1:4001"
    assert not settings.demo
    assert default_settings({"FERRYLLM_LOGGING__LEVEL": "debug"}).demo


def test_names_that_the_owner_chose_are_found_however_they_are_written() -> None:
    document: dict[str, Any] = {"models": {"gpt-4.1": {"endpoint": "https://a.example"}}}
    out = Overrides({"FERRYLLM_MODELS__GPT_4_1__ENDPOINT": "https://b.example"}).apply(document, report())
    assert out == {"models": {"gpt-4.1": {"endpoint": Given("https://b.example")}}}
    assert document["models"]["gpt-4.1"]["endpoint"] == "https://a.example"
