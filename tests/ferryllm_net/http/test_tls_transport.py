"""TLS over a transport: the handshake, records cut anywhere, and the ends that TLS tells apart."""

from __future__ import annotations

import ssl

import anyio
import pytest

from ferryllm_net.http.tls_transport import TLSTransport, secure_client, secure_server
from ferryllm_net.http.transport import Transport, TransportError
from support.pairs import Collector, Task, alone, pair, read, secured, settle, tls_contexts
from support.streams import MemoryTransport, wire

pytestmark = pytest.mark.anyio


async def tls_wire() -> tuple[TLSTransport, TLSTransport, MemoryTransport, MemoryTransport]:
    """Client and server, each with its end of the wire below."""
    below = wire()
    near, far = await secured(*below)
    assert isinstance(near, TLSTransport)
    assert isinstance(far, TLSTransport)
    await far.send(b".")
    assert await near.receive() == b"."
    return near, far, *below


def contexts(**changes: object) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of `tls_contexts` made anew, to change."""
    tls_contexts.cache_clear()
    made = tls_contexts()
    tls_contexts.cache_clear()
    for context in made:
        for name, value in changes.items():
            setattr(context, name, value)
    return made


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_handshake_agrees_on_a_protocol(version: ssl.TLSVersion) -> None:
    client, server = contexts(minimum_version=version, maximum_version=version)
    client.set_alpn_protocols(["h2", "http/1.1"])
    server.set_alpn_protocols(["http/1.1"])
    with anyio.fail_after(10):
        near, far = await secured(*wire(), client, server)
        assert near.protocol == far.protocol == "http/1.1"
        assert near.peer == ("192.0.2.1", 40000)
        await near.send(b"hello")
        assert await far.receive() == b"hello"


async def test_a_certificate_that_is_not_trusted() -> None:
    with anyio.fail_after(10):
        near, far = wire()
        async with anyio.create_task_group() as group:
            serving = Task(group, lambda: secure_server(far, tls_contexts()[1]))
            with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED") as caught:
                await secure_client(near, ssl.create_default_context(), "localhost")
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            await serving.wait()
        assert "UNKNOWN_CA" in str(serving.error), "the alert arrived"


async def test_a_certificate_for_another_name() -> None:
    with anyio.fail_after(10):
        near, far = wire()
        async with anyio.create_task_group() as group:
            Task(group, lambda: secure_server(far, tls_contexts()[1]))
            with pytest.raises(TransportError) as caught:
                await secure_client(near, tls_contexts()[0], "elsewhere.example")
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


async def test_a_peer_that_does_not_speak_tls() -> None:
    with anyio.fail_after(10):
        near, far = wire()
        await near.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(TransportError, match=r"TLS failed \(HTTP_REQUEST\)"):
            await secure_server(far, tls_contexts()[1])


async def test_a_peer_that_leaves_within_the_handshake() -> None:
    with anyio.fail_after(10):
        near, far = wire()
        await near.send(b"\x16\x03\x01")
        await near.aclose()
        with pytest.raises(TransportError, match="ended within the TLS handshake") as caught:
            await secure_server(far, tls_contexts()[1])
        assert caught.value.__cause__ is None


async def test_records_arrive_byte_by_byte() -> None:
    with anyio.fail_after(10):
        near, far, _, below = await tls_wire()
        taken = len(below.writes)
        for piece in (b"one ", b"two ", b"three"):
            await far.send(piece)
        records = b"".join(below.writes[taken:])
        assert await read(near, 13) == b"one two three"
        near, far, above, below = await tls_wire()
        collector = Collector(13)
        async with anyio.create_task_group() as group:
            pumping = Task(group, lambda: near.pump(collector))
            taken = len(below.writes)
            pipe = above._incoming
            for piece in (b"one ", b"two ", b"three"):
                far.write(piece)
            held = bytes(pipe.data)
            pipe.data.clear()
            assert len(held) == len(records)
            for byte in held:
                pipe.data.append(byte)
                pipe.change()
                await settle()
            assert await pumping.wait() is True
        assert collector.data == b"one two three"
        assert collector.reads == 3


async def test_many_records_are_one_read() -> None:
    with anyio.fail_after(10):
        near, far, _, _ = await tls_wire()
        for _ in range(5):
            far.write(b"abc")
        collector = Collector(15)
        assert await near.pump(collector)
        assert collector.reads == 1


async def test_a_damaged_record_comes_after_those_before_it() -> None:
    with anyio.fail_after(10):
        near, far, above, below = await tls_wire()
        await far.send(b"good")
        await far.send(b"bad")
        above._incoming.data[-1] ^= 1
        ends: list[bool] = []
        near.watch(lambda: ends.append(True))
        assert await near.receive() == b"good"
        assert ends == [True]
        for _ in range(2):
            with pytest.raises(TransportError, match="TLS failed"):
                await near.receive()
        with pytest.raises(TransportError, match="TLS failed"):
            await near.pump(Collector(1))
        with pytest.raises(TransportError, match="TLS failed"):
            near.write(b"x")
        assert not near.is_quiet()
        with pytest.raises(TransportError, match="BAD_RECORD_MAC"):
            await far.receive()
        del below


async def test_a_damaged_record_ends_a_pump() -> None:
    with anyio.fail_after(10):
        near, far, above, _ = await tls_wire()
        await far.send(b"good")
        await far.send(b"bad")
        above._incoming.data[-1] ^= 1
        collector = Collector(100)
        with pytest.raises(TransportError, match="TLS failed"):
            await near.pump(collector)
        assert collector.data == b"good"


@pytest.mark.parametrize("way", ["receive", "pump"])
@pytest.mark.parametrize("cut", [True, False])
async def test_an_end_without_the_farewell_is_ragged(cut: bool, way: str) -> None:
    with anyio.fail_after(10):
        near, far, _, below = await tls_wire()
        await far.send(b"all of it?")
        # Closing what lies below is what a cut looks like.
        await (below if cut else far).aclose()
        collector = Collector(100)
        if way == "pump":
            assert await near.pump(collector) is False
        else:
            collector(await near.receive())
            assert await near.receive() == b""
        assert collector.data == b"all of it?"
        assert near.ragged_end is cut


async def test_a_cut_is_not_made_to_look_like_an_end() -> None:
    with anyio.fail_after(10):
        near, far, _, below = await tls_wire()
        count = len(below.writes)
        far.reset_on_close()
        await far.aclose()
        assert len(below.writes) == count, "no farewell"
        with pytest.raises(TransportError, match="reset"):
            await near.receive()


async def test_a_farewell_is_seen_by_who_reads_on() -> None:
    with anyio.fail_after(10):
        near, far, _, below = await tls_wire()
        ends: list[bool] = []
        near.watch(lambda: ends.append(True))
        far._machine.write(b"last")
        with pytest.raises(ssl.SSLWantReadError):
            far._machine.unwrap()
        await below.send(far._outgoing.read())
        assert await near.receive() == b"last"
        assert ends == [True], "the connection below is still open"
        assert await near.receive() == b""
        assert not near.ragged_end
        assert not near.is_quiet()


async def test_unread_records_are_not_quiet() -> None:
    with anyio.fail_after(10):
        near, far, _, _ = await tls_wire()
        assert near.is_quiet()
        await far.send(b"uninvited")
        assert not near.is_quiet()
        assert await near.receive() == b"uninvited"
        assert near.is_quiet()


async def test_what_is_not_taken_is_not_encrypted() -> None:
    """So that a slow peer costs what the caller gave, not that and its ciphertext."""
    with anyio.fail_after(10):
        near, far = await secured(*wire(20_000))
        assert isinstance(near, TLSTransport)
        block = bytes(1_000_000)
        assert not near.write(block)
        assert sum(map(len, near._unsent)) == 1_000_000 - 64 * 1024
        assert not near._outgoing.pending
        async with anyio.create_task_group() as group:
            draining = Task(group, near.drain)
            assert await read(far, len(block)) == block
            await draining.wait()
        assert not near._unsent


class Chatty:
    """A machine that answers every record by itself, as OpenSSL does for KeyUpdate, which `ssl` cannot send."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def selected_alpn_protocol(self) -> None:
        return None

    def read(self, size: int) -> bytes:
        self._outgoing.write(b"k" * 1000)
        return self._incoming.read(size)

    def write(self, data: bytes) -> int:
        raise ssl.SSLWantReadError


