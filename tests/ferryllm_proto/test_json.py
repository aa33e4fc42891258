from __future__ import annotations

import json as stdlib
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import json
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.ir import ErrorKind


class Item(msgspec.Struct, forbid_unknown_fields=True):
    a: int
    b: str | None = None
    renamed: float | None = msgspec.field(name="re-named", default=None)


class Body(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    items: list[Item] = []
    table: dict[int, Item] = {}
    raw: msgspec.Raw = msgspec.Raw(b"null")


class Tagged(msgspec.Struct, forbid_unknown_fields=True, tag="it", tag_field="type"):
    a: int = 0


class Hyphen(msgspec.Struct):
    x: int = msgspec.field(name="x-y")


BODY = json.decoder(Body)
ITEM = json.decoder(Item)
TAGGED = json.decoder(Tagged)
ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


def refusal(data: bytes, decoder: msgspec.json.Decoder[Any] = BODY, path: str = "") -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        json.decode(data, decoder, path)
    return caught.value


@pytest.mark.parametrize(
    ("data", "path", "param", "message"),
    [
        (b'{"model":1}', "", "model", "model: expected string, got integer"),
        (b'{"model":"m","items":{}}', "", "items", "items: expected array, got object"),
        (b'{"model":"m","items":[{"a":1},{"a":"1"}]}', "", "items[1].a", "items[1].a: expected integer, got string"),
        (b'{"model":"m","items":[{"a":1,"b":2}]}', "", "items[0].b", "items[0].b: expected string | null, got integer"),
        (b"{}", "", "model", "model: this field is required"),
        (b"{}", "tools[3]", "tools[3].model", "tools[3].model: this field is required"),
        (b'{"model":"m","items":[{}]}', "", "items[0].a", "items[0].a: this field is required"),
        (b'{"model":"m","items":[{}]}', "x", "x.items[0].a", "x.items[0].a: this field is required"),
        (b"[]", "", None, "the body: expected object, got array"),
        (b"[]", "x", "x", "x: expected object, got array"),
        (b'{"model":"m","table":{"k":{"a":1}}}', "", "table", "table: in a key, expected integer, got string"),
        (b'{"model":"m","items":[{"a":1,"str":1}]}', "", "items[0]", "items[0]: object contains unknown field str"),
        (
            b'{"model":"m","items":[{"a":' + b"1" * 5000 + b"}]}",
            "",
            "items[0].a",
            "items[0].a: integer value out of range",
        ),
        (
            b'{"model":"m","items":[{"a":1,"re-named":1e999}]}',
            "",
            "items[0].re-named",
            "items[0].re-named: number out of range",
        ),
    ],
)
def test_a_wrong_type_names_the_place_and_what_was_expected(
    data: bytes, path: str, param: str | None, message: str
) -> None:
    error = refusal(data, path=path).error
    assert (error.param, error.code, error.kind) == (param, "invalid_type", ErrorKind.BAD_REQUEST)
    assert error.message == message
    assert error.http_status == 400


def test_a_missing_field_is_named_as_the_client_would_write_it() -> None:
    assert refusal(b"{}", json.decoder(Hyphen)).error.param == "x-y"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"model": "m"} x', "trailing characters"),
        (b'{"model": "\n"}', "not valid JSON"),
        (b'{"model": nope}', "not valid JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"model":"m","raw":' + b"[" * 100_000, "nested too deeply"),
        (b'{"model":"m","raw":' + b'{"a":' * 100_000, "nested too deeply"),
        (b'{"model": "abc\xff"}', "not valid UTF-8 (byte 14)"),
        (b'{"model": "\xed\xa0\xbd"}', "not valid UTF-8 (byte 11)"),
    ],
)
def test_malformed_json_is_one_error_that_says_what_is_wrong(data: bytes, message: str) -> None:
    decoder: msgspec.json.Decoder[Any] = ANY if data[:1] == b"[" else BODY
    error = refusal(data, decoder).error
    assert message in error.message
    assert error.code == "invalid_json"
    placed = refusal(data, decoder, "here").error
    assert placed.message == f"here: {error.message}"


