"""Keys from the environment, from files and inline: what is accepted, what is said, and that nothing is shown."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ferryllm_net.config.credentials import MAX_KEY_FILE, Credentials, open_to_all
from ferryllm_net.config.problems import Report, Severity, key_text
from ferryllm_net.config.schema import Auth, Provider
from ferryllm_net.config.secret import Secret
from support.planted import CLIENT_KEY, PROVIDER_KEY, leaks


class Desk:
    """Credentials over a given environment and folder, with what they reported."""

    def __init__(self, environ: dict[str, str], base: Path = Path("/nowhere")) -> None:
        self.report = Report(lambda path: ("f", None, key_text(path)))
        self.credentials = Credentials(environ, base, self.report)

    def provider_key(
        self, api_key_env: str | None = None, api_key_file: str | None = None, api_key: str | None = None
    ) -> Secret | None:
        provider = Provider(
            "p", "openai", "https://x", api_key_env=api_key_env, api_key_file=api_key_file, api_key=api_key
        )
        return self.credentials.provider_key(provider, ("providers", 0))

    @property
    def said(self) -> str:
        return "\n".join(map(str, self.report.problems))


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_no_source_is_a_backend_without_keys() -> None:
    desk = Desk({})
    assert desk.provider_key() is None
    assert desk.said == ""


def test_the_environment_gives_a_key() -> None:
    desk = Desk({"KEY": PROVIDER_KEY})
    assert desk.provider_key(api_key_env="KEY") == Secret(PROVIDER_KEY)
    assert desk.said == ""


def test_the_configuration_itself_gives_a_key() -> None:
    assert Desk({}).provider_key(api_key=PROVIDER_KEY) == Secret(PROVIDER_KEY)


@pytest.mark.parametrize("content", [b"%s\n", b"  %s \r\n", b"\xef\xbb\xbf%s"])
def test_a_file_gives_a_key_without_the_blanks_around_it(tmp_path: Path, content: bytes) -> None:
    private(tmp_path / "key", content % PROVIDER_KEY.encode())
    desk = Desk({}, tmp_path)
    assert desk.provider_key(api_key_file="key") == Secret(PROVIDER_KEY)
    assert desk.said == ""


def test_a_tilde_is_the_home_of_the_given_environment(tmp_path: Path) -> None:
    private(tmp_path / "key", PROVIDER_KEY.encode())
    assert Desk({"HOME": str(tmp_path)}).provider_key(api_key_file="~/key") == Secret(PROVIDER_KEY)


def test_several_sources_are_one_too_many(tmp_path: Path) -> None:
    desk = Desk({"KEY": "k"})
    assert desk.provider_key(api_key_env="KEY", api_key=PROVIDER_KEY) is None
    assert "providers[0].api_key: api_key_env and api_key are set, expected one" in desk.said


def test_a_url_is_a_source_like_the_others() -> None:
    desk = Desk({})
    provider = Provider("p", "openai", "https://x", api_key="k", api_key_url="https://keys.example/openai")
    assert desk.credentials.provider_key(provider, ("providers", 0)) is None
    assert "providers[0].api_key_url: api_key and api_key_url are set, expected one" in desk.said


@pytest.mark.parametrize(("environ", "said"), [({}, "KEY is not set"), ({"KEY": " \n"}, "KEY is empty")])
def test_a_variable_without_a_key_is_named(environ: dict[str, str], said: str) -> None:
    desk = Desk(environ)
    assert desk.provider_key(api_key_env="KEY") is None
    assert said in desk.said


@pytest.mark.parametrize("name", [PROVIDER_KEY, "a1B2c3D4e5F6g7H8i9J0k1L2", "1KEY", "MY KEY", ""])
def test_a_key_in_the_place_of_a_variables_name_is_not_shown(name: str) -> None:
    desk = Desk({name: "k"})
    assert desk.provider_key(api_key_env=name) is None
    assert "expected the name of an environment variable" in desk.said
    assert not leaks(desk.said, (name or "-",))


@pytest.mark.parametrize(
    "value", [PROVIDER_KEY + "\n", PROVIDER_KEY + "é", " " + PROVIDER_KEY, PROVIDER_KEY + "\r\nx: y"]
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(value: str) -> None:
    from_environment, inline = Desk({"KEY": value}), Desk({})
    assert from_environment.provider_key(api_key_env="KEY") is None
    assert inline.provider_key(api_key=value) is None
    for desk in (from_environment, inline):
        assert "cannot be sent in a header" in desk.said
        assert leaks(desk.said) == []


def test_an_empty_inline_key_is_refused() -> None:
    desk = Desk({})
    assert desk.provider_key(api_key=" ") is None
    assert "leave the line out" in desk.said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "not a text"),
        (b"x" * (MAX_KEY_FILE + 1), "larger than"),
        (PROVIDER_KEY.encode() + b"\n" + PROVIDER_KEY.encode(), "line break"),
    ],
)
def test_a_file_without_one_key_is_refused_and_not_shown(tmp_path: Path, content: bytes, said: str) -> None:
    private(tmp_path / "key", content)
    desk = Desk({}, tmp_path)
    assert desk.provider_key(api_key_file="key") is None
    assert said in desk.said
    assert leaks(desk.said) == []


@pytest.mark.parametrize(("name", "said"), [("none", "No such file"), (".", "is a folder"), ("a\0b", "not valid")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, said: str) -> None:
    desk = Desk({}, tmp_path)
    assert desk.provider_key(api_key_file=name) is None
    assert said in desk.said
    assert "\0" not in desk.said


def test_a_file_that_everyone_can_read_is_a_warning(tmp_path: Path) -> None:
    private(tmp_path / "key", PROVIDER_KEY.encode()).chmod(0o644)
    desk = Desk({}, tmp_path)
    assert desk.provider_key(api_key_file="key") == Secret(PROVIDER_KEY)
    assert [problem.severity for problem in desk.report.problems] == [Severity.WARNING]
    assert "chmod 600" in desk.said


def test_the_mode_tells_who_can_read() -> None:
    assert open_to_all(stat.S_IROTH)
    assert not open_to_all(0o640)


def test_client_keys_are_the_items_of_the_list_each_once() -> None:
    desk = Desk({"KEYS": f" {CLIENT_KEY}, two ,,two\n"})
    assert desk.credentials.client_keys(Auth(True, "KEYS")) == (Secret(CLIENT_KEY), Secret("two"))
    assert desk.said == ""


@pytest.mark.parametrize(
    ("auth", "environ", "said"),
    [
        (Auth(True), {}, "missing, and auth.enabled is true"),
        (Auth(True, "KEYS"), {}, "KEYS is not set"),
        (Auth(True, "KEYS"), {"KEYS": ""}, "KEYS is empty"),
        (Auth(True, "KEYS"), {"KEYS": " , ,"}, "KEYS holds no key"),
        (Auth(True, "KEYS"), {"KEYS": f"{CLIENT_KEY}é"}, "a key in KEYS cannot be sent in a header"),
        (Auth(False, "KEYS"), {"KEYS": CLIENT_KEY}, "warning: auth.api_keys_env: not used"),
    ],
)
def test_auth_without_a_set_of_keys_is_reported(auth: Auth, environ: dict[str, str], said: str) -> None:
    desk = Desk(environ)
    assert desk.credentials.client_keys(auth) == ()
    assert said in desk.said
    assert leaks(desk.said) == []


def test_auth_off_needs_nothing() -> None:
    desk = Desk({})
    assert desk.credentials.client_keys(Auth()) == ()
    assert desk.said == ""
