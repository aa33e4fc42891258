"""Responses requests that go on from an earlier answer, or whose answer others will go on from.

A provider of Responses keeps its answers itself: there the bytes pass through, and only where the answer is gets kept
(`NativeTranslator`). For every other provider the gateway keeps them: the items of the earlier turns are put before
the request's own and the answer is remembered with them (`KeptTranslator`). Which of the two a request needs is
`plan`'s to say; the machine that asks stores and waits for them is the `Exchange`.

A request may also refer to single items of kept answers. Where the gateway has them they go into its input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .. import dialect, ir, json
from ..dialect import Answer, Headers, UpstreamRequest
from ..errors import RemoteProtocolError
from ..inputs import Recalled
from ..loss import Disposition, Loss
from ..observe import Observer
from ..snapshot import Provider
from ..translate import State, Translator
from .kept import KeptResponse

NAME = "openai_responses"
"""The dialect whose state this is. Loaded with the first such request: each function below asks for what it needs."""
PREVIOUS = "previous_response_id"


class Wishes(msgspec.Struct, frozen=True):
    """The members of a request that are about kept state."""

    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    conversation: msgspec.Raw = msgspec.Raw(b"null")


_wishes_decoder = json.decoder(Wishes)


class Memory(msgspec.Struct, frozen=True):
    """What one request has to do with kept state."""

    previous: str | None = None
    """The answer it goes on from."""
    items: tuple[bytes, ...] | None = None
    """What stands before its own input; None when the gateway has nothing to put there."""
    lost: tuple[int, ...] = ()
    """Places among them of reasoning that this provider would look up by an id it does not know: left out (R8)."""
    found: Mapping[str, bytes] = {}
    """Items that its input refers to and the gateway has, by their ids; empty where one is left out."""
    found_lost: tuple[int, ...] = ()
    """Places in its input of references to such reasoning."""
    kept: bool = False
    """The gateway keeps this conversation."""
    keep: bool = False
    """The answer is to be kept, by the gateway."""
    point: bool = False
    """The answer is kept by the provider, and where it is by the gateway."""
    native: bool = False
    """The provider speaks Responses."""


NO_MEMORY = Memory()


def read_wishes(body: bytes) -> Wishes:
    """What a Responses request says about kept state. Raises `RemoteProtocolError`."""
    return json.decode(body, _wishes_decoder)


def plan(
    wishes: Wishes,
    provider: Provider,
    recalled: Recalled | None,
    *,
    store: bool,
    references: Mapping[str, int] = {},
) -> Memory:
    """What to do for one request towards ``provider``.

    ``recalled`` is the store's answer where the request goes on from something or has ``references`` to items (their
    ids and places), ``store`` whether there is a store. Raises `RemoteProtocolError` for an earlier answer or an item
    that is not there, and for what the gateway cannot keep.
    """
    from ..dialects.openai_responses.memory import unproven

    native = provider.dialect == NAME
    passes = native and provider.keeps_responses
    previous = wishes.previous_response_id
    keep = store and wishes.store is not False
    if previous is None:
        memory = Memory(kept=store and not passes, keep=keep and not passes, point=keep and passes, native=native)
    elif not store:
        if not passes:
            raise _refused(
                PREVIOUS,
                "this gateway keeps no responses: send the whole input, or set `store` in [responses] of its "
                "configuration to memory or sqlite",
            )
        memory = NO_MEMORY
    else:
        found = _found(previous, recalled, provider, passes=passes)
        items = None if found is None or found.native else found.items
        lost = unproven(items) if native and items is not None else ()
        if items is not None and lost:
            items = tuple(item for n, item in enumerate(items) if n not in lost)
        memory = Memory(
            previous, items, lost=lost, kept=not passes, keep=keep and not passes, point=keep and passes, native=native
        )
    if references and store:
        found_ = _referred(references, recalled, passes=passes)
        lost_ = {id_: references[id_] for id_, item in found_.items() if unproven((item,))} if native else {}
        memory = msgspec.structs.replace(
            memory, found={**found_, **dict.fromkeys(lost_, b"")}, found_lost=tuple(lost_.values())
        )
    if memory.kept and native:  # towards the others the encoders of requests refuse them
        if wishes.background:
            raise _refused("background", "the gateway keeps the answers of this provider and makes none in background")
        if json.kind(wishes.conversation) != "null":
            raise _refused("conversation", "the gateway keeps responses, not conversations: use previous_response_id")
    return memory


def _found(previous: str, recalled: Recalled | None, provider: Provider, *, passes: bool) -> KeptResponse | None:
    """What a request goes on from; None leaves it to the provider."""
    found = _read(recalled).response
    if found is None:
        if passes and recalled is not None and not recalled.foreign:
            return None  # it may be older than the gateway; the provider knows
        raise RemoteProtocolError(
            f"Previous response with id '{previous:.100}' not found.",
            param=PREVIOUS,
            code="previous_response_not_found",
        )
    if found.native and not (passes and found.provider == provider.name):
        raise RemoteProtocolError(
            f"Previous response with id '{previous:.100}' is kept by provider {found.provider}, and this model is "
            f"served by {provider.name}: send the whole input",
            param=PREVIOUS,
            code="previous_response_not_found",
        )
    return found


def _referred(references: Mapping[str, int], recalled: Recalled | None, *, passes: bool) -> Mapping[str, bytes]:
    """The items a request refers to; a provider that keeps its answers may know those that are not here."""
    found = dict(_read(recalled).items)
    gone = None if passes else next((id_ for id_ in references if id_ not in found), None)
    if gone is not None:
        raise RemoteProtocolError(f"Item with id '{gone:.100}' not found.", kind=ir.ErrorKind.NOT_FOUND, param="input")
    return found


def _read(recalled: Recalled | None) -> Recalled:
    if recalled is None or recalled.failed:
        raise RemoteProtocolError("the store of responses could not be read: try again", kind=ir.ErrorKind.SERVER)
    return recalled


def _refused(param: str, why: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"{param}: {why}", param=param, code="unsupported_parameter")


def prepare(body: bytes, memory: Memory) -> bytes:
    """``body`` as it is to be answered: with what came before, and without what was the gateway's to do."""
    from ..dialects.openai_responses.history import put_back, resume

    if memory.found:
        body = put_back(body, memory.found)
    if memory.items is not None:
        body = resume(body, memory.items)
    if not (memory.kept and (memory.native or (memory.keep and b"store" in body))):
        return body
    fields = json.fields(body)
    fields.pop("store", None)
    if memory.native:
        fields["store"] = json.raw(b"false")  # or the provider would keep it too
    return json.encode(fields)