def test_an_error_does_not_repeat_long_content() -> None:
    assert len(str(refusal(b'{"model":"' + b"secret" * 100 + b"\xff" + b'"}'))) < 80


def test_unknown_fields_come_apart_as_they_were_written() -> None:
    known, extra = json.decode_known(b'{"x": {"k" : 1.50}, "a":1, "\\u0079":[1e3] , "b":"t"}', ITEM)
    assert known == Item(1, "t")
    assert extra == {"x": b'{"k" : 1.50}', "y": b"[1e3]"}


def test_an_object_without_unknown_fields_is_decoded_once() -> None:
    assert json.decode_known(b'{"a":1}', ITEM) == (Item(1), {})


def test_a_field_is_known_by_the_name_it_has_on_the_wire() -> None:
    assert json.decode_known(b'{"renamed":1,"re-named":2,"a":1}', ITEM) == (Item(1, None, 2.0), {"renamed": b"1"})


def test_the_tag_of_a_struct_is_no_unknown_field() -> None:
    assert json.decode_known(b'{"type":"it","a":1,"x":2}', TAGGED) == (Tagged(1), {"x": b"2"})


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (b'{"model":"m","items":[{"a":1,"deep":1}]}', "items[0]"),
        (b'{"model":"m","other":1,"items":[{"a":1,"deep":1}]}', "items[0]"),
        (b'{"other":1,"model":2}', "model"),
        (b'{"model":2}', "model"),
    ],
)
def test_faults_beside_unknown_fields_are_found(data: bytes, param: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        json.decode_known(data, BODY)
    assert caught.value.error.param == param


@pytest.mark.parametrize("data", [b"{", b'{"model":"\xff"}', b'{"model":"\\ud83d'])
def test_decode_known_reports_malformed_json_too(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        json.decode_known(data, BODY, "p")
    assert caught.value.error.code == "invalid_json"


def test_s14_lone_surrogates_in_unknown_fields_stay_escapes() -> None:
    known, extra = json.decode_known(b'{"a":1,"b":"\\ud83d","x":"\\ude00 \\ud83d\\ude00"}', ITEM)
    assert json.encode(known.b) == b'"\\ud83d"'
    assert extra["x"] == b'"\\ude00 \\ud83d\\ude00"'


def test_g7_the_last_of_duplicate_keys_counts() -> None:
    assert json.decode(b'{"a":1,"a":2}', ITEM) == Item(2)
    assert json.decode_known(b'{"x":1,"a":1,"x":2,"a":2}', ITEM) == (Item(2), {"x": b"2"})


def test_g7_integers_of_any_size_survive() -> None:
    big = b'{"a":123456789012345678901234567890}'
    assert json.encode(json.loads(big)) == big
    assert json.encode(json.decode(big, ITEM).a) == b"123456789012345678901234567890"


def test_parts_are_handed_out_undecoded() -> None:
    assert [bytes(item) for item in json.items(b'[1, "a" , {"b":[ ]}]')] == [b"1", b'"a"', b'{"b":[ ]}']
    assert {name: bytes(value) for name, value in json.fields(b'{"a" : 0.70}').items()} == {"a": b"0.70"}
    assert json.encode({"x": json.raw(b'{ "k":1.0 }')}) == b'{"x":{ "k":1.0 }}'
    with pytest.raises(RemoteProtocolError, match="here: expected array, got object"):
        json.items(b"{}", "here")
    with pytest.raises(RemoteProtocolError, match="expected object, got null"):
        json.fields(b"null")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b" {", "object"),
        (b"[", "array"),
        (b'\n"', "string"),
        (b"true", "boolean"),
        (b"false", "boolean"),
        (b"null", "null"),
        (b"-1", "number"),
        (b"0", "number"),
        (b"", "nothing"),
    ],
)
def test_the_kind_of_a_value_is_seen_at_its_first_byte(data: bytes, kind: str) -> None:
    assert json.kind(data) == kind
    assert json.kind(msgspec.Raw(data)) == kind


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("{}", True),
        (' {"a":[1]} ', True),
        ('{"a":"\\ud83d"}', True),
        ("[]", False),
        ("", False),
        ('{"a":', False),
        ("{} {}", False),
        ("{" * 100_000, False),
        ('{"a":"\ud83d"}', False),
    ],
)
def test_is_object_knows_one_whole_object(text: str, whole: bool) -> None:
    assert json.is_object(text) is whole


