from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import carrier
from ferryllm_proto.dialects.gemini.carrier import DUMMY

from .build import FOREIGN, NEW, OLD, assistant, call, contents, decoded, encoded, foreign, paths, signature, user

CALL = ir.ToolCall("call_1", "f", '{"a":1}', path="messages[1].tool_calls[0]")
OTHER = ir.ToolCall("call_2", "f", "{}", path="messages[1].tool_calls[1]")
RESULT = ir.ToolResult("call_1", (ir.Text("one"),), path="messages[2]")
RESULT_2 = ir.ToolResult("call_2", (ir.Text("two"),), path="messages[3]")


def _contents(*turns: ir.Turn, model: str = OLD, **fields: Any) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    body, losses = encoded(foreign(*turns, model=model, **fields))
    return body["contents"], paths(losses)


def test_a5_turns_alternate() -> None:
    found, losses = _contents(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert [(c["role"], [p["text"] for p in c["parts"]]) for c in found] == [
        ("user", ["a", "b"]),
        ("model", ["c", "d"]),
        ("user", ["e"]),
    ]
    assert losses == []


def test_b8_the_first_word_is_the_users_and_the_last_is_not_the_models() -> None:
    found, losses = _contents(assistant("a"))
    assert [c["role"] for c in found] == ["user", "model", "user"]
    assert [kind for kind, _ in losses] == ["degraded", "degraded"]


def test_a6_nothing_to_say_is_still_a_turn() -> None:
    found, _ = _contents(user(""))
    assert found == [{"role": "user", "parts": [{"text": "Continue."}]}]


def test_a2_instructions_in_the_middle_stay_there_as_a_marked_text() -> None:
    middle = ir.Turn(ir.Role.SYSTEM, (ir.Text("be"),), path="messages[2]")
    found, losses = _contents(user("a"), assistant("b"), middle, user("c"))
    assert found[2]["parts"] == [{"text": "<system-reminder>\nbe\n</system-reminder>"}, {"text": "c"}]
    assert losses == [("degraded", "messages[2]")]


def test_b4_results_are_one_content_in_the_order_of_their_calls() -> None:
    found, losses = _contents(user("go"), assistant("x", CALL, OTHER), user(RESULT_2, "and", RESULT))
    assert [c["role"] for c in found] == ["user", "model", "user", "user"]
    assert [part["functionResponse"]["id"] for part in found[2]["parts"]] == ["call_1", "call_2"]
    assert found[3]["parts"] == [{"text": "and"}]
    assert losses == []


def test_a19_a_missing_result_is_made_up_and_one_too_many_is_text() -> None:
    found, losses = _contents(user("go"), assistant(CALL), user("no"))
    assert found[2]["parts"][0]["functionResponse"]["response"] == {"error": "[no result]"}
    found, losses = _contents(user("go"), user(RESULT))
    assert "functionResponse" not in str(found)
    assert losses == [("degraded", "messages[2]")]


def test_b5_a_results_name_is_that_of_its_call() -> None:
    found, _ = _contents(user("go"), assistant(CALL), user(RESULT))
    assert found[2]["parts"][0]["functionResponse"]["name"] == "f"


# --- B7: signatures --------------------------------------------------------------------------------------


def _signed(*parts: ir.Part | str, model: str = NEW) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    calls = [p for p in parts if isinstance(p, ir.ToolCall)]
    results: list[ir.Part | str] = [ir.ToolResult(c.id, (ir.Text("r"),)) for c in calls]
    found, losses = _contents(user("go"), assistant(*parts), user(*(results or ["more"])), model=model)
    return found[1]["parts"], losses


THOUGHT = ir.Reasoning("hm", opaque=(signature(),), path="messages[1].reasoning")
CARRIER = ir.Reasoning(opaque=(signature(),), path="messages[1].reasoning")


def test_b7_a_signature_goes_on_the_call_behind_it() -> None:
    parts, losses = _signed(THOUGHT, CALL, OTHER)
    assert [part.get("thoughtSignature") for part in parts] == ["c2ln", None]
    assert losses == []


def test_b7_a_signature_goes_on_the_text_behind_it() -> None:
    parts, losses = _signed(THOUGHT, "said")
    assert parts == [{"text": "said", "thoughtSignature": "c2ln"}]
    assert losses == []


def test_b7_a_signature_that_came_behind_its_text_goes_back_to_it() -> None:
    assert _signed("said", CARRIER)[0] == [{"text": "said", "thoughtSignature": "c2ln"}]
    assert _signed("said", CARRIER, "more")[0] == [{"text": "said", "thoughtSignature": "c2ln"}, {"text": "more"}]
    parts, _ = _signed("said", CARRIER, CALL)
    assert [part.get("thoughtSignature") for part in parts] == [None, "c2ln"]


def test_b7_a_signature_alone_has_an_empty_text() -> None:
    assert _signed(CARRIER)[0] == [{"text": "", "thoughtSignature": "c2ln"}]


def test_b7_a_signature_on_the_call_itself_counts() -> None:
    parts, losses = _signed(ir.ToolCall("call_1", "f", "{}", opaque=(signature("b3du"),)))
    assert parts[0]["thoughtSignature"] == "b3du"
    assert losses == []


def test_b7_a_missing_signature_is_the_documented_dummy_on_the_first_call_alone() -> None:
    parts, losses = _signed(CALL, OTHER)
    assert [part.get("thoughtSignature") for part in parts] == [DUMMY, None]
    assert losses == [("degraded", "messages[1].tool_calls[0]")]


@pytest.mark.parametrize("model", [OLD, "gemini-2.0-flash", "gemma-3"])
def test_b7_older_models_never_get_a_dummy(model: str) -> None:
    parts, losses = _signed(CALL, model=model)
    assert "thoughtSignature" not in parts[0]
    assert losses == []


@pytest.mark.parametrize("material", [FOREIGN, signature(model="gemini-2.5-pro")])
def test_a26_another_providers_or_models_proof_is_never_sent(material: ir.Opaque) -> None:
    parts, losses = _signed(ir.Reasoning("hm", opaque=(material,), path="t"), CALL)
    assert [part.get("thoughtSignature") for part in parts] == [DUMMY]
    assert losses == [("dropped", "t"), ("degraded", "messages[1].tool_calls[0]")]


def test_b8_thoughts_without_a_proof_are_dropped_and_reported() -> None:
    parts, losses = _signed(ir.Reasoning("hm", path="t"), "said")
    assert parts == [{"text": "said"}]
    assert losses == [("dropped", "t")]


def test_a_client_of_ours_keeps_its_history_but_for_other_providers_proofs() -> None:
    body = contents({"text": "hm", "thought": True}, call("f"), call("g"), role="model")
    assert encoded(decoded(body)) == (body, [])
    packed = carrier.written(FOREIGN)
    body = contents({"text": "hm", "thought": True}, call("f", thoughtSignature=packed), role="model")
    found, losses = encoded(decoded(body))
    assert found["contents"][0]["parts"] == [{"text": "hm", "thought": True}, call("f", thoughtSignature=DUMMY)]
    assert paths(losses) == [
        ("dropped", "contents[0].parts[0]"),
        ("degraded", "contents[0].parts[1]"),
    ]
