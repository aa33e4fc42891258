"""The only user of msgspec.json: every fault of decoding becomes one error, and bytes can be spliced in place.

msgspec raises three kinds of exception for what a peer sent (DecodeError, UnicodeDecodeError, RecursionError) and
refuses escapes of lone surrogates, which tokenizers do cut out of emoji. Here they are one `RemoteProtocolError`,
and lone surrogates travel through as private code points and leave as the escapes they came as (S14).
"""

from __future__ import annotations

import functools
import re
from typing import Any, TypeVar

import msgspec

from . import ir
from .errors import RemoteProtocolError

T = TypeVar("T")

Raw = msgspec.Raw
NO_FIELDS: dict[str, bytes] = {}

_RARE = 0xF4
"""F4 8F A0..BF begins the code points that stand for lone surrogates; in ordinary text not even F4 occurs.

A number, because CPython finds one in bytes a dozen times as fast as bytes of length one: those it first tries to take
for a number, and raises an exception to itself. Longer ones `bytes.find` finds without that."""

_LINE, _RETURN, _TAB = b"\n\r\t"

_encoder = msgspec.json.Encoder()
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_any_decoder = msgspec.json.Decoder()


def encode(value: object) -> bytes:
    """``value`` as compact JSON; `Raw` and bytes-in-`Raw` leave as they came."""
    out = _encoder.encode(value)
    return _restore(out) if _RARE in out else out


def encode_str(text: str) -> bytes:
    """``text`` as a JSON string, quotes included."""
    out = _encoder.encode(text)
    return _restore(out) if _RARE in out else out


def quoted(data: bytes) -> msgspec.Raw:
    """``data``, a JSON value, as a JSON string of its text: what `encode_str` makes of it, to be put into a value."""
    data = data.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    # No other control characters are in JSON, and these between its tokens alone.
    if _LINE in data:
        data = data.replace(b"\n", b"\\n")
    if _RETURN in data:
        data = data.replace(b"\r", b"\\r")
    if _TAB in data:
        data = data.replace(b"\t", b"\\t")
    return msgspec.Raw(b'"%b"' % data)


draft = _encoder.encode
"""As `encode`, of a part: what is put together of such parts goes through `finished`."""


def finished(data: bytes) -> bytes:
    """JSON with parts of `draft` in it, as it leaves."""
    return _restore(data) if _RARE in data else data


def raw(data: bytes) -> msgspec.Raw:
    """JSON bytes to be written as they are inside a larger value."""
    return msgspec.Raw(data)


def one_line(data: bytes) -> bytes:
    """``data``, a JSON value, without line ends: inside an event of a stream they would end it (S14)."""
    # Valid JSON has them between its tokens only.
    return data.replace(b"\r", b" ").replace(b"\n", b" ") if b"\n" in data or b"\r" in data else data


def decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    """A reusable decoder of ``type_``: make it once, at import."""
    return msgspec.json.Decoder(type_)


def decode(data: bytes | msgspec.Raw, type_decoder: msgspec.json.Decoder[T], path: str = "") -> T:
    """Decode ``data``.

    Raises `RemoteProtocolError` (bad request) that names ``path`` and the place below it.
    """
    try:
        return type_decoder.decode(data)
    except msgspec.ValidationError as exc:
        raise _invalid(exc, path) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        mended = mend_surrogates(bytes(data))
        if mended is not None:
            return decode(mended, type_decoder, path)
        raise _malformed(exc, path, data) from None


def decode_known(
    data: bytes | msgspec.Raw, type_decoder: msgspec.json.Decoder[T], path: str = ""
) -> tuple[T, dict[str, bytes]]:
    """Decode an object of a Struct with ``forbid_unknown_fields`` and hand out the unknown fields apart.

    The usual object has none and costs one decode; one with unknown fields is taken apart and decoded again.

    Returns the struct and ``{name: JSON value}`` of what the struct does not know.
    """
    try:
        return type_decoder.decode(data), NO_FIELDS
    except msgspec.ValidationError as exc:
        if "unknown field" not in str(exc):
            raise _invalid(exc, path) from None
        fields = decode(data, _fields_decoder, path)
        known = _encoded_names(type_decoder)
        extra = {name: bytes(value) for name, value in fields.items() if name not in known}
        rest = _encoder.encode({name: value for name, value in fields.items() if name in known})
        if not extra:  # the unknown field is deeper than this object
            raise _invalid(exc, path) from None
        return decode(rest, type_decoder, path), extra
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        mended = mend_surrogates(bytes(data))
        if mended is not None:
            known_part, extra = decode_known(mended, type_decoder, path)
            # What is carried as bytes goes out without passing `encode`: it gets its escapes back here.
            return known_part, {name: _restore(value) for name, value in extra.items()}
        raise _malformed(exc, path, data) from None


