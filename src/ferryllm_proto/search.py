"""Web search that a provider runs itself: the one hosted tool that several dialects have (translation.md A9, X16).

Apart from the dialects because none of them may know another: each one's words for the tool and for a search that was
made are read into `WebSearch` and `Search` here, and written from there. Options the other side cannot say are
reported.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from . import ids, ir, json
from .errors import RemoteProtocolError
from .loss import Report


class WebSearch(msgspec.Struct, frozen=True):
    """The tool, as a client offers it to the model."""

    allowed: tuple[str, ...] = ()
    """Domains; the search stays within them."""
    blocked: tuple[str, ...] = ()
    max_uses: int | None = None
    place: dict[str, str] = {}
    """Where the user is: ``city``, ``region``, ``country``, ``timezone``."""
    context: str | None = None
    """How much of what was found the model reads: ``low``, ``medium``, ``high``."""


class Source(msgspec.Struct, frozen=True):
    """A page that was found."""

    url: str
    title: str = ""


class Search(msgspec.Struct, frozen=True):
    """A search the provider has made."""

    id: str
    queries: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    failed: bool = False


# --- the tool ----------------------------------------------------------------------------------------------


def tool(offered: ir.HostedTool, target: str, report: Report) -> ir.HostedTool | None:
    """The same tool in the words of ``target``; None when it is no web search or ``target`` has none.

    What of its options gets lost is reported.
    """
    read, write = _TOOL_READERS.get(offered.dialect), _TOOL_WRITERS.get(target)
    if read is None or write is None:
        return None
    try:
        found = read(offered.type, _object(json.loads(offered.raw)))
    except RemoteProtocolError:  # carried raw, so never looked into before
        return None
    if found is None:
        return None
    type_, name, value = write(found)
    path = offered.path or f"tools.{offered.type}"
    for field in _unread(offered):
        report.dropped(f"{path}.{field}", f"{target} has no such option")
    for field, said in _SAID[target].items():
        if not said and getattr(found, field):
            report.dropped(f"{path}.{_WIRE_NAMES[offered.dialect].get(field, field)}", f"{target} has no such option")
    return ir.HostedTool(target, type_, json.encode(value), name, offered.path)


_PLACE = ("city", "region", "country", "timezone")

# What the readers below look at; what is "type" and "name" is known already.
_READ: dict[str, frozenset[str]] = {
    "anthropic": frozenset({"max_uses", "allowed_domains", "blocked_domains"}),
    "openai_responses": frozenset({"filters.allowed_domains", "filters.blocked_domains", "search_context_size"}),
    "gemini": frozenset(
        f"{tool}.{option}"
        for tool in ("googleSearch", "google_search", "googleSearchRetrieval")
        for option in ("excludeDomains", "exclude_domains")
    ),
    "openai": frozenset({"search_context_size"}),
}
_PLACES = frozenset(f"user_location.{name}" for name in (*_PLACE, "type"))
_APPROXIMATE = frozenset(f"user_location.approximate.{name}" for name in _PLACE)


def _unread(offered: ir.HostedTool) -> list[str]:
    """Members of the tool, with their path in it, that say something and are not read here."""
    known = _READ[offered.dialect] | _PLACES | _APPROXIMATE
    out: list[str] = []

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict) and (value or not path):
            for name, inner in value.items():
                walk(inner, f"{path}.{name}" if path else name)
        elif path not in known and path not in ("type", "name") and value not in (None, [], {}):
            out.append(path)

    # Lists of domains are read whole, so they are known by their own path.
    walk(json.loads(offered.raw), "")
    return out


def _place(value: object) -> dict[str, str]:
    """A user's location, in a member ``approximate`` or by itself."""
    given = _object(value)
    inner = given.get("approximate")
    given = _object(inner) if isinstance(inner, dict) else given
    return {name: text for name in _PLACE if isinstance(text := given.get(name), str) and text}


def _read_anthropic(type_: str, value: dict[str, object]) -> WebSearch | None:
    if not type_.startswith("web_search_2"):
        return None
    uses = value.get("max_uses")
    return WebSearch(
        _texts(value.get("allowed_domains")),
        _texts(value.get("blocked_domains")),
        uses if isinstance(uses, int) else None,
        _place(value.get("user_location")),
    )


def _read_responses(type_: str, value: dict[str, object]) -> WebSearch | None:
    if not type_.startswith("web_search"):
        return None
    filters = _object(value.get("filters"))
    context = value.get("search_context_size")
    return WebSearch(
        _texts(filters.get("allowed_domains")),
        _texts(filters.get("blocked_domains")),
        place=_place(value.get("user_location")),
        context=context if isinstance(context, str) else None,
    )


