"""Messages that are words and nothing else: a client's question, and the reply to it (`words`).

Apart from the modules that know everything there is, because this is a shortcut past them: what it takes it reads and
writes as they do, and it takes nothing of which that is not plain to see. `None` is: ask them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ... import ids, ir, json
from ...words import Listed, Message, Number, Question, Reply, ReplyWriter, Spoken, StreamReply, StreamWriter
from . import usage as usages
from .decode_request import NAMES
from .pieces import BLOCK_STOP, MESSAGE_DELTA, START, TEXT, TEXT_BEGUN
from .wire import NAME

_LENGTH = ir.FinishReason.LENGTH


class _Question(Question, frozen=True, forbid_unknown_fields=True):
    model: Spoken
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    # More are none that an encoder could write.
    limit: Annotated[int, msgspec.Meta(ge=1, lt=1 << 53)] = msgspec.field(name="max_tokens")
    system: Spoken | None = None
    temperature: Number | None = None
    stream: bool | None = None

    dialect = NAME
    names = NAMES


class _Block(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    type: Literal["text"]
    text: Spoken


class _Message(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: Spoken | Annotated[list[_Block], msgspec.Meta(min_length=1, max_length=1)]


class _Listed(_Question, frozen=True, forbid_unknown_fields=True):
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1)]  # type: ignore[assignment]  # `question` makes them


_question = json.decoder(_Question)
_listed = json.decoder(_Listed)
_LIST, _SPACED_LIST = b'"content":[', b'"content": ['


def question(body: bytes) -> Question | None:
    """A body of ``/v1/messages`` that is one."""
    try:
        return _question.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        if body.find(_LIST) < 0 and body.find(_SPACED_LIST) < 0:
            return None
    try:
        found = _listed.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    messages = [_message(one) for one in found.messages]
    return _Question(found.model, messages, found.limit, found.system, found.temperature, found.stream)


def _message(one: _Message) -> Message:
    content = one.content
    return Message(one.role, content) if isinstance(content, str) else Listed(one.role, content[0].text)


_ID = len(b'{"id":"msg_000000000000000000000000"')


def reply_writer(model: str) -> ReplyWriter:
    """Writes the whole answers of a ``model`` by the client's name of it."""
    # The id is that of `ids.own`.
    named = json.encode_str(model).replace(b"%", b"%%")
    form = (
        b'{"id":"msg_%%024x","type":"message","role":"assistant","model":%b,"content":[{"type":"text","text":%%b}],'
        b'"stop_reason":"%%b","stop_sequence":null,"usage":{"input_tokens":%%d,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":%%d,"output_tokens":%%d%%b}}' % named
    )

    def write(reply: Reply, seed: int) -> bytes:
        usage = reply.usage
        thought = usage.reasoning
        out = form % (
            seed & ids.FRESH,
            json.draft(reply.text),
            b"max_tokens" if reply.finish is _LENGTH else b"end_turn",
            usage.input,
            usage.cache_read or 0,
            usage.output,
            b"" if thought is None else b',"output_tokens_details":{"thinking_tokens":%d}' % thought,
        )
        # The provider's own id stays where it could be one of a message.
        return json.finished(out if reply.id[:4] != "msg_" else b'{"id":%b%b' % (json.draft(reply.id), out[_ID:]))

    return write


_TEXT = TEXT.partition(b"%b")[0] % 0
_TEXT_END = b"}}\n\n"
_TEXT_BEGUN, _BLOCK_STOP = TEXT_BEGUN % 0, BLOCK_STOP % 0


def stream_writer(model: str) -> StreamWriter:
    """The same for their streams."""
    named, encode = json.encode_str(model), json.encode_str

    def write(reply: StreamReply, seed: int, estimate: int) -> bytes:
        own = reply.id if reply.id[:4] == "msg_" else ids.own("msg_", seed)
        out = [START % (encode(own), named, usages.encode(None, estimate)), _TEXT_BEGUN]
        for text in reply.texts:
            out += (_TEXT, encode(text), _TEXT_END)
        word = b'"max_tokens"' if reply.finish is _LENGTH else b'"end_turn"'
        out += (_BLOCK_STOP, MESSAGE_DELTA % (word, b"null", b"", usages.encode(reply.usage, estimate)))
        return b"".join(out)

    return write