def fields(data: bytes | msgspec.Raw, path: str = "") -> dict[str, msgspec.Raw]:
    """One object, its values undecoded."""
    return decode(data, _fields_decoder, path)


def items(data: bytes | msgspec.Raw, path: str = "") -> list[msgspec.Raw]:
    """One array, its items undecoded."""
    return decode(data, _items_decoder, path)


def loads(data: bytes | msgspec.Raw | str, path: str = "") -> Any:
    """Any JSON value as plain Python values."""
    return decode(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data, _any_decoder, path)


def kind(data: bytes | msgspec.Raw) -> str:
    """The JSON type of a value by its first byte: object, array, string, number, boolean, null."""
    first = bytes(data).lstrip()[:1]
    return _KINDS.get(first, "number")


_KINDS = {b"{": "object", b"[": "array", b'"': "string", b"t": "boolean", b"f": "boolean", b"n": "null", b"": "nothing"}


def is_object(text: str) -> bool:
    """Whether ``text`` is one complete JSON object."""
    try:
        return isinstance(loads(text), dict)
    except RemoteProtocolError:
        return False


# --- errors ----------------------------------------------------------------------------------------------

_AT = re.compile(r"^(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$?(?P<at>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`$")
_WORDS = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}


def _encoded_names(type_decoder: msgspec.json.Decoder[T]) -> set[str]:
    struct: type[msgspec.Struct] = type_decoder.type  # type: ignore[assignment]  # T is a Struct here
    tag = struct.__struct_config__.tag_field
    return {*struct.__struct_encode_fields__, *([tag] if tag is not None else [])}


def _invalid(exc: msgspec.ValidationError, path: str) -> RemoteProtocolError:
    match = _AT.match(str(exc))
    assert match is not None
    at = match["at"] or ""
    where = path + at if path else at.removeprefix(".")
    what = match["what"]
    missing = _MISSING.match(what)
    if missing:
        where, what = f"{where}.{missing[1]}" if where else missing[1], "this field is required"
    elif what.startswith("Expected "):  # in JSON's words, not Python's
        what = re.sub(r"\w+", lambda m: _WORDS.get(m[0], m[0]), what)
    what = what[:1].lower() + what[1:].replace("`", "")
    if match["key"]:
        what = f"in a key, {what}"
    return RemoteProtocolError(f"{where or 'the body'}: {what}", param=where or None, code="invalid_type")


def _malformed(exc: Exception, path: str, data: bytes | msgspec.Raw) -> RemoteProtocolError:
    if isinstance(exc, RecursionError):
        what = "the JSON is nested too deeply"
    elif isinstance(exc, UnicodeDecodeError):
        what = f"the JSON is not valid UTF-8 (byte {_bad_byte(bytes(data))})"
    else:
        what = f"the body is not valid JSON: {str(exc).removeprefix('JSON is malformed: ')}"
    return RemoteProtocolError(f"{path}: {what}" if path else what, code="invalid_json")


_LOOK = 1 << 15
"""Bytes that are decoded at once where nobody wants the text: what stays in the processor's cache costs a quarter."""


def _bad_byte(data: bytes | memoryview) -> int | None:
    """Where ``data`` stops being UTF-8; msgspec counts from the beginning of the string the byte is in."""
    view, at, end = memoryview(data), 0, len(data)
    try:
        while at < end:
            to = min(at + _LOOK, end)
            # Not within a character. Four bytes that go on with one are none in any case.
            back = 0
            while to < end and back < 4 and view[to - back] & 0xC0 == 0x80:
                back += 1
            to -= back & 3
            str(view[at:to], "utf-8")
            at = to
    except UnicodeDecodeError as exc:
        return at + exc.start
    return None


def check_utf8(data: bytes | memoryview, path: str = "") -> None:
    """Raise `RemoteProtocolError` when ``data`` is not UTF-8.

    Decoding does not look into values it hands out undecoded (`Raw`): a whole body that will be carried in parts is
    checked once, before it is taken apart.
    """
    if not (isinstance(data, bytes) and data.isascii()) and (bad := _bad_byte(data)) is not None:
        what = f"the JSON is not valid UTF-8 (byte {bad})"
        raise RemoteProtocolError(f"{path}: {what}" if path else what, code="invalid_json")


