"""The words of HTTP/1.1 are values, and the ones that engines share are the same objects."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from ferryllm_net.http import engine
from ferryllm_proto import http1
from ferryllm_proto.http1 import END, EndOfMessage, Event, HeadLimits, NotMine, Sent


@pytest.mark.parametrize("kind", [*get_args(Event), NotMine, Sent, HeadLimits], ids=lambda kind: kind.__name__)
def test_events_are_frozen_values(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen


def test_an_end_has_no_trailers_unless_it_is_given_some() -> None:
    assert EndOfMessage() == END == EndOfMessage([])
    assert EndOfMessage([("a", "b")]) != END


def test_the_seam_of_the_net_speaks_the_same_words() -> None:
    for name in engine.__all__:
        if name != "Engine":
            assert getattr(engine, name) is getattr(http1, name)
