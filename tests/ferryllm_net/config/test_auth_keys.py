"""`[auth]`, `[keys]`, `[admin]`: what they come to, what is refused, and that no key is ever shown."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Settings, load_settings
from ferryllm_net.config.auth_schema import AuthKey, AuthProject
from ferryllm_net.keys.bounds import NAMES
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import KeyLimits, Project
from ferryllm_proto.routing.quota import Period, Quota, Unit
from support.planted import CLIENT_KEY, PROVIDER_KEY, leaks

ADMIN_KEY = "adm-Zx81Qw02Er93Ty74Ui65"
ENVIRON = {"KEYS": "seed-one,seed-two", "CI": CLIENT_KEY, "SAME": "seed-two", "ADMIN": ADMIN_KEY, "HOME": "/home/x"}
PROVIDER = '[[providers]]\nname = "a"\ntype = "openai"\nbase_url = "http://127.0.0.1:1"\n'
AUTH = "[auth]\nenabled = true\n"
SEEDS = AUTH + 'api_keys_env = "KEYS"\n'
CI = SEEDS + '[[auth.keys]]\nname = "ci"\nkey_env = "CI"\n'


def load(folder: Path, text: str, **environ: str) -> Settings:
    file = folder / "ferryllm.toml"
    file.write_text(text + PROVIDER)
    file.chmod(0o600)
    return load_settings(file, {**ENVIRON, **environ})


def said(folder: Path, text: str, **environ: str) -> str:
    """What is wrong with it, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    assert leaks(str(caught.value), (CLIENT_KEY, PROVIDER_KEY, ADMIN_KEY)) == []
    return str(caught.value).replace(f"{folder}/", "")


def test_a_key_of_the_file_has_all_that_a_key_may_have(tmp_path: Path) -> None:
    more = (
        'user = "ada"\nproject = "web"\nmodels = ["gpt-*"]\nproviders = ["a"]\nexpires = "2027-01-01"\n'
        "unpriced = true\n"
        "requests_per_minute = 60\ntokens_per_minute = 5\nmax_concurrency = 2\ndaily_cost = 2.5\nmonthly_tokens = 9\n"
        '[[auth.projects]]\nname = "web"\ntotal_requests = 7\n'
    )
    auth = load(tmp_path, CI + more).auth
    assert [key.reveal() for key in auth.keys] == ["seed-one", "seed-two"]
    (key,) = auth.named
    assert (key.id, key.name, key.user, key.project) == ("ci", "ci", "ada", "web")
    assert (key.models, key.providers, key.unpriced, key.expires) == (("gpt-*",), ("a",), True, 1_798_761_600.0)
    assert key.limits == KeyLimits(60, 5, 2)
    assert key.quotas == (Quota(Unit.COST, Period.DAY, 2_500_000_000), Quota(Unit.TOKENS, Period.MONTH, 9))
    assert key.digest == key_digest(CLIENT_KEY)
    assert auth.projects == (Project("web", quotas=(Quota(Unit.REQUESTS, Period.EVER, 7),)),)


def test_every_bound_has_a_key_in_the_file() -> None:
    assert set(NAMES) <= set(AuthKey.__struct_fields__)
    assert set(NAMES) - set(AuthProject.__struct_fields__) == {"max_concurrency"}