def test_bad_field_names_path_expectation_and_finding() -> None:
    error = json.bad_field("tools[0].type", "a string", "a number").error
    assert (error.param, error.code) == ("tools[0].type", "invalid_value")
    assert error.message == "tools[0].type: expected a string, found a number"


@pytest.mark.parametrize(
    ("data", "ok"), [(b'{"a":1}', True), ('"ü😀"'.encode(), True), (b'"\xff"', False), (b'"\xed\xa0\x80"', False)]
)
def test_check_utf8_finds_what_undecoded_values_hide(data: bytes, ok: bool) -> None:
    if ok:
        json.check_utf8(data)
        return
    with pytest.raises(RemoteProtocolError, match=r"^not") as caught:
        json.check_utf8(data, "not")
    assert caught.value.error.code == "invalid_json"
    with pytest.raises(RemoteProtocolError, match=r"^the JSON is not valid UTF-8 \(byte 1\)"):
        json.check_utf8(data)


def test_an_upstreams_bad_utf8_can_be_mended() -> None:
    assert json.mend_utf8(b'"a\xffb"') == '"a\ufffdb"'.encode()


# --- lone surrogates ---


@pytest.mark.parametrize(
    "text",
    [
        b'"\\ud83d"',
        b'"\\ude00"',
        b'"a\\ud83d\\ud83db"',
        b'"\\ude00\\ud83d"',
        b'"\\\\\\ud83d"',
        b'"\\n\\udfff\\ud800"',
        b'["\\ud83d",{"\\udc00":1}]',
    ],
)
def test_s14_lone_surrogates_come_in_and_leave_as_their_escapes(text: bytes) -> None:
    value = json.loads(text)
    assert json.encode(value) == text
    assert json.loads(text.decode()) == value


def test_s14_case_of_hex_digits_is_the_only_thing_that_changes() -> None:
    assert json.encode(json.loads(b'"\\uD83D"')) == b'"\\ud83d"'


def test_whole_pairs_and_escaped_backslashes_are_left_alone() -> None:
    assert json.mend_surrogates(b'"\\ud83d\\ude00"') is None
    assert json.mend_surrogates(b'"\\\\ud83d"') is None
    assert json.mend_surrogates(b'"plain"') is None
    assert json.loads(b'"\\ud83d\\ude00 \\ud83d"')[0] == "\U0001f600"


def test_s14_halves_that_came_in_two_strings_join() -> None:
    first, second = json.loads(b'"\\ud83d"'), json.loads(b'"\\ude00"')
    assert json.loads(json.encode(first + second)) == "\U0001f600"
    assert json.encode_str(first + second) == b'"\\ud83d\\ude00"'


def test_encode_str_writes_a_string() -> None:
    assert json.encode_str('a"\n') == b'"a\\"\\n"'


def test_a_struct_with_a_lone_surrogate_is_decoded() -> None:
    assert json.encode(json.decode(b'{"a":1,"b":"\\ud83d"}', ITEM).b) == b'"\\ud83d"'
    assert refusal(b'{"model":1,"raw":"\\ud83d"}').error.code == "invalid_type"


@given(st.text(st.characters()))
def test_s14_any_text_with_any_surrogates_survives(text: str) -> None:
    written = stdlib.dumps(text).encode()
    if any(ord(char) >= 0x10F800 for char in text):  # the stand-ins' own code points
        return
    again = json.encode(json.loads(written))
    again.decode()
    assert stdlib.loads(again) == stdlib.loads(written)


# --- splices ---

