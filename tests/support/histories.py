"""Histories as agents send them in Messages, with everything that is not plain among them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

# Without the code points that stand for lone surrogates (`json.stand_in`): only who makes strings takes them so.
TEXTS = st.one_of(
    st.sampled_from(["", "a", "x-anthropic-billing-header: x", 'q"\\u', "\\", "é", "你好", "😀", "\n\t\x7f\x00"]),
    st.text(st.characters(max_codepoint=0x10F7FF, exclude_categories=["Cs"]), max_size=12),
)
_CACHE: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
_IDS = st.sampled_from(["toolu_1", "toolu_2", "t" * 70, "a b", "ä"])
_INPUTS: st.SearchStrategy[Any] = st.one_of(
    st.dictionaries(TEXTS, TEXTS, max_size=2),
    st.sampled_from([None, [], "words", 7, {}, {"long": 'x"y\\z\n' * 300}]),
)


def _text(text: str, more: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


def _often(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 6 + list(others))


TEXT_BLOCKS = st.builds(_text, TEXTS, _often({}, _CACHE, {"citations": []}, {"x": 1}, {"cache_control": None}))
CALLS = st.builds(
    lambda id_, name, input_, more: {"type": "tool_use", "id": id_, "name": name, "input": input_, **more},
    _IDS, st.sampled_from(["f", "g", "a.b"]), _INPUTS, _often({}, _CACHE, {"caller": {"type": "direct"}}),
)  # fmt: skip
_CONTENTS = st.one_of(TEXTS, TEXTS, TEXTS, st.none(), st.lists(TEXT_BLOCKS, max_size=2), st.just(5))
RESULTS = st.builds(
    lambda id_, content, more: {"type": "tool_result", "tool_use_id": id_, **content, **more},
    _IDS, st.one_of(st.fixed_dictionaries({"content": _CONTENTS}), st.just({})),
    _often({}, _CACHE, {"is_error": True}, {"is_error": False}, {"is_error": None}, {"x": 1}),
)  # fmt: skip
OTHERS = st.sampled_from(
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
        {"type": "text"},
        {"type": "text", "text": 7},
        {"type": "what is to come"},
    ]
)
BLOCKS = st.one_of(TEXT_BLOCKS, TEXT_BLOCKS, CALLS, CALLS, RESULTS, RESULTS, OTHERS)
MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant"] * 5 + ["system", "nobody"]),
    st.one_of(st.lists(BLOCKS, max_size=3), st.lists(BLOCKS, max_size=3), TEXTS),
)


@st.composite
def _round(draw: st.DrawFn, number: int) -> list[dict[str, Any]]:
    """What an agent adds in one step: words and calls, and then the results of these."""
    ids = [f"toolu_{number}_{n}" for n in range(draw(st.integers(0, 2)))]
    silent, waits = draw(st.booleans()), draw(st.booleans())
    said = [] if ids and silent else [_text(draw(TEXTS), {})]
    calls = [{**draw(CALLS), "id": id_} for id_ in ids]
    results = [{**draw(RESULTS), "tool_use_id": id_} for id_ in ids]
    more = [] if results and waits else [_text(draw(TEXTS), {})]
    return [{"role": "assistant", "content": [*said, *calls]}, {"role": "user", "content": [*results, *more]}]


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The messages of a request: nearly always well-formed, in places not."""
    messages = [{"role": "user", "content": draw(st.one_of(TEXTS, st.just([_text("do it", {})])))}]
    for number in range(draw(st.integers(0, 4))):
        messages += draw(_round(number))
    if draw(_often(True, False)) and isinstance(content := messages[-1]["content"], list) and content:
        content[-1] = {**content[-1], **draw(_often({}, _CACHE, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}))}
    for message in draw(st.lists(MESSAGES, max_size=draw(st.sampled_from([0, 0, 1, 2])))):
        messages.insert(draw(st.integers(0, len(messages))), message)
    return messages


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A request, now and then with bytes that are wrong."""
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("f", "g", "a.b")]
    fields = {"model": "m", "max_tokens": 9, "messages": draw(histories()), "tools": tools}
    more = draw(
        _often({}, {"stream": True}, {"system": [_text("s", _CACHE)]}, {"what": 1}, {"model": ""}, {"stream": 1})
    )
    spaces = draw(st.sampled_from([None, 1]))
    body = json.dumps({**fields, **more}, ensure_ascii=draw(st.booleans()), indent=spaces).encode("utf-8", "replace")
    if draw(_often(False, True)):
        at = draw(st.integers(0, len(body)))
        body = (
            body[:at]
            + draw(st.sampled_from([b"\xff", b"\xc3", b"\\ud800", b'"', b"\x01", b"{", b"\xe4\xbd"]))
            + body[at:]
        )
    return body
