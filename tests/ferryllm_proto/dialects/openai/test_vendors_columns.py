"""Every row of the table of vendors by every column, as a provider gets to see it."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai.profile import CallContent, Later, ToolContent
from ferryllm_proto.dialects.openai.vendors import VENDORS
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.rules import Quirks

from .vendor_case import ASSISTANT, SYSTEM, TURNS, USER, Sent

EVERY = list(VENDORS)
TOOL = ir.Function("f", "d", b'{"type":"object"}', path="tools[0]")
OTHER = ir.Function("g", path="tools[1]")


# --- columns: the limit, roles, fields ---------------------------------------------------------------------


NEWER = {"openai", "azure", "groq", "moonshot"}


@pytest.mark.parametrize("vendor", EVERY)
def test_a32_the_name_of_the_limit(vendor: str) -> None:
    name = "max_completion_tokens" if vendor in NEWER else "max_tokens"
    found = {key: value for key, value in Sent(vendor, max_output=7).body.items() if key.startswith("max_")}
    assert found == {name: 7}


@pytest.mark.parametrize("vendor", EVERY)
def test_b17_the_role_of_instructions(vendor: str) -> None:
    sent = Sent(vendor, system=(ir.Text("be kind"),))
    assert sent.messages[0] == {
        "role": "developer" if vendor in ("openai", "azure") else "system",
        "content": "be kind",
    }


LATER = {
    **dict.fromkeys(EVERY, Later.KEEP),
    **dict.fromkeys(("mistral", "qwen", "vllm", "sglang", "llamacpp", "lmstudio", "gemini"), Later.MERGE),
    "perplexity": Later.USER,
}


@pytest.mark.parametrize("vendor", EVERY)
def test_b19_instructions_that_do_not_come_first(vendor: str) -> None:
    later = ir.Turn(SYSTEM, (ir.Text("now"),), path="input[0]")
    sent = Sent(vendor, system=(ir.Text("first"),), turns=(later, *TURNS))
    roles = [message["role"].replace("developer", "system") for message in sent.messages]
    if LATER[vendor] is Later.KEEP:
        assert roles == ["system", "system", "user"]
        assert sent.lost == []
    elif LATER[vendor] is Later.MERGE:
        assert roles == ["system", "user"]
        assert [part["text"] for part in sent.messages[0]["content"]] == ["first", "now"]
        assert sent.lost == ["degraded input[0]"]
    else:
        assert roles == ["system", "user"]
        texts = [part["text"] for part in sent.messages[1]["content"]]
        assert texts == ["<system-reminder>\nnow\n</system-reminder>", "hi"]
        assert sent.lost == ["degraded input[0]", "degraded messages[0]"]


_KNOB_VALUES: dict[str, Any] = {
    "seed": 5,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.25,
    "logit_bias": b'{"1":2}',
    "top_k": 9,
    "user": "bob",
}
TAKES: dict[str, str] = {
    # gpt-5.4 itself refuses penalties.
    "openai": "seed user",
    "azure": "seed user",
    "openrouter": "seed presence_penalty frequency_penalty logit_bias top_k user",
    "deepseek": "presence_penalty frequency_penalty",
    "groq": "seed user",
    "mistral": "random_seed presence_penalty frequency_penalty",
    "xai": "seed presence_penalty frequency_penalty user",
    "qwen": "seed presence_penalty top_k",
    "moonshot": "",  # kimi-k2.6 refuses penalties
    "zai": "",
    "together": "seed presence_penalty frequency_penalty logit_bias top_k",
    "fireworks": "seed presence_penalty frequency_penalty logit_bias top_k user",
    "perplexity": "presence_penalty frequency_penalty top_k",
    "vllm": "seed presence_penalty frequency_penalty logit_bias top_k user",
    "sglang": "seed presence_penalty frequency_penalty logit_bias top_k user",
    "llamacpp": "seed presence_penalty frequency_penalty logit_bias top_k",
    "lmstudio": "seed presence_penalty frequency_penalty logit_bias top_k",
    "ollama": "seed presence_penalty frequency_penalty",
    "gemini": "",
    "generic": "seed presence_penalty frequency_penalty logit_bias user",
}


@pytest.mark.parametrize("vendor", EVERY)
def test_c13_knobs_are_sent_or_reported(vendor: str) -> None:
    sent = Sent(vendor, **_KNOB_VALUES)
    names = {"random_seed", *_KNOB_VALUES} & sent.body.keys()
    assert names == set(TAKES[vendor].split())
    missing = {name for name in _KNOB_VALUES if name not in names and not (name == "seed" and "random_seed" in names)}
    assert set(sent.lost) == {f"dropped {name}" for name in missing}


def test_a_knob_that_says_what_everybody_does_is_no_loss() -> None:
    assert Sent("gemini", presence_penalty=0, frequency_penalty=0.0, logit_bias=b"{}").lost == []


OWN: dict[str, tuple[str, Any]] = {
    "verbosity": ("verbosity", "low"),
    "service_tier": ("service_tier", "flex"),
    "prompt_cache_key": ("cache_key", "k"),
    "prompt_cache_retention": ("cache_retention", "24h"),
    "safety_identifier": ("safety_id", "s"),
    "metadata": ("metadata", b'{"a":"b"}'),
}


@pytest.mark.parametrize("vendor", EVERY)
def test_c13_openais_own_fields_go_where_they_are_known(vendor: str) -> None:
    sent = Sent(vendor, dialect="openai_responses", **dict(OWN.values()))
    known = {
        "openai": set(OWN),
        "azure": set(OWN),
        "openrouter": {"verbosity"},
        "moonshot": {"prompt_cache_key", "safety_identifier"},
    }.get(vendor, set())
    assert OWN.keys() & sent.body.keys() == known
    assert len(sent.lost) == len(OWN) - len(known)


@pytest.mark.parametrize("vendor", EVERY)
def test_u6_usage_of_a_stream_is_asked_for_where_one_may_ask(vendor: str) -> None:
    body = Sent(vendor, stream=True).body
    assert body["stream"] is True
    assert ("stream_options" in body) == (vendor not in ("mistral", "perplexity"))


STOPS = {"openai": 4, "azure": 4, "deepseek": 16, "groq": 4, "moonshot": 5, "zai": 1, "gemini": 5}


@pytest.mark.parametrize("vendor", EVERY)
def test_c8_as_many_stops_as_the_vendor_takes(vendor: str) -> None:
    limit = STOPS.get(vendor, 20)
    stops = tuple(f"s{n}" for n in range(limit))
    assert Sent(vendor, stop=stops).body["stop"] == list(stops)
    if vendor in STOPS:
        with pytest.raises(RemoteProtocolError, match=f"takes {limit} stop sequences, found {limit + 1}"):
            Sent(vendor, stop=(*stops, "x"))


def test_g5_models_without_stop_sequences_refuse_them_clearly() -> None:
    for vendor, model in (("openai", "o3"), ("openai", "gpt-5-mini"), ("xai", "grok-4-fast"), ("generic", "gpt-5")):
        with pytest.raises(RemoteProtocolError, match="takes no stop sequences"):
            Sent(vendor, model=model, stop=("x",))


REFUSED_FORMATS = {
    "deepseek": {"json_schema"},
    "zai": {"json_schema"},
    "perplexity": {"json_object"},
    "lmstudio": {"json_object"},
}


@pytest.mark.parametrize("vendor", EVERY)
@pytest.mark.parametrize("kind", [ir.FormatKind.JSON_OBJECT, ir.FormatKind.JSON_SCHEMA])
def test_c10_forms_of_an_answer_are_said_or_refused(vendor: str, kind: ir.FormatKind) -> None:
    wanted = ir.Format(kind, "n", b'{"type":"object"}')
    if kind.value in REFUSED_FORMATS.get(vendor, ()):
        with pytest.raises(RemoteProtocolError, match=f"no response_format {kind.value}") as caught:
            Sent(vendor, format=wanted, names={"format": "output_config.format"})
        assert caught.value.error.param == "output_config.format"
        quirks = Quirks(json_schema=True)
        if kind is ir.FormatKind.JSON_SCHEMA:
            assert Sent(vendor, format=wanted, quirks=quirks).body["response_format"]["type"] == kind.value
    else:
        assert Sent(vendor, format=wanted).body["response_format"]["type"] == kind.value


NO_LOGPROBS = {"groq", "mistral", "moonshot", "zai", "together", "perplexity", "lmstudio", "gemini"}


@pytest.mark.parametrize("vendor", EVERY)
def test_g5_probabilities_are_sent_or_refused(vendor: str) -> None:
    if vendor in NO_LOGPROBS:
        with pytest.raises(RemoteProtocolError, match="gives no probabilities"):
            Sent(vendor, logprobs=True)
    else:
        assert Sent(vendor, logprobs=True).body["logprobs"] is True
    assert "logprobs" not in Sent(vendor, logprobs=False).body


# --- columns: tools ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", EVERY)
def test_parallel_and_strict_are_sent_or_reported(vendor: str) -> None:
    closed = b'{"type":"object","properties":{},"required":[],"additionalProperties":false}'
    sent = Sent(vendor, tools=(ir.Function("f", schema=closed, strict=True, path="tools[0]"),), parallel=False)
    fields = VENDORS[vendor].profile.fields
    if vendor == "perplexity":
        assert "tools" not in sent.body
        assert sent.lost == ["dropped tools[0]"]
        return
    assert ("parallel_tool_calls" in sent.body) == ("parallel_tool_calls" in fields)
    assert ("strict" in sent.body["tools"][0]["function"]) == ("strict" in fields)
    lost = {"dropped parallel"} - {f"dropped {'parallel' if 'parallel_tool_calls' in fields else ''}"}
    lost |= set() if "strict" in fields else {"dropped tools[0].strict"}
    assert set(sent.lost) == lost


_NAMED: dict[str, Any] = {"type": "function", "function": {"name": "f"}}
REFUSED = None
CHOSEN: dict[str, dict[str, Any]] = {
    # What is said for: auto, none, required, the one tool f of two.
    **{name: {"auto": "auto", "none": "none", "required": "required", "tool": _NAMED} for name in EVERY},
    "qwen": {"auto": "auto", "none": "none", "required": REFUSED, "tool": _NAMED},
    "zai": {"auto": "auto", "none": "", "required": REFUSED, "tool": _NAMED},
    "llamacpp": {"auto": "auto", "none": "none", "required": "required", "tool": "required"},
    "lmstudio": {"auto": "auto", "none": "none", "required": "required", "tool": "required"},
    "ollama": {"auto": "auto", "none": "", "required": REFUSED, "tool": REFUSED},
    "perplexity": {"auto": "", "none": "", "required": REFUSED, "tool": REFUSED},
}


@pytest.mark.parametrize("vendor", EVERY)
@pytest.mark.parametrize("mode", ["auto", "none", "required", "tool"])
def test_g5_a_forced_tool_is_forced_or_refused(vendor: str, mode: str) -> None:
    choice = ir.ToolChoice(ir.ToolChoiceMode(mode), ("f",) if mode == "tool" else ())
    wanted = CHOSEN[vendor][mode]
    if wanted is REFUSED:
        with pytest.raises(RemoteProtocolError) as caught:
            Sent(vendor, tools=(TOOL, OTHER), tool_choice=choice)
        assert caught.value.error.param == "tool_choice"
        return
    sent = Sent(vendor, tools=(TOOL, OTHER), tool_choice=choice)
    assert sent.body.get("tool_choice", "") == wanted
    names = [tool["function"]["name"] for tool in sent.body.get("tools", ())]
    assert names == ([] if wanted == "" else ["f"] if (mode, wanted) == ("tool", "required") else ["f", "g"])
    thinks = vendor in ("deepseek", "moonshot") and mode in ("required", "tool")
    assert bool(sent.lost) == (thinks or mode != (wanted if isinstance(wanted, str) else "tool"))


def test_required_is_said_by_name_where_there_is_one_tool_and_no_other_way() -> None:
    choice = ir.ToolChoice(ir.ToolChoiceMode.REQUIRED)
    assert Sent("zai", tools=(TOOL,), tool_choice=choice).body["tool_choice"] == _NAMED


def test_a_subset_of_tools_is_a_shorter_list_where_it_cannot_be_said() -> None:
    subset = ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, ("g",), required=True)
    assert Sent("openai", tools=(TOOL, OTHER), tool_choice=subset).body["tool_choice"]["type"] == "allowed_tools"
    sent = Sent("mistral", tools=(TOOL, OTHER), tool_choice=subset)
    assert [tool["function"]["name"] for tool in sent.body["tools"]] == ["g"]
    assert sent.body["tool_choice"] == "required"
    with pytest.raises(RemoteProtocolError, match="cannot be made to call a tool"):
        Sent("ollama", tools=(TOOL, OTHER), tool_choice=subset)
    with pytest.raises(RemoteProtocolError, match="has no tools"):
        Sent("perplexity", tools=(TOOL, OTHER), tool_choice=subset)


LOOP = (
    *TURNS,
    ir.Turn(
        ASSISTANT,
        (ir.Reasoning("hm", path="messages[1].content[0]"), ir.ToolCall("toolu_1", "f", "{}", path="messages[1].c[1]")),
        path="messages[1]",
    ),
    ir.Turn(
        USER,
        (
            ir.ToolResult(
                "toolu_1",
                (ir.Text("a", path="messages[2].content[0].content[0]"), ir.Text("b")),
                path="messages[2].content[0]",
            ),
        ),
        path="messages[2]",
    ),
)


@pytest.mark.parametrize("vendor", EVERY)
def test_b17_the_tool_loop_in_each_vendors_form(vendor: str) -> None:
    sent = Sent(vendor, turns=LOOP, tools=(TOOL,))
    row = VENDORS[vendor].profile
    asked, answered = sent.messages[1], sent.messages[2]
    id_ = asked["tool_calls"][0]["id"]
    assert answered["tool_call_id"] == id_
    assert (id_ == "toolu_1") == (vendor != "mistral")
    assert vendor != "mistral" or (len(id_) == 9 and id_.isalnum())
    wanted = {CallContent.NULL: None, CallContent.EMPTY: "", CallContent.ABSENT: "absent"}[row.call_content]
    assert asked.get("content", "absent") == wanted
    if row.tool_content is ToolContent.STRING:
        assert answered["content"] == "ab"
        assert "degraded messages[2].content[0]" in sent.lost
    else:
        assert [part["text"] for part in answered["content"]] == ["a", "b"]


def test_b19_mistrals_models_speak_between_a_result_and_the_user() -> None:
    turns = (*LOOP, ir.Turn(USER, (ir.Text("and?"),), path="messages[3]"))
    for vendor, model in (("mistral", None), ("vllm", "mistralai/Devstral-2"), ("generic", "magistral-small")):
        sent = Sent(vendor, model=model, turns=turns, tools=(TOOL,))
        assert [message["role"] for message in sent.messages[2:]] == ["tool", "assistant", "user"]
        assert any(lost.startswith("degraded messages[") for lost in sent.lost)
    plain = Sent("generic", turns=turns, tools=(TOOL,))
    assert [message["role"] for message in plain.messages[2:]] == ["tool", "user"]


REPLAY: dict[str, str] = {
    "openrouter": "reasoning",
    "deepseek": "reasoning_content",
    "moonshot": "reasoning_content",
    "zai": "reasoning_content",
    "vllm": "reasoning",
    "sglang": "reasoning_content",
    "llamacpp": "reasoning_content",
    "ollama": "reasoning",
}


@pytest.mark.parametrize("vendor", EVERY)
def test_a27_thoughts_go_back_where_they_are_wanted_and_nowhere_else(vendor: str) -> None:
    sent = Sent(vendor, turns=LOOP, tools=(TOOL,))
    found = {key: value for key, value in sent.messages[1].items() if key.startswith("reasoning")}
    assert found == ({REPLAY[vendor]: "hm"} if vendor in REPLAY else {})
    assert ("dropped messages[1].content[0]" in sent.lost) == (vendor not in REPLAY)
    plain = (*TURNS, ir.Turn(ASSISTANT, (ir.Reasoning("hm"), ir.Text("so"))), *TURNS)
    assert "reasoning" not in str(Sent(vendor, turns=plain).messages)


def test_a27_thoughts_go_back_as_the_configuration_says() -> None:
    always = Quirks(replay_reasoning="always", reasoning_field="reasoning")
    plain = (*TURNS, ir.Turn(ASSISTANT, (ir.Reasoning("hm"), ir.Text("so"))), *TURNS)
    assert Sent("openai", turns=plain, quirks=always).messages[1] == {
        "role": "assistant",
        "content": "so",
        "reasoning": "hm",
    }
    never = Quirks(replay_reasoning="never")
    assert "reasoning_content" not in Sent("deepseek", turns=LOOP, tools=(TOOL,), quirks=never).messages[1]


# --- columns: pictures and breakpoints ---------------------------------------------------------------------

PNG = ir.Image(ir.Source(ir.SourceKind.BASE64, "AA==", "image/png"), path="messages[0].content[0]")
URL = ir.Image(ir.Source(ir.SourceKind.URL, "https://example.com/a.png"), path="messages[0].content[0]")
WAV = ir.Audio(ir.Source(ir.SourceKind.BASE64, "AA==", "audio/wav"), path="messages[0].content[0]")
PDF = ir.Document(ir.Source(ir.SourceKind.BASE64, "AA==", "application/pdf"), path="messages[0].content[0]")
PARTS: dict[str, ir.Part] = {"image": PNG, "image_url": URL, "audio": WAV, "file": PDF}


@pytest.mark.parametrize("vendor", EVERY)
@pytest.mark.parametrize("kind", sorted(PARTS))
def test_c12_media_are_sent_or_refused(vendor: str, kind: str) -> None:
    turns = (ir.Turn(USER, (PARTS[kind], ir.Text("?")), path="messages[0]"),)
    if kind in VENDORS[vendor].profile.media:
        types = [part["type"] for part in Sent(vendor, turns=turns).messages[0]["content"]]
        assert types == [{"audio": "input_audio", "file": "file"}.get(kind, "image_url"), "text"]
    else:
        with pytest.raises(RemoteProtocolError) as caught:
            Sent(vendor, turns=turns)
        assert caught.value.error.param == "messages[0].content[0]"


def test_a22_images_of_results_stay_in_the_tool_message_where_it_holds_them() -> None:
    turns = (*LOOP[:2], ir.Turn(USER, (ir.ToolResult("toolu_1", (ir.Text("see"), PNG), is_error=True),)))
    for vendor in ("openrouter", "ollama"):
        answered = Sent(vendor, turns=turns, tools=(TOOL,)).messages[2:]
        assert [part["type"] for part in answered[0]["content"]] == ["text", "image_url"]
        assert answered[0]["content"][0]["text"] == "[error] see"
        assert len(answered) == 1
    moved = Sent("xai", turns=turns, tools=(TOOL,)).messages[2:]
    assert [message["role"] for message in moved] == ["tool", "user"]
    with pytest.raises(RemoteProtocolError, match="takes no image"):
        Sent("deepseek", turns=turns, tools=(TOOL,))


MARK = ir.CacheMark("1h")
MARKED = (ir.Turn(USER, (ir.Text("long", cache=MARK, path="messages[0].content[0]"),), path="messages[0]"),)


@pytest.mark.parametrize("vendor", EVERY)
def test_a41_breakpoints_are_kept_where_they_are_known(vendor: str) -> None:
    sent = Sent(vendor, turns=MARKED)
    if vendor in ("openrouter", "qwen"):
        mark = {"type": "ephemeral", "ttl": "1h"}
        assert sent.messages[0]["content"] == [{"type": "text", "text": "long", "cache_control": mark}]
        assert sent.lost == []
    else:
        assert sent.messages[0]["content"] == "long"
        assert sent.lost == ["dropped messages[0].content[0].cache_control"]


def test_a41_breakpoints_of_results_and_answers() -> None:
    result = ir.ToolResult("toolu_1", (ir.Text("r"),), cache=ir.CacheMark(), path="messages[2].content[0]")
    said = ir.Turn(ASSISTANT, (ir.Text("so", cache=MARK, path="messages[3].content[0]"),))
    turns = (*LOOP[:2], ir.Turn(USER, (result,)), said, *TURNS)
    sent = Sent("openrouter", turns=turns, tools=(TOOL,))
    assert sent.messages[2]["content"] == [{"type": "text", "text": "r", "cache_control": {"type": "ephemeral"}}]
    assert "dropped messages[3].content[0].cache_control" in sent.lost
    for vendor in ("qwen", "openai"):
        lost = Sent(vendor, turns=turns, tools=(TOOL,)).lost
        assert {"dropped messages[2].content[0].cache_control", "dropped messages[3].content[0].cache_control"} <= set(
            lost
        )
    newest = Sent("openai", model="gpt-5.6", turns=MARKED)
    assert newest.messages[0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
