"""What `ferryllm keys` leaves in the audit log, and what it does where it cannot."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.main import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and accounts are POSIX")
CONFIG = '[keys]\nstore = "sqlite"\npath = "keys.db"\n[audit]\npath = "audit.jsonl"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERRYLLM_CONFIG", raising=False)
    monkeypatch.setenv("LOGNAME", "somebody-else")
    Path("ferryllm.toml").write_text(CONFIG)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def entries() -> list[dict[str, Any]]:
    found = [json.loads(line) for line in Path("audit.jsonl").read_text().splitlines()]
    assert all(one.pop("pid") == os.getpid() and one.pop("time") and one.pop("actor") == "cli" for one in found)
    return found


def account() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def test_every_change_is_written_down_and_no_look() -> None:
    made = json.loads(run("create", "--name", "ci", "--user", "ada", "--rpm", "9", "--json").stdout)
    for arguments in (
        ("rotate", "ci", "--grace", "1h"),
        ("limits", "ci", "--daily-cost", "2", "--project", "web"),
        ("limits", "ci"),
        ("list",),
        ("show", "ci"),
        ("revoke", "ci"),
        ("projects", "create", "web", "--tpm", "2k"),
        ("projects", "limits", "web", "--tpm", "none"),
        ("projects", "list"),
        ("projects", "remove", "web"),
    ):
        assert run(*arguments).exit_code == exit_codes.OK, arguments
    key = {"outcome": "done", "subject": made["id"], "name": "ci", "os_user": account()}
    project = {"outcome": "done", "subject": "web", "os_user": account()}
    assert entries() == [
        {"action": "key.create", **key, "changed": ["name", "user", "limits.requests_per_minute"]},
        {"action": "key.rotate", **key, "changed": ["grace"]},
        {"action": "key.change", **key, "changed": ["project", "limits.daily_cost"]},
        {"action": "key.revoke", **key},
        {"action": "project.create", **project, "changed": ["name", "limits.tokens_per_minute"]},
        {"action": "project.change", **project, "changed": ["limits.tokens_per_minute"]},
        {"action": "project.remove", **project},
    ]
    assert stat.S_IMODE(Path("audit.jsonl").stat().st_mode) == 0o600
    assert made["key"] not in Path("audit.jsonl").read_text()


def test_what_was_refused_is_written_down_without_the_text_of_a_key() -> None:
    text = run("create", "--name", "ci").stdout.strip()
    for arguments in (("create", "--name", "ci"), ("rotate", "nobody"), ("revoke", text), ("create", "--name", " ")):
        assert run(*arguments).exit_code == exit_codes.FAILURE
    found = [(one["action"], one["outcome"], one.get("subject", "")) for one in entries()[1:]]
    assert found == [
        ("key.create", "conflict", "ci"),
        ("key.rotate", "not_found", "nobody"),
        ("key.revoke", "not_found", f"{text[:7]}..."),
        ("key.create", "invalid", " "),
    ]
    assert text not in Path("audit.jsonl").read_text()


def test_lines_of_the_gateway_stay_before_its_own() -> None:
    Path("audit.jsonl").write_text("{}\n")
    assert run("create", "--name", "ci").exit_code == exit_codes.OK
    assert Path("audit.jsonl").read_text().startswith('{}\n{"time":')


def test_nothing_is_done_where_nobody_could_answer_for_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ferryllm.toml").write_text(CONFIG.replace("audit.jsonl", "none/audit.jsonl"))
    result = run("create", "--name", "ci")
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert "there is no folder" in result.stderr
    Path("ferryllm.toml").write_text(CONFIG)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ferryllm_cli.key_audit.os.open", refuse)
    result = run("create", "--name", "ci")
    assert result.exit_code == exit_codes.FAILURE
    assert f"nothing is done, because the audit log {folder}/audit.jsonl cannot be written: No space" in result.stderr
    assert not Path("keys.db").exists()


def test_without_an_audit_log_nothing_is_written() -> None:
    Path("ferryllm.toml").write_text(CONFIG.partition("[audit]")[0])
    assert run("create", "--name", "ci").exit_code == exit_codes.OK
    assert not Path("audit.jsonl").exists()