def _read_gemini(type_: str, value: dict[str, object]) -> WebSearch | None:
    # Tools of one object each: {"googleSearch": {...}}; 1.5 called it retrieval.
    inner = value.get("googleSearch", value.get("google_search", value.get("googleSearchRetrieval")))
    if type_ not in ("googleSearch", "google_search", "googleSearchRetrieval") and inner is None:
        return None
    given = _object(inner) if inner is not None else value
    return WebSearch(blocked=_texts(given.get("excludeDomains", given.get("exclude_domains"))))


def _read_chat(type_: str, value: dict[str, object]) -> WebSearch | None:
    if type_ != "web_search_options":
        return None
    context = value.get("search_context_size")
    return WebSearch(place=_place(value.get("user_location")), context=context if isinstance(context, str) else None)


_TOOL_READERS: dict[str, Callable[[str, dict[str, object]], WebSearch | None]] = {
    "anthropic": _read_anthropic,
    "openai_responses": _read_responses,
    "gemini": _read_gemini,
    "openai": _read_chat,
    # Not in it: ollama, which has no hosted tools.
}

_Written = tuple[str, "str | None", dict[str, object]]
"""The tool's type, its name where it has one, and its JSON."""


def _write_anthropic(found: WebSearch) -> _Written:
    value: dict[str, object] = {"type": "web_search_20250305", "name": "web_search"}
    if found.max_uses is not None:
        value["max_uses"] = found.max_uses
    if found.allowed:  # the API takes one of the two lists
        value["allowed_domains"] = found.allowed
    elif found.blocked:
        value["blocked_domains"] = found.blocked
    if found.place:
        value["user_location"] = {"type": "approximate", **found.place}
    return "web_search_20250305", "web_search", value


def _write_responses(found: WebSearch) -> _Written:
    value: dict[str, object] = {"type": "web_search"}
    if found.allowed:
        value["filters"] = {"allowed_domains": found.allowed}
    if found.place:
        value["user_location"] = {"type": "approximate", **found.place}
    if found.context is not None:
        value["search_context_size"] = found.context
    return "web_search", None, value


def _write_gemini(found: WebSearch) -> _Written:
    return "googleSearch", None, {"googleSearch": {}}


_TOOL_WRITERS: dict[str, Callable[[WebSearch], _Written]] = {
    "anthropic": _write_anthropic,
    "openai_responses": _write_responses,
    "gemini": _write_gemini,
    # Not in it: openai, where only some models search and then always; ollama, which has no hosted tools.
}

# Which options each target can say.
_SAID: dict[str, dict[str, bool]] = {
    "anthropic": {"allowed": True, "blocked": True, "max_uses": True, "place": True, "context": False},
    "openai_responses": {"allowed": True, "blocked": False, "max_uses": False, "place": True, "context": True},
    "gemini": {"allowed": False, "blocked": False, "max_uses": False, "place": False, "context": False},
}
_WIRE_NAMES: dict[str, dict[str, str]] = {
    "anthropic": {"allowed": "allowed_domains", "blocked": "blocked_domains", "place": "user_location"},
    "openai_responses": {
        "allowed": "filters.allowed_domains",
        "blocked": "filters.blocked_domains",
        "place": "user_location",
        "context": "search_context_size",
    },
    "gemini": {"blocked": "googleSearch.excludeDomains"},
    "openai": {"place": "user_location", "context": "search_context_size"},
}


# --- searches that were made -----------------------------------------------------------------------------------


class Searches:
    """Brings the searches of one answer from the provider's blocks to the client's.

    Anthropic has two blocks for one search, the question and what was found; they are joined here.
    """

    def __init__(self, client: str, seed: int) -> None:
        self._write = _BLOCK_WRITERS.get(client)
        self._client = client
        self._seed = seed
        self.made = 0
        """How many searches were written."""
        self._asked: dict[str, Search] = {}

    @property
    def usage(self) -> ir.Usage:
        """The searches as a counter, in the only dialect that has one for them."""
        return ir.Usage(server_tools={"web_search_requests": self.made})

    def receive(self, block: ir.Hosted) -> tuple[ir.Hosted, ...] | None:
        """The client's blocks for ``block``; () while its other half is awaited; None when it is no search, or the
        client has no word for one."""
        if self._write is None or block.dialect == self._client:
            return None
        read = _BLOCK_READERS.get((block.dialect, block.type))
        if read is None:
            return None
        try:
            search = read(_object(json.loads(block.raw)))
        except RemoteProtocolError:  # as above
            return None
        if search is None:
            return None
        if block.type == "server_tool_use":
            self._asked[search.id] = search
            return ()
        asked = self._asked.pop(search.id, None)
        if asked is not None:
            search = msgspec.structs.replace(search, queries=asked.queries)
        return self._written(search)

    def end(self) -> tuple[ir.Hosted, ...]:
        """Blocks for searches whose result never came."""
        left, self._asked = list(self._asked.values()), {}
        return tuple(block for search in left for block in self._written(search))

    def _written(self, search: Search) -> tuple[ir.Hosted, ...]:
        assert self._write is not None
        position, self.made = self.made, self.made + 1
        return self._write(search, lambda prefix: ids.mint(prefix, self._seed, f"search{position}"))


