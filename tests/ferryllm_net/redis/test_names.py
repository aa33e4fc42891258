"""All keys of one gateway are in one slot of a cluster, and no two things have one key."""

from __future__ import annotations

from ferryllm_net.redis.names import Names, read_target, write_target
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.limits import Meter
from ferryllm_proto.routing.quota import Period, Quota, Unit


def test_every_key_has_the_prefix_in_braces() -> None:
    names = Names("p")
    quota = Quota(Unit.COST, Period.MONTH, 5, 3600)
    keys = [
        names.bucket("key/a", Meter.TOKENS),
        names.account("key/a", quota),
        names.leases("gateway"),
        names.record("1"),
        names.batch("1"),
        names.place(b"\xff\x00"),
        names.hints,
        names.responses("x"),
    ]
    assert len(set(keys)) == len(keys)
    assert all(key.startswith("{p}:") for key in keys)
    assert names.account("key/a", Quota(Unit.COST, Period.MONTH, 9, 3600)) == keys[1], "raised, and the same"
    assert names.account("key/a", Quota(Unit.COST, Period.MONTH, 5)) != keys[1]


def test_a_place_is_read_as_it_was_written_and_anything_else_is_none() -> None:
    for target in (Target("p"), Target('p"\n', "ü", 5)):
        assert read_target(write_target(target)) == target
    for found in (None, False, 5, b"", b"{}", b'{"provider":1}', b"\xff"):
        assert read_target(found) is None
