"""`[usage]` and its hooks: one kind each, names that are files, secrets that nobody sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Settings, load_settings
from support import certificates

PROVIDER = '[[providers]]\nname = "a"\ntype = "openai"\nbase_url = "http://127.0.0.1:1"\n'


def load(text: str, folder: Path, environ: Mapping[str, str] = {}) -> Settings:
    path = folder / "f.toml"
    path.write_text(PROVIDER + text)
    return load_settings(path, environ)


def faults(text: str, folder: Path, environ: Mapping[str, str] = {}) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, folder, environ)
    return str(caught.value)


def test_streams_that_pass_through_are_left_alone_unless_it_says_so(tmp_path: Path) -> None:
    assert not load("", tmp_path).routes[0].policies.usage
    assert load("[usage]\npassthrough = true\n", tmp_path).routes[0].policies.usage
    route = '[[routes]]\nmatch = "m"\nprovider = "a"\nreasoning_policy = "preserve"\n'
    assert load("[usage]\npassthrough = true\n" + route, tmp_path).routes[0].policies.usage


def test_a_url_is_taken_apart_and_its_path_kept_as_a_secret(tmp_path: Path) -> None:
    text = '[[usage.hooks]]\nname = "bill"\nurl = "https://h.example/in?key=k-1"\nsecret_env = "S"\nbatch = 9\n'
    (hook,) = load(text, tmp_path, {"S": "s3cret-s3cret"}).hooks
    assert hook.url is not None
    assert (hook.name, hook.url.scheme, hook.url.host, hook.url.port, hook.batch) == (
        "bill",
        "https",
        "h.example",
        443,
        9,
    )
    assert hook.url.target == "/in?key=k-1"
    assert hook.secret is not None
    assert hook.secret.reveal() == "s3cret-s3cret"
    assert "k-1" not in repr(hook)
    assert "s3cret" not in repr(hook)


@pytest.mark.parametrize(
    ("target", "hidden"),
    [("/ferryllm", False), ("/in/0123456789abcdef", True), ("/in?a=b", True), ("", False)],
)
def test_a_path_that_may_hold_a_key_is_a_secret_and_a_plain_one_is_none(
    target: str, hidden: bool, tmp_path: Path
) -> None:
    (hook,) = load(f'[[usage.hooks]]\nurl = "https://h.example{target}"\n', tmp_path).hooks
    assert hook.url is not None
    assert (hook.url.hidden is not None, hook.url.target) == (hidden, target or "/")


def test_hooks_without_a_name_are_called_by_kind_and_place(tmp_path: Path) -> None:
    text = '[[usage.hooks]]\ncommand = ["cat"]\n[[usage.hooks]]\nurl = "http://127.0.0.1:9"\n'
    assert [hook.name for hook in load(text, tmp_path).hooks] == ["command-1", "url-2"]


def test_a_proxy_of_the_environment_is_used_for_hooks_too(tmp_path: Path) -> None:
    text = '[[usage.hooks]]\nurl = "https://h.example"\n'
    (hook,) = load(text, tmp_path, {"https_proxy": "http://proxy.example:3128"}).hooks
    assert hook.url is not None
    assert hook.url.proxy is not None
    assert hook.url.proxy.host == "proxy.example"


def test_an_authority_of_ones_own_has_to_be_one(tmp_path: Path) -> None:
    certificates.write(tmp_path)
    text = '[[usage.hooks]]\nurl = "https://h.example"\nca_file = "ca.pem"\n'
    (hook,) = load(text, tmp_path).hooks
    assert hook.url is not None
    assert hook.url.ca_file == str(tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_text("nothing")
    assert "holds no certificate" in faults(text, tmp_path)


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("", "none of url, command and entry_point"),
        ('url = "http://h"\ncommand = ["cat"]', "url and command in one hook"),
        ('url = "ftp://h/secret-path"', "expected a URL of http or https"),
        ('url = "https://u:secret-path@h"', "a name, a password or a fragment"),
        ('url = "https:///secret-path"', "no host in the URL"),
        ('url = "https://h:0/secret-path"', "no host in the URL, or port 0"),
        ('url = "https://h:x/secret-path"', "not a URL"),
        ('url = "https://h"\nsecret_env = "NOT_THERE"', "the environment variable NOT_THERE is not set"),
        ('command = ["bill --now"]', "no shell cuts it"),
        ('command = [""]', "has no name"),
        ('command = ["/no/such/program"]', "there is no program /no/such/program, or it may not be run"),
        ('command = ["no-such-program", "-x"]', "there is no program no-such-program"),
        ('command = ["cat"]\nenv = ["A=B"]', "expected names of environment variables"),
        ('command = ["cat"]\nname = "../x"', "expected up to 64 letters"),
        ('entry_point = "nobody"', "no installed package has it"),
        ('command = ["cat"]\nname = "x"\n[[usage.hooks]]\ncommand = ["cat"]\nname = "x"', "has the same name"),
    ],
)
def test_what_is_wrong_is_said_and_no_path_quoted(hook: str, words: str, tmp_path: Path) -> None:
    found = faults(f"[[usage.hooks]]\n{hook}\n", tmp_path)
    assert words in found
    assert "secret-path" not in found


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ('url = "http://h.example"', "usage travels to h.example unencrypted"),
        ('command = ["cat"]\nsecret_env = "S"', "secret_env: not used, because this is a hook of command"),
        ('url = "http://127.0.0.1:9"\nca_file = "x"', "not used, because the URL is http"),
    ],
)
def test_what_is_of_no_use_or_unsafe_is_a_warning(hook: str, words: str, tmp_path: Path) -> None:
    settings = load(f"[[usage.hooks]]\n{hook}\n", tmp_path)
    assert words in "\n".join(map(str, settings.warnings))
