"""Providers' streams made by chance: what an answer means (`meaning`), and how each protocol's servers write it.

They know nothing of ferryllm: they are written from the protocols' own descriptions and from what recorded servers do,
and write more than our encoders ever would (interleaved calls, missing ids, snapshots, no last words).
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from . import chat, gemini, messages, ollama, responses
from .meaning import Can, Meant, Written


class Wire(msgspec.Struct, frozen=True):
    can: Can
    write: Callable[[random.Random, Meant], Written]
    error: Callable[[random.Random, str], bytes]


WIRES: dict[str, Wire] = {
    "openai": Wire(chat.CAN, chat.write, chat.error),
    "openai_responses": Wire(responses.CAN, responses.write, responses.error),
    "anthropic": Wire(messages.CAN, messages.write, messages.error),
    "gemini": Wire(gemini.CAN, gemini.write, gemini.error),
    "ollama": Wire(ollama.CAN, ollama.write, ollama.error),
}
