"""Rows of the table of fields: their paths, their requests, their marks."""

from __future__ import annotations

from ferryllm_proto.fields import Fate, Place, steps
from ferryllm_proto.fields.row import Step
from ferryllm_proto.loss import Disposition

BODY = Place(
    "openai", "", "", {"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}], "a": {"b": 1}}
)
PART = Place("openai", "messages[user].content[text]", "messages[0].content[0]", BODY.body)


def test_a_path_is_names_with_kinds() -> None:
    assert steps("") == ()
    assert steps("thinking(enabled).budget_tokens") == (Step("thinking", "enabled"), Step("budget_tokens"))
    assert steps("tools[x_*].name") == (Step("tools", "x_*", True), Step("name"))
    assert steps("contents[].parts") == (Step("contents", None, True), Step("parts"))


def test_a_field_is_put_into_the_place_and_the_path_has_numbers() -> None:
    row = PART("mark.mode", "explicit", "=.~-!")
    body, path = row.request()
    assert body["messages"][0]["content"][0] == {"type": "text", "mark": {"mode": "explicit"}}
    assert path == "messages[0].content[0].mark.mode"
    assert row.path == "messages[user].content[text].mark.mode"
    assert row.baseline() == BODY.body
    assert BODY.body["messages"][0]["content"] == [{"type": "text"}]


def test_kinds_are_written_and_lists_grow() -> None:
    body, path = BODY("tools[search].uses", 3, "=====").request()
    assert body["tools"] == [{"type": "search", "uses": 3}]
    assert path == "tools[0].uses"
    body, path = BODY("messages[]", {"role": "user"}, "=====").request()
    assert len(body["messages"]) == 2
    assert path == "messages[1]"
    body, path = BODY("thinking(on)", {"budget": 1}, "=====", told="thinking").request()
    assert body["thinking"] == {"type": "on", "budget": 1}
    assert path == "thinking"
    assert PART("x", 1, "=====", told="").request()[1] == "messages[0].content[0]"


def test_what_a_field_needs_beside_it_is_in_the_baseline_too() -> None:
    row = BODY("a.c", 2, "=====", beside={"a": {"d": 4}, "e": 5})
    assert row.request()[0]["a"] == {"b": 1, "c": 2, "d": 4}
    assert row.baseline()["a"] == {"b": 1, "d": 4}
    assert row.baseline()["e"] == 5
    assert BODY("a.b", 2, "=====", instead=7).baseline()["a"] == {"b": 7}


def test_marks_by_backend_and_by_kind_of_model() -> None:
    row = BODY("x", 1, "=.~-!", newer="!!!!!")
    backends = ("openai", "openai_responses", "anthropic", "gemini", "ollama")
    assert [row.fate(name) for name in backends] == [
        Fate.MAPPED,
        Fate.IDLE,
        Fate.DEGRADED,
        Fate.DROPPED,
        Fate.REFUSED,
    ]
    assert row.fate("openai", newer=True) is Fate.REFUSED
    assert BODY("x", 1, "=.~-!").fate("ollama", newer=True) is Fate.REFUSED
    assert [fate.disposition for fate in Fate] == [
        None,
        None,
        Disposition.DEGRADED,
        Disposition.DROPPED,
        Disposition.REFUSED,
    ]
