"""A record of a request, for tests of what hears of records."""

from __future__ import annotations

from ferryllm_proto.actions import Outcome, Record

RECORD = Record(
    id="req_1",
    entry="anthropic",
    operation="generate",
    outcome=Outcome.OK,
    status=200,
    latency=0.5,
    first_byte=0.1,
    model='any"thing\n',
    backend_model="m",
    upstream_model=None,
    provider="one",
    stream=True,
    usage=None,
    finish=None,
    losses=(),
    error=None,
    attempts=1,
)
"""A good stream of the provider ``one``; its model's name would break out of a label."""
