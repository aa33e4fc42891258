"""The tables of metrics: names and words as Prometheus wants them."""

from __future__ import annotations

import re

import pytest

from ferryllm_net.telemetry import families
from ferryllm_net.telemetry.families import ALL, EVENTS, Family, Kind


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_each_family_is_well_formed(family: Family) -> None:
    assert re.fullmatch(r"ferryllm_[a-z]+(_[a-z]+)*", family.name)
    assert not family.name.endswith("_total")  # the text format adds it
    assert family.words.endswith(".")
    assert all(re.fullmatch(r"[a-z_]+", label) for label in family.labels)
    assert len(set(family.labels)) == len(family.labels)
    assert (family.kind is Kind.HISTOGRAM) == bool(family.buckets)
    assert list(family.buckets) == sorted(set(family.buckets))


def test_every_name_is_there_once() -> None:
    assert len({family.name for family in ALL}) == len(ALL)


def test_all_that_the_module_has_is_in_its_list() -> None:
    assert {family for family in vars(families).values() if isinstance(family, Family)} <= set(ALL)


def test_events_are_called_as_their_families() -> None:
    assert all(family.name == f"ferryllm_{name}" and family.kind is Kind.COUNTER for name, family in EVENTS.items())
