"""Contents of a request to turns of the representation.

Parts only this dialect knows (executed code, tools the provider runs, videos, and whatever comes next) are
`ir.Hosted` with their JSON untouched. A spelling the representation has no place for is kept in ``ext`` under a name
that begins with a dot.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from ...json import Raw
from . import carrier, wire
from .pairing import Pairing
from .wire import NAME, given

MAX_CONTENTS = 100_000
"""No limit is documented; ours is that of Messages and only bounds what a body of many empty contents costs."""

_ROLES = {"user": ir.Role.USER, "model": ir.Role.ASSISTANT, "function": ir.Role.USER, "tool": ir.Role.USER}

_HOSTED = {
    "executable_code": "executableCode",
    "code_execution_result": "codeExecutionResult",
    "tool_call": "toolCall",
    "tool_response": "toolResponse",
}
_PAYLOADS = ("text", "inline_data", "file_data", "function_call", "function_response", *_HOSTED)

_FORMATS = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wave": "wav"}

_KEPT_HERE = ("generativelanguage.googleapis.com/", "://aiplatform.googleapis.com/")
"""Hosts of files that lie with the provider: nobody else can read them."""
_VIDEOS = ("youtube.com/", "youtu.be/")


CUTS = ".cuts"
"""In ``ext`` of a turn: where in its parts the client has begun further contents."""
PIECES = ".pieces"
"""In ``ext`` of a text or thought that stood in several contents: the number of characters in each."""

DUMMY = ".dummy"
"""In ``ext`` of a part: its signature only stands for a missing one."""

_counts = json.decoder(list[int])


def _joined(parts: list[ir.Part], cuts: frozenset[int]) -> Iterator[ir.Part]:
    """``parts`` in which the pieces of one text, or of one thought, in several contents are one again."""
    pieces: list[ir.Text | ir.Reasoning] = []
    for n, part in enumerate(parts):
        plain = _is_plain(part)
        if pieces and not (n in cuts and plain and type(part) is type(pieces[0])):
            yield _one(pieces)
            pieces = []
        if plain:
            assert isinstance(part, (ir.Text, ir.Reasoning))
            pieces.append(part)
        else:
            yield part
    if pieces:
        yield _one(pieces)


def _is_plain(part: ir.Part) -> bool:
    if isinstance(part, ir.Reasoning):
        return not (part.opaque or part.summary or part.ext is not None)
    return isinstance(part, ir.Text) and part.ext is None


def _one(pieces: list[ir.Text | ir.Reasoning]) -> ir.Part:
    if len(pieces) == 1:
        return pieces[0]
    text = "".join(piece.text for piece in pieces)
    return msgspec.structs.replace(pieces[0], text=text, ext=ext({PIECES: json.encode([len(p.text) for p in pieces])}))


def in_pieces(turn: ir.Turn) -> list[tuple[ir.Part, ...]]:
    """The parts of each content the client has made of a turn; one item for a turn of one content."""
    cuts = _numbers(turn.ext, CUTS)
    if not cuts:
        return [turn.parts]
    parts: list[ir.Part] = []
    for part in turn.parts:
        lengths = _numbers(part.ext, PIECES) if isinstance(part, (ir.Text, ir.Reasoning)) else []
        if not lengths:
            parts.append(part)
            continue
        assert isinstance(part, (ir.Text, ir.Reasoning))
        start = 0
        for length in lengths:
            parts.append(msgspec.structs.replace(part, text=part.text[start : start + length], ext=None))
            start += length
    return [tuple(parts[start:end]) for start, end in zip([0, *cuts], [*cuts, len(parts)], strict=True)]


def _numbers(found: ir.Ext | None, name: str) -> list[int]:
    known = found.fields.get(name) if found is not None and found.dialect == NAME else None
    return [] if known is None else json.decode(known, _counts)


class _Open:
    """A turn being read, of one content or of several."""

    def __init__(self, role: ir.Role, path: str, fields: dict[str, bytes]) -> None:
        self.role = role
        self.path = path
        self.fields = fields
        self.parts: list[ir.Part] = []
        self.floor = 0
        """Where the parts of the current content begin."""
        self.cuts: list[int] = []

    def goes_on(self, role: ir.Role, fields: dict[str, bytes]) -> bool:
        """Begin another content where it is more of the same answer."""
        if role is not ir.Role.ASSISTANT or self.role is not role or fields or self.fields:
            return False
        self.floor = len(self.parts)
        self.cuts.append(self.floor)
        return True

    def turn(self) -> ir.Turn:
        """All that was read."""
        if self.cuts:  # a proof may have taken thoughts of earlier contents with it
            self.cuts = [min(cut, len(self.parts)) for cut in self.cuts]
            self.fields[CUTS] = json.encode(self.cuts)
            self.parts = list(_joined(self.parts, frozenset(self.cuts)))
        return ir.Turn(self.role, tuple(self.parts), path=self.path, ext=ext(self.fields))


class ContentReader:
    """Reads the contents of one request; ``model`` is the one the client talks to."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._pairing = Pairing()

    def turns(self, data: bytes, path: str) -> tuple[ir.Turn, ...]:
        """All contents."""
        if json.kind(data) == "object":  # one content that is no list: servers take it
            alone: list[_Open] = []
            self._content(json.raw(data), path, alone)
            return (alone[0].turn(),)
        if json.kind(data) != "array":
            raise json.bad_field(path, "an array of contents", json.kind(data))
        items = json.items(data, path)
        if len(items) > MAX_CONTENTS:
            raise json.bad_field(path, f"at most {MAX_CONTENTS} contents", str(len(items)))
        turns: list[_Open] = []
        for n, item in enumerate(items):
            self._content(item, f"{path}[{n}]", turns)
        return tuple(turn.turn() for turn in turns)

    def _content(self, raw: Raw, path: str, turns: list[_Open]) -> None:
        """Add a content to ``turns``, or to the last of them.

        The SDK's chats keep a content for each chunk of a stream: all of them are one answer, whose proofs may stand in
        another chunk than what they prove.
        """
        content, extra = wire.known(raw, wire.content, path)
        fields = dict(extra)
        role = self._role(content.role, path, fields)
        self._pairing.turn(model=role is ir.Role.ASSISTANT)
        if not turns or not turns[-1].goes_on(role, fields):
            turns.append(_Open(role, path, fields))
        for n, item in enumerate(part_list(content.parts, f"{path}.parts")):
            self._part(item, f"{path}.parts[{n}]", turns[-1].parts, turns[-1].floor)

    def _role(self, raw: Raw, path: str, fields: dict[str, bytes]) -> ir.Role:
        data = given(raw)
        word = json.decode(data, wire.string, f"{path}.role") if data is not None else "user"
        role = _ROLES.get(word)
        if role is None:
            raise json.bad_field(f"{path}.role", "user or model", repr(word[:40]))
        if word not in ("user", "model"):
            fields[".role"] = json.encode_str(word)
        elif data is None:
            fields[".role"] = b"null"
        return role

    # --- parts ---

    def _part(self, raw: Raw, path: str, parts: list[ir.Part], floor: int = 0) -> None:
        """Read a part and add it to ``parts``, of which those from ``floor`` on are in the same content."""
        part, extra = wire.known(raw, wire.part, path)
        present = [name for name in _PAYLOADS if given(getattr(part, name)) is not None]
        if len(present) > 1:
            names = " and ".join(wire.camel(name) for name in present)
            raise json.bad_field(path, "one kind of data in a part", names)
        kind = present[0] if present else ""
        fields = dict(extra)
        material = carrier.read(part.thought_signature, self._model)
        if kind in _HOSTED:
            parts.append(ir.Hosted(NAME, _HOSTED[kind], bytes(raw), path=path))
            return
        if not kind and (material is None or extra):
            parts.append(ir.Hosted(NAME, next(iter(extra), "empty"), bytes(raw), path=path))
            return
        if not kind or (part.thought and kind == "text"):
            self._thought(part, raw, path, fields, material, parts)
            return
        if part.thought is not None:
            fields["thought" if part.thought else ".thought"] = b"true" if part.thought else b"false"
        if carrier.is_dummy(part.thought_signature):
            fields[DUMMY] = b"true"
        if material is not None:
            signature_path = f"{path}.thoughtSignature"
            if kind != "function_call" and carrier.is_own(material) and parts and isinstance(parts[-1], ir.Text):
                # Behind a text a proof would be that text's: say that it belongs to what follows.
                marked = ir.Ext(NAME, {".signs": b'"next"'})
                parts.append(ir.Reasoning(opaque=(material,), path=signature_path, ext=marked))
            else:
                carrier.attach(parts, material, signature_path, floor=floor)
        parts.append(self._payload(kind, part, raw, path, fields))

    def _thought(
        self,
        part: wire.Part,
        raw: Raw,
        path: str,
        fields: dict[str, bytes],
        material: ir.Opaque | None,
        parts: list[ir.Part],
    ) -> None:
        data = given(part.text)
        text = json.decode(data, wire.string, f"{path}.text") if data is not None else ""
        if material is None:
            parts.append(ir.Reasoning(text, path=path, ext=ext(fields)))
        elif carrier.is_own(material):  # proof of the thought itself: nothing that follows gets it
            marked = ir.Ext(NAME, {".part": bytes(raw)})
            parts.append(ir.Reasoning(text, opaque=(material,), path=path, ext=marked))
        else:
            carrier.attach(parts, material, path, text=text)

    def _payload(self, kind: str, part: wire.Part, raw: Raw, path: str, fields: dict[str, bytes]) -> ir.Part:
        if kind == "text":
            return ir.Text(json.decode(part.text, wire.string, f"{path}.text"), path=path, ext=ext(fields))
        if kind == "function_call":
            return self._call(part.function_call, path, fields)
        if kind == "function_response":
            return self._result(part.function_response, path, fields)
        return media(part, raw, path, fields)

    def _call(self, raw: Raw, path: str, fields: dict[str, bytes]) -> ir.ToolCall:
        at = f"{path}.functionCall"
        call, extra = wire.known(raw, wire.function_call, at)
        if not call.name:
            raise _missing(f"{at}.name")
        _nested(extra, "functionCall", fields)
        args = given(call.args)
        if args is not None and json.kind(args) != "object":
            raise json.bad_field(f"{at}.args", "an object", json.kind(args))
        if not call.id:
            fields[".id"] = b"null" if call.id is None else b'""'
        id_ = self._pairing.call(call.id, call.name, path)
        return ir.ToolCall(id_, call.name, args.decode() if args is not None else "", path=path, ext=ext(fields))

    def _result(self, raw: Raw, path: str, fields: dict[str, bytes]) -> ir.ToolResult:
        at = f"{path}.functionResponse"
        result, extra = wire.known(raw, wire.function_response, at)
        _nested(extra, "functionResponse", fields)
        id_ = self._pairing.result(result.id, result.name, path)
        if id_ != result.id:
            fields[".id"] = json.encode(result.id)
        parts, is_error = _said(given(result.response), at, fields)
        items = part_list(result.parts, f"{at}.parts")
        for n, item in enumerate(items):
            inner, more = wire.known(item, wire.part, f"{at}.parts[{n}]")
            parts.append(media(inner, item, f"{at}.parts[{n}]", dict(more)))
        return ir.ToolResult(id_, tuple(parts), name=result.name, is_error=is_error, path=path, ext=ext(fields))


