"""Single fields against the schema: every fault of a document at once, in words that mend it."""

from __future__ import annotations

import pytest
import tomli

from ferryllm_net.config.problems import Problem, Report, key_text
from ferryllm_net.config.schema import Config, Server
from ferryllm_net.config.validate import validate

PROVIDER = '[[providers]]\nname = "a"\ntype = "openai"\nbase_url = "https://x"\n'


def check(text: str) -> tuple[Config, list[Problem]]:
    report = Report(lambda path: ("f", None, key_text(path)))
    config = validate(tomli.loads(text), report)
    return config, list(report.problems)


def only(text: str) -> Problem:
    _, problems = check(text)
    assert len(problems) == 1, problems
    return problems[0]


def test_an_empty_document_is_all_defaults() -> None:
    config, problems = check("")
    assert (config, problems) == (Config(), [])


def test_good_values_arrive() -> None:
    config, problems = check("[server]\nidle_timeout_secs = 2\nbody_limit_mb = 1\n" + PROVIDER)
    assert problems == []
    assert config.server.idle_timeout_secs == 2.0
    assert config.providers[0].name == "a"


def test_one_fault_does_not_hide_the_next() -> None:
    config, problems = check('[server]\nlisten = 1\nbody_limit_mb = "x"\nidle_timeout_secs = 0\nfoo = 1\n')
    assert [problem.key for problem in problems] == [
        "server.listen",
        "server.body_limit_mb",
        "server.idle_timeout_secs",
        "server.foo",
    ]
    assert config.server == Server()


def test_an_array_of_numbers_is_not_called_one_of_texts() -> None:
    problem = only('[retry]\nstatuses = ["5xx"]')
    assert problem.message.startswith("expected an array of whole numbers from 400 to 599, found")


@pytest.mark.parametrize(
    ("line", "message", "mend"),
    [
        ("body_limit_mb = true", "expected a whole number from 1 to 1024, found true", ""),
        ("body_limit_mb = 0", "expected a whole number from 1 to 1024, found 0", ""),
        ("body_limit_mb = 1.5", "expected a whole number from 1 to 1024, found 1.5", ""),
        ('body_limit_mb = "32"', 'found "32"', "without quotes"),
        ("idle_timeout_secs = nan", "expected a number above 0, up to 86400, found nan", ""),
        ("total_timeout_secs = inf", "expected a number above 0, up to 86400", ""),
        ("idle_timeout_secs = -1", "found -1", ""),
        ("idle_timeout_secs = [1]", "found an array", ""),
        ("idle_timeout_secs = 12:00:00", "found a time", ""),
        ("idle_timeout_secs = 2026-01-01", "found a date", ""),
        ("idle_timeout_secs = {a = 1}", "found a table", ""),
        ("listen = 3000", "expected a text or an array of texts, found 3000", "between quotes"),
        ('check_providers = "False"', "expected true or false", "write check_providers = false"),
        ('check_providers = "maybe"', 'found "maybe"', ""),
        ('check_providers = "a\\u001b"', "found a text", ""),
    ],
)
def test_a_wrong_value_is_answered_with_found_expected_and_mend(line: str, message: str, mend: str) -> None:
    problem = only("[server]\n" + line)
    assert message in problem.message
    assert mend in problem.mend
    assert bool(mend) == bool(problem.mend)


def test_a_wrong_choice_lists_the_choices_in_their_order_and_the_nearest() -> None:
    problem = only('[logging]\nlevel = "warning"')
    assert problem.message == 'expected one of "trace", "debug", "info", "warn", "error", found "warning"'
    assert problem.mend == 'did you mean "warn"?'


@pytest.mark.parametrize("name", ["gemeni", "bedrock"])
def test_a_dialect_that_does_not_exist_is_answered_with_those_that_do(name: str) -> None:
    problem = only(PROVIDER.replace("openai", name))
    assert problem.key == "providers[0].type"
    assert '"openai", "openai_responses", "anthropic", "gemini", "ollama"' in problem.message


@pytest.mark.parametrize(
    ("text", "key", "what", "mend"),
    [
        ("[server]\nlisen = 1", "server.lisen", "unknown key", "did you mean listen?"),
        ("[sockets]\nenabled = true", "sockets", "unknown table", "known here: server, logging"),
        ("[[provider]]\nname = 1", "provider", "unknown table", "did you mean providers?"),
        ("base_url = 1", "base_url", "unknown key", "it belongs to [[providers]]"),
        ("drain_timeout_secs = 1", "drain_timeout_secs", "unknown key", "it belongs to [server]"),
        ("[server]\nauto_scale = 2", "server.auto_scale", "unknown key", "known here: listen,"),
        (PROVIDER + "api_key_fil = 1", "providers[0].api_key_fil", "unknown key", "did you mean api_key_"),
    ],
)
def test_an_unknown_key_is_refused_with_the_way_out(text: str, key: str, what: str, mend: str) -> None:
    problem = only(text)
    assert (problem.key, problem.message) == (key, what)
    assert problem.mend.startswith(mend)


def test_missing_required_keys_are_each_named() -> None:
    config, problems = check("[[providers]]\n[[routes]]\n")
    assert [(problem.key, problem.message) for problem in problems] == [
        ("providers[0].name", "missing"),
        ("providers[0].type", "missing"),
        ("providers[0].base_url", "missing"),
        ("routes[0].match", "missing"),
    ]
    assert problems[1].mend == 'add type = "openai"'
    assert config.providers[0].name == ""


def test_a_table_in_place_of_an_array_of_tables_is_checked_all_the_same() -> None:
    _, problems = check('[providers]\nname = "a"\ntype = "openai"\nbase = "https://x"')
    assert [problem.key for problem in problems] == ["providers", "providers[0].base", "providers[0].base_url"]
    assert problems[0].mend == "write [[providers]]"


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("server = 3", "server", "expected a table, found 3"),
        ('providers = "x"', "providers", 'expected an array of tables, found "x"'),
        ('routes = ["x"]', "routes[0]", 'expected a table, found "x"'),
    ],
)
def test_other_things_in_place_of_tables_are_named(text: str, key: str, message: str) -> None:
    problem = only(text)
    assert (problem.key, problem.message) == (key, message)


def test_a_key_of_the_wrong_type_is_not_shown() -> None:
    problem = only(PROVIDER + "api_key = 4711471147114711")
    assert "4711" not in str(problem)
    assert problem.message == "expected a text, found a whole number"


def test_long_values_are_described_not_quoted() -> None:
    assert only(f'[logging]\nlevel = "{"x" * 61}"').message.endswith("found a text")
