"""What the status and the headers of an error say by themselves (translation.md E4)."""

from __future__ import annotations

import pytest

from ferryllm_proto.ir import ErrorKind
from ferryllm_proto.statuses import KINDS, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), None),
        ((("Retry-After", "3"),), 3.0),
        ((("retry-after", " 1.5 "),), 1.5),
        ((("retry-after", "3"), ("Retry-After-Ms", "250")), 0.25),
        ((("retry-after-ms", "soon"), ("retry-after", "2")), 2.0),
        ((("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),), None),
        *(((("retry-after", value),), None) for value in ("", "-1", "inf", "nan", "1e3", "1_0", "٣", "9" * 400)),
    ],
)
def test_e4_seconds_are_read_and_nothing_else(headers: tuple[tuple[str, str], ...], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_status_that_says_no_more_than_its_hundred_is_left_to_the_dialect() -> None:
    assert KINDS[529] is KINDS[503] is ErrorKind.OVERLOADED
    assert not {400, 422, 500, 502} & set(KINDS)