# --- lone surrogates -------------------------------------------------------------------------------------

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_STAND_IN = re.compile(rb"\xf4\x8f[\xa0-\xbf][\x80-\xbf]")
_BASE = 0x10F800  # the last 2,048 private code points stand for D800..DFFF


def stand_in(surrogate: int) -> str:
    """The code point that stands for a lone ``surrogate`` (0xD800 to 0xDFFF) until `encode` writes its escape."""
    return chr(_BASE + surrogate - 0xD800)


def mend_surrogates(data: bytes) -> bytes | None:
    """``data`` with lone surrogate escapes replaced by stand-ins, or None when it has none."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return None
    found = False

    def replace(match: re.Match[bytes]) -> bytes:
        nonlocal found
        lone = match["lone"]
        if lone is None:
            return match[0]
        found = True
        return stand_in(int(lone, 16)).encode()

    mended = _ESCAPE.sub(replace, data)
    return mended if found else None


def _restore(data: bytes) -> bytes:
    return _STAND_IN.sub(lambda m: b"\\u%04x" % (ord(m[0].decode()) - _BASE + 0xD800), data)


def count(data: bytes, name: str) -> int:
    """How often the object ``data`` has the member ``name``: JSON does not forbid to write one twice."""
    try:
        pairs = _fields_list(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return 0
    return sum(_is_key(key, name) for key in pairs)


def once(data: bytes, name: str) -> None:
    """Raise `RemoteProtocolError` when the object ``data`` has the member ``name`` more than once."""
    # A look or two is enough for nearly every body; an escape may hide a letter of a key.
    key = b'"%b"' % name.encode()
    twice = data.find(key, data.find(key) + 1) >= 0 or (_BACKSLASH in data and data.find(b"\\u00") >= 0)
    if twice and count(data, name) > 1:
        raise RemoteProtocolError(f"{name}: written twice", param=name, code="invalid_value")


def has_twins(data: bytes, name: str) -> bool:
    """Whether the object ``data`` has a second member that some reader takes for ``name``: Go's decoder reads
    ``Model`` as ``model``, and of two the last."""
    try:
        pairs = _fields_list(data)
        return sum(str(_any_decoder.decode(mend_surrogates(key) or key)).lower() == name for key in pairs) > 1
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _fields_list(data: bytes) -> list[bytes]:
    keys = []
    at = _skip(data, _skip(data, 0) + 1)
    values = _members(data)
    while data[at : at + 1] == b'"':
        key = _STRING.match(data, at)
        if key is None:
            break
        keys.append(key[0])
        here = _skip(data, _skip(data, key.end()) + 1)  # over the colon
        behind = _value_end(data, here, values.get(key[0][1:-1]))
        if behind is None:
            break
        at = _skip(data, behind)
        if data[at : at + 1] != b",":
            break
        at = _skip(data, at + 1)
    return keys


def mend_utf8(data: bytes) -> bytes:
    """``data`` with invalid UTF-8 replaced by U+FFFD: for an upstream's bytes, never for a client's."""
    return data if data.isascii() else data.decode("utf-8", "replace").encode()


# --- splices ---------------------------------------------------------------------------------------------

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]+")
_NESTED = re.compile(_STRING.pattern + rb"|[\[\]{}]", re.DOTALL)
_BEHIND = (b",", b"}")


def find(data: bytes, path: tuple[str, ...]) -> tuple[int, int] | None:
    """The span of the value at ``path`` in the object ``data``, or None; the last of duplicate keys, as decoders do.

    ``data`` must have been decoded before: this scans, it does not validate.
    """
    if len(path) == 1 and len(data) <= _SMALL and (span := _only(data, path[0])) is not None:
        return span
    start, end = _SPACE.match(data).end(), len(data)  # type: ignore[union-attr]  # the pattern matches always
    for name in path:
        span = _member(data, start, end, name)
        if span is None:
            return None
        start, end = span
    return start, end


_BACKSLASH = ord("\\")
_SMALL = 1 << 14
"""Bytes of an object in which a member is looked for by its name first; longer ones are read through once."""


def _only(data: bytes, name: str) -> tuple[int, int] | None:
    """The span of member ``name`` where nothing else in the object ``data`` can be taken for it; None is not known."""
    quoted, escapes = _spelled(name)
    at = data.find(quoted)
    if at < 0 or data.find(quoted, at + 1) >= 0:
        return None
    if _BACKSLASH in data and data.find(b"\\u00") >= 0 and any(escape in data for escape in escapes):
        return None
    if data.count(b"{", 0, at) == 1 and data.find(b"[", 0, at) < 0:  # nothing can have begun before it: it is its own
        start = at + len(quoted)
        start += 2 if data.startswith(b': "', start) else 1 if data.startswith(b':"', start) else 0
        end = data.find(b'"', start + 1) + 1
        if start > at + len(quoted) and end and data.find(b"\\", start, end) < 0:
            return start, end
    try:  # that the object itself has it, and not one inside it, is for a decoder to say
        value = _fields_decoder.decode(data).get(name)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if value is None:
        return None
    text, colon = bytes(value), at + len(quoted)
    start = colon + 2 if data.startswith(b": ", colon) else colon + 1
    return (start, start + len(text)) if data.startswith(b":", colon) and data.startswith(text, start) else None


@functools.lru_cache(maxsize=64)
def _spelled(name: str) -> tuple[bytes, tuple[bytes, ...]]:
    """A key as it is usually written, and how an escape of one of its letters begins."""
    return b'"%b"' % name.encode(), tuple({b"\\u00%x" % (ord(letter) >> 4) for letter in name})


def splice(data: bytes, path: tuple[str, ...], value: bytes) -> bytes:
    """``data`` with the value at ``path`` replaced; every byte before and after stays (G1, G2).

    Where the path does not exist ``data`` comes back as it was.
    """
    span = find(data, path)
    if span is None:
        return data
    return b"%b%b%b" % (data[: span[0]], value, data[span[1] :])


def _member(data: bytes, start: int, end: int, name: str) -> tuple[int, int] | None:
    """The span of member ``name`` of the object in ``data[start:end]``."""
    if data[start : start + 1] != b"{":
        return None
    values = _members(data[start:end])
    found = None
    at = _skip(data, start + 1)
    while data[at : at + 1] == b'"':
        key = _STRING.match(data, at)
        if key is None:
            return None
        quoted = key[0]
        here = _skip(data, _skip(data, key.end()) + 1)  # over the colon
        behind = _value_end(data, here, values.get(quoted[1:-1]))
        if behind is None:
            return None
        if _is_key(quoted, name):
            found = (here, behind)
        at = _skip(data, behind)
        if data[at : at + 1] != b",":
            break
        at = _skip(data, at + 1)
    return found


def _members(data: bytes) -> dict[bytes, bytes]:
    """Key to value of one object: msgspec cuts a body a hundred times as fast as the patterns here.

    It keeps the last value of a duplicate key and decodes escaped keys, so what it says is a guess to be checked.
    """
    try:
        return {name.encode(): bytes(value) for name, value in _fields_decoder.decode(data).items()}
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}


def _is_key(quoted: bytes, name: str) -> bool:
    if b"\\" not in quoted:
        return quoted[1:-1] == name.encode()
    try:
        return bool(_any_decoder.decode(mend_surrogates(quoted) or quoted) == name)
    except (msgspec.DecodeError, UnicodeError):
        return False


def _skip(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    assert match is not None
    return match.end()


def _value_end(data: bytes, start: int, guess: bytes | None = None) -> int | None:
    """Where the value that begins at ``start`` ends."""
    if guess is not None and data.startswith(guess, start):
        # JSON text that begins with a whole value is that value, except for numbers: 12 begins with 1.
        end = start + len(guess)
        behind = _skip(data, end)
        if data[behind : behind + 1] in _BEHIND:
            return end
    first = data[start : start + 1]
    if first == b'"':
        match = _STRING.match(data, start)
        return match.end() if match else None
    if first in (b"{", b"["):
        depth = 0
        for token in _NESTED.finditer(data, start):
            char = token[0][:1]
            if char in b"{[":
                depth += 1
            elif char in b"}]":
                depth -= 1
                if depth == 0:
                    return token.end()
        return None
    match = _SCALAR.match(data, start)
    return match.end() if match else None


def bad_field(path: str, expected: str, found: str) -> RemoteProtocolError:
    """The error for a field that decodes but means nothing."""
    return RemoteProtocolError(
        f"{path}: expected {expected}, found {found}", kind=ir.ErrorKind.BAD_REQUEST, param=path, code="invalid_value"
    )


def is_cut(text: str) -> bool:
    """Whether ``text`` is the beginning of a JSON value, and not all of it."""
    try:
        msgspec.json.decode(text.encode("utf-8", "replace"))
    except msgspec.DecodeError as exc:
        return "truncated" in str(exc)
    except RecursionError:
        return False
    return False
