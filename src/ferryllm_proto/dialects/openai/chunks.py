"""The chunks of a Chat stream: what is read of any, and the form of nearly all.

The second is a shortcut past the first, as `plain` is for whole answers: what it takes means the same there, and it
takes nothing of which that is not plain to see.
"""

from __future__ import annotations

import typing

import msgspec

from ... import json
from .response import CallAnswer, MessageAnswer
from .usage import Usage

_Raw = json.Raw
_NONE = _Raw()


# --- any -------------------------------------------------------------------------------------------------


class Choice(msgspec.Struct, frozen=True):
    index: int | None = None
    delta: MessageAnswer | None = None
    finish_reason: str | None = None
    logprobs: _Raw = _NONE
    stop_reason: int | str | None = None
    matched_stop: int | str | None = None
    usage: _Raw = _NONE


class XGroq(msgspec.Struct, frozen=True):
    usage: _Raw = _NONE


class Chunk(msgspec.Struct, frozen=True):
    id: str | int | None = None
    model: str | None = None
    created: int | float | str | None = None
    choices: list[Choice] | None = None
    usage: _Raw = _NONE
    error: _Raw = _NONE
    x_groq: _Raw = _NONE


chunk = json.decoder(Chunk)
x_groq = json.decoder(XGroq)


# --- nearly all ------------------------------------------------------------------------------------------

_Nothing = typing.Annotated[list[_Raw], msgspec.Meta(max_length=0)] | None
_NoWords = typing.Annotated[str, msgspec.Meta(max_length=0)] | None


class UsualDelta(msgspec.Struct, frozen=True, gc=False):
    """Words, thoughts and calls. Every other field of `MessageAnswer` is empty; what nobody reads may be there."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallAnswer] | None = None
    refusal: _NoWords = None
    reasoning_details: _Nothing = None
    function_call: None = None
    annotations: _Nothing = None
    audio: None = None
    images: _Nothing = None
    executed_tools: _Nothing = None


class UsualChoice(msgspec.Struct, frozen=True, gc=False):
    delta: UsualDelta | None = None
    finish_reason: str | None = None
    index: typing.Literal[0] | None = None
    logprobs: None = None
    stop_reason: int | None = None
    matched_stop: int | None = None
    usage: None = None


class UsualChunk(msgspec.Struct, frozen=True, gc=False):
    choices: typing.Annotated[list[UsualChoice], msgspec.Meta(max_length=1)]
    id: str | None = None
    model: str | None = None
    created: int | None = None
    usage: Usage | None = None
    error: None = None
    x_groq: None = None


usual = json.decoder(UsualChunk)
