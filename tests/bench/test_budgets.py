"""No scenario costs more than its budget allows. Counts every one of them, so it is for `scripts/test --deep`."""

from __future__ import annotations

import pytest

from bench.budgets import here, read
from bench.counting import Method, available, cost

pytestmark = [pytest.mark.deep, pytest.mark.bench]

BUDGETS = read()


@pytest.fixture(scope="module")
def method() -> Method:
    found = available()
    if found is Method.TIME:
        pytest.skip("NO BUDGET IS CHECKED: neither perf nor valgrind counts instructions here")
    if here() != (BUDGETS.python, BUDGETS.machine):
        pytest.skip(f"NO BUDGET IS CHECKED: they are of Python {BUDGETS.python} on {BUDGETS.machine}, this is {here()}")
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(BUDGETS.instructions))
def test_the_scenario_stays_within_its_budget(name: str, method: Method) -> None:
    found, budget = cost(name, method), BUDGETS.instructions[name]
    assert found <= budget * BUDGETS.tolerance, (
        f"{found:,.0f} instructions a run, {found / budget:.2f} times the {budget:,.0f} that were measured before; "
        f"if it has to cost that, write the new figure: scripts/bench --write-budgets {name}"
    )
