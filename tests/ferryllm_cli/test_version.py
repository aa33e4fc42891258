"""`ferryllm version`."""

from __future__ import annotations

import json

from click.testing import CliRunner

from ferryllm_cli.version import command
from ferryllm_proto._version import __version__


def test_the_version_on_one_line() -> None:
    result = CliRunner().invoke(command)
    assert (result.exit_code, result.output) == (0, f"ferryllm {__version__}\n")


def test_json_names_what_it_runs_on() -> None:
    facts = json.loads(CliRunner().invoke(command, ["--json"]).output)
    assert facts["ferryllm"] == __version__
    assert set(facts) == {"ferryllm", "python", "platform", "h11", "h2", "anyio", "trio", "msgspec"}
    assert all(facts.values())
