"""Whole files and whole environments: everything wrong at once, with file and line; what a good one becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Settings, default_settings, load_settings, with_demo
from ferryllm_net.config.load import MAX_FILE
from support.planted import CLIENT_KEY, PROVIDER_KEY, leaks

GOOD = """\
[server]
listen = "127.0.0.1:3000"
[[providers]]
name = "openai"
type = "openai"
base_url = "https://api.openai.com/v1"
api_key_env = "KEY"
"""

ENVIRON = {"KEY": PROVIDER_KEY}

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "config").iterdir())


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "f.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


def load(folder: Path, text: str | bytes, environ: dict[str, str] = ENVIRON) -> Settings:
    return load_settings(written(folder, text), environ)


def problems(folder: Path, text: str | bytes, environ: dict[str, str] = ENVIRON) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environ)
    return [str(problem).replace(str(folder), "") for problem in caught.value.problems]


def test_a_good_file_becomes_settings(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)
    provider = settings.provider("openai")
    assert str(settings.server.listen) == "127.0.0.1:3000"
    assert settings.server.body_limit_bytes == 32 * 1024 * 1024
    assert provider.api_key is not None
    assert provider.api_key.reveal() == PROVIDER_KEY
    assert settings.source == str(tmp_path / "f.toml")
    assert settings.warnings == ()
    assert not settings.demo


def test_every_problem_comes_at_once_with_file_line_key_and_mend(tmp_path: Path) -> None:
    text = """\
[server]
listen = "3000"
body_limit_mb = "32"

[logging]
levle = "info"

[[providers]]
name = "a"
type = "openi"
base_url = "x.example/v1"
api_key_env = "NOPE"

[[providers]]
name = "a"
type = "anthropic"
base_url = "https://x/v1"
api_key_file = "none"

[[routes]]
match = ""
provider = "b"

[auth]
enabled = true
"""
    found = problems(tmp_path, text)
    starts = [
        "/f.toml:2: server.listen: ",
        "/f.toml:3: server.body_limit_mb: ",
        "/f.toml:6: logging.levle: ",
        "/f.toml:10: providers[0].type: ",
        "/f.toml:11: providers[0].base_url: ",
        "/f.toml:12: providers[0].api_key_env: ",
        "/f.toml:15: providers[1].name: ",
        "/f.toml:18: providers[1].api_key_file: ",
        "/f.toml:21: routes[0].match: ",
        "/f.toml:22: routes[0].provider: ",
        "/f.toml:24: auth.api_keys_env: ",
    ]
    assert [line.startswith(start) for line, start in zip(found, starts, strict=True)] == [True] * len(starts), found
    assert all(line.endswith(")") for line in found), "each says what to do"


def test_a_value_of_the_wrong_type_is_reported_once_and_not_checked_further(tmp_path: Path) -> None:
    text = """\