def _read_web_search_call(value: dict[str, object]) -> Search | None:
    action = _object(value.get("action"))
    if action.get("type", "search") != "search":  # a page opened or looked through: part of a search, not one
        return Search(_text(value.get("id")), sources=_sources([action]))
    queries = _texts(action.get("queries")) or tuple(filter(None, [_text(action.get("query"))]))
    failed = value.get("status") == "failed"
    return Search(_text(value.get("id")), queries, _sources(action.get("sources")), failed)


def _read_server_tool_use(value: dict[str, object]) -> Search | None:
    if value.get("name") != "web_search":
        return None
    query = _text(_object(value.get("input")).get("query"))
    return Search(_text(value.get("id")), (query,) if query else ())


def _read_search_result(value: dict[str, object]) -> Search | None:
    content = value.get("content")
    return Search(_text(value.get("tool_use_id")), sources=_sources(content), failed=not isinstance(content, list))


def _read_grounding(value: dict[str, object]) -> Search | None:
    value = _object(value.get("groundingMetadata"))
    queries = _texts(value.get("webSearchQueries", value.get("web_search_queries")))
    chunks = value.get("groundingChunks", value.get("grounding_chunks"))
    pages = [_object(chunk).get("web") for chunk in chunks] if isinstance(chunks, list) else []
    sources = _sources([{**_object(page), "url": _object(page).get("uri")} for page in pages])
    return Search("", queries, sources) if queries or sources else None


_BLOCK_READERS: dict[tuple[str, str], Callable[[dict[str, object]], Search | None]] = {
    ("openai_responses", "web_search_call"): _read_web_search_call,
    ("anthropic", "server_tool_use"): _read_server_tool_use,
    ("anthropic", "web_search_tool_result"): _read_search_result,
    ("gemini", "groundingMetadata"): _read_grounding,
}

_Mint = Callable[[str], str]


def _blocks_anthropic(search: Search, mint: _Mint) -> tuple[ir.Hosted, ...]:
    id_ = mint("srvtoolu_")
    use = {"type": "server_tool_use", "id": id_, "name": "web_search", "input": {"query": " | ".join(search.queries)}}
    # What the pages said only their provider can read, so there is nothing in encrypted_content to send back.
    found: object = [
        {"type": "web_search_result", "url": s.url, "title": s.title or s.url, "encrypted_content": ""}
        for s in search.sources
    ]
    if search.failed:
        found = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    result = {"type": "web_search_tool_result", "tool_use_id": id_, "content": found}
    return (
        ir.Hosted("anthropic", "server_tool_use", json.encode(use)),
        ir.Hosted("anthropic", "web_search_tool_result", json.encode(result)),
    )


def _blocks_responses(search: Search, mint: _Mint) -> tuple[ir.Hosted, ...]:
    action: dict[str, object] = {"type": "search", "query": " | ".join(search.queries)}
    if len(search.queries) > 1:
        action["queries"] = search.queries
    if search.sources:
        action["sources"] = [{"type": "url", "url": source.url} for source in search.sources]
    status = "failed" if search.failed else "completed"
    call = {"type": "web_search_call", "id": mint("ws_"), "status": status, "action": action}
    return (ir.Hosted("openai_responses", "web_search_call", json.encode(call)),)


def _blocks_gemini(search: Search, mint: _Mint) -> tuple[ir.Hosted, ...]:
    value: dict[str, object] = {"webSearchQueries": search.queries}
    if search.sources:
        value["groundingChunks"] = [{"web": {"uri": s.url, "title": s.title or s.url}} for s in search.sources]
    return (ir.Hosted("gemini", "groundingMetadata", json.encode({"groundingMetadata": value})),)


_BLOCK_WRITERS: dict[str, Callable[[Search, _Mint], tuple[ir.Hosted, ...]]] = {
    "anthropic": _blocks_anthropic,
    "openai_responses": _blocks_responses,
    "gemini": _blocks_gemini,
    # Not in it: openai and ollama, whose answers have no place for a search; its sources are citations of the text.
}


# --- reading what peers wrote ------------------------------------------------------------------------------------


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _sources(value: object) -> tuple[Source, ...]:
    found: dict[str, Source] = {}
    for item in value if isinstance(value, list) else []:
        given = _object(item)
        url = _text(given.get("url"))
        if url:
            found.setdefault(url, Source(url, _text(given.get("title"))))
    return tuple(found.values())
