"""The smallest provider of Chat Completions that the examples can talk to: it says pong, whole or streamed."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

_WORDS = ("po", "ng")
_USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body)
        self.server.seen.append(asked)  # type: ignore[attr-defined]  # set in `chat_upstream`
        common = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        if asked.get("stream"):
            chunks: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": word}} for word in _WORDS]
            chunks.append({"delta": {}, "finish_reason": "stop"})
            lines = [{**common, "choices": [{"index": 0, "finish_reason": None, **chunk}]} for chunk in chunks]
            lines.append({**common, "choices": [], "usage": _USAGE})
            text = "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n"
            self._send("text/event-stream", text)
        else:
            message = {"role": "assistant", "content": "".join(_WORDS)}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            self._send("application/json", json.dumps({**common, "choices": [choice], "usage": _USAGE}))

    def _send(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def chat_upstream() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its address, ``host:port``, and the bodies it was sent."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        seen: list[dict[str, Any]] = []
        server.seen = seen  # type: ignore[attr-defined]  # for the handler, which knows nothing else
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()
