"""Items are put before a request's own and taken out again as the very bytes they were."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto.dialects.openai_responses.history import (
    input_items,
    item_ids,
    listed,
    output_items,
    previous_id,
    put_back,
    references,
    resume,
)
from ferryllm_proto.errors import RemoteProtocolError

ODD = b'{ "type":"message", "role":"user","content":"1.0 \\u00e9 \\ud83d", "n":1.50 }'


def test_the_previous_id_is_read() -> None:
    assert previous_id(b'{"model":"m","previous_response_id":"resp_1"}') == "resp_1"
    assert previous_id(b'{"model":"m","previous_response_id":null}') is None
    assert previous_id(b'{"model":"m"}') is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"previous_response_id":7}', b"\xff{}"])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        previous_id(body)


def test_kept_items_come_before_the_requests_own_and_stay_as_they_are() -> None:
    body = b'{"model":"m","previous_response_id":"resp_1","input":[{"role":"user","content":"more"}],"temperature":1.0}'
    out = resume(body, [ODD])
    assert out == (b'{"model":"m","input":[' + ODD + b',{"role":"user","content":"more"}],"temperature":1.0}')


def test_a_string_becomes_the_message_it_stands_for() -> None:
    out = json.loads(resume(b'{"input":"more \\"words\\"","model":"m"}', [b'{"type":"reasoning"}']))
    assert out["input"] == [
        {"type": "reasoning"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": 'more "words"'}]},
    ]


def test_a_request_without_input_has_the_kept_items_alone() -> None:
    assert json.loads(resume(b'{"model":"m"}', [b'{"a":1}']))["input"] == [{"a": 1}]
    assert json.loads(resume(b'{"model":"m","input":null}', []))["input"] == []


def test_a_lone_surrogate_travels_through() -> None:
    body = b'{"model":"m","input":"\\ud83d"}'
    assert b"\\ud83d" in resume(body, [ODD])
    assert b"\\ud83d" in input_items(body)[0]


def test_the_own_items_of_a_request() -> None:
    assert input_items(b'{"input":[ ' + ODD + b' , {"a":1}]}') == (ODD, b'{"a":1}')
    assert input_items(b'{"model":"m"}') == ()
    assert b'"text":"hi"' in input_items(b'{"input":"hi"}')[0]


@pytest.mark.parametrize("body", [b'{"input":7}', b'{"input":{}}', b'{"input":[1'])
def test_an_input_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        resume(body, [])
    with pytest.raises(RemoteProtocolError):
        input_items(body)


def test_the_output_of_a_response() -> None:
    assert output_items(b'{"id":"resp_1","output":[' + ODD + b"]}") == (ODD,)
    assert output_items(b'{"id":"resp_1","output":null}') == ()
    assert output_items(b"{}") == ()


# --- as a client wants them listed -----------------------------------------------------------------------


def test_items_without_an_id_get_one_that_stays() -> None:
    items = [b'{"role":"user","content":"hi"}', b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}']
    first, again = listed(items), listed(items)
    assert first == again
    message, call = map(json.loads, first)
    assert message["id"].startswith("msg_")
    assert call["id"].startswith("fc_")
    assert len({json.loads(item)["id"] for item in listed([items[0], items[0]])}) == 2, "twice said is two items"


def test_texts_are_listed_as_parts() -> None:
    user, assistant = map(
        json.loads, listed([b'{"role":"user","content":"hi"}', b'{"role":"assistant","content":"ho","phase":"x"}'])
    )
    assert (user["type"], user["status"], user["content"]) == (
        "message",
        "completed",
        [{"type": "input_text", "text": "hi"}],
    )
    assert assistant["content"] == [{"type": "output_text", "text": "ho", "annotations": []}]
    assert assistant["phase"] == "x"


def test_an_item_that_has_all_of_it_stays_as_it_is() -> None:
    whole = b'{ "id":"msg_1","type":"message", "role":"user","status":"completed","content":[ ]}'
    other = b'{ "id":"rs_1", "type":"reasoning","summary":[]}'
    assert listed([whole, other]) == [whole, other]


# --- references to items ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "ids"),
    [
        (b'{"type":"item_reference","id":"rs_1"},{"role":"user","content":"hi"}', ("rs_1",)),
        (b'{ "id" : "rs_1" },{"id":"rs_2","type":null},{"type":"item_reference","id":"rs_1"}', ("rs_1", "rs_2")),
        (b'{"role":"user","content":"{\\"id\\":\\"x\\"} item_reference"}', ()),
        (b'{"type":"message","role":"user","content":"x","meta":{"id":"y"}}', ()),
        (b'{"type":"item_reference","id":7},{"type":"item_reference"},"item_reference",7', ()),
        (b'{"id":"rs_1","type":null,"content":[]},{"type":"item_reference","id":"rs_2","more":1}', ("rs_2",)),
    ],
)
def test_references_are_items_that_are_an_id_alone(items: bytes, ids: tuple[str, ...]) -> None:
    assert tuple(references(b'{"model":"m","input":[%b]}' % items)) == ids


@pytest.mark.parametrize("body", [b'{"input":"item_reference"}', b'{"x":"item_reference"}', b'{"input":null}', b"{}"])
def test_an_input_without_items_refers_to_nothing(body: bytes) -> None:
    assert references(body) == {}


def test_a_reference_has_its_first_place() -> None:
    body = b'{"input":["hi",{"id":"b"},{"id":"a"},{"type":"item_reference","id":"b"}]}'
    assert references(body) == {"b": 1, "a": 2}


def test_items_are_put_in_the_place_of_references_and_nothing_else_is_changed() -> None:
    body = b'{"model":"m","input":[{"type":"item_reference","id":"a"},%b,{"id":"b"},{"id":"c"}],"temperature":1.0}'
    out = put_back(body % ODD, {"a": b'{"type":"reasoning","id":"a", "n":1.50}', "c": ODD})
    assert out == (
        b'{"model":"m","input":[{"type":"reasoning","id":"a", "n":1.50},'
        + ODD
        + b',{"id":"b"},'
        + ODD
        + b'],"temperature":1.0}'
    )
    assert put_back(b'{"input":[{"id":"a"},{"id":"b"}]}', {"a": b""}) == b'{"input":[{"id":"b"}]}'


def test_items_are_found_by_the_ids_that_are_listed() -> None:
    items = [b'{"role":"user","content":"hi"}', b'{"type":"function_call","id":null}', b'{"id":"msg_1"}', ODD]
    assert list(item_ids(items)) == [json.loads(item)["id"] for item in listed(items)]
    assert item_ids(items)[2] == "msg_1"
