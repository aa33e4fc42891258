"""A Messages request to a provider that speaks Chat Completions, with nothing but asyncio and h11.

python examples/asyncio_script.py 127.0.0.1:8080 "Say pong"
"""

import asyncio
import json
import sys
import time

import h11

from ferryllm_proto import Translator, UpstreamRequest


async def ask(host: str, port: int, prompt: str) -> None:
    body = {"model": "demo", "max_tokens": 100, "stream": True, "messages": [{"role": "user", "content": prompt}]}
    translator = Translator(entry="anthropic", backend="openai", now=time.time(), seed=time.time_ns())
    request = translator.receive_request(json.dumps(body).encode())
    if request is None:  # refused: the head is decided and the body says why
        sys.exit(translator.receive_eof().decode())

    reader, writer = await asyncio.open_connection(host, port)
    http = h11.Connection(h11.CLIENT)
    writer.write(head(http, request, f"{host}:{port}") + body_of(http, request))
    try:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Response):
                fields = [(name.decode(), value.decode()) for name, value in event.headers]
                translator.receive_response_head(event.status_code, fields)
            elif isinstance(event, h11.Data):
                show(translator.receive_data(bytes(event.data)))
            elif isinstance(event, h11.EndOfMessage):
                show(translator.receive_eof())
                break
    finally:
        writer.close()
    print(f"# {translator.finish_reason} {translator.usage}", file=sys.stderr)


def head(http: h11.Connection, request: UpstreamRequest, host: str) -> bytes:
    """The request's head. Host, authorisation and length are ours, everything else is the translator's."""
    fields = [*request.headers, ("host", host), ("content-length", str(len(request.body)))]
    return http.send(h11.Request(method=request.method, target=request.path, headers=fields)) or b""


def body_of(http: h11.Connection, request: UpstreamRequest) -> bytes:
    return (http.send(h11.Data(data=request.body)) or b"") + (http.send(h11.EndOfMessage()) or b"")


def show(data: bytes) -> None:
    print(data.decode(), end="", flush=True)


if __name__ == "__main__":
    address, prompt = sys.argv[1], sys.argv[2]
    asyncio.run(ask(address.partition(":")[0], int(address.partition(":")[2]), prompt))
