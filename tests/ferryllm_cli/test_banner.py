"""The banner: a URL that can be reached, what is served, and commands that work as printed."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import msgspec
import pytest

from ferryllm_cli.banner import banner, commands
from ferryllm_net.config import ListenAddress, ListenerSettings, Settings, default_settings, load_settings
from ferryllm_net.config.usage_settings import HiddenUrl
from ferryllm_net.gateway.listening import Bound, Doors
from support import certificates
from support.planted import CLIENT_KEY, PROVIDER_KEY, leaks
from support.processes import gateway

FILE = """
[[providers]]
name = "one"
type = "anthropic"
base_url = "https://one.example/v1"
api_key_env = "KEY"
[[providers]]
name = "two"
type = "openai"
base_url = "http://127.0.0.1:9"
[[routes]]
match = "*"
provider = "one"
"""
EXACT = '[[routes]]\nmatch = "tiny"\nmatch_type = "exact"\nprovider = "two"\n'
AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENTS"\n'


def load(folder: pathlib.Path, more: str = "") -> Settings:
    path = folder / "ferryllm.toml"
    path.write_text(FILE + more)
    return load_settings(path, {"KEY": PROVIDER_KEY, "CLIENTS": CLIENT_KEY})


def doors(host: str, *further: ListenerSettings, tls: bool = False) -> Doors:
    first = ListenerSettings(ListenAddress(host, 3000, loopback=True), tls)
    return Doors(Bound(one, ()) for one in (first, *further))


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000"),
        ("0.0.0.0", "http://127.0.0.1:3000"),
        ("::", "http://[::1]:3000"),
        ("::1", "http://[::1]:3000"),
        ("gateway.local", "http://gateway.local:3000"),
    ],
)
def test_the_first_line_has_a_url_that_can_be_pasted(host: str, url: str) -> None:
    first = banner(default_settings({}, backend="trio"), doors(host)).splitlines()[0]
    assert first == f"ferryllm listens on {url} (trio), configuration: none"


def test_with_a_certificate_the_url_is_https(tmp_path: pathlib.Path) -> None:
    files = certificates.write(tmp_path)
    settings = default_settings({}, tls_cert=files.cert, tls_key=files.key)
    assert "ferryllm listens on https://127.0.0.1:3000 " in banner(settings, doors("127.0.0.1", tls=True))


def test_every_address_is_told_and_the_number_of_workers() -> None:
    settings = default_settings({})
    settings = msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, workers=3))
    file = ListenerSettings(ListenAddress("", 0, loopback=True, unix="/run/f.sock"), False)
    lines = banner(settings, doors("127.0.0.1", file)).splitlines()
    assert lines[0] == "ferryllm listens on http://127.0.0.1:3000 (asyncio, 3 workers), configuration: none"
    assert lines[1] == "  and on unix:/run/f.sock"


def test_without_an_address_of_tcp_there_are_no_commands_to_paste() -> None:
    file = ListenerSettings(ListenAddress("", 0, loopback=True, unix="/run/f.sock"), False)
    text = banner(default_settings({}), Doors([Bound(file, ())]))
    assert text.startswith("ferryllm listens on unix:/run/f.sock (asyncio)")
    assert "curl" not in text


def test_a_demo_says_that_it_is_one() -> None:
    text = banner(default_settings({}), doors("127.0.0.1"))
    assert "a built-in demo provider answers. Nothing leaves this machine." in text
    assert "provider " not in text.splitlines()[0]


def test_providers_are_listed_without_their_keys(tmp_path: pathlib.Path) -> None:
    settings = load(tmp_path, AUTH + EXACT)
    text = banner(settings, doors("127.0.0.1"))
    assert "  provider one (anthropic, key set) https://one.example/v1\n" in text
    assert "  provider two (openai, no key) http://127.0.0.1:9\n" in text
    one, two = settings.providers
    url = HiddenUrl("https", "keys.example", 443)
    fetched = msgspec.structs.replace(settings, providers=(one, msgspec.structs.replace(two, key_url=url)))
    assert "  provider two (openai, key set) http://127.0.0.1:9\n" in banner(fetched, doors("127.0.0.1"))
    assert str(settings.source) in text.splitlines()[0]
    assert leaks(text) == []


def test_commands_name_a_model_that_has_a_route_or_are_left_out(tmp_path: pathlib.Path) -> None:
    assert "curl" not in banner(load(tmp_path), doors("127.0.0.1"))
    assert '"model":"tiny"' in banner(load(tmp_path, EXACT), doors("127.0.0.1"))
    assert '"model":"demo"' in banner(default_settings({}), doors("127.0.0.1"))


def test_with_keys_asked_for_commands_take_a_variable(tmp_path: pathlib.Path) -> None:
    on = banner(load(tmp_path, AUTH + EXACT), doors("127.0.0.1"))
    off = banner(load(tmp_path, EXACT), doors("127.0.0.1"))
    assert "Bearer $FERRYLLM_KEY" in on
    assert "Bearer any" in off
    assert "FERRYLLM_KEY=$FERRYLLM_KEY codex" in on


def blocks(text: str) -> dict[str, str]:
    """The commands by their headings."""
    parts = re.split(r"^# (.+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_entry_and_client_has_its_command_and_each_is_one_shell_line() -> None:
    found = blocks(commands("http://127.0.0.1:3000", "demo", "any"))
    assert list(found) == [
        "Chat Completions",
        "Responses",
        "Messages, streamed",
        "Gemini",
        "Ollama, streamed",
        "OpenAI's Python SDK",
        "Anthropic's Python SDK",
        "Claude Code",
        "Codex",
        "Gemini CLI",
        "Ollama's own programs",
    ]
    for name, text in found.items():
        words = shlex.split(text.replace("\\\n", " "))
        assert len(words) >= 5, name
        if "-d" in words:
            body = json.loads(words[words.index("-d") + 1])
            assert body.get("model", "demo") == "demo"
            assert "model" in body or "models/demo:" in text  # Gemini's is in the path


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_curl_commands_work_as_printed() -> None:
    with gateway(None) as running:
        found = blocks(commands(running.base_url, "demo", "any"))
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        for name in ("Chat Completions", "Responses", "Messages, streamed", "Gemini", "Ollama, streamed"):
            done = subprocess.run(["sh", "-c", found[name]], capture_output=True, text=True, env=env, timeout=30)
            assert done.returncode == 0, done.stderr
            assert "pong" in done.stdout.lower(), name
