"""Keys in the files of other programs: paths, the two forms, which of several counts, and that nothing is quoted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Settings, load_settings
from ferryllm_net.config.file_stamp import read_stamped
from ferryllm_net.config.key_watch import MAX_PARTS, MAX_WATCHED_FILE, WatchFault, path_parts, values
from ferryllm_net.config.secret import Secret
from support.planted import CLIENT_KEY, PROVIDER_KEY, leaks

CONFIG = """
[[providers]]
name = "p"
type = "anthropic"
base_url = "https://written.example"
"""


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return path


def watch(file: str, path: str = "env.KEY", url_path: str | None = None) -> str:
    url = "" if url_path is None else f"url_path = '{url_path}'\n"
    return f"[[providers.key_watch]]\nfile = \"{file}\"\npath = '{path}'\n{url}"


def load(folder: Path, *entries: str, environ: dict[str, str] | None = None) -> Settings:
    return load_settings(written(folder / "f.toml", CONFIG + "".join(entries)), environ or {})


def problems(folder: Path, *entries: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, *entries)
    return "\n".join(map(str, caught.value.problems)).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("KEY", ("KEY",)),
        ("env.ANTHROPIC_AUTH_TOKEN", ("env", "ANTHROPIC_AUTH_TOKEN")),
        ('hosts."api.example".key', ("hosts", "api.example", "key")),
        ("hosts.'a \"b\"'.0", ("hosts", 'a "b"', "0")),
        ("two words.key", ("two words", "key")),
    ],
)
def test_a_path_is_names_with_dots_between_them(text: str, parts: tuple[str, ...]) -> None:
    assert path_parts(text) == parts


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", 'a."b', 'a"b', '"a"b', 'a.""', " ", "a." * MAX_PARTS + "a"]
)
def test_anything_else_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="not a dotted path"):
        path_parts(text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.json", {"env": {"KEY": PROVIDER_KEY, "URL": "https://found.example/v1"}, "other": [1, 2]}),
        ("s.toml", f'[env]\nKEY = "{PROVIDER_KEY}"\nURL = "https://found.example/v1"\n'),
    ],
)
def test_key_and_url_are_found_in_both_forms(tmp_path: Path, name: str, content: object) -> None:
    written(tmp_path / name, content if isinstance(content, str) else json.dumps(content))
    settings = load(tmp_path, watch(name, url_path="env.URL"))
    provider = settings.provider("p")
    assert provider.api_key == Secret(PROVIDER_KEY)
    assert provider.base_url == "https://found.example/v1"
    assert (provider.key_file, provider.key_watched) == (str(tmp_path / name), True)
    assert [(file.path, file.keys) for file in settings.files] == [
        (str(tmp_path / "f.toml"), False),
        (str(tmp_path / name), True),
    ]
    assert settings.warnings == ()


def test_names_with_dots_and_places_in_arrays_are_reached(tmp_path: Path) -> None:
    written(tmp_path / "s.json", json.dumps({"a.b": [{"k": "no"}, {"k": PROVIDER_KEY}]}))
    assert load(tmp_path, watch("s.json", '"a.b".1.k')).provider("p").api_key == Secret(PROVIDER_KEY)
    assert "nothing stands at" in problems(tmp_path, watch("s.json", '"a.b".2.k'))
    assert "nothing stands at" in problems(tmp_path, watch("s.json", '"a.b".k'))
    assert "nothing stands at" in problems(tmp_path, watch("s.json", '"a.b".0.k.deeper'))


def test_a_file_without_a_url_leaves_that_of_the_configuration(tmp_path: Path) -> None:
    written(tmp_path / "s.json", json.dumps({"env": {"KEY": PROVIDER_KEY, "URL": "  "}}))
    assert load(tmp_path, watch("s.json", url_path="env.URL")).provider("p").base_url == "https://written.example"


def test_the_first_that_holds_a_key_counts_and_brings_its_own_url(tmp_path: Path) -> None:
    """The key of one account never goes to the URL of another."""
    written(tmp_path / "one.json", json.dumps({"env": {"URL": "https://one.example"}}))
    written(tmp_path / "two.json", json.dumps({"env": {"KEY": PROVIDER_KEY}}))
    written(tmp_path / "three.json", json.dumps({"env": {"KEY": CLIENT_KEY, "URL": "https://three.example"}}))
    names = ("none.json", "one.json", "two.json", "three.json")
    settings = load(tmp_path, *(watch(name, url_path="env.URL") for name in names))
    provider = settings.provider("p")
    assert (provider.api_key, provider.base_url) == (Secret(PROVIDER_KEY), "https://written.example")
    said = "\n".join(map(str, settings.warnings))
    assert "warning: providers[0].key_watch[0].file: cannot read" in said
    assert "warning: providers[0].key_watch[1].path: nothing stands at env.KEY" in said
    assert [Path(file.path).name for file in settings.files[1:]] == list(names[:3])


def test_none_that_holds_a_key_is_an_error_for_each(tmp_path: Path) -> None:
    written(tmp_path / "s.json", '{"env": {"KEY": 5}}')
    said = problems(tmp_path, watch("none.toml"), watch("s.json"), watch("s.json", "env"))
    assert "f.toml:7: providers[0].key_watch[0].file: cannot read none.toml: No such file or directory" in said
    assert "providers[0].key_watch[1].path: what stands at env.KEY in s.json is no text" in said
    assert "providers[0].key_watch[2].path: what stands at env in s.json is no text" in said


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("s.json", b'{"env": {"KEY": "%s"', "s.json is not JSON"),
        ("s.toml", b'KEY = "%s', "s.toml is not TOML"),
        ("s.json", b'"%s\xff"', "s.json is not UTF-8"),
        ("s.json", b'{"env": {"KEY": "%s\\n%s"}}', "cannot be sent in a header: it contains a line break"),
        ("s.json", b'{"env": {"KEY": "%s", "URL": "%s"}}', "what stands there in s.json is no base URL"),
    ],
)
def test_a_file_that_is_wrong_is_not_quoted(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    written(tmp_path / name, content.replace(b"%s", PROVIDER_KEY.encode()))
    said = problems(tmp_path, watch(name, url_path="env.URL"))
    assert words in said
    assert leaks(said) == []


def test_a_file_that_is_too_large_is_some_other_file(tmp_path: Path) -> None:
    file = written(tmp_path / "s.json", b" " * (MAX_WATCHED_FILE + 1))
    with pytest.raises(WatchFault, match="larger than"):
        values(file, read_stamped(file, MAX_WATCHED_FILE), ("a",), None)


def test_the_ending_says_the_form_and_paths_are_checked(tmp_path: Path) -> None:
    said = problems(tmp_path, watch("key.txt"), watch("s.json", "a..b", "c."))
    assert "key_watch[0].file: expected a file called .json or .toml" in said
    assert "key_watch[1].path: expected names with dots between them" in said
    assert "key_watch[1].url_path: expected names with dots between them" in said


def test_another_source_beside_it_is_one_too_many(tmp_path: Path) -> None:
    path = written(tmp_path / "f.toml", CONFIG + 'api_key_env = "KEY"\n' + watch("s.json"))
    with pytest.raises(ConfigError, match="api_key_env and key_watch are set, expected one source"):
        load_settings(path, {"KEY": PROVIDER_KEY})


def test_a_tilde_is_the_home_folder_and_a_readable_file_is_warned_of(tmp_path: Path) -> None:
    written(tmp_path / "s.json", json.dumps({"env": {"KEY": PROVIDER_KEY}})).chmod(0o644)
    settings = load(tmp_path, watch("~/s.json"), environ={"HOME": str(tmp_path)})
    assert settings.provider("p").api_key == Secret(PROVIDER_KEY)
    assert "every user of this machine can read" in str(settings.warnings[0])