[server]
listen = 1
[auth]
enabled = true
api_keys_env = 1
[[providers]]
name = 1
type = 1
base_url = 1
api_key_env = 1
[[providers]]
name = "b"
type = "openai"
base_url = "https://b"
api_key = 1
ca_file = 1
[[routes]]
match = 1
provider = 1
rewrite_model = 1
"""
    found = problems(tmp_path, text)
    assert [int(line.split(":")[1]) for line in found] == [2, 5, 7, 8, 9, 10, 15, 16, 18, 19, 20]
    assert all(": expected " in line for line in found)


def test_providers_of_the_wrong_type_are_not_also_missing(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "providers = 1")) == 1


def test_secrets_stand_neither_in_settings_nor_in_problems(tmp_path: Path) -> None:
    text = GOOD + '[auth]\nenabled = true\napi_keys_env = "KEYS"\n'
    settings = load(tmp_path, text, {"KEY": PROVIDER_KEY, "KEYS": CLIENT_KEY})
    assert leaks(repr(settings)) == []
    broken = text.replace("https://", f"https://user:{PROVIDER_KEY}@").replace('"KEYS"', f'"{CLIENT_KEY}"')
    assert leaks("\n".join(problems(tmp_path, broken))) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[server\n", "/f.toml:1: not TOML: "),
        (b"a = 1\na = 2\n", "not TOML: "),
        (b"\n\nkey = \xff\n", "/f.toml:3: not UTF-8 (save the file with the encoding UTF-8)"),
        (b"#" * (MAX_FILE + 1), "larger than"),
        (b"x = " + b"[" * 100_000, "not TOML: "),
        (b"x = " + b"9" * 5000, "not TOML: a number has too many digits"),
    ],
)
def test_what_is_not_a_toml_file_is_one_problem(tmp_path: Path, content: bytes, said: str) -> None:
    found = problems(tmp_path, content)
    assert len(found) == 1
    assert said in found[0]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbf" + GOOD.encode()).providers


@pytest.mark.parametrize(("name", "said"), [("none.toml", "no such file"), (".", "is a folder"), ("a\0", "not valid")])
def test_a_path_without_a_file_is_one_problem(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_settings(tmp_path / name, {})


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD + '[logging]\nlevel = "warn"\n')
    settings = load_settings(path, ENVIRON, listen="127.0.0.1:4000", log_level="debug")
    assert settings.server.listen.port == 4000
    assert settings.logging.level == "debug"


def test_faults_of_the_command_line_name_the_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, "server = 1\n" + GOOD[35:]), ENVIRON, listen="4000", log_level="loud")
    found = [str(problem) for problem in caught.value.problems]
    assert any(line.startswith("command line: --log-level: expected one of") for line in found)
    with pytest.raises(ConfigError, match="command line: --listen: expected"):
        load_settings(written(tmp_path, GOOD), ENVIRON, listen="4000")


def test_a_key_in_a_file_that_everyone_can_read_is_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace('api_key_env = "KEY"', f'api_key = "{PROVIDER_KEY}"'))
    assert load_settings(path, {}).warnings == ()
    path.chmod(0o644)
    (warning,) = load_settings(path, {}).warnings
    assert (warning.line, warning.key) == (7, "providers[0].api_key")
    assert leaks(str(warning)) == []


def test_relative_paths_count_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(PROVIDER_KEY)
    (tmp_path / "key").chmod(0o600)
    monkeypatch.chdir("/")
    settings = load(tmp_path, GOOD.replace('api_key_env = "KEY"', 'api_key_file = "key"'))
    assert settings.providers[0].api_key is not None


def test_without_keys_the_demo_is_asked_for() -> None:
    settings = default_settings({}, listen="127.0.0.1:0", log_level="warn")
    assert settings.demo
    assert (settings.providers, settings.routes, settings.warnings) == ((), (), ())
    assert (settings.server.listen.port, settings.logging.level, settings.source) == (0, "warn", None)


def test_the_demo_stands_behind_every_model() -> None:
    settings = with_demo(default_settings({}), "http://127.0.0.1:4010")
    assert settings.demo
    assert settings.provider("demo").authority == "127.0.0.1:4010"
    assert [(route.match, route.provider) for route in settings.routes] == [("*", "demo")]


def test_the_environment_alone_makes_settings() -> None:
    settings = default_settings({"ANTHROPIC_API_KEY": PROVIDER_KEY})
    assert not settings.demo
    assert settings.provider("anthropic").base_url == "https://api.anthropic.com"
    assert settings.routes[-1].match == "*"


def test_faults_of_the_environment_name_the_variable() -> None:
    environ = {"OPENAI_API_KEY": PROVIDER_KEY + "\n", "OPENAI_BASE_URL": "example.com"}
    with pytest.raises(ConfigError) as caught:
        default_settings(environ)
    found = [str(problem) for problem in caught.value.problems]
    assert [line.split(": ")[:2] for line in found] == [
        ["environment", "OPENAI_API_KEY"],
        ["environment", "OPENAI_BASE_URL"],
    ]
    assert leaks("".join(found)) == []


def test_a_base_url_without_its_key_is_not_ignored_in_silence() -> None:
    settings = default_settings({"OPENAI_BASE_URL": "https://x"})
    assert settings.demo
    assert "OPENAI_API_KEY is not set" in str(settings.warnings[0])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_loads_without_a_warning(path: Path, tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    written(tmp_path / ".claude", '{"env": {"ANTHROPIC_AUTH_TOKEN": "key"}}').rename(tmp_path / ".claude/settings.json")
    vendors = ("OPENAI", "ANTHROPIC", "GEMINI", "OPENROUTER", "DEEPSEEK")
    names = (*(f"{vendor}_API_KEY" for vendor in vendors), "FERRYLLM_API_KEYS", "FERRYLLM_ADMIN_KEY")
    settings = load_settings(path, {**dict.fromkeys(names, "a-key-that-is-long-enough"), "HOME": str(tmp_path)})
    assert settings.warnings == ()
    assert settings.routes


def test_the_examples_are_there() -> None:
    assert [path.name for path in EXAMPLES] == [
        "anthropic.toml",
        "claude-code-to-openai.toml",
        "cluster.toml",
        "codex-to-anthropic.toml",
        "gemini.toml",
        "key-watch.toml",
        "keys.toml",
        "local-llama-cpp.toml",
        "local-ollama.toml",
        "models.json",
        "models.yaml",
        "multi.toml",
        "openai.toml",
        "passthrough.toml",
        "policies.toml",
        "relay.toml",
        "responses-sqlite.toml",
        "usage.toml",
        "vendor.toml",
    ]
