"""Inputs are values: they can not change under a machine, and the machine knows all of them."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from ferryllm_proto import inputs, ir
from ferryllm_proto.routing.choice import FULL, Booking
from ferryllm_proto.routing.keys import Admission, Refusal
from ferryllm_proto.routing.limits import Charge
from ferryllm_proto.routing.quota import Reserved
from ferryllm_proto.stages import TRANSITIONS

KINDS = get_args(inputs.Input)
SAMPLES = (
    inputs.ClientRequest("POST", "/v1/messages", (("host", "a"),)),
    inputs.ClientBody(b"{}"),
    inputs.ClientFault(413, "too large"),
    inputs.ClientLost(),
    inputs.Admitted(Admission(None, Charge(()), Reserved(()), {}), 0.5),
    inputs.Refused(Refusal(ir.Error(ir.ErrorKind.RATE_LIMIT, "later"), {}, "limit")),
    inputs.Booked(Booking("p", Charge(()))),
    inputs.BookedUp(FULL),
    inputs.Recalled(None, foreign=True),
    inputs.Stored(ok=True),
    inputs.UpstreamHead(200, ()),
    inputs.UpstreamData(b"x"),
    inputs.UpstreamEnd(),
    inputs.UpstreamLost("reset"),
    inputs.DeadlinePassed(),
    inputs.Stopping(),
)


def test_the_union_names_every_input_of_the_module() -> None:
    defined = {one for one in vars(inputs).values() if isinstance(one, type) and one.__module__ == inputs.__name__}
    assert set(KINDS) == defined == {type(sample) for sample in SAMPLES}


def test_every_input_can_happen_in_some_state() -> None:
    assert {kind for _, kind in TRANSITIONS} == set(KINDS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_inputs_are_frozen_and_compare_by_value(sample: msgspec.Struct) -> None:
    for name in sample.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(sample, name, None)
    assert sample == type(sample)(*[getattr(sample, name) for name in sample.__struct_fields__])
    if not isinstance(sample, (inputs.Admitted, inputs.Refused)):  # their standings are a mapping
        assert hash(sample) == hash(type(sample)(*[getattr(sample, name) for name in sample.__struct_fields__]))


def test_a_lost_provider_is_no_timeout_unless_it_says_so() -> None:
    assert not inputs.UpstreamLost("reset").timeout
    assert inputs.UpstreamLost("slow", timeout=True) != inputs.UpstreamLost("slow")
