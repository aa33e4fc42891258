"""The official SDKs' other calls through the gateway: embeddings, token counts, text completions, and plain paths.

The provider is a script that says what each path of its protocol says, so every answer is known to the last number.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import anyio.from_thread
import ollama
import openai
import pytest
from google import genai

from ferryllm_net.http import Request, Responder
from support.gateways import Running, gateway, upstream
from support.planted import PROVIDER_KEY

pytestmark = pytest.mark.timeout(60)

VECTORS = ([0.25, -1.5, 3.0], [0.5, 0.125, -2.0])
PNG = bytes(range(256)) * 4000
"""A picture of a megabyte."""
PATHS = ("images", "files", "moderations", "audio")
MORE = "".join(f'[[passthrough]]\npath = "/v1/{name}"\nprovider = "resp"\n' for name in PATHS) + "".join(
    f'[[providers]]\nname = "{short}"\ntype = "{kind}"\nbase_url = "http://127.0.0.1:@PORT@"\n'
    f'[[routes]]\nmatch = "{short}-"\nprovider = "{short}"\nrewrite_model = "real-{short}"\n'
    for short, kind in (("gem", "gemini"), ("oll", "ollama"))
)


class Script:
    """A provider of everything; what it was asked is in `seen`."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.counts = True
        """Whether it knows how to count."""

    async def handle(self, request: Request, respond: Responder) -> None:
        body = await request.read()
        self.seen.append((request.method, request.target, dict(request.headers), body))
        status, kind, answer = self.answer(request.method, request.path, body)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if request.path == "/v1/audio/speech":
            await respond.head(status, [("content-type", kind)])
            for at in range(0, len(data), 100_000):
                await respond.body(data[at : at + 100_000])
            await respond.end()
        else:
            await respond.complete(status, [("content-type", kind)], data)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str, Any]:
        kind = "application/json"
        if path in ("/v1/messages/count_tokens", "/v1/responses/input_tokens"):
            missing = {"error": {"type": "not_found_error", "message": "no such path"}}
            return (
                (200, kind, {"object": "response.input_tokens", "input_tokens": 37})
                if self.counts
                else (404, kind, missing)
            )
        if path == "/v1/embeddings":
            given = json.loads(body)["input"]
            vectors = VECTORS[: 1 if isinstance(given, str) else len(given)]
            data = [{"object": "embedding", "index": n, "embedding": one} for n, one in enumerate(vectors)]
            usage = {"prompt_tokens": 6, "total_tokens": 6}
            return 200, kind, {"object": "list", "data": data, "model": "real-chat", "usage": usage}
        if path.endswith(":countTokens"):
            return (
                (200, kind, {"totalTokens": 37}) if self.counts else (404, kind, {"error": {"message": "no such path"}})
            )
        if path.endswith(":batchEmbedContents"):
            return (
                200,
                kind,
                {"embeddings": [{"values": one} for one in VECTORS], "usageMetadata": {"promptTokenCount": 6}},
            )
        if path.endswith(":embedContent"):
            return 200, kind, {"embedding": {"values": VECTORS[0]}}
        if path == "/api/embed":
            given = json.loads(body)["input"]
            vectors = VECTORS[: 1 if isinstance(given, str) else len(given)]
            return 200, kind, {"model": "real-oll", "embeddings": vectors, "prompt_eval_count": 6}
        if path == "/api/embeddings":
            return 200, kind, {"embedding": VECTORS[0]}
        if path == "/v1/completions":
            choice = {"text": " a time", "index": 0, "logprobs": None, "finish_reason": "stop"}
            return (
                200,
                kind,
                {"id": "c", "object": "text_completion", "created": 1, "model": "real-chat", "choices": [choice]},
            )
        if path.startswith("/v1/images/"):
            picture = {"b64_json": base64.b64encode(PNG).decode()}
            usage = {"input_tokens": 11, "output_tokens": 22, "total_tokens": 33}
            return 200, kind, {"created": 1, "data": [picture], "usage": usage}
        if path == "/v1/moderations":
            return (
                200,
                kind,
                {
                    "id": "modr-1",
                    "model": "m",
                    "results": [{"flagged": False, "categories": {}, "category_scores": {}}],
                },
            )
        if path == "/v1/audio/speech":
            return 200, "audio/mpeg", PNG
        if path == "/v1/files/file-1/content":
            return 200, "application/octet-stream", PNG
        if method == "DELETE":
            return 200, kind, {"id": "file-1", "object": "file", "deleted": True}
        if path == "/v1/files" and method == "GET":
            return 200, kind, {"object": "list", "data": [], "has_more": False}
        if path == "/v1/files":
            about = {"object": "file", "bytes": len(body), "created_at": 1, "filename": "a.jsonl", "purpose": "batch"}
            return 200, kind, {"id": "file-1", "status": "processed", **about}
        return 404, kind, {"error": {"message": "no such path", "type": "invalid_request_error"}}


