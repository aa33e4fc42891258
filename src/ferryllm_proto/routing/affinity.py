"""Session affinity: the requests of one conversation go to the target that answered the first of them.

Prompt caches, encrypted reasoning and signatures of thoughts are worth something only there. A session is told by, in
this order: a header, the id of the session in the body, the prompt cache key, the beginning of the conversation
(translation.md Q1). It belongs to the client's key: the same text of another client is another session.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

import msgspec

from .. import json
from ..dialect import Headers
from ..errors import RemoteProtocolError
from .balance import Target
from .recent import Recent


class AffinityRules(msgspec.Struct, frozen=True):
    headers: tuple[str, ...] = (
        "x-session-affinity",
        "x-session-id",
        "x-claude-code-session-id",
        "session_id",
        "session-id",
        "conversation_id",
    )
    """Lower case, the most telling first. OpenCode's, Claude Code's and Codex's own."""
    opening: bool = True
    """Whether the beginning of the conversation stands for it when nothing else does."""
    ttl: float = 3600.0
    """Seconds after the last request; the longest prompt cache on offer lives an hour."""
    enabled: bool = True
    """For a route whose conversations have no place though others' have."""


MAX_SESSIONS = 65_536
"""Sessions that are remembered: some 20 MiB."""


class Marks(msgspec.Struct, frozen=True):
    """What a body tells of its session."""

    session: str | None = None
    cache_key: str | None = None
    opening: bytes | None = None
    """Instructions and the first message, as the client wrote them."""


def session_of(rules: AffinityRules, owner: str, headers: Headers, marks: Marks) -> bytes | None:
    """What stands for the session of a request of ``owner``, a client key's name; None: it has none."""
    if not rules.enabled:
        return None
    told: tuple[str, bytes] | None = None
    given: dict[str, str] = {}
    for name, value in headers:
        given.setdefault(name.lower(), value.strip())
    for name in rules.headers:
        if given.get(name):
            # Clients send several of these with one value: the session is the same whichever comes first.
            told = "header", given[name].encode("utf-8", "surrogateescape")
            break
    if told is None and marks.session:
        told = "session", marks.session.encode("utf-8", "surrogatepass")
    if told is None and marks.cache_key:
        told = "cache_key", marks.cache_key.encode("utf-8", "surrogatepass")
    if told is None and rules.opening and marks.opening:
        told = "opening", marks.opening
    if told is None:
        return None
    digest = hashlib.sha256(f"{len(owner)}/{owner}/{told[0]}/".encode("utf-8", "surrogatepass"))
    digest.update(told[1])
    return digest.digest()


# --- what a body tells ---


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Body(msgspec.Struct):
    """The few fields of all dialects that tell a session; the rest is only skipped."""

    metadata: msgspec.Raw = msgspec.Raw(b"")
    prompt_cache_key: msgspec.Raw = msgspec.Raw(b"")
    conversation: msgspec.Raw = msgspec.Raw(b"")
    system: msgspec.Raw = msgspec.Raw(b"")
    instructions: msgspec.Raw = msgspec.Raw(b"")
    systemInstruction: msgspec.Raw = msgspec.Raw(b"")
    messages: msgspec.Raw = msgspec.Raw(b"")
    input: msgspec.Raw = msgspec.Raw(b"")
    contents: msgspec.Raw = msgspec.Raw(b"")


_body = json.decoder(_Body)
_metadata = json.decoder(_Metadata)
_text = json.decoder(str)
_items = json.decoder(list[msgspec.Raw])
_SESSION = re.compile(r"session[_-]([0-9A-Za-z-]{8,64})|\"session_id\"\s*:\s*\"([^\"]{8,64})\"")
"""Claude Code's ``metadata.user_id``: ``user_..._account__session_<uuid>``, in newer versions JSON."""


def marks_of(body: bytes) -> Marks:
    """What ``body``, a request of any dialect, tells of its session; nothing where it cannot be read."""
    try:
        fields = json.decode(body, _body)
    except RemoteProtocolError:
        return Marks()
    return Marks(_session(fields), _string(fields.prompt_cache_key), _opening(fields))


def _session(fields: _Body) -> str | None:
    try:
        user = json.decode(fields.metadata, _metadata).user_id if bytes(fields.metadata) else None
    except RemoteProtocolError:
        user = None
    found = _SESSION.search(user) if user and len(user) <= 1024 else None
    if found is not None:
        return found[1] or found[2]
    conversation = bytes(fields.conversation)
    return _string(fields.conversation) if conversation.startswith(b'"') else None


def _string(raw: msgspec.Raw) -> str | None:
    try:
        return (json.decode(raw, _text) or None) if bytes(raw) else None
    except RemoteProtocolError:
        return None


def _opening(fields: _Body) -> bytes | None:
    """Instructions and everything up to the first word of the user."""
    parts = [bytes(raw) for raw in (fields.system, fields.instructions, fields.systemInstruction)]
    for raw in (fields.messages, fields.input, fields.contents):
        data = bytes(raw)
        if data.startswith(b"["):
            try:
                first = json.decode(raw, _items)
            except RemoteProtocolError:
                return None
            parts.append(b"\n".join(_until_user(first)))
        else:
            parts.append(data)
    opening = b"\x00".join(parts)
    return opening if opening.strip(b"\x00") else None


class _Role(msgspec.Struct):
    role: str | None = None


_role = json.decoder(_Role)


def _until_user(items: Sequence[msgspec.Raw]) -> list[bytes]:
    out: list[bytes] = []
    for item in items[:16]:  # more instructions than that before the first word tell enough
        out.append(bytes(item))
        try:
            role = json.decode(item, _role).role
        except RemoteProtocolError:
            break
        if role not in ("system", "developer"):
            break
    return out


# --- where it is ---


class Pins:
    """Which target each session is at. Ask `find`, report the target that answered to `pin`."""

    def __init__(self, limit: int = MAX_SESSIONS) -> None:
        self._pins: Recent[bytes, tuple[Target, float]] = Recent(limit)

    def __len__(self) -> int:
        return len(self._pins)

    def find(self, session: bytes, now: float) -> Target | None:
        """Where ``session`` is, unless its time is up."""
        known = self._pins.get(session)
        if known is None:
            return None
        target, until = known
        if now >= until:
            self._pins.drop(session)
            return None
        return target

    def pin(self, session: bytes, target: Target, now: float, ttl: float) -> None:
        """An answer of ``target`` has begun: the session is there from now on, wherever it was before."""
        self._pins.put(session, (target, now + ttl))

    def unpin(self, session: bytes, target: Target) -> None:
        """``target`` failed. If the session has moved on meanwhile, it stays where it is."""
        known = self._pins.peek(session)
        if known is not None and known[0] == target:
            self._pins.drop(session)


def settle_on(session: bytes, targets: Sequence[Target]) -> int:
    """The index of the target that a session without a pin goes to, by weight and by nothing that changes.

    So replicas that share no state send a session to the same place, and one target less moves only the sessions that
    were there (weighted rendezvous hashing).
    """
    best, highest = 0, -math.inf
    for at, target in enumerate(targets):
        name = f"{target.provider}\0{target.model or ''}".encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(session + name).digest()
        # In (0, 1): 52 bits, and a half more than nothing, so that the logarithm is neither infinite nor 0.
        share = ((int.from_bytes(digest[:8], "big") >> 12) + 0.5) / (1 << 52)
        score = -target.weight / math.log(share)
        if score > highest:
            best, highest = at, score
    return best
