"""The policy of losses: strict refuses them, report is the rule, lenient leaves out what would be refused (G5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import DIALECTS, RemoteProtocolError, Translator, ir
from ferryllm_proto.fields import BACKENDS, TABLE, Fate
from ferryllm_proto.lenient import MAX_REMOVED, encode, without
from ferryllm_proto.loss import Disposition, LossPolicy, StrictRefusal
from support.fates import MODELS

ASK = {"role": "user", "content": "hi"}


def chat(*messages: dict[str, Any], **fields: Any) -> ir.Request:
    body = {"model": "m", "messages": list(messages) or [ASK], **fields}
    return DIALECTS["openai"].decode_request(json.dumps(body).encode())


def messages(**fields: Any) -> ir.Request:
    body = {"model": "m", "max_tokens": 99, "messages": [ASK], **fields}
    return DIALECTS["anthropic"].decode_request(json.dumps(body).encode())


def responses(**fields: Any) -> ir.Request:
    return DIALECTS["openai_responses"].decode_request(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def told(entry: str, backend: str, policy: LossPolicy, **fields: Any) -> tuple[int | None, list[str], bytes]:
    """Status of a refusal, losses, and what is sent or the error's body."""
    translator = Translator(entry=entry, backend=backend, model="gpt-4.1", policy=policy)
    body = {"model": "m", "max_tokens": 99, "messages": [ASK], **fields}
    sent = translator.receive_request(json.dumps(body).encode())
    losses = [f"{loss.disposition.value} {loss.path}" for loss in translator.losses]
    if sent is not None:
        return None, losses, sent.body
    assert translator.head is not None
    return translator.head.status, losses, translator.receive_eof()


# --- the policies ----------------------------------------------------------------------------------------


def test_g5_report_drops_knobs_and_refuses_contracts() -> None:
    status, losses, _ = told("anthropic", "openai_responses", LossPolicy.REPORT, top_k=4)
    assert (status, losses) == (None, ["dropped top_k"])
    status, losses, _ = told("anthropic", "openai_responses", LossPolicy.REPORT, stop_sequences=["END"])
    assert (status, losses) == (400, ["refused stop_sequences"])


def test_g5_strict_refuses_any_loss_in_the_clients_dialect_and_names_the_first() -> None:
    status, losses, body = told(
        "anthropic", "openai_responses", LossPolicy.STRICT, top_k=4, speed="fast", container="c", inference_geo="us"
    )
    assert status == 400
    assert sorted(losses) == ["refused container", "refused inference_geo", "refused speed", "refused top_k"]
    assert body.startswith(b'{"type":"error"')
    error = json.loads(body)["error"]
    assert error["type"] == "invalid_request_error"
    assert "dropped top_k: a Responses provider has no such parameter" in error["message"]
    assert "and 1 more" in error["message"]
    assert "loss_policy strict" in error["message"]


def test_g5_strict_lets_pass_what_is_carried_whole() -> None:
    assert told("anthropic", "openai_responses", LossPolicy.STRICT)[:2] == (None, [])
    assert told("anthropic", "anthropic", LossPolicy.STRICT, top_k=4)[:2] == (None, [])


def test_g5_lenient_leaves_out_what_would_be_refused_and_reports_it() -> None:
    status, losses, body = told("anthropic", "openai_responses", LossPolicy.LENIENT, stop_sequences=["END"], top_k=4)
    assert (status, losses) == (None, ["dropped stop_sequences", "dropped top_k"])
    assert "stop" not in json.loads(body)


def test_lenient_goes_on_until_nothing_is_refused() -> None:
    request = chat(n=2, logprobs=True, modalities=["text", "audio"], response_format={"type": "json_object"})
    upstream, losses = encode(DIALECTS["anthropic"], request, policy=LossPolicy.LENIENT, model="claude-sonnet-4-5")
    assert {str(loss).partition(":")[0] for loss in losses} == {
        "dropped n",
        "dropped logprobs",
        "dropped modalities",
        "dropped response_format",
    }
    assert json.loads(upstream.body)["messages"] == [ASK]
    assert all("dropped" not in loss.reason and not loss.reason.startswith(loss.path) for loss in losses)


def test_lenient_still_refuses_what_is_no_loss() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        encode(DIALECTS["openai"], responses(previous_response_id="resp_1"), policy=LossPolicy.LENIENT)
    assert caught.value.error.param == "previous_response_id"
    assert not isinstance(caught.value, StrictRefusal)


def test_lenient_gives_up_after_so_many() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    many = {"role": "user", "content": [{"type": "text", "text": "listen"}, *([audio] * (MAX_REMOVED + 1))]}
    with pytest.raises(RemoteProtocolError, match="audio"):
        encode(DIALECTS["anthropic"], chat(many), policy=LossPolicy.LENIENT)
    few = {"role": "user", "content": many["content"][:4]}
    _, losses = encode(DIALECTS["anthropic"], chat(few), policy=LossPolicy.LENIENT)
    assert len(losses) == 3


# --- taking out ------------------------------------------------------------------------------------------


