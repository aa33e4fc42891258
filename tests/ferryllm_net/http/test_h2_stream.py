"""Single streams of HTTP/2: flow control, cancellation, deadlines, answers that fail."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from h2.errors import ErrorCodes

from ferryllm_net.http import ClientLeft, Limits, Misuse, Request, RequestError, Responder
from support.h2_client import H2Client
from support.rig import Serving

pytestmark = pytest.mark.anyio

QUICK = Limits(body_idle_secs=0.05, write_stall_secs=0.05, sweep_secs=0.01)


async def echo(request: Request, respond: Responder) -> None:
    await respond.complete(200, [], await request.read())


async def test_stream_that_is_reset_cancels_its_handler_and_no_other(serving: Serving) -> None:
    may_go, left = anyio.Event(), anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await respond.head(200, [])
            await respond.body(b"begun")
            await may_go.wait()
            await respond.end()
        finally:
            if request.client_left:
                left.set()

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        stays, goes = client.open(), client.open()
        await client.flush()
        while not (client.answers[stays].body and client.answers[goes].body):
            await client.pump()
        client.h2.reset_stream(goes, ErrorCodes.CANCEL)
        await client.flush()
        await left.wait()
        assert rig.server.active == 1
        may_go.set()
        assert (await client.answer(stays)).ended
        assert rig.errors == []


async def test_trailers_end_a_stream(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        if request.path == "/begun":
            await respond.body(b"a")
        last = b"" if request.path == "/empty" else b"b" * 100
        await respond.end(last, [("X-Lost", "a, b")])

    async with serving(handler) as rig:
        client = await H2Client(rig.connect(), window=40).start()  # the last bytes wait for the window
        for path, body in (("/begun", b"a" + b"b" * 100), ("/held", b"b" * 100), ("/empty", b"")):
            answer = await client.get(path)
            assert (answer.body, answer.trailers, answer.ended) == (body, {"x-lost": "a, b"}, True)
        head = client.open("/held", method="HEAD")
        await client.flush()
        answer = await client.answer(head)
        assert (answer.body, answer.trailers) == (b"", {})
        assert rig.errors == []


async def test_client_that_does_not_read_one_stream_stops_that_one_alone(serving: Serving) -> None:
    written: list[int] = []

    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/other":
            await respond.complete(200, [], b"0123456789" * 3)
            return
        await respond.head(200, [])
        for number in range(5):
            await respond.body(b"x" * 10)
            written.append(number)
        await respond.end()

    async with serving(handler) as rig:
        client = await H2Client(rig.connect(), window=30).start()
        client.reading = False
        blocked = client.open("/blocked")
        await client.flush()
        while len(client.answers[blocked].body) < 30:
            await client.pump()
        await anyio.wait_all_tasks_blocked()
        assert written == [0, 1, 2], "the fourth waits for the window"
        assert (await client.get("/other")).body == b"0123456789" * 3
        client.h2.increment_flow_control_window(20, blocked)
        await client.flush()
        assert (await client.answer(blocked)).body == b"x" * 50


async def test_window_that_shrinks_below_zero_is_waited_out(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"x" * 40)
        await respond.end()

    async with serving(handler) as rig:
        client = await H2Client(rig.connect(), window=30).start()
        client.reading = False
        stream = client.open()
        await client.flush()
        while len(client.answers[stream].body) < 30:
            await client.pump()
        client.h2.update_settings({4: 10})  # SETTINGS_INITIAL_WINDOW_SIZE
        client.h2.increment_flow_control_window(15, stream)
        await client.flush()
        await anyio.wait_all_tasks_blocked()
        client.h2.increment_flow_control_window(15, stream)
        await client.flush()
        assert (await client.answer(stream)).body == b"x" * 40


async def test_window_that_stays_shut_ends_the_stream(serving: Serving) -> None:
    left: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/other":
            await respond.complete(200, [], b"")
            return
        await respond.head(200, [])
        try:
            await respond.body(b"x" * 100)
        finally:
            left.append(request.client_left)

    async with serving(handler, QUICK) as rig:
        client = await H2Client(rig.connect(), window=10).start()
        client.reading = False
        answer = await client.get("/stalled")
        assert answer.reset == int(ErrorCodes.CANCEL)
        assert left == [True]
        assert (await client.get("/other")).status == 200


async def test_body_that_nobody_reads_is_bounded_and_does_not_stop_others(serving: Serving) -> None:
    go = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/unread":
            await go.wait()
        await respond.complete(200, [], b"%d" % len(await request.read()))

    limits = Limits(h2_stream_window_bytes=1000, h2_body_window_bytes=2000)
    async with serving(handler, limits) as rig:
        client = await H2Client(rig.connect()).start()
        await client.get()
        unread = client.open("/unread", method="POST", ended=False)
        await client.upload(unread, b"x" * 1000, end=False)
        await anyio.wait_all_tasks_blocked()
        assert client.h2.local_flow_control_window(unread) == 0, "no window is given for what nobody has read"
        assert (await client.post(b"y" * 50_000)).body == b"50000"
        go.set()
        await client.upload(unread, b"x" * 9000)
        assert (await client.answer(unread)).body == b"10000"


async def test_slow_body_is_408(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open(method="POST", ended=False)
        await client.upload(stream, b"half", end=False)
        answer = await client.answer(stream)
        assert answer.status == 408
        assert (await client.get()).status == 200


async def test_too_large_body_is_413_and_the_rest_is_not_wanted(serving: Serving) -> None:
    async with serving(echo, Limits(body_bytes=100)) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open(method="POST", ended=False)
        await client.upload(stream, b"x" * 200, end=False)
        answer = await client.answer(stream)
        assert answer.status == 413
        while answer.reset is None:
            await client.pump()
        assert answer.reset == int(ErrorCodes.NO_ERROR)
        assert (await client.get()).status == 200


async def test_continue_is_sent_only_when_the_body_is_read(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        body = await request.read() if request.path == "/read" else b""
        await respond.complete(200, [], body)

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open("/read", ("expect", "100-continue"), method="POST", ended=False)
        await client.flush()
        while not client.answers[stream].interim:
            await client.pump()
        await client.upload(stream, b"body")
        assert (await client.answer(stream)).body == b"body"
        assert client.answers[stream].interim == [100]
        unread = client.open("/unread", ("expect", "100-continue"), method="POST", ended=False)
        await client.flush()
        assert (await client.answer(unread)).interim == []
        assert (await client.get("/", ("expect", "tea"))).status == 417


async def test_trailers_end_a_body_and_are_dropped(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open(method="POST", ended=False)
        await client.upload(stream, b"body", end=False)
        client.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)
        await client.flush()
        assert (await client.answer(stream)).body == b"body"


async def test_handler_that_fails_is_500_before_the_head_and_a_reset_after_it(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/late":
            await respond.head(200, [])
            await respond.body(b"begun")
        raise RuntimeError("a bug")

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        early = await client.get("/early")
        assert early.status == 500
        assert b"internal error" in early.body
        late = await client.get("/late")
        assert (late.status, late.reset, late.ended) == (200, int(ErrorCodes.INTERNAL_ERROR), False)
        assert len(rig.errors) == 2
        assert client.goaways == []


async def test_abort_is_never_a_clean_end(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"half")
        await respond.abort()

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        answer = await client.get()
        assert (answer.body, answer.ended, answer.reset) == (b"half", False, int(ErrorCodes.INTERNAL_ERROR))


@pytest.mark.parametrize(
    ("declared", "body"), [("3", b"four"), ("5", b"four"), ("1", b"")], ids=["more", "less", "none"]
)
async def test_body_of_another_length_than_declared_is_misuse(serving: Serving, declared: str, body: bytes) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [("content-length", declared)])
        await respond.end(body)

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        answer = await client.get()
        assert answer.reset is not None or answer.status == 500
        assert isinstance(rig.errors[0], Misuse)


@pytest.mark.parametrize("field", [("bad name", "v"), ("x", "a\r\nb: c"), ("x", "\u20ac")])
async def test_field_that_is_none_is_misuse_and_nothing_of_it_goes_out(
    serving: Serving, field: tuple[str, str]
) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [field], b"x")

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        assert (await client.get()).status == 500
        assert isinstance(rig.errors[0], Misuse)


async def test_head_and_204_have_no_body(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(204 if request.path == "/none" else 200, [], b"body")

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open(method="HEAD")
        await client.flush()
        answer = await client.answer(stream)
        assert (answer.status, answer.fields["content-length"], answer.body) == (200, "4", b"")
        assert (await client.get("/none")).body == b""


async def test_head_alone_goes_out_on_flush(serving: Serving) -> None:
    may_end = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.flush()
        await may_end.wait()
        await respond.end(b"x")

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open()
        await client.flush()
        while not client.answers[stream].status:
            await client.pump()
        may_end.set()
        assert (await client.answer(stream)).body == b"x"


async def test_shielded_writes_to_a_stream_that_is_gone_raise_client_left(serving: Serving) -> None:
    caught = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"begun")
        with anyio.CancelScope(shield=True):
            while not request.client_left:
                await anyio.lowlevel.checkpoint()
            try:
                await respond.body(b"more")
            except ClientLeft:
                caught.set()

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open()
        await client.flush()
        while not client.answers[stream].body:
            await client.pump()
        client.h2.reset_stream(stream)
        await client.flush()
        await caught.wait()


async def test_shielded_reading_of_a_body_whose_stream_is_gone_raises_client_left(serving: Serving) -> None:
    reading, caught = anyio.Event(), anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        with anyio.CancelScope(shield=True):
            reading.set()
            try:
                await request.read()
            except ClientLeft:
                caught.set()

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open(method="POST", ended=False)
        await client.flush()
        await reading.wait()
        client.h2.reset_stream(stream)
        await client.flush()
        await caught.wait()


async def test_client_that_leaves_after_its_answer_does_not_disturb_the_end_of_the_handler(serving: Serving) -> None:
    answered, finished = anyio.Event(), anyio.Event()
    may_finish = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"x")
        answered.set()
        await may_finish.wait()
        finished.set()

    async with serving(handler) as rig:
        wire = rig.connect()
        client = await H2Client(wire).start()
        await client.get()
        await answered.wait()
        await client.flush()
        may_finish.set()
        await finished.wait()


async def test_a_stream_cannot_be_handed_over(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        with pytest.raises(Misuse):
            await respond.switch([])
        raise RequestError(426, "no")

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        assert (await client.get()).status == 426