class Served:
    """A gateway in a thread of its own, for clients that block."""

    def __init__(self, running: Running, script: Script, portal: anyio.from_thread.BlockingPortal) -> None:
        self.script = script
        self.portal = portal
        self.running = running
        url = running.base_url
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0)
        self.gemini = genai.Client(api_key="any", http_options={"base_url": url})
        self.ollama = ollama.Client(host=url)

    def close(self) -> None:
        self.openai.close()
        self.anthropic.close()
        self.gemini.close()
        self.ollama._client.close()

    @property
    def last(self) -> tuple[str, str, dict[str, str], bytes]:
        return self.script.seen[-1]


@contextlib.asynccontextmanager
async def _both() -> AsyncIterator[tuple[Running, Script]]:
    script = Script()
    async with upstream(script.handle) as port, gateway(port, more=MORE.replace("@PORT@", str(port))) as running:
        yield running, script


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with (
        anyio.from_thread.start_blocking_portal(request.param) as portal,
        portal.wrap_async_context_manager(_both()) as (running, script),
    ):
        both = Served(running, script, portal)
        yield both
        both.close()


# --- embeddings ----------------------------------------------------------------------------------------------


EMBEDS = pytest.mark.parametrize("model", ["chat-embed", "resp-embed", "gem-embed", "oll-embed"])


@EMBEDS
def test_openai_embeddings_as_the_sdk_asks_by_default(served: Served, model: str) -> None:
    answer = served.openai.embeddings.create(model=model, input=["one", "two"])
    assert [item.embedding for item in answer.data] == list(VECTORS)
    assert (answer.model, answer.usage.prompt_tokens) == (model, 6)
    asked = served.last[3].decode()
    assert ("base64" in asked) is (model[:4] in ("chat", "resp")), "the SDK asks so, and the same dialect's bytes pass"
    assert model not in asked


@EMBEDS
def test_gemini_embed_content(served: Served, model: str) -> None:
    answer = served.gemini.models.embed_content(model=model, contents=["one", "two"])
    assert [one.values for one in answer.embeddings or []] == list(VECTORS)
    config: Any = {"output_dimensionality": 3}
    if model.startswith("gem"):
        config["task_type"] = "CLUSTERING"
    served.gemini.models.embed_content(model=model, contents=["one", "two"], config=config)
    asked = served.last[3].decode()
    assert "imensions" in asked or "imensionality" in asked
    assert ("CLUSTERING" in asked) is model.startswith("gem")


@EMBEDS
def test_ollama_embed_and_its_older_form(served: Served, model: str) -> None:
    answer = served.ollama.embed(model=model, input=["one", "two"])
    assert [list(vector) for vector in answer.embeddings] == list(VECTORS)
    assert (answer.model, answer.prompt_eval_count) == (model, 6)
    assert list(served.ollama.embeddings(model=model, prompt="one").embedding) == VECTORS[0]


def test_a_model_without_embeddings_is_told_so_in_every_dialect(served: Served) -> None:
    with pytest.raises(openai.BadRequestError, match="no embeddings"):
        served.openai.embeddings.create(model="msg-embed", input="x")
    with pytest.raises(ollama.ResponseError, match="no embeddings"):
        served.ollama.embed(model="msg-embed", input="x")
    with pytest.raises(genai.errors.ClientError, match="no embeddings"):
        served.gemini.models.embed_content(model="msg-embed", contents="x")


