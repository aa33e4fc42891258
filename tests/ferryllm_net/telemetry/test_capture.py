"""What is kept of a request on its way, and that whoever runs an exchange notices nothing."""

from __future__ import annotations

import inspect

import pytest

from ferryllm_net.config.telemetry_schema import Part
from ferryllm_net.telemetry import capture as capture_module
from ferryllm_net.telemetry.capture import Body, Capture, Watched
from ferryllm_proto import Exchange
from ferryllm_proto.actions import Open, SendBody, SendHead
from ferryllm_proto.dialect import UpstreamRequest
from ferryllm_proto.inputs import ClientBody, ClientFault, ClientRequest, UpstreamData, UpstreamHead, UpstreamLost

ALL: tuple[Part, ...] = ("client_request", "upstream_request", "upstream_answer", "client_answer")


def opened(provider: str = "one", body: bytes = b"asked") -> Open:
    return Open(provider, UpstreamRequest("POST", "/v1/x", "a=b", (("h", "v"),), body, stream=True), 1)


def feed(capture: Capture) -> None:
    """A request with one failed attempt and a good one."""
    capture.saw(ClientRequest("POST", "/v1/messages", (("a", "b"),)))
    capture.saw(ClientBody(b"request"))
    capture.did([opened("one")])
    capture.saw(UpstreamLost("refused"))
    capture.did([opened("two")])
    capture.saw(UpstreamHead(200, (("c", "d"),)))
    capture.saw(UpstreamData(b"answer"))
    capture.did([SendHead(200, (("e", "f"),)), SendBody(b"for the ")])
    capture.sends(b"client")


def test_a_body_keeps_its_beginning_and_its_length() -> None:
    body = Body(5)
    for piece in (b"abc", b"def", b"ghi"):
        body.add(piece)
    assert (body.content, body.total, body.whole) == (b"abcde", 9, False)
    assert Body(5).whole
    body = Body(3)
    body.add(b"abc")
    assert body.whole


def test_all_parts() -> None:
    capture = Capture(ALL, 100)
    feed(capture)
    assert capture.request is not None
    assert capture.body.content == b"request"
    assert [(one.provider, one.target, one.body.content, one.lost) for one in capture.attempts] == [
        ("one", "/v1/x?a=b", b"asked", "refused"),
        ("two", "/v1/x?a=b", b"asked", None),
    ]
    assert capture.attempts[1].head == UpstreamHead(200, (("c", "d"),))
    assert capture.attempts[1].answer.content == b"answer"
    assert capture.head is not None
    assert capture.sent.content == b"for the client"
    assert capture.size == len(b"request" + b"asked" * 2 + b"answer" + b"for the client")


@pytest.mark.parametrize("part", ALL)
def test_parts_that_are_not_wanted_are_not_held(part: Part) -> None:
    capture = Capture([part], 100)
    feed(capture)
    sizes = {
        "client_request": capture.body.kept,
        "upstream_request": sum(one.body.kept for one in capture.attempts),
        "upstream_answer": sum(one.answer.kept for one in capture.attempts),
        "client_answer": capture.sent.kept,
    }
    assert {name for name, size in sizes.items() if size} == {part}


def test_attempts_are_bounded_and_none_gets_the_answer_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "MAX_ATTEMPTS", 2)
    capture = Capture(ALL, 100)
    for name in ("one", "two", "three"):
        capture.did([opened(name)])
        capture.saw(UpstreamData(name.encode()))
    assert [one.answer.content for one in capture.attempts] == [b"one", b"two"]


def test_a_body_that_could_not_be_read() -> None:
    capture = Capture(ALL, 100)
    capture.saw(ClientFault(413, "too large"))
    assert capture.fault == ClientFault(413, "too large")


def test_the_one_that_watches_has_all_that_an_exchange_has() -> None:
    public = {name for name, _ in inspect.getmembers(Exchange) if not name.startswith("_")}
    assert public <= set(vars(Watched)) | {"id"}
