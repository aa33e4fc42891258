"""The provider over sockets: each dialect, keep-alive, large and chunked requests, pauses, and its end as a process."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time

import msgspec
import pytest

from ferryllm_net.bench.answers import STAMP
from ferryllm_net.bench.doors import door
from ferryllm_net.bench.provider import Behaviour
from ferryllm_proto import DIALECTS

from .serving import provider

EACH = pytest.mark.parametrize("dialect", list(DIALECTS))


def connection(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)


def ask(client: http.client.HTTPConnection, dialect: str, *, stream: bool, body_kb: float = 0) -> bytes:
    asked = door(dialect, model="m", key="k", stream=stream, body_kb=body_kb)
    client.request("POST", asked.path, asked.body, dict(asked.headers))
    with client.getresponse() as answer:
        assert answer.status == 200
        return answer.read()


@EACH
def test_it_answers_in_each_dialect_on_one_connection(dialect: str) -> None:
    machine = DIALECTS[dialect]
    with provider(Behaviour(chunks=5)) as url:
        client = connection(url)
        for _ in range(3):
            assert machine.decode_response(ask(client, dialect, stream=False)).parts
            streamed = ask(client, dialect, stream=True)
            grammar = machine.grammar(door(dialect, model="m", key=None, stream=True).path)
            grammar.receive_data(streamed)
            grammar.receive_eof()
            assert grammar.problems == []
        client.close()


def test_stamps_are_times_of_this_machine_and_rise() -> None:
    before = time.time_ns()
    with provider(Behaviour(chunks=50)) as url:
        client = connection(url)
        stamps = [int(found[1]) for found in STAMP.finditer(ask(client, "openai", stream=True))]
        client.close()
    assert len(stamps) == 50
    assert before < stamps[0]
    assert stamps[-1] <= time.time_ns() + 50
    assert stamps == sorted(set(stamps))


def test_pauses_lie_between_the_deltas_and_before_the_head() -> None:
    with provider(Behaviour(chunks=3, gap_ms=20, delay_ms=20)) as url:
        client = connection(url)
        start = time.time_ns()
        stamps = [int(found[1]) for found in STAMP.finditer(ask(client, "ollama", stream=True))]
        client.close()
    # Never before they are due, counted from the request; how much later is up to the machine.
    for number, sent in enumerate(stamps):
        assert sent - start >= (number + 1) * 20_000_000 - 1_000_000


def test_a_large_request_and_a_large_answer_are_whole() -> None:
    with provider(Behaviour(chunks=30_000)) as url:
        client = connection(url)
        answer = ask(client, "openai_responses", stream=True, body_kb=2000)
        client.close()
    assert b'"type":"response.completed"' in answer
    assert len(set(STAMP.findall(answer))) == 30_000


def test_a_chunked_request_is_understood() -> None:
    asked = door("openai", model="m", key=None, stream=False)
    with provider() as url:
        client = connection(url)
        client.request(
            "POST", asked.path, iter([asked.body[:20], asked.body[20:]]), dict(asked.headers), encode_chunked=True
        )
        with client.getresponse() as answer:
            assert DIALECTS["openai"].decode_response(answer.read()).parts
        assert ask(client, "openai", stream=False)
        client.close()


def test_what_it_does_not_know_is_not_found() -> None:
    with provider() as url:
        client = connection(url)
        client.request("POST", "/v1/other", b"{}")
        with client.getresponse() as answer:
            assert answer.status == 404
        client.close()


def test_a_client_that_leaves_in_a_stream_disturbs_nobody() -> None:
    asked = door("openai", model="m", key=None, stream=True)
    with provider(Behaviour(chunks=3, gap_ms=5)) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as sock:
            head = f"POST {asked.path} HTTP/1.1\r\ncontent-length: {len(asked.body)}\r\n\r\n"
            sock.sendall(head.encode() + asked.body)
            assert sock.recv(100)
        client = connection(url)
        assert ask(client, "openai", stream=True)
        client.close()


def test_the_process_says_its_address_and_ends_with_its_input() -> None:
    behaviour = msgspec.json.encode(Behaviour()).decode()
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "ferryllm_net.bench.provider", "0", behaviour],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        client = connection(process.stdout.readline().strip())
        assert ask(client, "openai", stream=True)
        client.close()
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
