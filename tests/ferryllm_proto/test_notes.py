"""Notes have the fields the log's readers rely on, and only faults are made loud."""

from __future__ import annotations

from ferryllm_proto import notes
from ferryllm_proto.routing.table import Route


def test_a_resolved_route_shows_both_names_of_the_model() -> None:
    plain = notes.resolved("openai", "asked", Route("*", "it"))
    renamed = notes.resolved("openai", "asked", Route("*", "it", rewrite_model="real"))
    assert (plain.fields["backend_model"], renamed.fields["backend_model"]) == ("asked", "real")
    assert renamed.fields["display_model"] == "asked"


def test_a_latency_is_in_whole_milliseconds() -> None:
    assert notes.answered("it", 200, 0.0126).fields["latency_ms"] == 13


def test_only_a_fault_is_a_warning() -> None:
    assert notes.failed("it", "refused").level == "warn"
    made = (
        notes.incoming("openai", "m", stream=True),
        notes.resolved("openai", "m", Route("*", "it")),
        notes.sending("it", None, stream=False),
        notes.answered("it", 200, 0.0),
    )
    assert {note.level for note in made} == {"info"}