def test_a_field_by_the_clients_own_name() -> None:
    request = messages(stop_sequences=["END"], temperature=0.5, thinking={"type": "adaptive"})
    gone = without(request, "stop_sequences")
    assert gone is not None
    assert gone.stop == ()
    assert gone.temperature == 0.5
    gone = without(gone, "thinking")
    assert gone is not None
    assert gone.reasoning is None
    assert without(gone, "thinking") is None
    assert without(request, "no_such_field") is None


@pytest.mark.parametrize("path", ["model", "messages", "stream", "max_tokens", ""])
def test_without_these_nothing_is_asked(path: str) -> None:
    assert without(messages(), path) is None


def test_a_field_only_the_dialect_knows() -> None:
    request = messages(container="c", speed="fast")
    gone = without(request, "container")
    assert gone is not None
    assert gone.ext is not None
    assert set(gone.ext.fields) == {"speed"}
    gone = without(gone, "speed")
    assert gone is not None
    assert gone.ext is None


@pytest.mark.parametrize("path", ["previous_response_id", "conversation", "prompt"])
def test_what_stands_for_the_conversation_stays(path: str) -> None:
    request = responses(previous_response_id="resp_1", conversation="conv_1", prompt={"id": "p"})
    assert without(request, path) is None


def test_an_item_of_include_keeps_the_numbers_of_the_others() -> None:
    wishes = ["a.b", "message.output_text.logprobs", "c.d"]
    request = responses(include=wishes)
    assert request.logprobs is True
    gone = without(request, "include[1]")
    assert gone is not None
    assert gone.logprobs is None
    upstream, losses = encode(DIALECTS["anthropic"], request, policy=LossPolicy.LENIENT)
    assert [loss.path for loss in losses] == ["include[1]", "include[0]", "include[2]"]
    assert without(request, "include[7]") is None
    assert upstream.path == "/v1/messages"


def test_a_tool() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    gone = without(chat(tools=tools), "tools[1]")
    assert gone is not None
    assert [tool.path for tool in gone.tools] == ["tools[0]"]
    inner = without(chat(tools=tools), "tools[1].function.parameters")
    assert inner == gone
    assert without(chat(tools=tools), "tools[10]") is None


def test_a_part_and_a_part_inside_a_result() -> None:
    image = {"type": "image", "source": {"type": "file", "file_id": "f"}}
    text = {"type": "text", "text": "see"}
    talk = [
        {"role": "user", "content": [image, text]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [text, image]}]},
    ]
    request = messages(messages=talk)
    gone = without(request, "messages[0].content[0].source")
    assert gone is not None
    assert [part.path for part in gone.turns[0].parts] == ["messages[0].content[1]"]
    gone = without(gone, "messages[2].content[0].content[1]")
    assert gone is not None
    result = gone.turns[2].parts[0]
    assert isinstance(result, ir.ToolResult)
    assert [part.path for part in result.parts] == ["messages[2].content[0].content[0]"]
    _, losses = encode(DIALECTS["openai"], request, policy=LossPolicy.LENIENT)
    assert [loss.path for loss in losses] == ["messages[0].content[0]", "messages[2].content[0].content[1]"]


def test_c12_a_message_of_which_nothing_is_left_is_still_refused() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    with pytest.raises(RemoteProtocolError, match="audio"):
        encode(DIALECTS["anthropic"], chat({"role": "user", "content": [audio]}), policy=LossPolicy.LENIENT)


@pytest.mark.parametrize(
    "item", [{"type": "item_reference", "id": "msg_1"}, {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}]
)
def test_r10_what_stands_for_the_conversation_is_never_left_out(item: dict[str, str]) -> None:
    items = [item, {"role": "user", "content": "go on"}]
    with pytest.raises(RemoteProtocolError) as caught:
        encode(DIALECTS["openai"], responses(input=items), policy=LossPolicy.LENIENT)
    assert caught.value.error.param == "input[0]"


# --- the whole table -------------------------------------------------------------------------------------

ESSENTIAL = {
    ("openai", "messages[user].content[file].file.file_id"),  # all that was said
    ("openai", "messages[user].content[video_url]"),
    ("openai_responses", "conversation"),
    ("openai_responses", "input[compaction]"),
    ("openai_responses", "input[item_reference]"),
    ("openai_responses", "previous_response_id"),
    ("openai_responses", "prompt"),
    ("anthropic", "max_tokens"),
    ("anthropic", "thread"),
    ("gemini", "cachedContent"),
    ("ollama", "context"),
}
"""What is refused under every policy: an answer without it answers something else."""


@pytest.mark.parametrize("entry", TABLE)
def test_g5_whatever_report_refuses_lenient_drops_or_it_is_essential(entry: str) -> None:
    still = set()
    for row in TABLE[entry]:
        for backend in BACKENDS:
            if row.fate(backend) is not Fate.REFUSED:
                continue
            body, path = row.request()
            translator = Translator(entry=entry, backend=backend, model=MODELS[backend][0], policy=LossPolicy.LENIENT)
            if translator.receive_request(json.dumps(body).encode(), path=row.place.door) is None:
                still.add((entry, row.path))
            else:
                dropped = [loss.path for loss in translator.losses if loss.disposition is Disposition.DROPPED]
                assert any(path.startswith(gone) for gone in dropped), (row.path, backend, translator.losses)
    assert still == {pair for pair in ESSENTIAL if pair[0] == entry}
