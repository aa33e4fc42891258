"""The part of a response object that repeats the request: clients' types require it (Z6)."""

from __future__ import annotations

from ... import ir, json
from ...loss import Report
from . import wire
from .encode_request import text_config
from .encode_tools import encode_choice, encode_tools

_NO_REQUEST = ir.Request(dialect=wire.NAME, model="")


def echo_fields(request: ir.Request | None, *, kept: bool = False) -> bytes:
    """The members of a response object that repeat the request, without braces.

    ``store`` and ``background`` are what is true of a translated answer: whether somebody keeps it (``kept``), and that
    it is not being made in the background.
    """
    request = request or _NO_REQUEST
    unreported = Report()  # the losses of the request are the request's encoder's to tell
    choice = request.tool_choice
    params = request.reasoning
    tools = [tool for tool in request.tools if not tool.path.startswith("input[")]
    fields: dict[str, object] = {
        "background": False,
        "instructions": next((text.text for text in request.system if text.path == "instructions"), None),
        "max_output_tokens": request.max_output,
        "max_tool_calls": _kept(request, "max_tool_calls"),
        "metadata": {} if request.metadata is None else json.raw(request.metadata),
        "parallel_tool_calls": True if request.parallel is None else request.parallel,
        "previous_response_id": request.previous_id,
        "prompt_cache_key": request.cache_key,
        "reasoning": {
            "effort": params.effort if params else None,
            "summary": _shown(params.show if params else None),
        },
        "safety_identifier": request.safety_id,
        "service_tier": request.service_tier or "default",
        "store": kept,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {"format": {"type": "text"}, **text_config(request, own=True)},
        "tool_choice": "auto" if choice is None else encode_choice(choice, own=True),
        "tools": encode_tools(tools, own=False, report=unreported),
        "top_logprobs": request.top_logprobs or 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": request.truncation or "disabled",
        "user": request.user,
    }
    return json.encode(fields)[1:-1]


def _shown(show: str | None) -> str | None:
    return next((word for word, value in wire.SUMMARY_SHOW.items() if value == show), None)


def _kept(request: ir.Request, name: str) -> object:
    ext = request.ext
    if ext is None or ext.dialect != wire.NAME or name not in ext.fields:
        return None
    return json.raw(ext.fields[name])
