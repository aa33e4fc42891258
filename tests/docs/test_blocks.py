"""Every fenced block of every page is run, read or compared, or stands in `NOT_RUN` with the reason."""

from __future__ import annotations

import configparser
import json
import pathlib
import re
import shutil
from collections.abc import Iterator

import pytest
import tomli

from docs.generated import PAGES as GENERATED
from docs.pages import PAGES, ROOT, Block, blocks, matches
from docs.session import GATEWAY, Session, session
from ferryllm_cli.banner import commands as banner_commands
from ferryllm_net.config import load_settings
from support.processes import gateway

KEYS = dict.fromkeys(
    ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "FERRYLLM_API_KEYS"),
    "not-a-key-1234",
) | {"FERRYLLM_ADMIN_KEY": "not-an-admin-key-5678", "CI_KEY": "no-key-of-ci-9012", "HOME": "/home/nobody"}

_CLAUDE = "$ ANTHROPIC_BASE_URL=http://127.0.0.1:3000 ANTHROPIC_API_KEY=any claude"
_CLAUDE_PONG = _CLAUDE + ' --bare --print --model demo "Reply with one word: pong"'
_CODEX_PONG = "$ FERRYLLM_KEY=any codex exec --skip-git-repo-check --model demo \\"
_GEMINI_PONG = (
    "$ GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:3000 GEMINI_API_KEY=any gemini --model demo"
    ' --prompt "Reply with one word: pong"'
)
_OLLAMA_PONG = '$ OLLAMA_HOST=http://127.0.0.1:3000 ollama run demo "Reply with one word: pong"'
_QWEN_PONG = (
    "$ OPENAI_BASE_URL=http://127.0.0.1:3000/v1 OPENAI_API_KEY=any OPENAI_MODEL=demo qwen --auth-type openai"
    ' --prompt "Reply with one word: pong"'
)
_AIDER_PONG = (
    "$ OPENAI_API_KEY=any aider --model openai/demo --openai-api-base http://127.0.0.1:3000/v1"
    ' --message "Reply with one word: pong"'
)
_CLIENT = (
    "needs a client that is not here; scripts/test --clients drives it, and the text is compared with the banner below"
)
_BUILD = "downloads and builds llama.cpp"

NOT_RUN: dict[tuple[str, str], str] = {
    ("README.md", "$ scripts/test"): "would run this test",
    ("README.md", _CLAUDE_PONG): _CLIENT,
    ("README.md", _CODEX_PONG): _CLIENT,
    ("CONTRIBUTING.md", "$ scripts/test"): "would run this test",
    ("docs/howto/claude-code.md", _CLAUDE): _CLIENT,
    ("docs/howto/claude-code.md", _CLAUDE_PONG): _CLIENT,
    ("docs/howto/codex.md", _CODEX_PONG): _CLIENT,
    ("docs/howto/opencode.md", '$ opencode run -m ferry-chat/demo "Reply with one word: pong"'): "needs OpenCode",
    ("docs/howto/gemini.md", _GEMINI_PONG): _CLIENT,
    ("docs/howto/ollama.md", _OLLAMA_PONG): "needs Ollama's own program",
    ("docs/howto/chat-agents.md", _QWEN_PONG): "needs Qwen Code; scripts/test --clients drives it",
    ("docs/howto/chat-agents.md", _AIDER_PONG): "needs aider; scripts/test --clients drives it",
    ("docs/howto/run-as-a-service.md", "$ python3 -m venv /opt/ferryllm"): "installs into the system",
    ("docs/development.md", "$ scripts/test"): "would run this test",
    (
        "docs/howto/tls.md",
        "$ ferryllm serve --listen 0.0.0.0:3000 --tls-cert server.pem --tls-key server.key",
    ): "needs a certificate; tests/ferryllm_net/gateway/test_serve.py has one",
    ("docs/howto/tls.md", "$ systemctl reload ferryllm"): "needs systemd",
    ("docs/howto/reload.md", "$ systemctl reload ferryllm"): "needs systemd",
    ("docs/howto/systemd.md", "$ systemctl enable --now ferryllm.socket"): "needs systemd",
    ("docs/howto/workers.md", "$ pip install 'ferryllm[uvloop]'"): "installs; test_serve_workers.py serves with it",
    ("docs/howto/behind-a-proxy.md", "location / {"): "needs nginx",
    (
        "docs/howto/tls.md",
        "$ curl --cacert ca.pem --cert client.pem --key client.key https://gateway.example:3000/healthz",
    ): "needs a certificate",
    ("docs/development.md", "$ python -m venv .frameworks"): "installs a gigabyte of frameworks",
    ("docs/development.md", "$ pip download --no-deps --no-binary :all: llama-cpp-python"): _BUILD,
    ("docs/development.md", "$ pip install numpy gguf"): _BUILD,
    ("docs/development.md", "$ FERRYLLM_LLAMA_SERVER=build/bin/llama-server FERRYLLM_LLAMA_MODELS=models \\"): _BUILD,
    (
        "docs/development.md",
        "src/ferryllm_proto    machines, no I/O          src/ferryllm_net    HTTP, gateway, config, log, mock, bench",
    ): "a picture; its paths are checked below",
    ("docs/development.md", "$ python docs/generate.py"): "would write files; test_generated compares what it writes",
    (
        "docs/explanation/design.md",
        "src/ferryllm_proto    what the protocols mean: machines, no I/O          msgspec",
    ): "a picture; its paths are checked below",
    ("docs/explanation/design.md", "ferryllm_proto"): "a picture; its paths are checked below",
}
"""(page, first line of the block): why it is not run."""

