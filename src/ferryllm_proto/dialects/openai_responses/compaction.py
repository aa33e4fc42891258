"""Compacted conversations where no provider compacts: the question for a summary, its answer, and its way back in.

``POST /v1/responses/compact`` gives a shorter list of items to go on with. Providers make it with a model of their own
and seal it; here the conversation's own model writes a summary, and the ``compaction`` item carries it in the clear,
in the envelope that carries all foreign material (`opaque`). Clients pass the item on unread, as they do the sealed
ones, and `summary_of` reads it when it comes back (API reference: POST /responses/compact).
"""

from __future__ import annotations

from ... import ids, ir, json, opaque
from ...errors import RemoteProtocolError
from . import wire
from .history import input_items, listed, resume
from .outcome import encode_usage

MINTER = "ferryllm"
"""Who minted a summary: the provider's name in its envelope."""
ITEM = "compaction"

_ASK = (
    "The conversation above is about to be shortened: whoever goes on with it will see the user's messages and what "
    "you write now, and nothing else. Write a summary that makes the rest unnecessary. Cover, as far as there is any "
    "of it: what the user wants, with every constraint and preference they stated; what was done and decided, and "
    "why; facts, names, paths, commands, code and results that are needed later, exactly as they are; what failed and "
    "should not be tried again; what is still open, and the next step. Write only the summary, in the language of the "
    "conversation. Do not call tools and do not answer the user."
)
_BEFORE = "Summary of the conversation before this point, made when it was shortened:\n\n"

_LEFT_OUT = ("stream", "store", "text", "background", "include", "max_output_tokens", "previous_response_id")
"""Members of a request that are about the form of an answer which is not the one given here."""


def question(body: bytes) -> bytes:
    """The request for a summary of what ``body``, a request to compact, holds. Raises `RemoteProtocolError`."""
    fields = json.fields(body)
    if not input_items(body):
        raise RemoteProtocolError(
            "input: there is nothing to compact", param="input", code="missing_required_parameter"
        )
    for name in _LEFT_OUT:
        fields.pop(name, None)
    if json.kind(fields.get("tools", b"null")) == "array":
        fields["tool_choice"] = json.raw(b'"none"')  # the calls above refer to them; no more are wanted
    ask = b'{"type":"message","role":"user","content":[{"type":"input_text","text":%b}]}' % json.encode_str(_ASK)
    items = [*input_items(body), ask]
    fields.pop("input", None)
    return resume(json.encode(fields), items)


def answer(body: bytes, summary: str, usage: ir.Usage | None, *, seed: int, created: int, estimate: int) -> bytes:
    """The compacted conversation: the user's messages of ``body`` as they were, then the summary."""
    users = [item for item in input_items(body) if _is_users(item)]
    sealed = opaque.wrap(ir.Opaque(MINTER, "", ir.OpaqueKind.ENCRYPTED, summary))
    item = {"type": ITEM, "id": ids.mint("cmp_", seed), "encrypted_content": sealed}
    return json.encode(
        {
            "id": ids.mint("resp_", seed, "compact"),
            "object": "response.compaction",
            "created_at": created,
            "output": [*(json.raw(user) for user in listed(users)), item],
            "usage": encode_usage(usage or ir.Usage(), estimate),
        }
    )


def summary_of(item: bytes) -> str | None:
    """What a ``compaction`` item of ours says to the model; None for another's, which only its maker reads."""
    try:
        token = json.loads(json.fields(item).get("encrypted_content", b"null"))
    except RemoteProtocolError:
        return None
    found = opaque.unwrap(token) if isinstance(token, str) else None
    return _BEFORE + found.data if found is not None and found.provider == MINTER else None


def _is_users(item: bytes) -> bool:
    tag = json.decode(item, wire.tag_decoder)
    return tag.type in (None, "message") and tag.role == "user"
