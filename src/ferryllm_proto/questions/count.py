"""How many tokens a request has: asked of the provider where it can count, estimated here where it can not.

For every entry and every backend (translation.md A43, R13). An estimate says so: the answer has the header
``x-ferryllm-estimate: input_tokens``.
"""

from __future__ import annotations

from typing import Any

from .. import ir
from ..dialect import UpstreamRequest
from ..errors import RemoteProtocolError
from ..loss import Disposition, Loss
from ..policy import prompt_cache
from ..policy.route import NO_POLICIES, RoutePolicies
from ..tokens.estimate import estimate_input
from .oneshot import OneShot

ESTIMATED = ("x-ferryllm-estimate", "input_tokens")
"""The header that marks a count nobody but the gateway has made."""

_NO_COUNTING = frozenset({404, 405, 501})
"""What servers say that know a dialect and not its count: the request itself is well, so it is estimated."""


class CountTokens(OneShot):
    """One count.

    Parameters: as of `Translator`; of ``policies`` only what changes the prompt matters here.
    """

    max_body = 1 << 20
    """A count is one number and its details."""

    def __init__(self, *, policies: RoutePolicies = NO_POLICIES, **options: Any) -> None:
        super().__init__(**options)
        self._cache = policies.prompt_cache

    def _ask(self) -> UpstreamRequest | None:
        path = self.entry.count_path
        if path is not None and self._passes():
            model, rules = self._target or self.model, self._rules
            from ..policy import prompt_fields  # few routes change bytes that pass

            body, _ = prompt_fields.splice(self._cache, self.backend.name, self._body, model=model, rules=rules)
            return self.entry.pass_request(
                body, stream=False, model=self._named, headers=self._headers, path=self._path, target=path
            )
        request = self._understood()
        try:
            asked = self.backend.encode_count_request(
                request, model=self._target, headers=self._headers, rules=self._rules
            )
        except RemoteProtocolError:
            asked = None  # what can not be sent can still be weighed; the refusal comes with the request itself
        if asked is None:
            self._estimate(request)
            return None
        upstream, losses = asked
        self.losses.extend(losses)
        return upstream

    def _understood(self) -> ir.Request:
        request = self.entry.decode_count(self._body, headers=self._headers, path=self._path)
        if self._same and not self._cache.same_dialect:
            return request
        return prompt_cache.apply(self._cache, request, self.backend.name, self._target or request.model, self._rules)[
            0
        ]

    def _conclude(self, data: bytes) -> None:
        try:
            tokens = self.backend.decode_count_answer(data)
        except RemoteProtocolError:
            tokens = 0
        if tokens <= 0:  # no count, or one that can not be true: nothing has no tokens
            self._estimate(self._understood())
        elif self._same:
            self._answer(data)
        else:
            self._answer(self.entry.encode_count(tokens))

    def _declined(self, error: ir.Error) -> None:
        if self._status not in _NO_COUNTING:
            self._fail(error)
            return
        try:
            self._estimate(self._understood())
        except RemoteProtocolError as exc:
            self._fail(exc.error)

    def _estimate(self, request: ir.Request) -> None:
        for field, value in (("previous_id", request.previous_id), ("conversation", request.conversation)):
            if value is not None:
                what = "kept by the provider: what came before is not in the estimate"
                self.losses.append(Loss(request.wire_name(field), Disposition.DROPPED, what))
        tokens = estimate_input(request, self._target, self.backend.name)
        self._answer(self.entry.encode_count(tokens), ESTIMATED)
