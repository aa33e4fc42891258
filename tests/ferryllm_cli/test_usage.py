"""`ferryllm usage`: what it counts, the forms it says it in, and what it says where there is no ledger."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.main import main
from ferryllm_net.ledger import Row
from ferryllm_net.ledger.sqlite import SqliteLedger
from support.ledgers import row

CONFIG = (
    '[ledger]\npath = "l.db"\n[[providers]]\nname = "a"\ntype = "openai"\nbase_url = "http://x"\napi_key_env = "NO"\n'
)
NOW = time.time()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("FERRYLLM_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "STATE_DIRECTORY", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("ferryllm.toml").write_text(CONFIG)
    return tmp_path


def put(*rows: Row) -> None:
    async def work() -> None:
        ledger = SqliteLedger.open(Path("l.db"))
        for one in rows:
            await ledger.put(one)
        await ledger.aclose()

    asyncio.run(work())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["usage", *arguments])


def ok(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == exit_codes.OK, result.output
    return result.stdout


ROWS = (
    row(id="1", time=NOW, key="k1", key_name="laptop", cost=2_500_000_000, cost_known=2_500_000_000),
    row(id="2", time=NOW, key="k1", key_name="laptop", project="docks", output_tokens=None, cost=None, cost_known=5),
    row(id="3", time=NOW - 90 * 86_400, key="k2", key_name="old"),
    row(id="4", time=NOW, key=None, key_name=None, user=None, outcome="error", attempts=0),
)


def test_a_table_has_a_line_for_each_group_and_one_for_all(folder: Path) -> None:
    put(*ROWS)
    result = run("--by", "key", "--since", "1d")
    head, *lines = result.stdout.splitlines()
    columns = ["key", "requests", "errors", "refused", "input", "cache", "read", "cache", "write", "output", "cost"]
    assert head.split() == columns
    assert [line.split()[:4] for line in lines] == [
        ["-", "1", "0", "1"],
        ["k1", "(laptop)", "2", "0"],
        ["total", "3", "0", "1"],
    ]
    assert lines[1].split()[-2:] == ["20+", "$2.5000+"]
    assert len({len(line) for line in lines}) == 1
    assert result.stderr == "+ and more: output of 1, cost of 1 requests unknown\n"


def test_what_nobody_knows_is_unknown_and_not_nothing(folder: Path) -> None:
    put(row(id="1", time=NOW, input_tokens=None, output_tokens=0, cost=None, cost_known=0))
    head, line = ok().splitlines()
    assert head.split()[0] == "requests"
    assert line.split() == ["1", "0", "0", "unknown", "30", "40", "0", "unknown"]


def test_counting_tokens_uses_none(folder: Path) -> None:
    nothing = dict.fromkeys(("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost"))
    put(row(id="1", time=NOW, operation="count_tokens", cost_known=0, **nothing))
    assert ok().splitlines()[1].split() == ["1", "0", "0", "0", "0", "0", "0", "$0.00"]


def test_groups_may_be_several_and_filters_leave_out(folder: Path) -> None:
    put(*ROWS)
    found = json.loads(ok("--by", "project,model", "--since", "100d", "--key", "k1", "--json"))
    assert found["by"] == ["project", "model"]
    assert [(one["project"], one["model"]) for one in found["groups"]] == [("docks", "gpt-5.5"), ("ships", "gpt-5.5")]
    assert found["total"]["requests"] == 2
    assert found["total"]["output_tokens"] == {"known": 20, "unknown": 1}
    assert found["total"]["cost"] == {"dollars": "2.500000005", "unknown": 1}
    assert json.loads(ok("--key", "", "--json"))["total"]["requests"] == 1
    assert json.loads(ok("--key", "laptop", "--json"))["total"]["requests"] == 2


def test_days_and_months_are_groups(folder: Path) -> None:
    put(*ROWS)
    found: Any = json.loads(ok("--by", "month", "--by", "day", "--since", "2000-01-01", "--json"))
    assert len(found["groups"]) == 2
    assert all(one["day"].startswith(one["month"]) for one in found["groups"])


def test_csv_has_a_head_and_no_cell_that_a_spreadsheet_would_calculate(folder: Path) -> None:
    put(row(id="1", time=NOW, model_resolved="=1+1", cost=10**9, cost_known=10**9))
    head, line = list(csv.reader(io.StringIO(ok("--by", "model", "--by", "key", "--csv"))))
    found = dict(zip(head, line, strict=True))
    assert found["model"] == "'=1+1"
    assert (found["key"], found["key_name"]) == ("key_1", "laptop")
    assert (found["input_tokens"], found["input_tokens_unknown_requests"], found["cost_dollars"]) == ("10", "0", "1")
    assert len(list(csv.reader(io.StringIO(ok("--csv"))))) == 2


def test_a_ledger_without_requests_says_so(folder: Path) -> None:
    put(ROWS[2])
    assert ok("--since", "1d").startswith("no requests since ")
    assert json.loads(ok("--since", "1d", "--json"))["total"]["requests"] == 0


def test_without_a_ledger_it_says_what_to_switch_on(folder: Path) -> None:
    Path("ferryllm.toml").write_text("")
    result = run()
    assert result.exit_code == exit_codes.FAILURE
    assert "add [ledger]" in result.stderr
    Path("ferryllm.toml").write_text(CONFIG)
    missing = run()
    assert missing.exit_code == exit_codes.FAILURE
    assert "there is no ledger at" in missing.stderr


def test_a_ledger_that_only_quotas_ask_for_is_found_too(folder: Path) -> None:
    place = folder / ".local" / "share" / "ferryllm"
    place.mkdir(parents=True)
    put(ROWS[0])
    Path("l.db").rename(place / "ledger.db")
    Path("ferryllm.toml").write_text("")
    assert json.loads(ok("--json"))["total"]["requests"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--by", "colour"), "expected one of key"),
        (("--json", "--csv"), "choose one"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "not after"),
        (("--since", "whenever"), "expected one of the forms"),
    ],
)
def test_wrong_usage_is_said_with_what_is_right(arguments: tuple[str, ...], words: str, folder: Path) -> None:
    result = run(*arguments)
    assert result.exit_code == exit_codes.USAGE
    assert words in " ".join(result.stderr.split())


def test_a_wrong_table_is_a_fault_of_the_configuration(folder: Path) -> None:
    Path("ferryllm.toml").write_text('[ledger]\nstore = "excel"\n')
    assert run().exit_code == exit_codes.CONFIG_INVALID
