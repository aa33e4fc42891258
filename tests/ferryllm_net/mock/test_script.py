"""The script: what is said to what, and in which steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.mock import DirectiveError, parse, plan
from ferryllm_net.mock.directives import Fault, FaultKind
from ferryllm_net.mock.proofs import decrypt, is_signature
from ferryllm_net.mock.script import MAX_PIECES, pieces
from ferryllm_proto import ir, json
from ferryllm_proto.events import ArgsDelta, BlockEnd, BlockStart, End, Start, StreamFailed, TextDelta

from .build import SCHEMA, answer, called, calls, request, result, schema, text, user
from .test_writing import BASH, READ

WEATHER = ir.Function("get_weather", schema=SCHEMA)
CLOCK = ir.Function("get_time", schema=schema(zone={"type": "string"}))
PATCH = ir.Custom("apply_patch")


def test_who_asks_for_pong_gets_pong() -> None:
    assert text(request("Reply with one word: PONG")) == "pong"
    assert text(request("play ping-pong?")) == "pong"
    assert text(request("spongy")) != "pong"


def test_anything_else_is_echoed_by_the_demo() -> None:
    said = text(request("What  is\nthis?"))
    assert "demo of ferryllm" in said
    assert said.endswith("You said: What is this?")
    assert text(request("x" * 500)).endswith("x...")
    assert "demo" in text(request())


def test_what_agents_add_in_tags_is_not_the_prompt() -> None:
    asked = request(user("<system-reminder>pong</system-reminder>", "hello"), user("<env>pong</env>"))
    assert text(asked).endswith("You said: hello")


@pytest.mark.parametrize("said", ["mock: text=here", "hello\nmock: text=here"])
def test_what_stands_behind_tags_in_one_text_is_the_prompt(said: str) -> None:
    asked = request(user(f"<context>\nmany <b>files</b>\n</context><env a='b'>x</env>{said}"))
    assert text(asked) == "here"
    assert text(request(user("<env>x</env>hello"))).endswith("You said: hello")


def test_directives_are_read_from_every_text_of_the_last_user_turns() -> None:
    asked = request(user("<x>"), user("mock: text=hi there", "trailing"))
    assert text(asked) == "hi there"
    assert text(request("mock: text=old", called(), "new")).endswith("You said: new")


def test_instructions_in_the_middle_do_not_hide_the_prompt() -> None:
    assert text(request("pong", ir.Turn(ir.Role.SYSTEM, (ir.Text("be brief"),)))) == "pong"


def test_the_prompt_goes_over_the_defaults() -> None:
    defaults = parse("text=default delay_ms=5", "delay_ms=7")
    assert text(request("x"), defaults) == "default delay_ms=5"
    assert text(request("mock: text=mine"), defaults) == "mine"


def test_a_directive_that_cannot_be_followed_is_raised() -> None:
    with pytest.raises(DirectiveError, match="did you mean chunks"):
        plan(request("mock: chunk=1"))


# --- text ------------------------------------------------------------------------------------------------


@given(st.text(), st.none() | st.integers(1, 100))
def test_pieces_joined_are_the_text(whole: str, count: int | None) -> None:
    found = pieces(whole, count)
    assert "".join(found) == whole
    assert len(found) <= (count or MAX_PIECES)


def test_chunks_and_delays_are_those_asked_for() -> None:
    done = plan(request("mock: chunks=4 delay_ms=50 slow_head_ms=9\nmock: text=abcdefgh"))
    deltas = [step for step in done.steps if isinstance(step.event, TextDelta)]
    assert [step.event.text for step in deltas if isinstance(step.event, TextDelta)] == ["ab", "cd", "ef", "gh"]
    assert {step.delay_ms for step in deltas} == {50}
    assert {step.delay_ms for step in done.steps if step not in deltas} == {0}
    assert done.head_ms == 9


def test_a_long_text_has_no_more_pieces_than_the_limit() -> None:
    long = "word " * 500
    assert len(pieces(long, None)) == MAX_PIECES
    assert "".join(pieces(long, None)) == long


def test_chunks_without_a_text_are_numbered_words() -> None:
    steps = plan(request("mock: chunks=12")).steps
    deltas = [step.event.text for step in steps if isinstance(step.event, TextDelta)]
    assert len(deltas) == 12
    assert "".join(deltas) == "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12"


def test_the_requests_limit_cuts_what_nobody_asked_for() -> None:
    cut = answer(request("hello", max_output=3))
    assert cut.finish is ir.FinishReason.LENGTH
    assert text(request("hello", max_output=3)) == "This is the "
    assert answer(request("mock: text=a b c d", max_output=3)).finish is ir.FinishReason.END
    assert answer(request("pong", max_output=1)).finish is ir.FinishReason.END
    assert answer(request("pong", max_output=0)).finish is ir.FinishReason.END


def test_stop_sequences_stop() -> None:
    stopped = answer(request("mock: text=one two three", stop=("zzz", " three", " two")))
    assert stopped.finish is ir.FinishReason.STOP
    assert stopped.stop_sequence == " two"
    assert stopped.parts == (ir.Text("one"),)


def test_structured_output_is_json_of_the_schema() -> None:
    wanted = ir.Format(ir.FormatKind.JSON_SCHEMA, "t", schema(title={"type": "string"}))
    assert json.loads(text(request("hi", format=wanted))) == {"title": "demo"}
    assert json.loads(text(request("say pong", format=wanted))) == {"title": "pong"}
    assert text(request("pong", format=ir.Format(ir.FormatKind.TEXT))) == "pong"


def test_usage_is_estimated_or_as_told() -> None:
    counted = answer(request("pong")).usage
    assert counted is not None
    assert counted.input
    assert counted.output == 1
    told = answer(request("mock: usage=100,20,cached=30")).usage
    assert told == ir.Usage(input=100, output=20, cache_read=30)


@pytest.mark.parametrize("word", ["max_tokens", "refusal", "pause", "end", "context"])
def test_the_stop_reason_is_the_one_asked_for(word: str) -> None:
    wanted = parse(f"stop={word}").stop
    assert answer(request(f"mock: stop={word}")).finish is wanted


def test_an_invented_stop_sequence_is_one_of_the_request() -> None:
    assert answer(request("mock: stop=stop_sequence", stop=("##",))).stop_sequence == "##"
    assert answer(request("mock: stop=stop_sequence")).stop_sequence == "END"


# --- reasoning -------------------------------------------------------------------------------------------


def thought(asked: ir.Request) -> ir.Reasoning:
    part = answer(asked).parts[0]
    assert isinstance(part, ir.Reasoning)
    return part


def test_messages_reasoning_is_signed_even_when_its_text_is_omitted() -> None:
    found = thought(request("mock: reasoning=let me think", dialect="anthropic"))
    assert found.text == "let me think"
    assert is_signature(found.opaque[0].data, "let me think")
    hidden = ir.ReasoningParams(show="omitted")
    found = thought(request("mock: reasoning=let me think", dialect="anthropic", reasoning=hidden))
    assert found.text == ""
    assert is_signature(found.opaque[0].data, "let me think")


def test_responses_reasoning_is_a_summary_and_encrypted_for_who_asks() -> None:
    include = ("reasoning.encrypted_content",)
    found = thought(request("mock: reasoning=hm hm", dialect="openai_responses", include=include))
    assert found.summary == ("hm hm",)
    assert decrypt(found.opaque[0].data) == "hm hm"
    assert thought(request("mock: reasoning=hm", dialect="openai_responses")).opaque == ()


def test_chat_reasoning_has_signed_details() -> None:
    found = thought(request("mock: reasoning=hm"))
    details = json.loads(found.opaque[0].data)
    assert details["text"] == found.text == "hm"
    assert is_signature(details["signature"], "hm")


# --- tools -----------------------------------------------------------------------------------------------


def test_calls_are_made_as_told_and_end_with_tool_use() -> None:
    asked = request('mock: tool=get_weather {"city":"Paris"}\nmock: tool=unknown', tools=(WEATHER,))
    assert [(call.name, call.arguments) for call in calls(asked)] == [
        ("get_weather", '{"city":"Paris"}'),
        ("unknown", "{}"),
    ]
    assert answer(asked).finish is ir.FinishReason.TOOL_USE
    assert text(asked) == ""


def test_text_before_calls_is_said_when_asked_for() -> None:
    parts = answer(request("mock: tool=a\nmock: text=first", tools=(WEATHER,))).parts
    assert [type(part) for part in parts] == [ir.Text, ir.ToolCall]


def test_a_number_of_tools_is_made_up_of_what_the_client_has() -> None:
    assert [(c.name, c.arguments) for c in calls(request("mock: tools=3", tools=(WEATHER, PATCH)))] == [
        ("get_weather", '{"city":"demo"}'),
        ("apply_patch", "demo"),
        ("get_weather", '{"city":"demo"}'),
    ]
    assert [c.name for c in calls(request("mock: tools=2\nmock: tool=get_time", tools=(CLOCK,)))] == ["get_time"] * 2
    assert calls(request("mock: tools=2")) == []


def test_interleaved_calls_alternate_their_fragments() -> None:
    asked = request('mock: interleave\nmock: tool=a {"x": 1, "y": 2}\nmock: tool=b {"x": 3}', tools=(WEATHER,))
    order = [
        (type(step.event), step.event.ix)
        for step in plan(asked).steps
        if isinstance(step.event, (BlockStart, ArgsDelta, BlockEnd))
    ]
    assert order[:6] == [
        (BlockStart, 0),
        (BlockStart, 1),
        (ArgsDelta, 0),
        (ArgsDelta, 1),
        (ArgsDelta, 0),
        (ArgsDelta, 1),
    ]
    assert [c.arguments for c in calls(asked)] == ['{"x": 1, "y": 2}', '{"x": 3}']


def test_custom_calls_take_the_form_in_which_the_client_has_the_tool() -> None:
    line = "mock: custom=apply_patch *** Begin"
    (call,) = calls(request(line, tools=(PATCH,)))
    assert (call.kind, call.arguments) == (ir.ToolKind.CUSTOM, "*** Begin")
    (call,) = calls(request(line, tools=(ir.Function("apply_patch", schema=schema(input={"type": "string"})),)))
    assert (call.kind, call.arguments) == (ir.ToolKind.FUNCTION, '{"input":"*** Begin"}')
    (call,) = calls(request(line))
    assert (call.kind, call.arguments) == (ir.ToolKind.CUSTOM, "*** Begin")


def test_tools_in_namespaces_are_found_by_their_plain_name() -> None:
    spaced = ir.Function("close_agent", namespace="agents", schema=SCHEMA)
    for line in ("mock: tool=close_agent", "mock: tool=agents.close_agent"):
        (call,) = calls(request(line, tools=(WEATHER, spaced)))
        assert (call.name, call.namespace) == ("close_agent", "agents")
    (call,) = calls(request("mock: tool=close_agent", tools=(ir.Function("agents__close_agent", schema=SCHEMA),)))
    assert call.name == "agents__close_agent"


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (ir.ToolChoice(ir.ToolChoiceMode.REQUIRED), "get_weather"),
        (ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("get_time",)), "get_time"),
        (ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, ("get_time",), required=True), "get_time"),
        (ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, ("get_time",)), None),
        (ir.ToolChoice(ir.ToolChoiceMode.AUTO), None),
        (ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("gone",)), None),
    ],
)
def test_a_forced_choice_is_obeyed(choice: ir.ToolChoice, name: str | None) -> None:
    found = calls(request("pong", tools=(WEATHER, CLOCK), tool_choice=choice))
    assert [call.name for call in found] == ([] if name is None else [name])


def test_after_results_their_beginning_is_quoted_and_the_loop_ends() -> None:
    asked = request("mock: tool=look", called(), result("It is  22 degrees\n" + "x" * 300))
    assert text(asked).startswith("Done. The tool answered: It is 22 degrees xxx")
    assert text(asked).endswith("...")
    assert calls(asked) == []
    assert answer(asked).finish is ir.FinishReason.END
    picture = ir.Image(ir.Source(ir.SourceKind.URL, "https://x/y.png"))
    mixed = ir.Turn(ir.Role.USER, (ir.ToolResult("call_1", (picture,)), ir.ToolResult("call_1", ())))
    assert text(request("x", called(), mixed)) == "Done. The tool answered: nothing (and 1 of another kind); nothing"


def test_then_is_said_after_results_with_pauses_and_usage_but_faults_do_not_come_again() -> None:
    line = "mock: delay_ms=3 usage=1,2 error=429 stream_error=500 cut=1 stop=refusal\nmock: tool=look\nmock: then=fin"
    done = plan(request(line, called(), result("ok")))
    assert (done.error, done.fault) == (None, None)
    assert [s.delay_ms for s in done.steps if isinstance(s.event, TextDelta)] == [3]
    assert text(request(line, called(), result("ok"))) == "fin"
    last = answer(request(line, called(), result("ok")))
    assert (last.finish, last.usage) == (ir.FinishReason.END, ir.Usage(input=1, output=2))


def test_rounds_repeat_the_call_so_often() -> None:
    turns: list[ir.Turn | str] = ["mock: rounds=3\nmock: tool=get_weather {}"]
    for _ in range(3):
        assert len(calls(request(*turns, tools=(WEATHER,)))) == 1
        turns += [called("get_weather"), result("ok")]
    assert calls(request(*turns, tools=(WEATHER,))) == []


def test_a_new_prompt_beside_the_results_wins_when_it_has_directives() -> None:
    both = ir.Turn(ir.Role.USER, (ir.ToolResult("call_1", ()), ir.Text("mock: text=now this")))
    assert text(request("x", called(), both)) == "now this"
    reminder = ir.Turn(ir.Role.USER, (ir.ToolResult("call_1", (ir.Text("ok"),)), ir.Text("<system-reminder/>")))
    assert text(request("mock: tool=look", called(), reminder)) == "Done. The tool answered: ok"


def test_what_an_agent_adds_behind_the_prompt_does_not_hide_it_after_results() -> None:
    asked = request("mock: then=fin", user("<env>x</env>"), called(), result("ok"))
    assert text(asked) == "fin"


def test_results_without_any_prompt_are_quoted() -> None:
    assert text(request(called(), result("ok"))) == "Done. The tool answered: ok"


def test_files_are_written_with_the_clients_tools() -> None:
    asked = request("write a file a.txt with hi", tools=(READ, BASH))
    assert [call.name for call in calls(asked)] == ["Bash"]
    after = request("write a file a.txt with hi", called("Bash"), result("written"), tools=(READ, BASH))
    assert text(after) == "Done. The tool answered: written"
    assert "None of the tools" in text(request("write a file a.txt with hi", tools=(READ,)))


# --- errors and faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["openai", "openai_responses", "anthropic"])
def test_a_full_context_is_told_in_the_dialects_own_words(dialect: str) -> None:
    found = plan(request("mock: error=context", dialect=dialect)).error
    assert found is not None
    assert found.kind is ir.ErrorKind.CONTEXT_LENGTH
    assert ("prompt is too long" in found.message) is (dialect == "anthropic")


def test_errors_carry_status_and_retry_after() -> None:
    done = plan(request("mock: error=429 retry_after=3 slow_head_ms=5"))
    assert done.error is not None
    assert (done.error.kind, done.error.retry_after, done.status) == (ir.ErrorKind.RATE_LIMIT, 3.0, 429)
    assert (done.steps, done.head_ms) == ((), 5)


@pytest.mark.parametrize(
    ("after", "deltas"), [("", 2), (" after=0", 0), (" after=1", 1), (" after=4", 4), (" after=9", 4)]
)
def test_stream_errors_come_after_so_much_content_and_nothing_follows(after: str, deltas: int) -> None:
    steps = plan(request(f"mock: chunks=4 stream_error=overloaded{after}")).steps
    kinds = [type(step.event) for step in steps]
    assert kinds[0] is Start
    assert kinds[-1] is StreamFailed
    assert End not in kinds
    assert kinds.count(TextDelta) == deltas


def test_faults_are_handed_on() -> None:
    assert plan(request("mock: cut=3")).fault == Fault(FaultKind.CUT, 3)


def test_equal_requests_have_equal_plans() -> None:
    asked = request("mock: tools=2 usage=1,2\nmock: reasoning=hm", tools=(WEATHER,))
    assert plan(asked) == plan(asked)
