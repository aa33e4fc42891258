"""The mock's language: what is read, what is refused, and in which words."""

from __future__ import annotations

import pytest

from ferryllm_net.mock.directives import (
    MAX_CALLS,
    TOPICS,
    Call,
    DirectiveError,
    Directives,
    Failure,
    Fault,
    FaultKind,
    Write,
    in_prompt,
    parse,
    reference,
    without_directives,
)
from ferryllm_proto import ir


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("text=hello world = 1", Directives(text="hello world = 1")),
        ('text="two\\nlines"', Directives(text="two\nlines")),
        ('text="half', Directives(text='"half')),
        ('text="a" and "b"', Directives(text='"a" and "b"')),
        ("then=done", Directives(then="done")),
        ("chunks=20 delay_ms=50", Directives(chunks=20, delay_ms=50)),
        ("  chunks=20   slow_head_ms=7 ", Directives(chunks=20, slow_head_ms=7)),
        ("interleave tools=2", Directives(interleave=True, tools=2)),
        ("rounds=3 text=x", Directives(rounds=3, text="x")),
        ('tool=get_weather {"city": "Paris"}', Directives(calls=(Call("get_weather", '{"city": "Paris"}'),))),
        ("tool=get_time", Directives(calls=(Call("get_time", "{}"),))),
        ("custom=apply_patch *** Begin", Directives(calls=(Call("apply_patch", "*** Begin", ir.ToolKind.CUSTOM),))),
        ('custom=run "a\\nb"', Directives(calls=(Call("run", "a\nb", ir.ToolKind.CUSTOM),))),
        ("write a/b.txt Hello there", Directives(write=Write("a/b.txt", "Hello there"))),
        ("write=a.txt hi", Directives(write=Write("a.txt", "hi"))),
        ("usage=100,20,cached=30", Directives(usage=ir.Usage(input=100, output=20, cache_read=30))),
        ("usage=7", Directives(usage=ir.Usage(input=7))),
        ("usage=output=5,written=6,reasoning=2", Directives(usage=ir.Usage(output=5, cache_write=6, reasoning=2))),
        ("stop=max_tokens", Directives(stop=ir.FinishReason.LENGTH)),
        ("error=429 retry_after=1.5", Directives(error=Failure(ir.ErrorKind.RATE_LIMIT, 429), retry_after=1.5)),
        ("error=529", Directives(error=Failure(ir.ErrorKind.OVERLOADED, 529))),
        ("error=418", Directives(error=Failure(ir.ErrorKind.BAD_REQUEST, 418))),
        ("error=599", Directives(error=Failure(ir.ErrorKind.SERVER, 599))),
        ("error=context", Directives(error=Failure(ir.ErrorKind.CONTEXT_LENGTH))),
        ("stream_error=overloaded after=3", Directives(stream_error=Failure(ir.ErrorKind.OVERLOADED), after=3)),
        ("cut=3", Directives(fault=Fault(FaultKind.CUT, 3))),
        ("stall", Directives(fault=Fault(FaultKind.STALL))),
        ("reset", Directives(fault=Fault(FaultKind.RESET))),
        ("html", Directives(fault=Fault(FaultKind.HTML, status=502))),
        ("html=403", Directives(fault=Fault(FaultKind.HTML, status=403))),
        ("", Directives()),
    ],
)
def test_directives_are_read(line: str, found: Directives) -> None:
    assert parse(line) == found


def test_several_lines_add_up_and_calls_collect() -> None:
    found = parse("tool=a", 'tool=b {"x":1}', "delay_ms=1", "delay_ms=2")
    assert found == Directives(calls=(Call("a", "{}"), Call("b", '{"x":1}')), delay_ms=2)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("chuncks=3", 'no directive "chuncks"; did you mean chunks?'),
        ("zzz", "they are: text, then"),
        ("=3", 'expected a directive, found "=3"'),
        ("reset!", 'expected a directive, found "!"'),
        ("chunks=many", 'chunks: expected a number from 0 to 1000000, found "many", as in chunks=20'),
        ("chunks=-1", "expected a number"),
        ("chunks=99999999999999999999", "expected a number"),
        ("delay_ms", 'delay_ms: expected a number from 0 to 1000000, found ""'),
        ("tools=0", "from 1 to"),
        ("interleave=yes", "it takes no value"),
        ("reset=1", "it takes no value"),
        ("tool=", "expected the name of a tool"),
        ("write", "expected a path"),
        ("usage=1,2,3", "expected input,output and cached"),
        ("usage=1,2,cash=3", 'found "cash=3"'),
        ("usage=x", "expected a number"),
        ("stop=now", "expected one of end, end_turn"),
        ("error=200", "expected a status from 400 to 599"),
        ("error=nonsense", "context, auth, quota"),
        ("retry_after=soon", "expected seconds"),
        ("html=20", "expected a number from 200 to 599"),
    ],
)
def test_a_directive_that_cannot_be_followed_is_named_with_what_was_expected(line: str, words: str) -> None:
    with pytest.raises(DirectiveError) as raised:
        parse(line)
    assert words in str(raised.value)


def test_the_number_of_calls_is_bounded() -> None:
    with pytest.raises(DirectiveError, match="more than"):
        parse(*["tool=a"] * (MAX_CALLS + 1))


def test_prompts_have_directives_on_lines_that_begin_with_mock() -> None:
    prompt = "Hello\n  mock: chunks=2\nmock:delay_ms=3\nsay mock: reset\n"
    assert in_prompt(prompt) == Directives(chunks=2, delay_ms=3)
    assert without_directives(prompt).split() == ["Hello", "say", "mock:", "reset"]


@pytest.mark.parametrize(
    "prompt",
    [
        "Write a file hello.txt with Hello there",
        "please create the file `hello.txt` with the text: Hello there",
        'write a new file named "hello.txt" containing Hello there\nThanks',
        "make a file called hello.txt that says Hello there",
        'write a file hello.txt with "Hello there"',
    ],
)
def test_plain_words_that_ask_for_a_file_are_understood(prompt: str) -> None:
    assert in_prompt(prompt) == Directives(write=Write("hello.txt", "Hello there"))


def test_directives_come_before_plain_words() -> None:
    assert in_prompt("write a file a.txt with b\nmock: text=no") == Directives(text="no")
    assert in_prompt("how do I write a file?") == Directives()


def test_what_is_said_goes_over_the_defaults() -> None:
    defaults = Directives(text="a", chunks=3, calls=(Call("x", "{}"),))
    assert Directives(text="b").over(defaults) == Directives(text="b", chunks=3, calls=(Call("x", "{}"),))
    assert Directives(delay_ms=0).over(Directives(delay_ms=9)).delay_ms == 0


def test_every_example_of_the_reference_is_a_directive() -> None:
    entries = reference()
    assert len(entries) == len(TOPICS)
    for name, (example, what) in zip(TOPICS, entries, strict=True):
        assert parse(example) != Directives(), name
        assert what.endswith("."), name
