"""Paths that go to a provider as they are: checked for what would surprise, sorted so that the longest counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config.problems import Report, key_text
from ferryllm_net.config.resolve import resolve
from ferryllm_net.config.schema import Config, Passthrough, Provider
from ferryllm_net.config.settings import PassthroughSettings, Settings

A = Provider("a", "openai_responses", "https://a.example/v1")
B = Provider("b", "anthropic", "https://b.example")


def resolved(*wanted: Passthrough) -> tuple[Settings, str]:
    report = Report(lambda path: ("f", None, key_text(path)))
    config = Config(providers=(A, B), passthrough=wanted)
    settings = resolve(config, {}, Path("/"), report)
    return settings, "\n".join(str(problem) for problem in report.problems if "routes" not in str(problem))


def test_the_longest_path_comes_first_and_errors_speak_the_providers_language() -> None:
    settings, text = resolved(
        Passthrough("/v1/files/", "b"),
        Passthrough("/v1/files/special", "a"),
        Passthrough("/v1/images", "b", "openai"),
    )
    assert text == ""
    assert settings.passthrough == (
        PassthroughSettings("/v1/files/special", "a", "openai"),
        PassthroughSettings("/v1/images", "b", "openai"),
        PassthroughSettings("/v1/files", "b", "anthropic"),
    )


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("images", "expected a path"),
        ("https://a.example/v1/images", "expected a path"),
        ("/v1/images?x=1", "not a plain path"),
        ("/v1/im ages", "not a plain path"),
        ("/v1/%2e%2e", "not a plain path"),
        ("/v1/../x", "a segment that is empty or dots alone"),
        ("/v1//x", "a segment that is empty or dots alone"),
        ("/", "not a plain path"),
        ("/v1", "every path of a version"),
        ("/api/", "every path of a version"),
        ("", "expected a path"),
    ],
)
def test_what_is_no_path_of_its_own_is_refused(path: str, found: str) -> None:
    text = resolved(Passthrough(path, "a"))[1]
    assert f"passthrough[0].path: {found}" in text


def test_a_provider_that_is_not_there_is_named_with_those_that_are() -> None:
    text = resolved(Passthrough("/v1/images", "c"))[1]
    assert 'passthrough[0].provider: no provider is called "c"; there are: "a", "b"' in text


def test_one_path_has_one_provider() -> None:
    text = resolved(Passthrough("/v1/images", "a"), Passthrough("/v1/images/", "b"))[1]
    assert "passthrough[1].path: the same path as passthrough[0]" in text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/health", "/api/tags"])
def test_a_path_the_gateway_answers_itself_is_a_warning(path: str) -> None:
    text = resolved(Passthrough(path, "a"))[1]
    assert "warning: passthrough[0].path: the gateway answers" in text
