"""Law: an answer loses the same, whole or as a stream, in whichever form it comes and whichever the client reads.

The forms are written by the dialect of the provider, out of parts only it has among others: there is much to lose.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.translate import State
from support.answers import PAIRS, Told, ask, path_of, tell

NAMES = tuple(DIALECTS)
LATE_TEXT = "degraded content"
"""Text behind calls stands before them in whole Chat and Ollama messages: streams keep the order. So a whole answer of
such a provider does not have it, and a whole answer to such a client loses it."""

KINDS: dict[str, tuple[str, tuple[ir.OpaqueKind, ...]]] = {
    "anthropic": ("anthropic", (ir.OpaqueKind.SIGNATURE, ir.OpaqueKind.REDACTED)),
    "openai": ("openrouter", (ir.OpaqueKind.DETAILS,)),
    "openai_responses": ("openai", (ir.OpaqueKind.ENCRYPTED,)),
    "gemini": ("gemini", (ir.OpaqueKind.THOUGHT_SIGNATURE,)),
    "ollama": ("ollama", ()),
}
HOSTED: dict[str, dict[str, bytes]] = {
    "anthropic": {
        "server_tool_use": b'{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"q"}}',
        "web_search_tool_result": b'{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]}',
        "martian": b'{"type":"martian","x":1}',
    },
    "openai": {
        "audio": b'{"id":"x","data":"AAAA","expires_at":1,"transcript":"a"}',
        "images": b'[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]',
        "executed_tools": b'[{"index":0,"type":"python","arguments":"{}","output":"1"}]',
    },
    "openai_responses": {
        "local_shell_call": b'{"type":"local_shell_call","id":"lsh_1","call_id":"c","status":"completed",'
        b'"action":{"type":"exec","command":["ls"],"env":{}}}',
        "web_search_call": b'{"type":"web_search_call","id":"ws_1","status":"completed",'
        b'"action":{"type":"search","query":"q"}}',
        "mcp_call": b'{"type":"mcp_call","id":"mcp_1","name":"n","arguments":"{}","server_label":"s","output":"o"}',
        "code_interpreter_call": b'{"type":"code_interpreter_call","id":"ci_1","status":"completed","code":"1",'
        b'"container_id":"c","outputs":[{"type":"logs","logs":"1"}]}',
        "martian": b'{"type":"martian","id":"m_1","status":"completed"}',
    },
    "gemini": {
        "inlineData": b'{"inlineData":{"mimeType":"image/png","data":"AAAA"}}',
        "signed": b'{"inlineData":{"mimeType":"image/png","data":"AAAA"},"thoughtSignature":"c2ln"}',
        "executableCode": b'{"executableCode":{"language":"PYTHON","code":"1"}}',
        "fileData": b'{"fileData":{"mimeType":"image/png","fileUri":"https://files.example/1"}}',
        "urlContextMetadata": b'{"urlContextMetadata":{"urlMetadata":[{"retrievedUrl":"https://a.example"}]}}',
    },
    "ollama": {},
}
CITED: dict[str, tuple[bytes, ...]] = {
    "anthropic": (
        (
            b'{"type":"web_search_result_location","url":"https://a.example","title":"t","cited_text":"q",'
            b'"encrypted_index":"e"}'
        ),
        (
            b'{"type":"char_location","cited_text":"q","document_index":0,"document_title":"t","start_char_index":0,'
            b'"end_char_index":1}'
        ),
    ),
    "openai": (
        b'{"type":"url_citation","url_citation":{"url":"https://a.example","title":"t","start_index":0,"end_index":1}}',
    ),
    "openai_responses": (
        b'{"type":"url_citation","url":"https://a.example","title":"t","start_index":0,"end_index":1}',
        b'{"type":"file_citation","file_id":"f","filename":"n","index":0}',
    ),
    "gemini": (),
    "ollama": (),
}
LOGPROBS = b'[{"token":"a","logprob":-1.0,"bytes":[97],"top_logprobs":[]}]'
ENDS = [
    ir.FinishReason.END,
    ir.FinishReason.LENGTH,
    ir.FinishReason.CONTEXT,
    ir.FinishReason.PAUSE,
    ir.FinishReason.REFUSAL,
    ir.FinishReason.STOP,
]


def proof(name: str, kind: ir.OpaqueKind) -> ir.Opaque:
    data = '{"type":"reasoning.encrypted","data":"c2ln","format":"x"}' if kind is ir.OpaqueKind.DETAILS else "c2lnbmVk"
    return ir.Opaque(KINDS[name][0], "real", kind, data, id="rs_1" if name == "openai_responses" else None)


def parts(name: str) -> list[ir.Part]:
    """What answers of the dialect are made of."""
    out: list[ir.Part] = [
        ir.Text("a"),
        ir.Text("b"),
        ir.Refusal("no"),
        ir.Reasoning("hm"),
        ir.Reasoning("", ("s", "t")),
    ]
    out += [ir.Text("c", citations=(raw,), citations_dialect=name) for raw in CITED[name]]
    for kind in KINDS[name][1]:
        out.append(ir.Reasoning("" if kind is ir.OpaqueKind.REDACTED else "hm", opaque=(proof(name, kind),)))
    out += [ir.Hosted(name, word if word != "signed" else "inlineData", raw) for word, raw in HOSTED[name].items()]
    return out


@st.composite
def answers(draw: st.DrawFn, name: str) -> ir.Response:
    said: list[ir.Part] = [ir.Text("first")]
    said += draw(st.lists(st.sampled_from(parts(name)), max_size=4, unique_by=id))
    calls = draw(st.integers(0, 2))
    signed = name in ("gemini", "openai") and draw(st.booleans())
    for n in range(calls):
        material = (proof("gemini", ir.OpaqueKind.THOUGHT_SIGNATURE),) if signed and n == 0 else ()
        said.append(ir.ToolCall(f"call_{n}", "f", '{"a":1}', opaque=material))
    finish = ir.FinishReason.TOOL_USE if calls else draw(st.sampled_from(ENDS))
    return ir.Response(
        "id_1",
        "real",
        tuple(said),
        finish,
        stop_sequence="END" if finish is ir.FinishReason.STOP else None,
        usage=draw(st.sampled_from([None, ir.Usage(3, output=50), ir.Usage(3, cache_read=2, output=50, reasoning=4)])),
        # Its streams have them in the last chunk as we write it, and there the text has to be the last part.
        logprobs=LOGPROBS if draw(st.booleans()) and (name != "gemini" or type(said[-1]) is ir.Text) else None,
    )


def forms(name: str, response: ir.Response) -> tuple[bytes, bytes]:
    """The answer in the provider's words: whole, and as a stream."""
    answer = Answer(model="real", seed=1, path=path_of(name, stream=True))
    encoder = DIALECTS[name].stream_encoder(answer)
    stream = b"".join(encoder.send(event) for event in play(response))
    return DIALECTS[name].encode_response(response, Answer(model="real", seed=1)), stream


