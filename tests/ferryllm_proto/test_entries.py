"""The doors: methods and paths."""

from __future__ import annotations

import pytest

from ferryllm_proto.entries import Entry, Forward, NoEntry, Operation, find, model_id

VERSION = [("Anthropic-Version", "2023-06-01")]


@pytest.mark.parametrize(
    ("method", "path", "operation", "dialect"),
    [
        ("POST", "/v1/chat/completions", Operation.GENERATE, "openai"),
        ("POST", "/chat/completions", Operation.GENERATE, "openai"),
        ("POST", "/v1/responses", Operation.GENERATE, "openai_responses"),
        ("POST", "/responses", Operation.GENERATE, "openai_responses"),
        ("POST", "/v1/v1/responses", Operation.GENERATE, "openai_responses"),
        ("POST", "/v1/messages", Operation.GENERATE, "anthropic"),
        ("POST", "/v1/messages/", Operation.GENERATE, "anthropic"),
        ("POST", "/v1/messages/count_tokens", Operation.COUNT_TOKENS, "anthropic"),
        ("GET", "/v1/responses", Operation.SOCKET, "openai_responses"),
        ("GET", "/v1/models", Operation.MODELS, "openai"),
        ("GET", "/v1/models/gpt-5.4", Operation.MODEL, "openai"),
        ("GET", "/v1/models/meta/llama-3", Operation.MODEL, "openai"),
        ("GET", "/health", Operation.HEALTH, "openai"),
        ("GET", "/healthz", Operation.HEALTH, "openai"),
        ("HEAD", "/readyz", Operation.READY, "openai"),
        ("HEAD", "/", Operation.ROOT, "openai"),
        ("GET", "/", Operation.ROOT, "openai"),
    ],
)
def test_a_known_path_opens_its_door(method: str, path: str, operation: Operation, dialect: str) -> None:
    entry = find(method, path, ())
    assert isinstance(entry, Entry)
    assert (entry.operation, entry.dialect) == (operation, dialect)


def test_m4_models_come_in_the_shape_of_the_asking_client() -> None:
    for path in ("/v1/models", "/v1/models/x"):
        entry = find("GET", path, VERSION)
        assert isinstance(entry, Entry)
        assert entry.dialect == "anthropic"


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz", "/"])
def test_only_health_and_root_need_no_key(path: str) -> None:
    entry = find("GET", path, ())
    assert isinstance(entry, Entry)
    assert entry.public


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/keys/a/rotate"])
def test_the_admin_api_asks_for_its_own_key_and_has_no_version(path: str) -> None:
    for method in ("GET", "POST", "PATCH", "DELETE"):
        entry = find(method, path, ())
        assert isinstance(entry, Entry)
        assert (entry.operation, entry.public) == (Operation.ADMIN, True)
    assert find("GET", f"/v1{path}", ()) == NoEntry("openai")
    assert find("GET", "/administrator", ()) == NoEntry("openai")
    assert isinstance(find("PUT", path, ()), NoEntry)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/a", "/v1/responses"])
def test_everything_else_needs_a_key(path: str) -> None:
    entry = find("GET", path, ())
    assert isinstance(entry, Entry)
    assert not entry.public


@pytest.mark.parametrize(
    ("method", "path", "dialect", "allow"),
    [
        ("GET", "/v1/messages", "anthropic", ("POST",)),
        ("DELETE", "/v1/responses", "openai_responses", ("POST", "GET", "HEAD")),
        ("POST", "/v1/models", "openai", ("GET", "HEAD")),
        ("POST", "/v1/nothing", "openai", ()),
        ("GET", "/v1/models/", "openai", ("GET", "HEAD")),
        ("GET", "/v1", "openai", ()),
        ("POST", "//v1/messages", "openai", ()),
    ],
)
def test_wrong_methods_and_paths_say_what_there_is(
    method: str, path: str, dialect: str, allow: tuple[str, ...]
) -> None:
    entry = find(method, path, ())
    if path == "/v1/models/":  # a trailing slash is the list itself
        assert isinstance(entry, Entry)
        return
    assert entry == NoEntry(dialect, allow)


def test_unknown_paths_answer_in_the_dialect_of_the_asking_client() -> None:
    assert find("GET", "/v1/files", VERSION) == NoEntry("anthropic")


def test_a_models_name_may_hold_slashes() -> None:
    assert model_id("/v1/models/meta-llama/Llama-3:free") == "meta-llama/Llama-3:free"


def test_forwards_are_told_apart_by_their_version() -> None:
    both = (Forward("/v1/files", "one"), Forward("/v1beta/files", "two", "gemini"))
    for path, provider in (
        ("/v1/files", "one"),
        ("/v1beta/files/x", "two"),
        ("/v1/v1/files/x", "one"),
        ("/files", "one"),  # a client that leaves the version to the base URL: the first that fits
    ):
        entry = find("POST", path, (), both)
        assert isinstance(entry, Entry)
        assert entry.provider == provider, path
    assert isinstance(find("POST", "/v1/files", (), both[1:]), NoEntry)