# --- the gateway keeps -----------------------------------------------------------------------------------

_ITEM = re.compile(r"\binput\[(\d+)\]")


def _losses(memory: Memory, before: int = 0) -> list[Loss]:
    """What is left out of a request, ``before`` of whose items are not the client's."""
    reason = "reasoning without its proof, whose id the provider does not know"
    places = [f"{PREVIOUS}.items[{n}]" for n in memory.lost] + [f"input[{n + before}]" for n in memory.found_lost]
    return [Loss(place, Disposition.DROPPED, reason) for place in places]


class KeptTranslator(Translator):
    """A `Translator` of Responses clients whose conversation the gateway keeps; give it a prepared body."""

    def __init__(self, memory: Memory, **options: Any) -> None:
        super().__init__(**options)
        self._same = False  # the answer has to say who keeps it, so no bytes pass through
        self._memory = memory
        self._known = len(memory.items or ())
        self.keep = memory.keep
        self.losses.extend(_losses(memory, self._known))

    def receive_request(
        self,
        body: bytes,
        headers: Headers = (),
        path: str | None = None,
        peeked: tuple[str, bool] | None = None,
    ) -> UpstreamRequest | None:
        """As `Translator.receive_request`, with a body from `prepare`."""
        upstream = super().receive_request(body, headers, path, peeked)
        if upstream is not None:  # else it was done with the refusal
            self._place_losses()
        return upstream

    def _fail_before_head(self, error: ir.Error) -> None:
        if self.state is State.REQUEST:
            self._place_losses()
            param = None if error.param is None else self._place(error.param)
            error = msgspec.structs.replace(error, message=self._place(error.message), param=param)
        super()._fail_before_head(error)

    def _answer(self) -> Answer:
        answer = super()._answer()
        request = answer.request
        if request is not None:
            request = msgspec.structs.replace(request, previous_id=self._memory.previous)
        return msgspec.structs.replace(answer, request=request, kept=self.keep)

    def _forget(self) -> None:
        body = self._body
        super()._forget()
        self._body = body  # it is kept with the answer

    # Items have their places in the body as it was prepared; clients count in the one they sent.

    def _place_losses(self) -> None:
        self.losses[:] = [msgspec.structs.replace(loss, path=self._place(loss.path)) for loss in self.losses]

    def _place(self, text: str) -> str:
        known = self._known
        if not known:
            return text

        def place(match: re.Match[str]) -> str:
            n = int(match[1])
            return f"input[{n - known}]" if n >= known else f"{PREVIOUS}.items[{n}]"

        return _ITEM.sub(place, text)

    def remember(self, out: bytes, *, owner: str, created: float, provider: str) -> KeptResponse | None:
        """The answer that ends with ``out``, to be kept; None for one that failed. Call it when the state is DONE."""
        from ..dialects.openai_responses.history import input_items, output_items

        span = self._final(out)
        if span is None:
            return None
        response = out[span[0] : span[1]]
        fields = json.fields(response)
        if bytes(fields.get("status", b"")) == b'"failed"':
            return None
        return KeptResponse(
            id=json.loads(fields["id"]),
            owner=owner,
            created=created,
            provider=provider,
            model=self.model,
            response=response,
            input=input_items(self._body),
            output=output_items(response),
        )

    def deny(self, out: bytes) -> bytes:
        """``out``, the last bytes of an answer, without the promise that it is kept."""
        span = self._final(out)
        if span is None:
            return out
        response = json.splice(out[span[0] : span[1]], ("store",), b"false")
        return out[: span[0]] + response + out[span[1] :]

    def _final(self, out: bytes) -> tuple[int, int] | None:
        """Where in ``out`` the whole response object is: all of it, or in the last event."""
        if not self.stream:
            return (0, len(out)) if out else None
        at = out.rfind(b"\ndata: ") + 7
        end = out.find(b"\n", at)
        if at < 7 or end < 0:
            return None
        span = json.find(out[at:end], ("response",))
        return None if span is None else (at + span[0], at + span[1])