def part_list(raw: Raw, path: str) -> list[Raw]:
    """``parts``; one that is no list counts as one."""
    data = given(raw)
    if data is None:
        return []
    kind = json.kind(data)
    if kind == "object":
        return [raw]
    if kind != "array":
        raise json.bad_field(path, "an array of parts", kind)
    return json.items(data, path)


def ext(fields: dict[str, bytes]) -> ir.Ext | None:
    """``fields`` as this dialect's own."""
    return ir.Ext(NAME, fields) if fields else None


def _nested(extra: dict[str, bytes], name: str, fields: dict[str, bytes]) -> None:
    for key, value in extra.items():
        fields[f"{name}.{key}"] = value


def _missing(path: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"{path}: this field is required", param=path, code="missing_required_parameter")


# --- results ---------------------------------------------------------------------------------------------


def _said(data: bytes | None, at: str, fields: dict[str, bytes]) -> tuple[list[ir.Part], bool | None]:
    """What a ``response`` says to the model, and whether it is an error.

    Only ``{"output": text}`` and ``{"error": text}`` are written back from the text alone; all others are kept as well.
    """
    path = f"{at}.response"
    if data is None:
        fields[".response"] = b"null"
        return [], None
    if json.kind(data) != "object":
        raise json.bad_field(path, "an object", json.kind(data))
    members = json.fields(data, path)
    if not members:
        return [], None
    names = set(members)
    is_error = True if names == {"error"} else None
    for wanted, shown in _SHAPES:
        if names == wanted and json.kind(members[shown]) == "string":
            if shown not in ("output", "error"):
                fields[".response"] = data
            return [ir.Text(json.decode(members[shown], wire.string, path), path=path)], is_error
    fields[".response"] = data
    return [ir.Text(data.decode("utf-8", "replace"), path=path)], is_error


