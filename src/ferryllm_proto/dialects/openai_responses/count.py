"""``/v1/responses/input_tokens``: the question how many tokens an input has, and its answer (R13).

The body is that of a request without all that is about the answer (API reference, "Get input token counts").
"""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...dialect import ToolRules, UpstreamRequest
from ...loss import Loss
from .encode_request import encode_request

PATH = "/v1/responses/input_tokens"

_COUNTED = frozenset(
    {
        "conversation", "input", "instructions", "model", "parallel_tool_calls", "personality", "previous_response_id",
        "reasoning", "text", "tool_choice", "tools", "truncation",
    }
)  # fmt: skip
"""The fields the endpoint takes."""

_ABOUT_THE_ANSWER: dict[str, object] = {
    "max_output": None,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "stop": (),
    "seed": None,
    "presence_penalty": None,
    "frequency_penalty": None,
    "logit_bias": None,
    "logprobs": None,
    "top_logprobs": None,
    "n": None,
    "include": (),
    "stream": False,
    "include_usage": None,
}
"""Fields of a request that no input token depends on: not sent, and neither refused nor reported."""


def encode_count_request(
    request: ir.Request, rules: ToolRules, model: str | None, headers: tuple[tuple[str, str], ...]
) -> tuple[UpstreamRequest, list[Loss]]:
    """``request`` as a question. Raises `RemoteProtocolError` as `encode_request` does."""
    plain = msgspec.structs.replace(request, **_ABOUT_THE_ANSWER)
    upstream, losses = encode_request(plain, rules, model, headers)
    kept = {name: value for name, value in json.fields(upstream.body).items() if name in _COUNTED}
    return UpstreamRequest("POST", PATH, "", headers, json.encode(kept), False), losses


class _Count(msgspec.Struct, frozen=True):
    input_tokens: int


_count = json.decoder(_Count)


def decode_count_answer(body: bytes) -> int:
    """The number in a provider's answer. Raises `RemoteProtocolError`."""
    return json.decode(body, _count).input_tokens


def encode_count(input_tokens: int) -> bytes:
    """The answer for a client."""
    return b'{"object":"response.input_tokens","input_tokens":%d}' % input_tokens
