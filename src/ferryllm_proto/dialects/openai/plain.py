"""What nearly every small exchange is made of: requests and whole answers that are words and nothing else.

Apart from the modules that know everything there is, because this is a shortcut past them: what it takes it writes and
reads as they do, and it takes nothing of which that is not plain to see. `None` is: ask them.
"""

from __future__ import annotations

import typing

import msgspec

from ... import ir, json
from ...dialect import UpstreamRequest
from ...json import Raw
from ...system import BILLING
from ...words import AskWriter, CacheKeys, Question, Reply
from ...written import Written
from .decode_parts import NAME
from .profile import Profile

_ABSENT = Raw()
_USER = ir.Role.USER
_SYSTEM = ir.Role.SYSTEM


# --- requests --------------------------------------------------------------------------------------------


def request_body(request: ir.Request, model: str, profile: Profile) -> bytes | None:
    """The body for ``request`` of another dialect, for ``model`` by the provider's name of it."""
    limit, stream, key = request.max_output, request.stream, request.cache_key
    known = profile.model
    if (
        profile.alternate
        or profile.extra
        or known.bridge
        or (key is not None and "prompt_cache_key" not in profile.fields)
        or Written.of(request.turns) is not None
    ):
        return None
    # Whatever fields a request gets one day: all others have to be as nobody has set them.
    if request != ir.Request(
        request.dialect, request.model, request.turns, max_output=limit, stream=stream, names=request.names,
        cache_key=key,
    ):  # fmt: skip
        return None
    said = []
    before = None
    for turn in request.turns:
        role, text = turn.role, words(turn)
        if role is before or not text:
            return None
        said.append({"role": "user" if role is _USER else "assistant", "content": text})
        before = role
    if before is not _USER:
        return None
    body: dict[str, object] = {"model": model, "messages": said}
    if limit is not None:
        if limit == 0 or (known.max_output_tokens is not None and limit > known.max_output_tokens):
            return None
        body[profile.max_tokens_field] = limit
    if key is not None:
        body["prompt_cache_key"] = key
    if stream:
        body["stream"] = True
        if "stream_options" in profile.fields:
            body["stream_options"] = {"include_usage": True}
    return json.encode(body)


def ask_writer(
    model: str, profile: Profile, keys: CacheKeys, path: str, headers: tuple[tuple[str, str], ...], *, stream: bool
) -> AskWriter | None:
    """Writes questions for ``model``, the provider's name of it; None where there is more to look at.

    ``path`` and ``headers`` are those of all such requests.
    """
    known = profile.model
    if profile.alternate or profile.extra or known.bridge:
        return None
    most, own = known.max_output_tokens, known.temperature
    end = b""
    if stream:
        end = b',"stream":true'
        if "stream_options" in profile.fields:
            end += b',"stream_options":{"include_usage":true}'
    end += b"}"
    before = b'{"model":%b,"messages":%%b,"%b":%%d' % (_literal(model), profile.max_tokens_field.encode())
    usual = before + _keyed(keys.bare).replace(b"%", b"%%") + end
    system = b'[{"role":%b,"content":%%b},%%b' % _literal(profile.system_role)

    def write(question: Question) -> UpstreamRequest | None:
        last = None
        for message in question.messages:
            role = message.role
            if role == last:
                return None
            last = role
        limit, told, heat = question.limit, question.system, question.temperature
        if last != "user" or limit is None or (most is not None and limit > most):
            return None
        said = json.draft(question.messages)
        if told is None and heat is None:
            body = usual % (said, limit)
            return UpstreamRequest("POST", path, "", headers, json.finished(body), stream)
        key = keys.bare
        if told is not None:
            if told.startswith(BILLING):
                return None
            key = None if keys.of is None else keys.of(told)
            said = system % (json.draft(told), said[1:])
        if heat is None:
            sampling = b""
        elif own or heat == 1:
            sampling = b',"temperature":' + json.draft(heat)
        else:
            return None
        body = before % (said, limit) + sampling + _keyed(key) + end
        return UpstreamRequest("POST", path, "", headers, json.finished(body), stream)

    return write


def _literal(text: str) -> bytes:
    """``text`` as a JSON string inside a form."""
    return json.draft(text).replace(b"%", b"%%")


def _keyed(key: str | None) -> bytes:
    return b"" if key is None else b',"prompt_cache_key":' + json.draft(key)


