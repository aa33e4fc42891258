"""The only user of msgspec.json: every fault of decoding becomes one error, and bytes can be spliced in place.

msgspec raises three kinds of exception for what a peer sent (DecodeError, UnicodeDecodeError, RecursionError) and
refuses escapes of lone surrogates, which tokenizers do cut out of emoji. Here they are one `RemoteProtocolError`,
and lone surrogates travel through as private code points and leave as the escapes they came as (S14).
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from . import ir
from .errors import RemoteProtocolError

T = TypeVar("T")

Raw = msgspec.Raw
NO_FIELDS: dict[str, bytes] = {}

_encoder = msgspec.json.Encoder()
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_any_decoder = msgspec.json.Decoder()


def encode(value: object) -> bytes:
    """``value`` as compact JSON; `Raw` and bytes-in-`Raw` leave as they came."""
    out = _encoder.encode(value)
    # F4 8F A0..BF begins the code points that stand for lone surrogates; in ordinary text it never occurs.
    return _restore(out) if b"\xf4\x8f" in out else out


def encode_str(text: str) -> bytes:
    """``text`` as a JSON string, quotes included."""
    out = _encoder.encode(text)
    return _restore(out) if b"\xf4\x8f" in out else out


def raw(data: bytes) -> msgspec.Raw:
    """JSON bytes to be written as they are inside a larger value."""
    return msgspec.Raw(data)


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
        raise _malformed(exc, path) from None


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
        known = set(_encoded_names(type_decoder))
        extra = {name: bytes(value) for name, value in fields.items() if name not in known}
        rest = _encoder.encode({name: value for name, value in fields.items() if name in known})
        if not extra:  # the unknown field is deeper than this object
            raise _invalid(exc, path) from None
        return decode(rest, type_decoder, path), extra
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        mended = mend_surrogates(bytes(data))
        if mended is not None:
            return decode_known(mended, type_decoder, path)
        raise _malformed(exc, path) from None


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
        return isinstance(_any_decoder.decode(text), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


# --- errors ----------------------------------------------------------------------------------------------

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<at>(?:key in )?\$?.*)`)?$", re.DOTALL)
_WORDS = {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "null": "null"}


def _encoded_names(type_decoder: msgspec.json.Decoder[T]) -> tuple[str, ...]:
    names: tuple[str, ...] = type_decoder.type.__struct_encode_fields__  # type: ignore[attr-defined]  # T is a Struct here
    return names


def _invalid(exc: msgspec.ValidationError, path: str) -> RemoteProtocolError:
    match = _AT.match(str(exc))
    assert match is not None
    at = (match["at"] or "").removeprefix("$")
    where = (path + at if path else at.removeprefix(".")) or "the body"
    what = re.sub(r"`(\w+)`", lambda m: _WORDS.get(m[1], m[1]), match["what"])
    missing = re.match(r"Object missing required field (\w+)", what)
    if missing:
        base = "" if where == "the body" else where + "."
        where, what = base + missing[1], "this field is required"
    return RemoteProtocolError(
        f"{where}: {what[:1].lower()}{what[1:]}", param=None if where == "the body" else where, code="invalid_type"
    )


def _malformed(exc: Exception, path: str) -> RemoteProtocolError:
    if isinstance(exc, RecursionError):
        what = "the JSON is nested too deeply"
    elif isinstance(exc, UnicodeDecodeError):
        what = f"the JSON is not valid UTF-8 (byte {exc.start})"
    else:
        what = f"the body is not valid JSON: {str(exc).removeprefix('JSON is malformed: ')}"
    return RemoteProtocolError(f"{path}: {what}" if path else what, code="invalid_json")


# --- lone surrogates -------------------------------------------------------------------------------------

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_STAND_IN = re.compile(rb"\xf4\x8f[\xa0-\xbf][\x80-\xbf]")
_BASE = 0x10F800  # the last 2,048 private code points stand for D800..DFFF


def mend_surrogates(data: bytes) -> bytes | None:
    """``data`` with lone surrogate escapes replaced by stand-ins, or None when it has none."""
    found = False

    def stand_in(match: re.Match[bytes]) -> bytes:
        nonlocal found
        lone = match["lone"]
        if lone is None:
            return match[0]
        found = True
        return chr(_BASE + int(lone, 16) - 0xD800).encode()

    mended = _ESCAPE.sub(stand_in, data)
    return mended if found else None


def _restore(data: bytes) -> bytes:
    return _STAND_IN.sub(lambda m: b"\\u%04x" % (ord(m[0].decode()) - _BASE + 0xD800), data)


def mend_utf8(data: bytes) -> bytes:
    """``data`` with invalid UTF-8 replaced by U+FFFD: for an upstream's bytes, never for a client's."""
    return data.decode("utf-8", "replace").encode()


# --- splices ---------------------------------------------------------------------------------------------

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]+")
_NESTED = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def find(data: bytes, path: tuple[str, ...]) -> tuple[int, int] | None:
    """The span of the value at ``path`` in the object ``data``, or None; the last of duplicate keys, as decoders do.

    ``data`` must have been decoded before: this scans, it does not validate.
    """
    start, end = _SPACE.match(data).end(), len(data)  # type: ignore[union-attr]  # the pattern matches always
    for name in path:
        span = _member(data, start, name)
        if span is None:
            return None
        start, end = span
    return start, end


def splice(data: bytes, path: tuple[str, ...], value: bytes) -> bytes:
    """``data`` with the value at ``path`` replaced; every byte before and after stays (G1, G2).

    Where the path does not exist ``data`` comes back as it was.
    """
    span = find(data, path)
    if span is None:
        return data
    return b"%b%b%b" % (data[: span[0]], value, data[span[1] :])


def _member(data: bytes, at: int, name: str) -> tuple[int, int] | None:
    """The span of member ``name`` of the object that begins at ``at``."""
    if data[at : at + 1] != b"{":
        return None
    found = None
    at = _skip(data, at + 1)
    while data[at : at + 1] == b'"':
        key = _STRING.match(data, at)
        if key is None:
            return None
        start = _skip(data, _skip(data, key.end()) + 1)  # over the colon
        end = _value_end(data, start)
        if end is None:
            return None
        if _is_key(key[0], name):
            found = (start, end)
        at = _skip(data, end)
        if data[at : at + 1] != b",":
            break
        at = _skip(data, at + 1)
    return found


def _is_key(quoted: bytes, name: str) -> bool:
    if b"\\" not in quoted:
        return quoted[1:-1] == name.encode()
    return bool(_any_decoder.decode(mend_surrogates(quoted) or quoted) == name)


def _skip(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    assert match is not None
    return match.end()


def _value_end(data: bytes, start: int) -> int | None:
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
