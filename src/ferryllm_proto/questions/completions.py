"""``/v1/completions``: text completions, the API of before Chat.

A provider of Chat Completions gets the client's own bytes at its own ``/v1/completions``. Every other backend has no
such thing, so there the prompt becomes one message of the user, and the answer's text goes back in the old form. That
is an answer, not a continuation, and reported as such; what has no meaning there (several prompts, token numbers,
``suffix``, ``echo``, ``best_of``, ``logprobs``) is refused.
"""

from __future__ import annotations

import msgspec

from .. import ir, json
from ..dialect import ClientHead, Headers, UpstreamRequest
from ..errors import RemoteProtocolError
from ..loss import Disposition, Loss, LossPolicy, StrictRefusal
from ..policy.route import NO_POLICIES, RoutePolicies
from ..prepare import refusal
from ..rules import NO_RULES, ProviderRules
from ..translate import State, Translator

PATH = "/v1/completions"
NATIVE = "openai"
"""The dialect whose providers have the old API themselves."""

MAX_TOKENS = 16
"""What the API takes for a missing ``max_tokens`` (API reference, "Create completion")."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What needs a decision; everything else is called the same in Chat."""

    prompt: msgspec.Raw = msgspec.Raw(b"null")
    suffix: str | None = None
    echo: bool | None = None
    best_of: int | None = None
    logprobs: int | None = None
    max_tokens: int | None = None
    n: int | None = None


_body = json.decoder(_Body)
_text = json.decoder(str)
_texts = json.decoder(list[str])


_DEGRADED = Loss("prompt", Disposition.DEGRADED, "sent as a message: answered, not continued")


class Completions:
    """One text completion, in the shape of a `Translator`, one of which does the work. Parameters: as there; ``usage``
    as in `RoutePolicies`."""

    def __init__(
        self,
        *,
        backend: str,
        model: str | None = None,
        rules: ProviderRules = NO_RULES,
        policy: LossPolicy = LossPolicy.REPORT,
        now: float = 0.0,
        seed: int = 0,
        request_id: str | None = None,
        usage: bool = False,
    ) -> None:
        self._inner = Translator(
            entry=NATIVE,
            backend=backend,
            model=model,
            rules=rules,
            policy=policy,
            policies=RoutePolicies(usage=True) if usage else NO_POLICIES,
            now=now,
            seed=seed,
            request_id=request_id,
        )
        self._native = backend == NATIVE
        self._policy = policy
        self._out = b""

    @property
    def state(self) -> State:
        return self._inner.state

    @property
    def head(self) -> ClientHead | None:
        return self._inner.head

    @property
    def error(self) -> ir.Error | None:
        return self._inner.error

    @property
    def losses(self) -> list[Loss]:
        return self._inner.losses

    @property
    def model(self) -> str:
        return self._inner.model

    @property
    def stream(self) -> bool:
        return self._inner.stream

    @property
    def cut(self) -> bool:
        return self._inner.cut

    @property
    def usage(self) -> ir.Usage | None:
        return self._inner.usage

    @property
    def finish_reason(self) -> ir.FinishReason | None:
        return self._inner.finish_reason

    @property
    def upstream_model(self) -> str | None:
        return self._inner.upstream_model

    @property
    def last(self) -> bool:
        """As `Translator.last`."""
        return self._inner.last

    @property
    def complete(self) -> bool:
        return self._inner.complete

    def receive_request(
        self,
        body: bytes,
        headers: Headers = (),
        path: str | None = None,
        peeked: tuple[str, bool] | None = None,
    ) -> UpstreamRequest | None:
        """As `Translator.receive_request`."""
        if self._native:
            upstream = self._inner.receive_request(body, headers, path, peeked)
            return None if upstream is None else msgspec.structs.replace(upstream, path=PATH)
        try:
            json.check_utf8(body)
            chat = _chat(body)
            if self._policy is LossPolicy.STRICT:
                raise StrictRefusal([_DEGRADED])
        except RemoteProtocolError as exc:
            self.losses.extend(refusal(exc))
            self._out = self._inner.fail(exc.error)
            return None
        self.losses.append(_DEGRADED)
        return self._inner.receive_request(chat, headers, path)

    def receive_response_head(self, status: int, headers: Headers) -> ClientHead | None:
        """As `Translator.receive_response_head`."""
        return self._inner.receive_response_head(status, headers)

    def receive_data(self, data: bytes) -> bytes:
        """As `Translator.receive_data`."""
        out = self._inner.receive_data(data)
        if self._native and self.stream and self.head is None and b'"text"' in data and b'"error"' not in data:
            out += self._inner.commit()  # what is content here is none in Chat, so nobody else notices it
        return self._old(out)

    def receive_eof(self) -> bytes:
        """As `Translator.receive_eof`."""
        out, self._out = self._out, b""
        return out + self._old(self._inner.receive_eof())

    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes:
        """As `Translator.receive_whole`."""
        self.receive_response_head(status, headers)
        return self.receive_data(data) + self.receive_eof()

    def commit(self) -> bytes:
        """As `Translator.commit`."""
        return self._old(self._inner.commit())

    def ping(self) -> bytes:
        """As `Translator.ping`."""
        return self._inner.ping()

    def fail(self, error: ir.Error) -> bytes:
        """As `Translator.fail`."""
        return self._old(self._inner.fail(error))

    def _old(self, out: bytes) -> bytes:
        """What the translator said in Chat, in the words of the old API. Its events are never cut."""
        if self._native or not out or self.head is None or self.head.status != 200:
            return out
        if not self.stream:
            return _completion(out)
        return b"".join(_event(block) for block in out.split(b"\n\n") if block)


