"""`ferryllm serve` as a process of its own: signals, exit statuses, and what it says at its start."""

from __future__ import annotations

import errno
import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from ferryllm_cli import exit_codes
from ferryllm_cli.serve import command
from ferryllm_proto.grammar import Seen
from support import certificates, grammar
from support.answers import DONE, ROLE, chunk
from support.planted import PROVIDER_KEY, leaks
from support.processes import Gateway, free_port, gateway

BACKENDS = ["asyncio", "trio"]
PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")


class Provider(http.server.ThreadingHTTPServer):
    """Begins a stream, and ends it when `go` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.go = threading.Event()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(ROLE + PONG)
        self.server.go.wait(30)
        self.wfile.write(STOP + DONE)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the parent's name


@contextmanager
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.go.set()
            server.shutdown()
            thread.join()


def config(folder: pathlib.Path, port: int, server: str = "") -> pathlib.Path:
    path = folder / "ferryllm.toml"
    path.write_text(
        f"[server]\n{server}\n"
        f'[[providers]]\nname = "chat"\ntype = "openai"\nbase_url = "http://127.0.0.1:{port}"\napi_key_env = "KEY"\n'
    )
    return path


class Talk:
    """A stream through the gateway, begun."""

    def __init__(self, base_url: str) -> None:
        host, _, port = base_url.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=30)
        ask = {"model": "m", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        self._connection.request("POST", "/v1/messages", json.dumps(ask), {"content-type": "application/json"})
        self._answer = self._connection.getresponse()
        self._data = b""
        while b"pong" not in self._data:
            self._data += self._answer.read1()

    def rest(self) -> Seen:
        while piece := self._answer.read1():
            self._data += piece
        self._connection.close()
        return grammar.messages(self._data)


def wait_for(running: Gateway, words: str) -> None:
    until = time.monotonic() + 20
    while words not in running.log:
        assert time.monotonic() < until, running.log
        assert running.process.poll() is None or words in running.log, running.log
        time.sleep(0.01)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_within_a_stream_lets_it_finish(tmp_path: pathlib.Path, backend: str, number: signal.Signals) -> None:
    with (
        provider() as far,
        gateway(config(tmp_path, far.server_port), environ={"KEY": PROVIDER_KEY}, backend=backend) as running,
    ):
        talk = Talk(running.base_url)
        running.process.send_signal(number)
        wait_for(running, f'draining signal="{number.name}" active=1 deadline_secs=30')
        far.go.set()
        seen = talk.rest()
        assert (seen.text, seen.ended) == ("pong", True)
        assert running.process.wait(timeout=20) == exit_codes.OK
    assert 'outcome="ok"' in running.log
    assert "Traceback" not in running.log
    assert leaks(running.log) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_signal_stops_at_once(tmp_path: pathlib.Path, backend: str) -> None:
    with (
        provider() as far,
        gateway(
            config(tmp_path, far.server_port, "drain_timeout_secs = 600"),
            environ={"KEY": PROVIDER_KEY},
            backend=backend,
        ) as running,
    ):
        talk = Talk(running.base_url)
        running.process.terminate()
        wait_for(running, "draining")
        running.process.terminate()
        seen = talk.rest()
        assert (seen.failed, seen.ended) == (True, False)
        assert running.process.wait(timeout=20) == exit_codes.OK
    assert "stopping now" in running.log
    assert "Traceback" not in running.log


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_drain_deadline_gives_the_dialects_error(tmp_path: pathlib.Path, backend: str) -> None:
    with (
        provider() as far,
        gateway(
            config(tmp_path, far.server_port, "drain_timeout_secs = 0.1"),
            environ={"KEY": PROVIDER_KEY},
            backend=backend,
        ) as running,
    ):
        talk = Talk(running.base_url)
        running.process.terminate()
        seen = talk.rest()
        assert (seen.failed, seen.ended) == (True, False)
        assert running.process.wait(timeout=20) == exit_codes.OK
    assert 'outcome="error"' in running.log


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_after_the_banner_is_not_too_early(backend: str, number: signal.Signals) -> None:
    with gateway(None, backend=backend) as running:
        running.process.send_signal(number)
        assert running.process.wait(timeout=20) == exit_codes.OK, running.log
    assert "Traceback" not in running.log


def test_without_keys_a_demo_answers_every_protocol(tmp_path: pathlib.Path) -> None:
    with gateway(None) as running:
        bodies: dict[str, dict[str, object]] = {
            "/v1/chat/completions": {"messages": [{"role": "user", "content": "Reply with one word: pong"}]},
            "/v1/responses": {"input": "Reply with one word: pong"},
            "/v1/messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "Reply with one word: pong"}]},
        }
        for path, body in bodies.items():
            data = json.dumps({"model": "demo", **body}).encode()
            request = urllib.request.Request(running.base_url + path, data, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert b"pong" in answer.read().lower()


# --- starting without a gateway to talk to -----------------------------------------------------------------


def clean(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "ANTHROPIC_", "FERRYLLM_"))}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def run(*arguments: str, cwd: pathlib.Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """`ferryllm serve` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "ferryllm_cli", "serve", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean(**environ),
        timeout=30,
    )


