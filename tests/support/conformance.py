"""A small server for conformance suites: ``python -m support.conformance BACKEND [CERT KEY]`` prints its port.

It answers every request with a short body after reading the request's, and serves until it is ended.
"""

from __future__ import annotations

import sys

import anyio

from ferryllm_net.http import Request, Responder, Server, ServerTLS, bound_port, open_listeners, server_context


async def answer(request: Request, respond: Responder) -> None:
    """What the suites need: an answer with a body, whose head goes out alone."""
    await request.read()
    await respond.head(200, [("content-type", "text/plain")])
    await respond.flush()
    await respond.body(b"ferry")
    await respond.end(b"llm")


async def _serve(files: list[str]) -> None:
    context = server_context(ServerTLS(files[0], files[1])) if files else None
    listeners = open_listeners("127.0.0.1", 0)
    print(bound_port(listeners[0]), flush=True)  # noqa: T201 - whoever starts it waits for this line
    await Server(answer, ssl_context=context).serve(listeners)


if __name__ == "__main__":
    _backend, *_files = sys.argv[1:]
    anyio.run(_serve, _files, backend=_backend)