CHECKED = frozenset({"console", "python", "output", "toml", "json", "ini"})
HAND_WRITTEN = [page for page in PAGES if str(page.relative_to(ROOT)).removeprefix("docs/") not in GENERATED]


def name(page: pathlib.Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """The address of a gateway with the demo provider, for pages that start none of their own."""
    with gateway() as running:
        yield running.base_url.removeprefix("http://")


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=name)
def test_the_blocks_of_the_page_work(
    page: pathlib.Path, tmp_path: pathlib.Path, request: pytest.FixtureRequest
) -> None:
    found = [block for block in blocks(page) if (block.page, block.first) not in NOT_RUN]
    missing = [tool for tool in ("bash", "curl") if shutil.which(tool) is None]
    if missing and any(block.kind == "console" for block in found):
        pytest.skip(f"the commands of this page need {' and '.join(missing)}")
    own = any("background" in block.words and "serve" in block.text for block in found)
    wanted = any(GATEWAY in block.text for block in found if block.kind in ("console", "python"))
    address = request.getfixturevalue("demo") if wanted and not own else None
    with session(tmp_path, address) as running:
        for block in found:
            check(block, running)


def check(block: Block, running: Session) -> None:
    where = f"{block.page}:{block.line}"
    assert block.kind in CHECKED, f"{where}: no test knows blocks of the kind {block.kind!r}; see NOT_RUN"
    if block.kind == "console" and "background" in block.words:
        running.background(block)
    elif block.kind == "console":
        running.console(block)
    elif block.kind == "python":
        running.python(block)
    elif block.kind == "output":
        assert matches(block.text, running.printed), f"{where}: printed:\n{running.printed}"
    elif block.kind == "json":
        json.loads(block.text)
    elif block.kind == "ini":
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep case
        parser.read_string(block.text)
    else:
        (file,) = block.words
        path = running.write(file, block)
        if path.name.startswith("ferryllm"):
            settings = load_settings(path, KEYS)
            assert settings.warnings == (), f"{where}: {settings.warnings}"
        else:
            tomli.loads(block.text)


def test_every_block_that_is_not_run_is_still_there() -> None:
    there = {(block.page, block.first) for page in PAGES for block in blocks(page)}
    assert set(NOT_RUN) <= there, set(NOT_RUN) - there


@pytest.mark.parametrize("page", ["README.md", "docs/howto/claude-code.md", "docs/howto/codex.md"])
def test_the_one_liners_are_those_that_serve_prints(page: str) -> None:
    printed = banner_commands("http://127.0.0.1:3000", "demo", "any")
    shown = [block for block in blocks(ROOT / page) if block.first in (_CLAUDE_PONG, _CODEX_PONG)]
    assert shown
    for block in shown:
        assert block.text.removeprefix("$ ").strip() in printed


def test_paths_in_the_pictures_and_tables_exist() -> None:
    design, development = (ROOT / "docs" / name for name in ("explanation/design.md", "development.md"))
    picture = next(block for block in blocks(design) if block.first == "ferryllm_proto")
    room = ""
    for line in picture.text.splitlines():
        names = line[2:27].split()
        if not line.startswith(" "):
            room = line
        for found in names if line.startswith(" ") else ():
            assert (ROOT / "src" / room / found).exists(), f"{room}/{found}"
    assert (ROOT / "src/ferryllm_net/mock").is_dir()
    for found in re.findall(r"`(src/[\w/]+|ferryllm_net/\w+)`", development.read_text()):
        path = found if found.startswith("src/") else f"src/{found}"
        assert (ROOT / path.rstrip("/")).exists(), found
