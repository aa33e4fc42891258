from __future__ import annotations

import json as stdlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir, tools
from ferryllm_proto.dialect import ToolRules
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Disposition, Report
from ferryllm_proto.tools import Lowered, ToolTable, lower

CHAT = ToolRules()
MESSAGES = ToolRules(name_pattern=r"[a-zA-Z0-9_-]{1,128}", max_name=128, id_prefix="toolu_")
RESPONSES = ToolRules(custom=True, namespaces=True, name_pattern=r"[a-zA-Z0-9_-]{1,128}", max_name=128)
LETTER_FIRST = ToolRules(name_pattern=r"[a-zA-Z_][a-zA-Z0-9_]{0,62}", max_name=63)

F = ir.Function
C = ir.Custom
WEB = ir.HostedTool("anthropic", "web_search_20250305", b"{}", name="web_search", path="tools[0]")
FUNCTION, CUSTOM = ir.ToolKind.FUNCTION, ir.ToolKind.CUSTOM


def request(*tools_: ir.Tool, choice: ir.ToolChoice | None = None, parallel: bool | None = None) -> ir.Request:
    return ir.Request("anthropic", "m", tools=tools_, tool_choice=choice, parallel=parallel)


def lowered(req: ir.Request, rules: ToolRules = CHAT, target: str = "openai") -> tuple[Lowered, list[str]]:
    report = Report()
    out = lower(req, rules, target, report)
    return out, [str(loss) for loss in report.losses]


# --- names ---


@pytest.mark.parametrize(
    "name", ["x" * 65, "x" * 200, "mcp.server/tool", "two words", "naïve", "", "a\nb", "x" * 64 + "\n", "😀" * 30]
)
@pytest.mark.parametrize("rules", [CHAT, MESSAGES, RESPONSES, LETTER_FIRST])
def test_a13_a_name_the_dialect_refuses_gets_one_it_takes_and_comes_back(name: str, rules: ToolRules) -> None:
    table = ToolTable((F(name),), rules)
    wire = table.wire_name(None, name)
    assert re.fullmatch(rules.name_pattern, wire)
    assert table.client_tool(wire) == F(name)
    assert ToolTable((), rules).wire_name(None, name) == wire, "the same in a turn without the tool"


def test_a13_a_name_that_fits_is_kept() -> None:
    assert ToolTable((F("Read"),), CHAT).wire_name(None, "Read") == "Read"
    assert ToolTable((), CHAT).wire_name(None, "gone") == "gone"
    assert ToolTable((), CHAT).client_tool("gone") is None


def test_a13_names_equal_in_their_first_characters_stay_apart() -> None:
    names = ["x" * 70 + str(n) for n in range(50)] + ["a.b", "a/b", "a b", "a_b"]
    table = ToolTable(tuple(F(name) for name in names), CHAT)
    wires = [table.wire_name(None, name) for name in names]
    assert len(set(wires)) == len(names)
    assert wires[-1] == "a_b"
    assert [table.client_tool(wire) for wire in wires] == [F(name) for name in names]


def test_a13_a_name_in_a_namespace_gives_way_to_a_plain_one() -> None:
    spaced, plain = F("x", namespace="ns"), F("ns__x")
    for order in ((spaced, plain), (plain, spaced)):
        table = ToolTable(order, CHAT)
        assert table.wire_name(None, "ns__x") == "ns__x"
        assert table.client_tool("ns__x") == plain
        assert table.client_tool(table.wire_name("ns", "x")) == spaced


def test_a13_names_that_join_to_the_same_stay_apart() -> None:
    one, two = F("b__c", namespace="a"), F("c", namespace="a__b")
    table = ToolTable((one, two), CHAT)
    wires = [table.wire_name("a", "b__c"), table.wire_name("a__b", "c")]
    assert wires[0] == "a__b__c"
    assert [table.client_tool(wire) for wire in wires] == [one, two]
    long = "n" * 60
    assert ToolTable((), CHAT).wire_name(long, "b") != ToolTable((), CHAT).wire_name(None, long + "/b")


def test_r6_where_namespaces_exist_equal_names_in_two_are_two_tools() -> None:
    one, two = F("run", namespace="a"), F("run", namespace="b")
    table = ToolTable((one, two), RESPONSES)
    assert table.wire_name("a", "run") == table.wire_name("b", "run") == "run"
    assert table.client_tool("run", "b") == two
    assert table.client_tool("run", "a") == one
    assert table.client_tool("run") == one


@given(st.lists(st.tuples(st.none() | st.text(max_size=40), st.text(max_size=90)), unique=True, max_size=8))
def test_a13_any_names_stay_apart_fit_and_come_back(names: list[tuple[str | None, str]]) -> None:
    spaced = [(namespace or None, name) for namespace, name in names]
    named = tuple(F(name, namespace=namespace) for namespace, name in dict.fromkeys(spaced))
    table = ToolTable(named, CHAT)
    wires = [table.wire_name(tool.namespace, tool.name) for tool in named]
    assert len(set(wires)) == len(named)
    assert all(re.fullmatch(CHAT.name_pattern, wire) for wire in wires)
    assert tuple(table.client_tool(wire) for wire in wires) == named
    again = ToolTable(named, CHAT)
    assert [again.wire_name(tool.namespace, tool.name) for tool in named] == wires


