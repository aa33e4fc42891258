"""What may be read again, and the words for it."""

from __future__ import annotations

import pytest

from ferryllm_net.reload import EVERYTHING, Order, orders


@pytest.mark.parametrize("order", [*Order, EVERYTHING, Order.KEYS | Order.FAILED])
def test_an_order_arrives_as_it_was_sent(order: Order) -> None:
    assert len(order.word()) == 1
    assert orders(order.word()) == order


def test_several_words_at_once_are_all_obeyed() -> None:
    assert orders(Order.KEYS.word() + Order.CERTIFICATES.word()) == Order.KEYS | Order.CERTIFICATES


def test_what_no_version_says_is_nothing() -> None:
    assert orders(b"\xf0") == Order(0)
