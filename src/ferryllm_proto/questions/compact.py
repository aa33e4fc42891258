"""``/v1/responses/compact``: asked of the provider where it compacts, written by the model where it does not.

The emulation is one whole request for a summary (`dialects.openai_responses.compaction`). An answer that was cut short
is refused: half a summary would lose the other half of the conversation in silence.
"""

from __future__ import annotations

from typing import Any

from .. import ir, json
from ..dialect import UpstreamRequest
from ..dialects.openai_responses.compaction import answer, question
from ..errors import RemoteProtocolError
from ..lenient import encode
from ..prepare import understand
from ..tokens.estimate import estimate_input
from .oneshot import OneShot

PATH = "/v1/responses/compact"
EMULATED = ("x-ferryllm-emulated", "compact")
"""The header of a compaction that is a summary of the gateway's asking."""


class Compact(OneShot):
    """One compaction.

    Parameters: as of `Translator`; ``native``: a provider of Responses knows the operation.
    """

    max_body = 64 << 20
    """A provider's compaction repeats the user's messages, images included."""

    def __init__(self, *, native: bool = True, now: float = 0.0, seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self._native = native
        self._now = now
        self._seed = seed
        self._emulated = True
        self._estimate = 0

    def _ask(self) -> UpstreamRequest | None:
        if self._native and self._passes():
            self._emulated = False
            return self.entry.pass_request(
                self._body, stream=False, model=self._named, headers=self._headers, path=self._path, target=PATH
            )
        request = understand(self.entry, question(self._body), headers=self._headers, named=self._target is not None)
        self._estimate = estimate_input(request)
        upstream, losses = encode(
            self.backend,
            request,
            policy=self._policy,
            model=self._target,
            headers=self._headers,
            rules=self._rules,
        )
        self.losses.extend(losses)
        return upstream

    def _conclude(self, data: bytes) -> None:
        if not self._emulated:
            json.fields(data)  # half an answer, or a page, must not look like one
            self._answer(data)
            return
        response = self.backend.decode_response(data)
        self.usage, self.finish_reason, self.upstream_model = response.usage, response.finish, response.model or None
        summary = "".join(part.text for part in response.parts if isinstance(part, ir.Text)).strip()
        if response.finish not in (ir.FinishReason.END, ir.FinishReason.STOP) or not summary:
            raise RemoteProtocolError(
                f"the model wrote no whole summary to compact with (it stopped with {response.finish.value}): "
                "send the conversation as it is, or a shorter one",
                kind=ir.ErrorKind.UPSTREAM,
            )
        body = answer(
            self._body,
            summary,
            response.usage,
            seed=self._seed,
            created=int(self._now),
            estimate=self._estimate,
        )
        self._answer(body, EMULATED)
