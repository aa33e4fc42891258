"""A usual answer on its way to the client, read by read: what a `UsualRun` has where it does not come at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ferryllm_net.http import Responder
from ferryllm_proto.flow import Flow
from ferryllm_proto.inputs import Input, UpstreamData, UpstreamEnd


class Flowing:
    """Puts what comes of ``flow`` to ``respond``; ``clock`` is that of deadlines."""

    __slots__ = ("_begun", "_clock", "_data", "_respond", "deaf_since", "end", "flow", "full", "odd")

    def __init__(self, flow: Flow, respond: Responder, clock: Callable[[], float]) -> None:
        self.flow = flow
        self._respond = respond
        self._clock = clock
        self._begun = False
        """The head of the client's answer is out."""
        self.full = False
        """The client has to take what was written before there is more."""
        self.deaf_since: float | None = None
        """Since when the sweeper has seen nobody listen to the provider."""
        self.end: bytes | None = None
        """The last bytes of an answer that is complete, for `finish`."""
        self.odd = False
        """An exchange has to go on, with what is `told`."""
        self._data: bytes | None = None
        """What the provider sent last, where that was the end or odd; None: its own end."""

    def listen(self) -> None:
        """The provider is about to be listened to: how long the client took to read is not its silence."""
        if self.deaf_since is not None:
            self.flow.postpone(self._clock() - self.deaf_since)
            self.deaf_since = None

    def feed(self, data: bytes) -> bool:
        """Bytes of the provider's body, to the client; whether there is more to do than that."""
        flow = self.flow
        out = flow.receive(data, self._clock())
        if out is None or flow.over:
            self._data, self.end, self.odd = data, out, out is None
            return True
        if not out:
            return False
        if not self._begun:
            self._begun = True
            status, fields = flow.head
            self._respond.begin(status, list(fields))
        self.full = not self._respond.put(out)
        return self.full

    def feed_end(self) -> None:
        """The provider's body has ended."""
        self.end = self.flow.receive_end()
        self.odd = self.end is None

    def finish(self) -> bool:
        """The end of the answer; whether the system has taken it."""
        assert self.end is not None
        if self._begun:
            return self._respond.put_end(self.end, [])
        status, fields = self.flow.head
        return self._respond.put_complete(status, list(fields), self.end)

    def told(self) -> Sequence[Input]:
        """The last event, for the exchange that goes on."""
        return (UpstreamEnd(),) if self._data is None else (UpstreamData(self._data),)

    def said(self) -> Sequence[Input]:
        """The same where something has failed: nothing, unless what came last was read and did not get out."""
        return self.told() if self.odd or self.end is not None else ()
