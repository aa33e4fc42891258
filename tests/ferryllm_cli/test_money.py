"""Nano-dollars in words."""

from __future__ import annotations

import pytest

from ferryllm_cli.money import dollars, short_dollars


@pytest.mark.parametrize(
    ("nanos", "exact", "short"),
    [
        (0, "0", "$0.00"),
        (1, "0.000000001", "$0.000000001"),
        (1_234_567, "0.001234567", "$0.001235"),
        (12_340_000, "0.01234", "$0.0123"),
        (1_500_000_000, "1.5", "$1.5000"),
        (1_234_995_000_000, "1234.995", "$1,235.00"),
        (9_999_999_999, "9.999999999", "$10.0000"),
    ],
)
def test_exact_has_every_digit_and_short_as_many_as_tell_something(nanos: int, exact: str, short: str) -> None:
    assert (dollars(nanos), short_dollars(nanos)) == (exact, short)