def words(turn: ir.Turn) -> str | None:
    """The text of a turn that is nothing but words."""
    parts = turn.parts
    if len(parts) != 1 or turn.ext is not None or turn.name is not None or turn.role is _SYSTEM:
        return None
    part = parts[0]
    if type(part) is not ir.Text or part.cache is not None or part.ext is not None:
        return None
    return None if part.citations or part.phase is not None else part.text


# --- answers ---------------------------------------------------------------------------------------------

_Nothing = typing.Annotated[list[Raw], msgspec.Meta(max_length=0)] | None
_NoWords = typing.Annotated[str, msgspec.Meta(max_length=0)] | None
_Count = typing.Annotated[int, msgspec.Meta(ge=0)]


class _Message(msgspec.Struct, frozen=True, gc=False):
    """Everything beside the words is empty; fields that nobody reads may be there."""

    content: str
    refusal: _NoWords = None
    reasoning_content: _NoWords = None
    reasoning: _NoWords = None
    reasoning_details: _Nothing = None
    tool_calls: _Nothing = None
    function_call: None = None
    annotations: _Nothing = None
    audio: None = None
    images: _Nothing = None
    executed_tools: _Nothing = None


class _Choice(msgspec.Struct, frozen=True, gc=False):
    message: _Message
    finish_reason: typing.Literal["stop", "length"]
    index: typing.Literal[0] | None = None
    stop_reason: int | None = None
    matched_stop: int | None = None
    logprobs: None = None
    usage: Raw = _ABSENT


class _PromptDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: None = None
    audio_tokens: typing.Literal[0] | None = None


class _CompletionDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: _Count | None = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: None = None
    cached_tokens: None = None
    num_cached_tokens: None = None
    reasoning_tokens: None = None


class _Answer(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    choices: typing.Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: _Usage
    model: str
    id: str
    created: int | None = None
    object: str | None = None
    service_tier: Raw = _ABSENT
    system_fingerprint: Raw = _ABSENT


_answer = json.decoder(_Answer)
_FINISH = {"stop": ir.FinishReason.END, "length": ir.FinishReason.LENGTH}


def answer(body: bytes) -> ir.Response | None:
    """A provider's whole answer of words, or of none."""
    try:
        found = _answer.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    usage = _counted(found.usage)
    if usage is None:
        return None
    (choice,) = found.choices
    text, more = choice.message.content, found.service_tier is not _ABSENT or found.system_fingerprint is not _ABSENT
    return ir.Response(
        found.id,
        found.model,
        (ir.Text(text),) if text else (),
        _FINISH[choice.finish_reason],
        None,
        None,
        found.created,
        usage,
        None,
        _ext(found) if more else None,
    )


def reply(body: bytes) -> Reply | None:
    """The same of a provider whose client speaks another dialect, where there are words."""
    try:
        found = _answer.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    usage = _counted(found.usage)
    choice = found.choices[0]
    text = choice.message.content
    if usage is None or not text:
        return None
    return Reply(found.id, found.model, text, _FINISH[choice.finish_reason], found.created, usage)


def told(body: bytes) -> tuple[ir.Usage, ir.FinishReason, str | None] | None:
    """What `answer` tells beside its words: what it cost, why it stopped, which model answered."""
    try:
        found = _answer.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    usage = _counted(found.usage)
    return None if usage is None else (usage, _FINISH[found.choices[0].finish_reason], found.model or None)


def _counted(usage: _Usage) -> ir.Usage | None:
    """None for who counts something beside the two, or more as cached than there is: he has ways of his own."""
    prompt, output = usage.prompt_tokens, usage.completion_tokens
    if prompt + output != usage.total_tokens:
        return None
    input_, more = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = None if input_ is None else input_.cached_tokens
    if cached is not None:
        if cached > prompt:
            return None
        prompt -= cached
    # By position: by name costs six times as much.
    return ir.Usage(prompt, cached, None, None, output, None if more is None else more.reasoning_tokens)


def _ext(found: _Answer) -> ir.Ext | None:
    given = ("service_tier", bytes(found.service_tier)), ("system_fingerprint", bytes(found.system_fingerprint))
    ext = {name: value for name, value in given if value not in (b"", b"null")}
    return ir.Ext(NAME, ext) if ext else None