@contextmanager
def started(*arguments: str, cwd: pathlib.Path, until: str, **environ: str) -> Iterator[list[str]]:
    """`ferryllm serve`, up to the line with ``until`` on either stream; gives the lines so far and all at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ferryllm_cli", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=clean(**environ),
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        while until not in "".join(lines):
            line = process.stdout.readline()
            assert line, "".join(lines)
            lines.append(line)
        yield lines
    finally:
        process.terminate()
        lines.append(process.stdout.read())
        process.stdout.close()
        assert process.wait(timeout=20) == exit_codes.OK, "".join(lines)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("demo", [True, False])
def test_an_address_in_use_is_a_sentence_and_status_5(tmp_path: pathlib.Path, backend: str, demo: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        key = {} if demo else {"OPENAI_API_KEY": PROVIDER_KEY}
        done = run("--listen", address, "--backend", backend, cwd=tmp_path, **key)
    assert done.returncode == exit_codes.ADDRESS_IN_USE
    assert done.stderr == f"error: {address} is in use by another process: choose another one with --listen\n"
    assert done.stdout == "", "no banner of a gateway that does not listen"


def test_an_address_that_is_not_ours_is_a_sentence_before_anything_starts(tmp_path: pathlib.Path) -> None:
    done = run("--listen", "192.0.2.1:0", cwd=tmp_path)
    assert done.returncode == exit_codes.CONFIG_INVALID
    assert 'nothing can listen on "192.0.2.1:0"' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_the_store_of_responses_is_a_sentence(tmp_path: pathlib.Path) -> None:
    (tmp_path / "r.db").write_bytes(b"no database" * 100)
    (tmp_path / "ferryllm.toml").write_text(
        '[responses]\nstore = "sqlite"\npath = "r.db"\n'
        '[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "http://127.0.0.1:1"\n'
    )
    done = run("--listen", "127.0.0.1:0", cwd=tmp_path)
    assert done.returncode == exit_codes.FAILURE
    assert "r.db cannot be used as the store of responses" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            exit_codes.FAILURE,
            "cannot listen on 127.0.0.1:1: Permission denied",
        ),
        (OSError(errno.EADDRINUSE, "x"), exit_codes.ADDRESS_IN_USE, "127.0.0.1:1 is in use"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_ends_the_start_is_a_sentence_and_a_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, fault: BaseException, status: int, words: str
) -> None:
    def failing(*args: object, **kwargs: object) -> None:
        raise fault

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERRYLLM_CONFIG", raising=False)
    monkeypatch.setattr("anyio.run", failing)
    result = CliRunner().invoke(command, ["--listen", "127.0.0.1:1"])
    assert result.exit_code == status
    assert words in result.output


def test_an_invalid_configuration_is_status_3_with_every_problem(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ferryllm.toml").write_text(
        '[server]\nlisten = "nowhere"\nbody_limit_mb = 0\nlisten_adress = 1\n'
        '[[providers]]\nname = "p"\ntype = "opnai"\nbase_url = "ftp://x"\napi_key_env = "MISSING"\n'
        '[[routes]]\nmatch = "a"\nprovider = "q"\n'
    )
    done = run(cwd=tmp_path)
    assert done.returncode == exit_codes.CONFIG_INVALID
    assert done.stdout == ""
    for words in (
        "server.listen",
        "server.body_limit_mb",
        "listen_adress",
        "providers[0].type",
        "providers[0].base_url",
        "MISSING is not set",
        'no provider is called "q"',
    ):
        assert words in done.stderr, words
    checked = subprocess.run(
        [sys.executable, "-m", "ferryllm_cli", "check-config"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean(),
        timeout=30,
    )
    problems = [line for line in done.stderr.splitlines() if "ferryllm.toml:" in line]
    assert len(problems) >= 7
    assert all(line in checked.stdout + checked.stderr for line in problems), "check-config says the same"


def test_listening_beyond_loopback_without_auth_warns_at_every_start(tmp_path: pathlib.Path) -> None:
    for _ in range(2):
        with started(
            "--listen", "0.0.0.0:0", cwd=tmp_path, until="ferryllm listens", OPENAI_API_KEY=PROVIDER_KEY
        ) as lines:
            said = "".join(lines)
            assert "can be reached from other machines" in said
            assert "auth.enabled = true" in said
            assert "http://127.0.0.1:" in said, "a URL that can be pasted"
        assert leaks("".join(lines)) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_banner_begins_with_where_and_what_from(tmp_path: pathlib.Path, backend: str) -> None:
    port = free_port()
    file = config(tmp_path, 9)
    with started(
        "-c",
        str(file),
        "--listen",
        f"127.0.0.1:{port}",
        "--backend",
        backend,
        cwd=tmp_path,
        until="provider chat",
        KEY="k" * 9,
    ) as lines:
        banner = next(line for line in lines if line.startswith("ferryllm listens"))
        assert banner == f"ferryllm listens on http://127.0.0.1:{port} ({backend}), configuration: {file}\n"
        assert "  provider chat (openai, key set) http://127.0.0.1:9\n" in lines


def test_quiet_leaves_the_log_alone(tmp_path: pathlib.Path) -> None:
    with started("--quiet", "--listen", "127.0.0.1:0", cwd=tmp_path, until="ferryllm server started") as lines:
        pass
    said = "".join(lines)
    assert "ferryllm listens" not in said
    assert "curl" not in said
    assert "draining" in said


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_certificate_on_the_command_line_makes_it_https(tmp_path: pathlib.Path, backend: str) -> None:
    files, port = certificates.write(tmp_path), free_port()
    listen = ("--listen", f"127.0.0.1:{port}", "--backend", backend)
    tls = ("--tls-cert", "server.pem", "--tls-key", "server.key")
    with started(*listen, *tls, cwd=tmp_path, until="https://127.0.0.1:") as lines:
        url = f"https://127.0.0.1:{port}/healthz"
        with urllib.request.urlopen(url, context=certificates.client_context(files), timeout=10) as answer:
            assert answer.read() == b"ok"
    assert any(line.startswith(f"ferryllm listens on https://127.0.0.1:{port} ") for line in lines)


def test_the_log_level_of_the_command_line_goes_before_the_files(tmp_path: pathlib.Path) -> None:
    file = config(tmp_path, 9)
    file.write_text(file.read_text() + '[logging]\nlevel = "trace"\n')
    with started(
        "-c",
        str(file),
        "--listen",
        "127.0.0.1:0",
        "--log-level",
        "error",
        cwd=tmp_path,
        until="provider chat",
        KEY="k" * 9,
    ) as lines:
        pass
    said = "".join(lines)
    assert "ferryllm server started" not in said
    assert "draining" not in said


AUDITED = """
import sys
def watch(event, arguments):
    if event == "socket.connect":
        print("NETWORK", event, arguments[1:], file=sys.stderr, flush=True)
    if event == "socket.getaddrinfo" and arguments[0] not in (None, b"127.0.0.1", "127.0.0.1"):
        print("NETWORK", event, arguments, file=sys.stderr, flush=True)