# --- token counts --------------------------------------------------------------------------------------------


def counts(served: Served, model: str) -> dict[str, int | None]:
    messages: Any = [{"role": "user", "content": "How many tokens are these?"}]
    return {
        "anthropic": served.anthropic.messages.count_tokens(model=model, messages=messages).input_tokens,
        "openai": served.openai.responses.input_tokens.count(
            model=model, input="How many tokens are these?"
        ).input_tokens,
        "gemini": served.gemini.models.count_tokens(model=model, contents="How many tokens are these?").total_tokens,
    }


@pytest.mark.parametrize("model", ["msg-count", "resp-count", "gem-count"])
def test_a43_every_client_gets_the_providers_own_count(served: Served, model: str) -> None:
    served.script.counts = True
    assert counts(served, model) == {"anthropic": 37, "openai": 37, "gemini": 37}


@pytest.mark.parametrize("model", ["msg-count", "resp-count", "gem-count", "chat-count", "oll-count"])
def test_a43_and_an_estimate_where_there_is_none(served: Served, model: str) -> None:
    served.script.counts = False
    for tokens in counts(served, model).values():
        assert tokens is not None
        assert 5 <= tokens <= 30
    raw = served.anthropic.messages.with_raw_response.count_tokens(
        model=model, messages=[{"role": "user", "content": "x"}]
    )
    assert raw.headers["x-ferryllm-estimate"] == "input_tokens"


# --- text completions ----------------------------------------------------------------------------------------


def test_text_completions_pass(served: Served) -> None:
    answer = served.openai.completions.create(model="chat-old", prompt="Once upon", max_tokens=5)
    assert (answer.choices[0].text, answer.model) == (" a time", "chat-old")
    assert served.last[1] == "/v1/completions"


# --- paths that pass as they are -----------------------------------------------------------------------------


def test_images_pass_and_are_accounted(served: Served) -> None:
    named = {"x-request-id": "req-images"}
    answer = served.openai.images.generate(model="gpt-image-1", prompt="a boat", extra_headers=named)
    assert base64.b64decode((answer.data or [])[0].b64_json or "") == PNG
    method, target, headers, body = served.last
    assert (method, target) == ("POST", "/v1/images/generations")
    assert headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert json.loads(body) == {"model": "gpt-image-1", "prompt": "a boat"}
    served.portal.call(served.running.logged, "losses=0 request_id=req-images")
    record = next(line for line in served.running.log.splitlines() if "losses=0 request_id=req-images" in line)
    assert "input_tokens=11 output_tokens=22" in record
    assert int(record.partition("sent_bytes=")[2].partition(" ")[0]) > len(PNG)
    assert "display_model=gpt-image-1" in record
    assert 'provider="resp"' in record


def test_files_go_up_and_come_down(served: Served) -> None:
    """An upload is multipart/form-data: allowed without keys because every SDK sends some key."""
    file = served.openai.files.create(file=("a.jsonl", io.BytesIO(PNG)), purpose="batch")
    assert file.id == "file-1"
    method, target, headers, body = served.last
    assert (method, target) == ("POST", "/v1/files")
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert PNG in body
    assert served.openai.files.content("file-1").read() == PNG
    assert served.openai.files.delete("file-1").deleted
    assert served.last[:2] == ("DELETE", "/v1/files/file-1")
    assert list(served.openai.files.list(limit=2)) == []
    assert served.last[1] == "/v1/files?limit=2"


def test_moderations_and_speech_pass(served: Served) -> None:
    assert not served.openai.moderations.create(input="hello").results[0].flagged
    with served.openai.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hi") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert b"".join(answer.iter_bytes()) == PNG


def test_the_providers_error_reaches_the_client_of_a_plain_path(served: Served) -> None:
    with pytest.raises(openai.NotFoundError, match="no such path"):
        served.openai.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))


def test_what_is_not_opened_is_not_there(served: Served) -> None:
    before = len(served.script.seen)
    with pytest.raises(openai.NotFoundError, match="passthrough"):
        served.openai.batches.list()
    assert len(served.script.seen) == before