SPACE = st.sampled_from(["", "", " ", "\n", "\t \r\n"])
NAMES = ["model", "stream", "a", "mod", 'q"uote', "back\\slash", "é", "\u2028", "\ud83d", ""]
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "model", '"model": 1', "\\", '\\"model\\": 2', "}{][,:", "é\u2028😀", "1", "\ud800"]),
)


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    """JSON text in many spellings: white space, escapes, duplicate keys."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return stdlib.dumps(draw(LEAF), ensure_ascii=True)
    inner = documents(depth - 1)
    parts = []
    if draw(st.booleans()):
        for _ in range(draw(st.integers(0, 3))):
            parts.append(draw(SPACE) + draw(inner) + draw(SPACE))
        return "[" + (",".join(parts) or draw(SPACE)) + "]"
    for _ in range(draw(st.integers(0, 4))):
        parts.append(draw(SPACE) + draw(keys()) + draw(SPACE) + ":" + draw(SPACE) + draw(inner) + draw(SPACE))
    return "{" + (",".join(parts) or draw(SPACE)) + "}"


@st.composite
def keys(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(NAMES))
    if draw(st.integers(0, 3)) == 0:
        return '"' + "".join(f"\\u{ord(char):04x}" for char in name) + '"'
    return stdlib.dumps(name, ensure_ascii=any("\ud800" <= char <= "\udfff" for char in name))


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    parts = []
    for _ in range(draw(st.integers(0, 5))):
        parts.append(draw(SPACE) + draw(keys()) + draw(SPACE) + ":" + draw(SPACE) + draw(documents()) + draw(SPACE))
    text = draw(SPACE) + "{" + (",".join(parts) or draw(SPACE)) + "}" + draw(SPACE)
    return text.encode("utf-8", "surrogatepass")


PATHS = st.lists(st.sampled_from([name for name in NAMES if name != "\ud83d"]), min_size=1, max_size=3).map(tuple)


def replaced(value: Any, path: tuple[str, ...], new: Any) -> tuple[Any, bool]:
    if not path:
        return new, True
    if not isinstance(value, dict) or path[0] not in value:
        return value, False
    inner, done = replaced(value[path[0]], path[1:], new)
    return {**value, path[0]: inner}, done


@given(objects(), PATHS)
def test_g2_a_splice_changes_one_value_and_no_other_byte(data: bytes, path: tuple[str, ...]) -> None:
    expected, present = replaced(stdlib.loads(data), path, "new")
    span = json.find(data, path)
    assert (span is not None) is present
    out = json.splice(data, path, b'"new"')
    assert stdlib.loads(out) == expected
    if span is None:
        assert out is data
        return
    start, end = span
    assert out == data[:start] + b'"new"' + data[end:]
    old: Any = stdlib.loads(data)
    for name in path:
        old = old[name]
    assert stdlib.loads(data[start:end]) == old


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"model":"m"}', b'{"model":X}'),
        (
            b' { "a":[{"model":1}], "model" \n:\t "m" , "z":0.70 } ',
            b' { "a":[{"model":1}], "model" \n:\t X , "z":0.70 } ',
        ),
        (b'{"model":"a","model":"b"}', b'{"model":"a","model":X}'),
        (b'{"model":1,"model":12}', b'{"model":1,"model":X}'),
        (b'{"model":12,"model":1,"a":12}', b'{"model":12,"model":X,"a":12}'),
        (b'{"a":12,"b":[1],"a":1,"model":0}', b'{"a":12,"b":[1],"a":1,"model":X}'),
        (b'{"a":[1,{"b":"]"}],"a":1,"model":0}', b'{"a":[1,{"b":"]"}],"a":1,"model":X}'),
        (b'{"model":"a","m\\u006fdel":"b"}', b'{"model":"a","m\\u006fdel":X}'),
        (b'{"a\\"model":1,"model":2}', b'{"a\\"model":1,"model":X}'),
        (b'{"a":"\\"model\\":1","model":2}', b'{"a":"\\"model\\":1","model":X}'),
        (b'{"a":"\\\\","model":2}', b'{"a":"\\\\","model":X}'),
        (b'{"a":1e3,"b":null,"c":true,"model":-0.0}', b'{"a":1e3,"b":null,"c":true,"model":X}'),
        (b'{"a":"\\ud83d","\\ud83d":{"model":3},"model":2}', b'{"a":"\\ud83d","\\ud83d":{"model":3},"model":X}'),
        (b'{"a":{"model":1}}', b'{"a":{"model":1}}'),
        (b'{"messages":"model"}', b'{"messages":"model"}'),
        (b"[]", b"[]"),
        (b"{}", b"{}"),
        (b"", b""),
    ],
)
def test_g1_splices_by_hand(data: bytes, expected: bytes) -> None:
    assert json.splice(data, ("model",), b"X") == expected


@pytest.mark.parametrize(
    "data",
    [
        b'{"a',
        b'{"a":',
        b'{"a":"x',
        b'{"a":[1,',
        b'{"a":{"model":',
        b"{a:1}",
        b'{"\\x":1,',
        b'{"a":1 "model":2}',
        b'{"model"',
    ],
)
def test_a_splice_into_something_broken_changes_nothing_and_raises_nothing(data: bytes) -> None:
    assert json.splice(data, ("model",), b"X") == data


def test_a_broken_escape_in_a_key_is_another_key() -> None:
    assert json.splice(b'{"\\x":1,"model":2}', ("model",), b"X") == b'{"\\x":1,"model":X}'


def test_a_nested_value_is_spliced() -> None:
    data = b'{"stream_options":{"x":{"include_usage":1} , "include_usage":false},"include_usage":3}'
    out = json.splice(data, ("stream_options", "include_usage"), b"true")
    assert out == data.replace(b"false", b"true")


@pytest.mark.deep  # it takes time to take time
def test_the_cost_of_a_splice_grows_with_the_body_and_not_with_its_square() -> None:
    def body(messages: int) -> bytes:
        text = [{"role": "user", "content": [{"type": "text", "text": 'hello "world" \n' * 30}]}] * messages
        return stdlib.dumps({"messages": text, "tools": [{"model": {}}] * 40, "model": "m"}).encode()

    def seconds(data: bytes) -> float:
        best = 1.0
        for _ in range(7):
            start = time.perf_counter()
            assert json.splice(data, ("model",), b'"other"').endswith(b'"model": "other"}')
            best = min(best, time.perf_counter() - start)
        return best

    small, large = body(170), body(1700)
    assert len(small) > 100_000
    assert len(large) > 1_000_000
    # Linear is 10, square is 100; a shared machine makes it up to some 20.
    assert seconds(large) < 40 * seconds(small) + 0.001


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", True), ("{", True), ('{"a":"b', True), ('{"a":1,', True), ("[1,[2", True), ('{"a":tr', True),
        ("{}", False), ("1", False), ("{a", False), ('{"a":1}}', False), ("]", False), ("[" * 100_000, False),
    ],
)  # fmt: skip
def test_x18_what_is_cut_is_told_from_what_is_broken(text: str, cut: bool) -> None:
    assert json.is_cut(text) is cut


_JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["\x7f", '"\\', "\n\r\t\x00é"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@given(_JSON, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_json_in_a_string_is_written_as_every_text(value: object, ascii_: bool, indent: int | str | None) -> None:
    data = stdlib.dumps(value, ensure_ascii=ascii_, indent=indent).encode("utf-8", "replace")
    for spaced in (data, data.replace(b"\n", b"\r\n")):
        assert json.encode(json.quoted(spaced)) == json.encode_str(spaced.decode())


_PIECES = [b"a", b"aaaaaaa", "é".encode(), "你".encode(), "😀".encode(), b"\x80", b"\xc3", b"\xe4\xbd", b"\xed\xa0\x80"]


@given(st.lists(st.sampled_from(_PIECES[:5]) | st.sampled_from(_PIECES), max_size=12))
def test_a_byte_that_is_no_text_is_found_whatever_is_looked_at_at_once(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    try:
        data.decode()
    except UnicodeDecodeError as exc:
        bad: int | None = exc.start
    else:
        bad = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json, "_LOOK", 8)
        assert json._bad_byte(data) == bad
        assert json._bad_byte(memoryview(data)) == bad