def _chat(body: bytes) -> bytes:
    """A text completion's request as a Chat request. Raises `RemoteProtocolError`."""
    known, extra = json.decode_known(body, _body)
    if known.suffix:
        raise _unsupported("suffix")
    if known.echo:
        raise _unsupported("echo")
    if known.best_of is not None and known.best_of != (known.n or 1):
        raise _unsupported("best_of")
    if known.logprobs is not None:
        raise _unsupported("logprobs")
    out: dict[str, object] = {name: json.raw(value) for name, value in extra.items()}
    out["messages"] = [{"role": "user", "content": _prompt(known.prompt)}]
    out["max_tokens"] = MAX_TOKENS if known.max_tokens is None else known.max_tokens
    if known.n is not None:
        out["n"] = known.n
    return json.encode(out)


def _unsupported(param: str) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"{param}: the model's provider has no text completions, and a chat answer can not have this; use "
        "/v1/chat/completions, or route the model to a provider of type openai",
        param=param,
        code="unsupported_parameter",
    )


def _prompt(raw: msgspec.Raw) -> str:
    kind = json.kind(raw)
    if kind == "string":
        return json.decode(raw, _text, "prompt")
    if kind == "array":
        items = json.items(raw, "prompt")
        if len(items) == 1 and json.kind(items[0]) == "string":
            return json.decode(raw, _texts, "prompt")[0]
        raise _unsupported("prompt")
    raise RemoteProtocolError("prompt: this field is required", param="prompt", code="missing_required_parameter")


# --- answers ---------------------------------------------------------------------------------------------


class _Words(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    index: int = 0
    message: _Words = _Words()
    delta: _Words = _Words()
    finish_reason: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    choices: list[_Choice] | None = None


_answer = json.decoder(_Answer)


def _completion(body: bytes) -> bytes:
    """A whole chat answer, or a chunk of one, of our own making."""
    fields: dict[str, object] = dict(json.fields(body))
    choices = json.decode(body, _answer).choices
    if choices is None:  # an error
        return body
    fields["object"] = "text_completion"
    fields["choices"] = [
        {
            "text": _words(choice),
            "index": choice.index,
            "logprobs": None,
            "finish_reason": choice.finish_reason,
        }
        for choice in choices
    ]
    return json.encode(fields)


def _words(choice: _Choice) -> str:
    said = (choice.message.content, choice.delta.content, choice.message.refusal, choice.delta.refusal)
    return next((words for words in said if words), "")


def _event(block: bytes) -> bytes:
    """One event of a chat stream; comments and the end stay."""
    data = block.removeprefix(b"data: ")
    if not data.startswith(b"{"):
        return block + b"\n\n"
    return b"data: %b\n\n" % _completion(data)
