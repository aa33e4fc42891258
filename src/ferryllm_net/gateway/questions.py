"""Questions: what exchanges ask the store of responses, with the time that it may take and what becomes of its faults.

Apart from the interpreter, which does not know what a store can do.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from ferryllm_net.stores import Responses, StoreError
from ferryllm_proto.actions import Keep, Point, Recall
from ferryllm_proto.inputs import Recalled, Stored

if TYPE_CHECKING:
    from .app import App

STORE_SECS = 5.0
"""How long the store of responses may take for one question; a client waits for it with its answer complete."""


class Questions:
    """Of all exchanges of ``app``."""

    def __init__(self, app: App) -> None:
        self._app = app

    @property
    def _store(self) -> Responses:
        assert self._app.responses is not None  # the exchange knows whether there is one
        return self._app.responses

    async def ask(self, action: Recall | Keep, request_id: str) -> Recalled | Stored:
        """The store's turn: short, and not to be interrupted."""
        try:
            with anyio.fail_after(STORE_SECS):
                if isinstance(action, Keep):
                    await self._store.put(action.response, time.time(), action.ids)
                    return Stored(ok=True)
                return await self._recall(action, time.time())
        except (StoreError, TimeoutError) as exc:
            self._warn(exc, request_id)
            return Stored(ok=False) if isinstance(action, Keep) else Recalled(None, failed=True)

    async def point(self, action: Point, request_id: str) -> None:
        """Not answered: a failure is a line in the log."""
        try:
            with anyio.fail_after(STORE_SECS):
                await self._store.put(action.response, time.time())
        except (StoreError, TimeoutError) as exc:
            self._warn(exc, request_id)

    async def _recall(self, action: Recall, now: float) -> Recalled:
        referred = await self._store.find_items(action.owner, action.items, now) if action.items else {}
        items = tuple(referred.items())
        if action.id is None:
            return Recalled(None, items=items)
        found = await self._store.get(action.owner, action.id, now)
        return Recalled(found, foreign=found is None and await self._store.known(action.id, now), items=items)

    def _warn(self, exc: Exception, request_id: str) -> None:
        reason = str(exc) or f"no answer for {STORE_SECS:g} s"
        self._app.log.warn("responses store failed", reason=reason, request_id=request_id)
        self._app.metrics.count("store_failures", store="responses")
