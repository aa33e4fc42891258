"""Rows given to programs."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

from ferryllm_net.config.usage_settings import HookSettings
from ferryllm_net.hooks.command import REFUSED, CommandSink
from ferryllm_net.hooks.fault import HookError
from support.ledgers import BARE, FULL

pytestmark = pytest.mark.anyio


def program(code: str, *arguments: str, secs: float = 20.0, env: tuple[str, ...] = ()) -> HookSettings:
    # Without site and environment a Python begins in 10 ms.
    return HookSettings("bill", command=(sys.executable, "-ISc", code, *arguments), timeout_secs=secs, env=env)


async def test_a_program_reads_one_object_a_line(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    await CommandSink(program(code, str(out))).deliver([FULL, BARE])
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["req_1", "req_2"]


async def test_a_program_sees_no_variable_that_it_was_not_given(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out"
    code = "import os, sys, json; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "OPENAI_API_KEY": "sk-secret", "TOKEN": "t"}
    await CommandSink(program(code, str(out), env=("TOKEN",)), environ).deliver([FULL])
    found = json.loads(out.read_text())
    assert found.items() >= {"TOKEN": "t", "LC_ALL": "C.UTF-8", "FERRYLLM_HOOK": "bill"}.items()
    assert "OPENAI_API_KEY" not in found


@pytest.mark.parametrize(("status", "refused"), [(1, False), (REFUSED, True)])
async def test_a_status_that_is_not_0_is_a_failure(status: int, refused: bool) -> None:
    with pytest.raises(HookError, match=f"status {status}") as caught:
        await CommandSink(program(f"raise SystemExit({status})")).deliver([FULL])
    assert caught.value.refused is refused


async def test_a_program_that_takes_too_long_is_killed() -> None:
    with pytest.raises(HookError, match="killed"):
        await CommandSink(program("import time; time.sleep(60)", secs=0.05)).deliver([FULL])


async def test_a_program_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(HookError, match="No such file"):
        await CommandSink(HookSettings("bill", command=("/nowhere/at-all",))).deliver([FULL])