_SHAPES = (
    ({"output"}, "output"),
    ({"error"}, "error"),
    ({"result"}, "result"),
    ({"content"}, "content"),
    ({"name", "content"}, "content"),  # the AI SDK
)


# --- media -----------------------------------------------------------------------------------------------


def media(part: wire.Part, raw: Raw, path: str, fields: dict[str, bytes]) -> ir.Part:
    """An image, a sound or a file; what is none of them, or a video, is carried as it is."""
    inline, file = given(part.inline_data), given(part.file_data)
    if inline is not None:
        blob, extra = wire.known(inline, wire.blob, f"{path}.inlineData")
        if blob.data is None:
            raise _missing(f"{path}.inlineData.data")
        _nested(extra, "inlineData", fields)
        # Python's SDK writes the URL-safe alphabet, which nobody else reads.
        data = blob.data.replace("-", "+").replace("_", "/")
        source = ir.Source(ir.SourceKind.BASE64, data, blob.mime_type)
        return _medium(source, blob.display_name, "inlineData", raw, path, fields)
    if file is not None:
        found, extra = wire.known(file, wire.file_data, f"{path}.fileData")
        if not found.file_uri:
            raise _missing(f"{path}.fileData.fileUri")
        _nested(extra, "fileData", fields)
        source = ir.Source(_where(found.file_uri), found.file_uri, found.mime_type)
        if found.mime_type is None and any(host in found.file_uri for host in _VIDEOS):
            return ir.Hosted(NAME, "video", bytes(raw), path=path)
        return _medium(source, found.display_name, "fileData", raw, path, fields)
    return ir.Hosted(NAME, next(iter(fields), "empty"), bytes(raw), path=path)


def _where(uri: str) -> ir.SourceKind:
    web = uri.startswith(("https://", "http://")) and not any(host in uri for host in _KEPT_HERE)
    return ir.SourceKind.URL if web else ir.SourceKind.FILE_ID


def _medium(source: ir.Source, name: str | None, key: str, raw: Raw, path: str, fields: dict[str, bytes]) -> ir.Part:
    kind = (source.media_type or "").lower().partition(";")[0]
    if kind.startswith("video/"):
        return ir.Hosted(NAME, "video", bytes(raw), path=path)
    if kind.startswith(("image/", "audio/")) and name is not None:
        fields[f"{key}.displayName"] = json.encode_str(name)
    if kind.startswith("image/"):
        return ir.Image(source, path=path, ext=ext(fields))
    if kind.startswith("audio/"):
        return ir.Audio(source, format=_FORMATS.get(kind, kind[6:]), path=path, ext=ext(fields))
    return ir.Document(source, name=name, path=path, ext=ext(fields))
