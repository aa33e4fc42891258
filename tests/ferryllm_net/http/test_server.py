"""The server as its clients see it: bytes on a wire without sockets, on both backends."""

from __future__ import annotations

import gzip
import json

import anyio
import pytest

from ferryllm_net.http import ClientLeft, Limits, Misuse, Request, RequestError, Responder
from support.rig import Serving

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *fields: bytes) -> bytes:
    lines = [b"POST /p HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"", body])


async def echo(request: Request, respond: Responder) -> None:
    body = await request.read()
    await respond.complete(200, [("x-path", request.path)], body)


async def forever(request: Request, respond: Responder) -> None:
    await anyio.sleep_forever()


async def test_keep_alive_serves_one_request_after_the_other(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        for body in (b"one", b"two"):
            await wire.send(post(body))
            head = await wire.receive_until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"content-length: 3\r\n" in head
            assert b"date: " in head
            assert b"connection" not in head
            assert await wire.receive_until(body) == body
        assert len(rig.served[0].writes) == 2, "head and body are one write"


async def test_pipelined_requests_are_answered_in_order(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(post(b"first") + post(b"second") + GET + post(b"last", b"Connection: close"))
        data = await wire.receive_all()
        assert [data.count(word) for word in (b"first", b"second", b"last", b"HTTP/1.1 200")] == [1, 1, 1, 4]
        assert data.index(b"first") < data.index(b"second") < data.index(b"last")


async def test_chunked_answer_goes_out_event_by_event(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [("content-type", "text/event-stream")])
        assert not respond.started
        await respond.body(b"a")
        assert respond.started
        await respond.body(b"")
        await respond.body(b"bc")
        await respond.end(b"d")
        assert respond.ended

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        data = await wire.receive_until(b"0\r\n\r\n")
        assert b"transfer-encoding: chunked\r\n" in data.lower()
        assert data.endswith(b"\r\n\r\n1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n0\r\n\r\n")
        writes = rig.served[0].writes
        assert len(writes) == 3
        assert writes[0].endswith(b"1\r\na\r\n"), "the head goes out with the first bytes"
        assert writes[2] == b"1\r\nd\r\n0\r\n\r\n", "the last bytes go out with the end"


async def test_flush_sends_the_head_alone(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(500, [])
        await respond.head(200, [])
        await respond.flush()
        await respond.flush()
        with pytest.raises(Misuse):
            await respond.head(500, [])
        await respond.end()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await wire.receive_until(b"0\r\n\r\n")
        assert [write[:12] for write in rig.served[0].writes] == [b"HTTP/1.1 200", b"0\r\n\r\n"]


async def test_http_1_0_gets_a_body_that_ends_with_the_connection(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"abc")
        await respond.end()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(b"GET / HTTP/1.0\r\n\r\n")
        data = await wire.receive_all()
        assert b"chunked" not in data
        assert data.endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("status", [200, 204, 304])
async def test_head_and_bodyless_statuses_send_no_body(serving: Serving, status: int) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(status, [], b"secret")

    async with serving(handler) as rig:
        wire = rig.connect()
        method = b"HEAD" if status == 200 else b"GET"
        await wire.send(method + GET[3:] + method + GET[3:-2] + b"Connection: close\r\n\r\n")
        data = await wire.receive_all()
        assert b"secret" not in data
        assert data.count(b"HTTP/1.1 ") == 2
        assert (b"content-length: 6" in data) is (status == 200)


async def test_continue_is_sent_only_when_the_body_is_read(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await (echo(request, respond) if request.header("x-read") else respond.complete(403, [], b"no"))

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(post(b"", b"Expect: 100-continue", b"x-read: 1").replace(b"Length: 0", b"Length: 2"))
        assert await wire.receive_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.send(b"ab")
        assert (await wire.receive_until(b"ab")).startswith(b"HTTP/1.1 200")
        await wire.send(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 2"))
        data = await wire.receive_all()
        assert data.startswith(b"HTTP/1.1 403")
        assert b"connection: close\r\n" in data, "nobody can tell whether the body comes"


async def test_another_expectation_is_417(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(post(b"", b"Expect: miracles"))
        assert (await wire.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 417")


async def test_early_answer_reads_a_small_rest_away_and_keeps_the_connection(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], request.method.encode())

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(post(b"x" * 1000)[:-500])
        await wire.receive_until(b"POST")
        await wire.send(b"x" * 500 + GET)
        assert (await wire.receive_until(b"GET")).startswith(b"HTTP/1.1 200")


async def test_early_answer_closes_when_the_rest_is_large(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        with pytest.raises(RequestError) as caught:
            await request.read(10)
        await respond.complete(caught.value.status, [], b"too large")

    async with serving(handler, Limits(drain_rest_bytes=100)) as rig:
        wire = rig.connect()
        await wire.send(post(b"x" * 2000)[:-900])
        data = await wire.receive_until(b"too large")
        assert data.startswith(b"HTTP/1.1 413")
        assert b"connection: close\r\n" in data
        await wire.send(b"x" * 900)
        await wire.aclose()


async def test_chunked_body_over_the_limit_is_413_while_it_is_counted(serving: Serving) -> None:
    async with serving(echo, Limits(body_bytes=10, linger_secs=0.01, sweep_secs=0.005)) as rig:
        wire = rig.connect()
        await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nabcde\r\n" * 3)
        assert (await wire.receive_all()).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        (gzip.compress(b"hello"), [b"Content-Encoding: gzip"], 200),
        (b"hello", [b"Content-Encoding: identity"], 200),
        (b"hello", [b"Content-Encoding: br"], 415),
        (b"hello", [b"Content-Encoding: gzip"], 400),
        (gzip.compress(b"hello")[:-3], [b"Content-Encoding: gzip"], 400),
        (gzip.compress(b"x" * 5000), [b"Content-Encoding: gzip"], 413),
        (b"x", [b"Content-Encoding: gzip, gzip, gzip"], 415),
    ],
)
async def test_coded_bodies(serving: Serving, body: bytes, fields: list[bytes], status: int) -> None:
    async with serving(echo, Limits(body_bytes=4000)) as rig:
        wire = rig.connect()
        await wire.send(post(body, *fields))
        head = await wire.receive_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d" % status)
        assert (b"accept-encoding: zstd, gzip, deflate" in head) is (status == 415)
        if status == 200:
            assert await wire.receive_until(b"hello") == b"hello"


async def test_broken_chunks_are_400_and_end_the_connection(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        data = await wire.receive_until(b"}}")
        assert data.startswith(b"HTTP/1.1 400")
        assert b"connection: close" in data
        await wire.aclose()


async def test_what_is_no_request_is_refused_in_json(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n")
        head = await wire.receive_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        error = json.loads(await wire.receive_until(b"}}"))["error"]
        assert error["type"] == "invalid_request_error"
        await wire.aclose()
        other = rig.connect()
        await other.send(GET)
        assert (await other.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_failing_handler_before_the_head_is_a_plain_500(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        raise RuntimeError("secret")

    async with serving(handler) as rig:
        wire = rig.connect()
        for _ in range(2):
            await wire.send(GET)
            data = await wire.receive_until(b"}}")
            assert data.startswith(b"HTTP/1.1 500")
            assert b"secret" not in data
        assert [str(exc) for exc in rig.errors] == ["secret", "secret"]


async def test_failing_handler_after_the_head_cuts_the_answer(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"x")
        raise RuntimeError("late")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        data = await wire.receive_all()
        assert data.endswith(b"1\r\nx\r\n"), "no last chunk"


@pytest.mark.parametrize("started", [False, True])
async def test_handler_that_returns_without_an_end_is_a_bug_that_is_seen(serving: Serving, started: bool) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        if started:
            await respond.head(200, [])
            await respond.body(b"x")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET[:-2] + b"Connection: close\r\n\r\n")
        data = await wire.receive_all()
        assert data.startswith(b"HTTP/1.1 200" if started else b"HTTP/1.1 500")
        assert not data.endswith(b"0\r\n\r\n")
        assert len(rig.errors) == 1


async def test_abort_cuts_chunked_and_resets_http_1_0(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"x")
        await respond.abort()
        assert respond.ended

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        assert (await wire.receive_all()).endswith(b"1\r\nx\r\n")
        old = rig.connect()
        await old.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(Exception, match="reset"):
            await old.receive_all()


async def test_bad_fields_of_a_handler_are_misuse_and_still_a_500(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [("x", "a\r\nset-cookie: b")], b"")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        data = await wire.receive_until(b"}}")
        assert data.startswith(b"HTTP/1.1 500")
        assert b"cookie" not in data
        assert isinstance(rig.errors[0], Misuse)


async def test_responder_refuses_calls_out_of_order(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await request.read()
        with pytest.raises(Misuse):
            await request.read()
        with pytest.raises(Misuse):
            await respond.body(b"x")
        with pytest.raises(Misuse):
            await respond.head(100, [])
        with pytest.raises(Misuse):
            await respond.head(200, [("Transfer-Encoding", "chunked")])
        await respond.complete(200, [], b"fine")
        with pytest.raises(Misuse):
            await respond.end()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await wire.receive_until(b"fine")
        await wire.send(GET)
        await wire.receive_until(b"fine")


async def test_request_shows_target_path_and_query(serving: Serving) -> None:
    seen: list[tuple[str, str, str]] = []

    async def handler(request: Request, respond: Responder) -> None:
        seen.append((request.target, request.path, request.query))
        assert request.peer == ("192.0.2.1", 40000)
        assert request.scheme == "http"
        assert request.values("host") == ["a"]
        await respond.complete(204, [], b"")

    async with serving(handler) as rig:
        wire = rig.connect()
        for target in (b"/a%2Fb?x=1?2", b"http://a/c?y", b"http://a"):
            await wire.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            await wire.receive_until(b"\r\n\r\n")
    assert [(path, query) for _, path, query in seen] == [("/a%2Fb", "x=1?2"), ("/c", "y"), ("/", "")]


# A client that leaves


async def _left(serving: Serving, start: bytes, *, streaming: bool = False, reset: bool = False) -> None:
    waiting, gone = anyio.Event(), anyio.Event()
    seen: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        try:
            if streaming:
                await respond.head(200, [])
                await respond.body(b"x")
            waiting.set()
            await request.read()
            await anyio.sleep_forever()
        finally:
            seen.append(request.client_left)
            gone.set()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(start)
        await waiting.wait()
        if reset:
            wire.reset()
        else:
            await wire.aclose()
        with anyio.fail_after(1):
            await gone.wait()
        assert seen == [True]
        await rig.server.wait_closed()
        assert rig.server.active == 0
        assert rig.errors == []


@pytest.mark.parametrize("reset", [False, True])
async def test_client_that_leaves_while_the_handler_waits_cancels_it(serving: Serving, reset: bool) -> None:
    await _left(serving, GET, reset=reset)


async def test_client_that_leaves_within_its_body_cancels_the_handler(serving: Serving) -> None:
    await _left(serving, post(b"abc")[:-1])


async def test_client_that_leaves_within_a_chunked_body_cancels_the_handler(serving: Serving) -> None:
    await _left(serving, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")


async def test_client_that_leaves_within_a_stream_cancels_the_handler(serving: Serving) -> None:
    await _left(serving, GET, streaming=True)


async def test_client_that_leaves_behind_pipelined_requests_cancels_the_first(serving: Serving) -> None:
    await _left(serving, GET + GET)


async def test_client_that_leaves_during_a_blocked_write_cancels_the_handler(serving: Serving) -> None:
    blocked, left = anyio.Event(), anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await respond.head(200, [])
            blocked.set()
            await respond.body(b"x" * 5000)
        finally:
            assert request.client_left
            left.set()

    async with serving(handler) as rig:
        wire = rig.connect(capacity=100)
        await wire.send(GET)
        await blocked.wait()
        await wire.aclose()
        await left.wait()


async def test_shielded_writes_to_a_client_that_left_raise_client_left(serving: Serving) -> None:
    left = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                with pytest.raises(ClientLeft):
                    await respond.complete(200, [], b"x")
                left.set()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await wire.aclose()
        await left.wait()
        assert rig.errors == []


async def test_client_that_leaves_after_its_answer_does_not_disturb_the_end_of_the_handler(serving: Serving) -> None:
    answered, proceed = anyio.Event(), anyio.Event()
    outcome: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"x")
        answered.set()
        await proceed.wait()
        outcome.append(request.client_left)

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await answered.wait()
        await wire.aclose()
        await anyio.wait_all_tasks_blocked()
        proceed.set()
        await rig.server.wait_closed()
        assert outcome == [False]


async def test_reading_ahead_of_a_running_handler_is_bounded(serving: Serving) -> None:
    async with serving(forever, Limits(pipelined_bytes=1000)) as rig:
        wire = rig.connect(capacity=100_000)
        await wire.send(GET)
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            await wire.send(b"x" * 2000)
            await anyio.wait_all_tasks_blocked()
        assert not rig.served[0].is_quiet(), "the rest stays on the wire"


# Deadlines, small ones

QUICK = Limits(
    accept_head_secs=0.03,
    head_secs=0.02,
    body_idle_secs=0.02,
    keep_alive_secs=0.02,
    write_stall_secs=0.02,
    linger_secs=0.01,
    sweep_secs=0.002,
)


async def test_silent_and_idle_connections_are_closed_without_a_word(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        assert await rig.connect().receive_all() == b""
        wire = rig.connect()
        await wire.send(GET)
        assert (await wire.receive_all()).count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("before", [b"", GET])
async def test_slow_head_is_408(serving: Serving, before: bytes) -> None:
    async with serving(echo, QUICK) as rig:
        wire = rig.connect()
        await wire.send(before + b"GET / HTTP/1.1\r\nHo")
        assert b"HTTP/1.1 408 " in await wire.receive_all()


async def test_slow_body_is_408(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        wire = rig.connect()
        await wire.send(post(b"abc")[:-1])
        data = await wire.receive_all()
        assert data.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in data


async def test_client_that_stops_reading_is_dropped(serving: Serving) -> None:
    left = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await respond.complete(200, [], b"x" * 5000)
        finally:
            assert request.client_left
            left.set()

    async with serving(handler, QUICK) as rig:
        wire = rig.connect(capacity=100)
        await wire.send(GET)
        await left.wait()
        await rig.server.wait_closed()


async def test_client_that_stops_reading_a_refusal_is_dropped(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        wire = rig.connect(capacity=20)
        await wire.send(b"nonsense\r\n\r\n")
        await wire.receive_until(b"HTTP/1.1 400")
        await rig.server.wait_closed()


# Draining


async def test_drain_closes_idle_connections_and_lets_running_exchanges_finish(serving: Serving) -> None:
    running, proceed = anyio.Event(), anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        running.set()
        await proceed.wait()
        await respond.complete(200, [], b"done")

    async with serving(handler) as rig:
        idle, busy = rig.connect(), rig.connect()
        await busy.send(GET)
        await running.wait()
        assert rig.server.active == 1
        assert rig.server.connections == 2
        rig.server.start_drain()
        assert rig.server.draining
        assert await idle.receive_all() == b""
        proceed.set()
        data = await busy.receive_all()
        assert b"connection: close\r\n" in data
        assert data.endswith(b"done")


async def test_drain_deadline_gives_handlers_their_last_words(serving: Serving) -> None:
    running = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"data: 1\n\n")
        with anyio.CancelScope() as scope:
            request.on_drain(scope.cancel)
            running.set()
            await anyio.sleep_forever()
        assert request.draining
        late: list[int] = []
        request.on_drain(lambda: late.append(1))
        assert late == [1]
        await respond.end(b"event: error\n\n")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await running.wait()
        rig.server.start_drain(0)
        data = await wire.receive_all()
        assert data.endswith(b"event: error\n\n\r\n0\r\n\r\n")


async def test_drain_cancels_whoever_does_not_end(serving: Serving) -> None:
    running = anyio.Event()
    left: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        running.set()
        try:
            await anyio.sleep_forever()
        finally:
            left.append(request.client_left)

    async with serving(handler, Limits(drain_error_secs=0.01)) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await running.wait()
        rig.server.start_drain(60)
        rig.server.start_drain(0)
        assert await wire.receive_all() == b""
    assert left == [False]