# --- definitions ---


def test_tools_that_fit_are_not_touched() -> None:
    tool = F("Read", "reads", b'{"type":"object"}', strict=True, path="tools[0]")
    out, losses = lowered(request(tool, parallel=False))
    assert (out.tools, out.choice, out.parallel, losses) == ((tool,), None, False, [])


def test_r5_a_freeform_tool_becomes_a_function_that_says_its_grammar() -> None:
    tool = C("apply_patch", "Patches files.", "lark", "start: /.+/", path="tools[1]",
             ext=ir.Ext("openai_responses", {"defer_loading": b"true"}))  # fmt: skip
    out, losses = lowered(request(tool))
    (function,) = out.tools
    assert isinstance(function, F)
    assert function.name == "apply_patch"
    assert function.description is not None
    assert function.description.startswith("Patches files.\n\n")
    assert function.description.endswith("lark grammar:\nstart: /.+/")
    assert function.schema is not None
    assert stdlib.loads(function.schema)["required"] == ["input"]
    assert losses == [
        "degraded tools[1]: openai has no freeform tools: sent as a function",
        "dropped tools[1].defer_loading: not a field of the function that is sent instead",
    ]


def test_r5_a_freeform_tool_without_words_still_says_where_its_input_goes() -> None:
    out, losses = lowered(request(C("x")))
    assert isinstance(out.tools[0], F)
    assert out.tools[0].description == "Put the whole input, as plain text, into `input`."
    assert losses == ["degraded tools.x: openai has no freeform tools: sent as a function"]


def test_r5_a_freeform_tool_stays_one_where_they_exist() -> None:
    tool = C("x", namespace="ns", namespace_description="d")
    out, losses = lowered(request(tool), RESPONSES, "openai_responses")
    assert (out.tools, losses) == ((tool,), [])


def test_r6_a_namespace_becomes_part_of_the_name_and_its_description_is_reported_once() -> None:
    named = [F(n, namespace="ns", namespace_description="d", path=f"tools[2].tools[{i}]") for i, n in enumerate("ab")]
    out, losses = lowered(request(*named))
    assert [(tool.name, tool.namespace) for tool in out.tools if isinstance(tool, F)] == [
        ("ns__a", None),
        ("ns__b", None),
    ]
    assert losses == ["dropped tools[2].description: openai has no namespaces: their tools are sent with longer names"]
    _, losses = lowered(request(F("a", namespace="ns", namespace_description="d")))
    assert losses[0].startswith("dropped tools.ns.description")


def test_a16_the_first_of_equal_names_wins() -> None:
    out, losses = lowered(request(F("a", "1"), F("a", "2", path="tools[1]"), F("a", namespace="n"), C("a")))
    assert [tool.name for tool in out.tools] == ["a", "n__a"]
    assert losses == [
        "dropped tools[1]: a tool of this name is already defined",
        "dropped tools.a: a tool of this name is already defined",
    ]


def test_a9_a_hosted_tool_goes_to_its_own_dialect_alone() -> None:
    assert lowered(request(WEB), MESSAGES, "anthropic")[0].tools == (WEB,)
    out, losses = lowered(request(WEB, F("a"), parallel=True))
    assert out.tools == (F("a"),)
    assert losses == ["dropped tools[0]: openai cannot run the hosted tool web_search_20250305"]
    _, losses = lowered(request(ir.HostedTool("openai_responses", "mcp", b"{}")))
    assert losses == ["dropped tools.mcp: openai cannot run the hosted tool mcp"]


# --- choice ---

Mode = ir.ToolChoiceMode


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.NONE, Mode.REQUIRED])
def test_a11_choices_without_names_pass(mode: Mode) -> None:
    choice = ir.ToolChoice(mode)
    assert lowered(request(F("a"), choice=choice))[0].choice is choice


def test_a13_a_choice_names_the_tools_as_the_provider_knows_them() -> None:
    long = "x" * 70
    named = (F(long), F("run", namespace="ns"), C("patch"))
    one, _ = lowered(request(*named, choice=ir.ToolChoice(Mode.TOOL, (long,))))
    assert one.choice == ir.ToolChoice(Mode.TOOL, (one.table.wire_name(None, long),))
    bare, _ = lowered(request(*named, choice=ir.ToolChoice(Mode.TOOL, ("run",))))
    assert bare.choice == ir.ToolChoice(Mode.TOOL, ("ns__run",))
    full, _ = lowered(request(*named, choice=ir.ToolChoice(Mode.TOOL, ("run",), namespace="ns")))
    assert full.choice == ir.ToolChoice(Mode.TOOL, ("ns__run",))
    kind, _ = lowered(request(*named, choice=ir.ToolChoice(Mode.TOOL, ("patch",), kind=CUSTOM)))
    assert kind.choice == ir.ToolChoice(Mode.TOOL, ("patch",))
    some, _ = lowered(request(*named, choice=ir.ToolChoice(Mode.ALLOWED, ("patch", "run", "gone"), required=True)))
    assert some.choice == ir.ToolChoice(Mode.ALLOWED, ("patch", "ns__run", "gone"), required=True)
    same, _ = lowered(
        request(*named, choice=ir.ToolChoice(Mode.TOOL, ("patch",), kind=CUSTOM, namespace="n")), RESPONSES
    )
    assert same.choice == ir.ToolChoice(Mode.TOOL, ("patch",), kind=CUSTOM, namespace="n")


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.NONE])
def test_a10_without_tools_left_there_is_no_choice(mode: Mode) -> None:
    out, losses = lowered(request(WEB, choice=ir.ToolChoice(mode), parallel=False))
    assert (out.tools, out.choice, out.parallel) == ((), None, None)
    assert len(losses) == 1


