"""A configuration that is read again: as a whole, and its providers' keys alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Secret
from ferryllm_net.config.configuration import Configuration

CONFIG = """
[server]
listen = "127.0.0.1:0"
[[providers]]
name = "a"
type = "openai"
base_url = "http://127.0.0.1:9"
api_key_file = "a.key"
[[providers]]
name = "b"
type = "anthropic"
base_url = "http://127.0.0.1:9"
key_watch = [{ file = "b.json", path = "key", url_path = "url" }]
[models.c]
backend_type = "openai"
endpoint = "http://127.0.0.1:9"
api_key = "written-there"
"""


def put(path: Path, text: str) -> None:
    """As programs write keys: a new file, renamed over the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(path)


def prepared(folder: Path, **flags: str) -> Configuration:
    put(folder / "f.toml", CONFIG)
    put(folder / "a.key", "first-key-of-a")
    put(folder / "b.json", '{"key": "first-key-of-b"}')
    return Configuration(folder / "f.toml", {}, text=None, **flags)


def test_the_command_line_counts_at_every_load(tmp_path: Path) -> None:
    configuration = prepared(tmp_path, listen="127.0.0.1:4321", log_level="warn")
    for _ in range(2):
        settings = configuration.load()
        assert (str(settings.server.listen), settings.logging.level) == ("127.0.0.1:4321", "warn")
        put(tmp_path / "f.toml", CONFIG.replace(":0", ":1"))


def test_keys_alone_are_read_again_whatever_has_become_of_the_rest(tmp_path: Path) -> None:
    configuration = prepared(tmp_path)
    before = configuration.load()
    put(tmp_path / "f.toml", "[server\nthis is no configuration")
    put(tmp_path / "a.key", "next-key-of-a")
    put(tmp_path / "b.json", '{"key": "next-key-of-b", "url": "http://127.0.0.1:10/v1"}')
    with pytest.raises(ConfigError):
        configuration.load()
    after, problems = configuration.refresh(before)
    assert problems == ()
    assert after.provider("a").api_key == Secret("next-key-of-a")
    assert after.provider("b").api_key == Secret("next-key-of-b")
    assert after.provider("b").base_url == "http://127.0.0.1:10/v1"
    assert [provider.name for provider in after.providers] == [provider.name for provider in before.providers]
    assert after.routes == before.routes
    old, new = ({file.path: file.stamp for file in one.files} for one in (before, after))
    assert old.keys() == new.keys()
    assert {Path(path).name for path in old if old[path] != new[path]} == {"a.key", "b.json"}


def test_a_key_that_can_not_be_read_leaves_its_provider_and_spares_the_others(tmp_path: Path) -> None:
    configuration = prepared(tmp_path)
    before = configuration.load()
    put(tmp_path / "a.key", " ")
    put(tmp_path / "b.json", '{"key": "next-key-of-b"}')
    after, problems = configuration.refresh(before)
    assert [problem.key for problem in problems] == ["providers[0].api_key_file"]
    assert after.provider("a") == before.provider("a")
    assert after.provider("b").api_key == Secret("next-key-of-b")
    assert [provider.name for provider in after.providers] == [provider.name for provider in before.providers]


def test_a_text_that_is_given_counts_for_the_first_load(tmp_path: Path) -> None:
    prepared(tmp_path)
    text = CONFIG.replace("127.0.0.1:0", "127.0.0.1:5")
    configuration = Configuration(tmp_path / "f.toml", {}, text=text)
    assert configuration.text is None
    assert configuration.load().server.listen.port == 5
    assert configuration.text == text
    assert configuration.load().server.listen.port == 0
    assert configuration.text == CONFIG
    put(tmp_path / "f.toml", "[server\n")
    with pytest.raises(ConfigError):
        configuration.load()
    assert configuration.text == CONFIG, "what counts"


def test_the_environment_alone_is_a_configuration_too() -> None:
    configuration = Configuration(None, {"OPENAI_API_KEY": "sk-of-the-environment"})
    settings = configuration.load()
    assert (settings.source, settings.files) == (None, ())
    assert configuration.refresh(settings) == (settings, ())