def test_the_digest_or_a_file_stands_for_the_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(CLIENT_KEY + "\n")
    file.chmod(0o600)
    digest = hashlib.sha256(b"another").hexdigest()
    text = AUTH + f'[[auth.keys]]\nname = "a"\nkey_file = "key"\n[[auth.keys]]\nname = "b"\nkey_sha256 = "{digest}"\n'
    assert [key.digest for key in load(tmp_path, text).auth.named] == [key_digest(CLIENT_KEY), key_digest("another")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (AUTH, "auth.api_keys_env: missing, and auth.enabled is true"),
        (SEEDS + '[[auth.keys]]\nname = "x"\n', "auth.keys[0]: no source of the key, expected one of key_env"),
        (
            SEEDS + '[[auth.keys]]\nname = "x"\nkey_env = "CI"\nkey_sha256 = "00"\n',
            "auth.keys[0].key_sha256: key_env and key_sha256 are set",
        ),
        (SEEDS + '[[auth.keys]]\nname = "x"\nkey_env = "NONE"\n', "the environment variable NONE is not set"),
        (SEEDS + '[[auth.keys]]\nname = "x"\nkey_sha256 = "abc"\n', "auth.keys[0].key_sha256: expected 64 hex digits"),
        (
            SEEDS + '[[auth.keys]]\nname = "x"\nkey_env = "SAME"\n',
            "ferryllm.toml:4: auth.keys[0]: the same key as key 2 of KEYS",
        ),
        (CI + '[[auth.keys]]\nname = "y"\nkey_env = "CI"\n', 'auth.keys[1]: the same key as auth.keys[0] "ci"'),
        (CI + '[[auth.keys]]\nname = "ci"\nkey_env = "X"\n', 'auth.keys[1].name: a second one called "ci"'),
        (SEEDS + '[[auth.keys]]\nname = "env-1"\nkey_env = "CI"\n', "auth.keys[0].name: begins as keys and ids do"),
        (SEEDS + '[[auth.keys]]\nname = " x"\nkey_env = "CI"\n', "auth.keys[0].name: expected 1 to 100 characters"),
        (CI + 'providers = ["b"]\n', 'auth.keys[0].providers[0]: no provider is called "b"'),
        (CI + f'models = ["{"x" * 600}"]\n', "auth.keys[0].models[0]: "),
        (CI + 'expires = "soon"\n', "auth.keys[0].expires: expected a date as in 2027-01-31"),
        (CI + "requests_per_minute = 0\n", "auth.keys[0].requests_per_minute: "),
        (CI + "daily_cost = -1\n", "auth.keys[0].daily_cost: "),
        (
            SEEDS + '[[auth.projects]]\nname = "p"\n[[auth.projects]]\nname = "p"\n',
            "auth.projects[1].name: a second one",
        ),
        (SEEDS + '[keys]\nstore = "sqlite"\npath = "none/keys.db"\n', "keys.path: there is no folder "),
        (SEEDS + '[keys]\nstore = "sqlite"\npath = ""\n', "keys.path: empty"),
        (SEEDS + '[keys]\nstore = "mongo"\n', "keys.store: "),
        (SEEDS + '[keys]\nstore = "postgres"\n', "keys.store: there is no PostgreSQL"),
        (SEEDS + "[admin]\nenabled = true\n", "admin.key_env: missing, and admin.enabled is true"),
        (SEEDS + '[admin]\nenabled = true\nkey_env = "ADMIN"\n', "admin.enabled: there is no store of keys"),
        (
            SEEDS + '[keys]\nstore = "sqlite"\n[admin]\nenabled = true\nkey_env = "SAME"\n',
            "admin.key_env: the admin key is shorter than 20 characters",
        ),
        (
            CI + '[keys]\nstore = "sqlite"\n[admin]\nenabled = true\nkey_env = "CI"\n',
            "admin.key_env: the admin key is a client's key too",
        ),
        (
            SEEDS + '[keys]\nstore = "sqlite"\n[admin]\nenabled = true\nkey_env = "ADMIN"\nkey_file = "x"\n',
            "admin.key_file: key_env and key_file are set",
        ),
    ],
)
def test_what_can_not_be_is_an_error_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    assert message in said(tmp_path, text)


def test_a_store_is_enough_and_lies_in_the_data_folder(tmp_path: Path) -> None:
    settings = load(tmp_path, AUTH + '[keys]\nstore = "sqlite"\n')
    assert settings.auth.keys == ()
    assert settings.keys.path == "/home/x/.local/share/ferryllm/keys.db"
    assert load(tmp_path, AUTH + '[keys]\nstore = "sqlite"\npath = "k.db"\n').keys.path == str(tmp_path / "k.db")
    assert "HOME is not set" in said(tmp_path, AUTH + '[keys]\nstore = "sqlite"\n', HOME="")


def test_the_admin_api_has_the_digest_of_its_key(tmp_path: Path) -> None:
    text = SEEDS + '[keys]\nstore = "sqlite"\n[admin]\nenabled = true\nkey_env = "ADMIN"\n'
    settings = load(tmp_path, text)
    assert settings.admin.digest == key_digest(ADMIN_KEY)
    assert leaks(repr(settings), (ADMIN_KEY,)) == []
    assert not load(tmp_path, SEEDS).admin.enabled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[auth.keys]]\nname = "x"\nkey_env = "NONE"\n', "auth.keys: not used, because auth.enabled is false"),
        ('[keys]\nstore = "sqlite"\n', "keys.store: nobody is asked for a key"),
        ('[keys]\npath = "x.db"\n', 'keys.path: not used, because store is "off"'),
        ('[admin]\nkey_env = "NONE"\n', "admin.key_env: not used, because admin.enabled is false"),
    ],
)
def test_what_has_no_effect_is_a_warning(tmp_path: Path, text: str, message: str) -> None:
    (warning,) = load(tmp_path, text).warnings
    assert message in str(warning)