# --- the provider keeps ----------------------------------------------------------------------------------


class NativeTranslator(Translator):
    """A `Translator` between Responses clients and a provider that keeps its answers; give it a prepared body."""

    def __init__(self, memory: Memory, **options: Any) -> None:
        super().__init__(**options)
        self._memory = memory
        self.losses.extend(_losses(memory))

    @property
    def answer_id(self) -> str | None:
        """The id under which the provider keeps the answer, once it has said so."""
        watch = self._watch
        if isinstance(watch, (Observer, ir.Response)):  # the answer has the other form than was asked for
            return watch.id
        return getattr(watch, "kept_id", None)

    def _scanner(self, name: str | None) -> dialect.Scanner:
        from ..dialects.openai_responses.scan import Scanner

        scanner = super()._scanner(name)
        if self._memory.items is not None and self._memory.previous is not None and isinstance(scanner, Scanner):
            scanner.show_previous(self._memory.previous)
        return scanner

    def _answer(self) -> Answer:
        answer, memory = super()._answer(), self._memory
        request = answer.request
        if request is not None and memory.items is not None:
            request = msgspec.structs.replace(request, previous_id=memory.previous)
        return msgspec.structs.replace(answer, request=request, kept_upstream=memory.point)


def translator_for(memory: Memory) -> Callable[..., Translator]:
    """The kind of `Translator` for a request with ``memory``; call it with a `Translator`'s parameters."""
    if memory.kept:
        return lambda **options: KeptTranslator(memory, **options)
    if memory.point or memory.items is not None:
        return lambda **options: NativeTranslator(memory, **options)
    return Translator