def chatty(transport: Transport) -> TLSTransport:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    machine = Chatty(incoming, outgoing)
    return TLSTransport(transport, machine, incoming, outgoing)  # type: ignore[arg-type]  # what of it is used


async def test_answers_of_the_machine_are_sent_by_the_reader() -> None:
    with anyio.fail_after(10):
        below, far = wire()
        near = chatty(below)
        await far.send(b"new keys, please")
        assert await near.receive() == b"new keys, please"
        assert await far.receive() == b"k" * 1000


async def test_answers_that_nobody_reads_end_the_connection() -> None:
    with anyio.fail_after(10):
        below, far = wire(1000)
        near = chatty(below)
        for _ in range(66):
            await far.send(b"x")
            assert await near.receive() == b"x"
        await far.send(b"x")
        assert await near.receive() == b"x"
        with pytest.raises(TransportError, match="new keys"):
            await near.receive()


async def test_a_new_handshake_within_the_connection_is_refused() -> None:
    below, _ = wire()
    near = chatty(below)
    for _ in range(2):
        with pytest.raises(TransportError, match="new TLS handshake"):
            near.write(b"x")


@pytest.mark.parametrize("kind", ["native", "stream"])
async def test_a_handshake_can_be_given_up(kind: str) -> None:
    async with alone(kind) as (near, far, group):
        shaking = Task(group, lambda: secure_client(near, tls_contexts()[0], "localhost"))
        await settle()
        shaking.scope.cancel()
        await shaking.wait()
        assert shaking.result is None
        assert await far.receive(), "the first message went out"


async def test_close_sends_the_farewell_on_sockets() -> None:
    with anyio.fail_after(10):
        async with pair("native-tls") as (near, far):
            await near.aclose()
            assert await far.receive() == b""
            assert not far.ragged_end
