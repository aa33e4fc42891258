"""The harness: differences, the words of the tools it reads, a real child process, and the files it writes."""

from __future__ import annotations

import json
import pathlib

import pytest

from bench import budgets
from bench.__main__ import main, table
from bench.counting import (
    MAX_RUNS,
    MIN_RUNS,
    SECS,
    CountingError,
    Method,
    calibrate,
    cost,
    parse_perf,
    parse_time,
    parse_valgrind,
)
from bench.scenarios import SCENARIOS, Run

ANY = next(iter(SCENARIOS))


def test_what_is_spent_besides_the_runs_is_not_in_their_cost() -> None:
    def spend(name: str, runs: int) -> float:
        return 40_000_000 + 1_234 * runs

    assert cost(ANY, Method.VALGRIND, runs=10, spend=spend) == 1_234


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(CountingError, match="source files change"):
        cost(ANY, Method.VALGRIND, runs=10, spend=lambda name, runs: 5.0)


def test_of_times_the_best_counts() -> None:
    disturbances = iter([900, 0, 50, 70, 800, 60, 500, 0, 20, 90])

    def spend(name: str, runs: int) -> float:
        return 100 + 7 * runs + next(disturbances)

    assert cost(ANY, Method.TIME, runs=10, spend=spend) == 7


def test_a_real_child_process_says_its_time() -> None:
    assert cost(ANY, Method.TIME, runs=MIN_RUNS) >= 0


def test_a_scenario_that_fails_is_told_with_what_it_said() -> None:
    from bench.counting import _spender

    with pytest.raises(CountingError, match="KeyError: 'no such scenario'"):
        _spender(Method.TIME)("no such scenario", 1)


def test_a_scenario_that_cannot_be_made_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Run:
        raise TypeError("planted")

    monkeypatch.setitem(SCENARIOS, f"{ANY} broken", broken)
    assert main([*ANY.split(), "--method", "time"]) == 1
    shown = capsys.readouterr()
    assert "it does not run: TypeError: planted" in shown.err
    assert ANY in shown.out


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_each_scenario_can_run_again_and_again(name: str) -> None:
    run = SCENARIOS[name]()
    assert run() == run()


@pytest.mark.parametrize(("secs", "runs"), [(0.0, MAX_RUNS), (SECS / 100, 100), (9.0, MIN_RUNS)])
def test_there_are_as_many_runs_as_the_time_allows_within_bounds(secs: float, runs: int) -> None:
    now = 0.0

    def run() -> None:
        nonlocal now
        now += secs

    assert calibrate(run, lambda: now) == pytest.approx(runs, abs=1)


def test_instructions_are_read_from_perf() -> None:
    assert parse_perf("out\n39073513,,instructions:u,22000000,100.00,,\n") == 39_073_513
    with pytest.raises(CountingError, match="counts no instructions here"):
        parse_perf("<not supported>,,instructions:u,0,100.00,,\n")


def test_instructions_are_read_from_valgrind() -> None:
    assert parse_valgrind("==1== Collected : 12\n==1== \n==1== I   refs:      39,073,513\n") == 39_073_513
    with pytest.raises(CountingError, match="counted nothing"):
        parse_valgrind("valgrind: fatal error")


def test_times_are_read_from_the_child() -> None:
    assert parse_time("cpu_us 12.5\n") == 12.5
    with pytest.raises(CountingError, match="did not say"):
        parse_time("")


# --- the table and the files -----------------------------------------------------------------------------


def test_the_table_shows_before_and_after() -> None:
    lines = table({"one": 500.0, "new": 7.0}, {"one": 1000.0}, "instructions").splitlines()
    assert lines[1].split() == ["one", "1,000.0", "500.0", "0.500"]
    assert lines[2].split() == ["new", "-", "7.0", "-"]


def test_figures_are_saved_and_compared(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "before.json"
    words = ANY.split()
    assert main([*words, "--method", "time", "--save", str(file)]) == 0
    assert list(json.loads(file.read_text())["costs"]) == [ANY]
    assert main([*words, "--method", "time", "--against", str(file)]) == 0
    assert capsys.readouterr().out.count(ANY) == 2


def test_figures_of_different_units_are_not_compared(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "before.json"
    file.write_text('{"method": "perf", "costs": {}}')
    with pytest.raises(SystemExit, match="in instructions, this run in us"):
        main([ANY, "--method", "time", "--against", str(file)])


def test_no_scenario_of_that_name_is_a_failure() -> None:
    assert main(["no such scenario", "--method", "time"]) == 1


def test_every_scenario_has_a_budget_and_every_budget_a_scenario() -> None:
    found = budgets.read()
    assert set(found.instructions) == set(SCENARIOS)
    assert 1.05 <= found.tolerance <= 2


def test_budgets_that_are_not_measured_again_stay(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "budgets.toml"
    budgets.write({"a": 10.4, "b": 20.0}, 1.3, file)
    budgets.write({"b": 30.0}, 1.2, file)
    found = budgets.read(file)
    assert (found.instructions, found.tolerance) == ({"a": 10, "b": 30}, 1.2)
    assert (found.python, found.machine) == budgets.here()


def test_budgets_of_another_python_do_not_stay(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text('python = "2.7"\nmachine = "vax"\ntolerance = 1.3\n[instructions]\n"a" = 1\n')
    budgets.write({"b": 30.0}, 1.3, file)
    assert set(budgets.read(file).instructions) == {"b"}