def lost(told: Told) -> set[str]:
    assert told.state is State.DONE, told.error
    return {f"{loss.disposition.value} {loss.path}" for loss in told.losses} - {LATE_TEXT}


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
@given(data=st.data())
def test_g4_whole_answers_and_streams_report_the_same(entry: str, backend: str, data: st.DataObject) -> None:
    whole, stream = forms(backend, data.draw(answers(backend)))
    seen: dict[Any, set[str]] = {
        (came, asked): lost(tell(ask(entry, backend, stream=asked == "stream"), body))
        for (came, body), asked in itertools.product((("whole", whole), ("stream", stream)), ("whole", "stream"))
    }
    first = seen["whole", "whole"]
    assert all(found == first for found in seen.values()), seen


@pytest.mark.parametrize("backend", NAMES)
def test_the_law_has_something_to_lose(backend: str) -> None:
    said = (ir.Text("first"), *(part for part in parts(backend) if not isinstance(part, (ir.Text, ir.Refusal))))
    whole, _ = forms(backend, ir.Response("id_1", "real", said, usage=ir.Usage(3, output=50), logprobs=LOGPROBS))
    entries = [entry for entry, other in PAIRS if other == backend]
    assert any(lost(tell(ask(entry, backend, stream=False), whole)) for entry in entries)