sys.addaudithook(watch)
from ferryllm_cli.main import main
main(prog_name="ferryllm")
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_keys_in_the_environment_are_served_and_nothing_touches_the_network(
    tmp_path: pathlib.Path, backend: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", AUDITED, "serve", "--listen", "127.0.0.1:0", "--backend", backend],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=clean(OPENAI_API_KEY=PROVIDER_KEY, ANTHROPIC_API_KEY=PROVIDER_KEY),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        first = process.stdout.readline()
        found = re.search(r"http://\S+", first)
        assert found is not None, first
        with urllib.request.urlopen(f"{found[0]}/v1/models", timeout=10) as answer:
            names = [model["id"] for model in json.load(answer)["data"]]
        with urllib.request.urlopen(f"{found[0]}/readyz", timeout=10) as answer:
            assert answer.read() == b"ready"
    finally:
        process.terminate()
        out, err = process.stdout.read(), process.stderr.read()
        process.stdout.close()
        process.stderr.close()
    assert process.wait(timeout=20) == exit_codes.OK
    assert {"gpt-*", "claude-*", "*"} <= set(names)
    assert "provider openai (openai, key set) https://api.openai.com/v1" in out
    assert "provider anthropic (anthropic, key set) https://api.anthropic.com" in out
    assert "NETWORK" not in err, err
    assert "demo" not in out
    assert leaks(first + out + err) == []


# --- the command line --------------------------------------------------------------------------------------


def test_help_shows_examples_and_every_option() -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == exit_codes.OK
    for words in ("--config", "--backend", "--listen", "--log-level", "--quiet", "Examples:", "Exit status"):
        assert words in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--backend", "curio"], "--backend"), (["--log-level", "loud"], "--log-level"), (["surplus"], "surplus")],
)
def test_wrong_usage_is_status_2(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == exit_codes.USAGE
    assert words in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "3000"], "--listen"),
        (["--listen", "127.0.0.1:99999"], "--listen"),
        (["--listen", "no.such.host.invalid:1"], "--listen"),
        (["-c", "/nowhere/ferryllm.toml"], "no such file"),
    ],
)
def test_what_the_command_line_gets_wrong_is_named(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "FERRYLLM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert words in result.output
