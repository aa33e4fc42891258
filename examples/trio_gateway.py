"""A small gateway of one's own: `Exchange` decides, trio and h11 do what it says.

    python examples/trio_gateway.py 127.0.0.1:8080
    curl -s http://127.0.0.1:4000/v1/messages -H 'content-type: application/json' \\
        -d '{"model":"demo","max_tokens":64,"messages":[{"role":"user","content":"Say pong"}]}'

One request a connection, no TLS, and a client that leaves is noticed at the next write: `ferryllm serve` does more.
"""

import secrets
import sys
import time

import h11
import trio

from ferryllm_proto import Exchange, Gateway, Provider, Route, RouteTable
from ferryllm_proto.actions import Abort, Action, Cut, Finish, Open, ReadBody, Record, SendBody, SendHead
from ferryllm_proto.inputs import (
    ClientBody,
    ClientRequest,
    DeadlinePassed,
    Input,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)

Event = h11.Request | h11.Response | h11.Data | h11.EndOfMessage

GATEWAY = Gateway(
    routes=RouteTable((Route("*", "local"),)),
    providers={"local": Provider("local", "openai", first_byte_secs=60)},
)


class Handler:
    """One connection of a client."""

    def __init__(self, client: trio.SocketStream, upstream: tuple[str, int], nursery: trio.Nursery) -> None:
        self.client = client
        self.upstream = upstream
        self.nursery = nursery
        self.http = h11.Connection(h11.SERVER)
        self.exchange = Exchange(GATEWAY, id="req_" + secrets.token_hex(8), seed=time.time_ns(), created=time.time())
        self.happened, self.happenings = trio.open_memory_channel[Input](1)
        self.attempt = trio.CancelScope()
        self.done = False

    async def run(self) -> None:
        """Tell the exchange what happened, do what it answers, until it is over."""
        request = await read(self.http, self.client)
        assert isinstance(request, h11.Request)
        headers = tuple((name.decode(), value.decode()) for name, value in request.headers)
        event: Input = ClientRequest(request.method.decode(), request.target.decode(), headers)
        while True:
            for action in self.exchange.receive(event, trio.current_time()):
                await self.perform(action)
            if self.done:
                return
            event = await self.next_input()

    async def next_input(self) -> Input:
        """What happens next, or the deadline."""
        with trio.move_on_at(self.exchange.next_deadline() or float("inf")):
            return await self.happenings.receive()
        return DeadlinePassed()

    async def perform(self, action: Action) -> None:
        if isinstance(action, ReadBody):
            body = b""
            while isinstance(event := await read(self.http, self.client), h11.Data):
                body += event.data  # a server would stop at action.limit
            await self.happened.send(ClientBody(body))
        elif isinstance(action, Open):
            self.nursery.start_soon(self.ask, action)
        elif isinstance(action, SendHead):
            headers = [*action.headers, ("connection", "close")]
            await self.write(h11.Response(status_code=action.status, headers=headers))
        elif isinstance(action, SendBody):
            await self.write(h11.Data(data=action.data))
        elif isinstance(action, Finish):
            await self.write(h11.EndOfMessage())
        elif isinstance(action, Cut):
            await self.client.aclose()
        elif isinstance(action, Abort):
            self.attempt.cancel()
        elif isinstance(action, Record):  # the last action of every exchange
            self.done = True
            print(action.outcome.value, action.model, action.usage, file=sys.stderr, flush=True)

    async def ask(self, action: Open) -> None:
        """Send one request to the provider and tell what happens."""
        request, http = action.request, h11.Connection(h11.CLIENT)
        headers = [*request.headers, ("host", self.upstream[0]), ("content-length", str(len(request.body)))]
        head = h11.Request(method=request.method, target=request.path, headers=headers)
        with self.attempt:
            try:
                async with await trio.open_tcp_stream(*self.upstream) as stream:
                    for part in (head, h11.Data(data=request.body), h11.EndOfMessage()):
                        await stream.send_all(http.send(part) or b"")
                    while not isinstance(event := await read(http, stream), h11.EndOfMessage):
                        if isinstance(event, h11.Response):
                            fields = tuple((name.decode(), value.decode()) for name, value in event.headers)
                            await self.happened.send(UpstreamHead(event.status_code, fields))
                        elif isinstance(event, h11.Data):
                            await self.happened.send(UpstreamData(bytes(event.data)))
                await self.happened.send(UpstreamEnd())
            except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError) as exc:
                await self.happened.send(UpstreamLost(str(exc)))

    async def write(self, event: Event) -> None:
        await self.client.send_all(self.http.send(event) or b"")


async def read(http: h11.Connection, stream: trio.SocketStream) -> object:
    """The next event of a connection."""
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await stream.receive_some())
    return event


async def main(upstream: tuple[str, int], port: int = 4000) -> None:
    async def handle(client: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:
            await Handler(client, upstream, nursery).run()
            nursery.cancel_scope.cancel()

    await trio.serve_tcp(handle, port, host="127.0.0.1")


if __name__ == "__main__":
    host, _, port = sys.argv[1].partition(":")
    trio.run(main, (host, int(port)))