@pytest.mark.parametrize("choice", [ir.ToolChoice(Mode.REQUIRED), ir.ToolChoice(Mode.TOOL, ("a",))])
def test_a10_a_choice_among_no_tools_at_all_is_dropped_and_reported(choice: ir.ToolChoice) -> None:
    out, losses = lowered(request(choice=choice))
    assert out.choice is None
    assert losses == ["dropped tool_choice: there are no tools left to choose from"]


@pytest.mark.parametrize(
    ("choice", "others"),
    [
        (ir.ToolChoice(Mode.REQUIRED), ()),
        (ir.ToolChoice(Mode.TOOL, ("web_search",)), ()),
        (ir.ToolChoice(Mode.TOOL, ("web_search",)), (F("a"),)),
        (ir.ToolChoice(Mode.ALLOWED, ("web_search",), required=True), (F("a"),)),
    ],
)
def test_g5_a_dropped_tool_that_is_forced_refuses_the_request(
    choice: ir.ToolChoice, others: tuple[ir.Tool, ...]
) -> None:
    report = Report()
    with pytest.raises(RemoteProtocolError) as caught:
        lower(request(WEB, *others, choice=choice), CHAT, "openai", report)
    assert caught.value.error.param == "tool_choice"
    assert report.losses[-1].disposition is Disposition.REFUSED


def test_a_choice_of_dropped_and_other_tools_keeps_the_others() -> None:
    out, _ = lowered(request(WEB, F("a"), choice=ir.ToolChoice(Mode.ALLOWED, ("web_search", "a"))))
    assert out.choice == ir.ToolChoice(Mode.ALLOWED, ("a",))
    none, losses = lowered(request(WEB, F("a"), choice=ir.ToolChoice(Mode.ALLOWED, ("web_search",))))
    assert none.choice == ir.ToolChoice(Mode.NONE)
    assert losses[-1] == "dropped tool_choice: there are no tools left to choose from"


def test_a_function_of_a_dropped_tools_name_may_be_chosen() -> None:
    out, _ = lowered(request(WEB, F("web_search"), choice=ir.ToolChoice(Mode.TOOL, ("web_search",))))
    assert out.choice == ir.ToolChoice(Mode.TOOL, ("web_search",))


def test_a9_a_hosted_choice_passes_to_its_own_dialect_and_is_refused_to_others() -> None:
    req = request(WEB, choice=ir.ToolChoice(Mode.HOSTED, raw=b"{}"))
    assert lowered(req, MESSAGES, "anthropic")[0].choice == req.tool_choice
    with pytest.raises(RemoteProtocolError, match="cannot be forced to use this hosted tool"):
        lowered(req)


# --- history ---


def test_a13_a14_calls_and_results_of_the_history_get_name_id_and_form() -> None:
    out, _ = lowered(request(C("patch", namespace="ns"), F("f")))
    call = out.call(ir.ToolCall("bad id!", "patch", 'a "b"\n', CUSTOM, namespace="ns"))
    assert (call.name, call.kind, call.namespace) == ("ns__patch", FUNCTION, None)
    assert call.arguments == '{"input":"a \\"b\\"\\n"}'
    result = out.result(ir.ToolResult("bad id!", kind=CUSTOM))
    assert result.id == call.id != "bad id!"
    assert re.fullmatch(r"call_[A-Za-z0-9]+", call.id)
    assert result.kind is FUNCTION
    plain = ir.ToolCall("call_1", "f", "{ }")
    assert out.call(plain) == plain


def test_r5_calls_of_freeform_tools_stay_as_they_are_where_those_exist() -> None:
    out, _ = lowered(request(C("patch", namespace="ns")), RESPONSES)
    call = ir.ToolCall("call_1", "patch", "text", CUSTOM, namespace="ns")
    assert out.call(call) == call
    assert out.result(ir.ToolResult("call_1", kind=CUSTOM)) == ir.ToolResult("call_1", kind=CUSTOM)


def test_the_module_reads_nothing_but_its_arguments() -> None:
    req = request(F("x" * 70), C("p", namespace="n"), choice=ir.ToolChoice(Mode.TOOL, ("p",)))
    assert lowered(req)[0].tools == lowered(req)[0].tools
    assert lowered(req)[0].choice == lowered(req)[0].choice
    assert tools.ToolTable(req.tools, CHAT).wire_name("n", "p") == "n__p"
