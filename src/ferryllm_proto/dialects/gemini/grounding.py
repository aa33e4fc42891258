"""Sources of an answer's text, both ways: grounding and citation metadata, and the citations of the other dialects.

Offsets here are bytes of UTF-8, those of the other dialects characters of the text they belong to. Source: API
reference, GroundingMetadata, Segment and CitationMetadata.
"""

from __future__ import annotations

import msgspec

from ... import json
from ...errors import RemoteProtocolError

MAX_TEXT = 64 << 20
"""Characters of an answer that are kept to count offsets in: as many as one upstream JSON may have bytes."""


class _Page(msgspec.Struct, frozen=True):
    uri: str | None = None
    title: str | None = None


class _Chunk(msgspec.Struct, frozen=True, rename="camel"):
    """Where a source was found; one of them."""

    web: _Page | None = None
    retrieved_context: _Page | None = None
    maps: _Page | None = None

    @property
    def page(self) -> _Page | None:
        return self.web or self.retrieved_context or self.maps


class _Segment(msgspec.Struct, frozen=True, rename="camel"):
    part_index: int = 0
    start_index: int = 0
    end_index: int | None = None
    text: str | None = None


class _Support(msgspec.Struct, frozen=True, rename="camel"):
    segment: _Segment = _Segment()
    grounding_chunk_indices: list[int] = []


class _Grounding(msgspec.Struct, frozen=True, rename="camel"):
    grounding_chunks: list[_Chunk] = []
    grounding_supports: list[_Support] = []


class _Source(msgspec.Struct, frozen=True, rename="camel"):
    start_index: int = 0
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None


class _Citations(msgspec.Struct, frozen=True, rename="camel"):
    citation_sources: list[_Source] = []
    citations: list[_Source] = []
    """What Vertex calls them."""


_grounding = json.decoder(_Grounding)
_citations = json.decoder(_Citations)


class _Found(msgspec.Struct, frozen=True):
    """A source and where in the answer it is quoted, as the provider said it."""

    page: _Page
    segment: _Segment


class Quoted:
    """A provider's text, and the sources that wait for the block they are about."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._block = 0
        """Where the open block begins, in characters of the whole."""
        self._parts: list[int] = []
        self._waiting: list[_Found] = []
        self._seen: set[tuple[str | None, int, int | None]] = set()

    def open(self) -> None:
        """A block of text begins."""
        self._block = self._length

    def chunk(self) -> None:
        """The parts of another content begin."""
        self._parts = []

    def alone(self, text: str) -> None:
        """Another content begins, and ``text`` is its one part."""
        self._parts = [self._length]
        self._length += len(text)
        if self._length <= MAX_TEXT:
            self._pieces.append(text)

    def part(self) -> None:
        """Another part begins."""
        self._parts.append(self._length)

    def add(self, text: str) -> None:
        """The text goes on."""
        self._length += len(text)
        if self._length <= MAX_TEXT:
            self._pieces.append(text)

    def expect(self, grounding: bytes | None, citations: bytes | None) -> None:
        """What a candidate says of its sources; what is not readable is no reason to lose an answer."""
        try:
            found = json.decode(grounding, _grounding) if grounding is not None else _Grounding()
            cited = json.decode(citations, _citations) if citations is not None else _Citations()
        except RemoteProtocolError:
            return
        for support in found.grounding_supports:
            for index in support.grounding_chunk_indices:
                page = found.grounding_chunks[index].page if 0 <= index < len(found.grounding_chunks) else None
                if page is not None:
                    self._expect(page, support.segment)
        for source in (*cited.citation_sources, *cited.citations):
            page = _Page(source.uri, source.title)
            self._expect(page, _Segment(start_index=source.start_index, end_index=source.end_index))

    def _expect(self, page: _Page, segment: _Segment) -> None:
        key = (page.uri, segment.start_index, segment.end_index)
        if page.uri and key not in self._seen:  # some chunks repeat what the chunks before them said
            self._seen.add(key)
            self._waiting.append(_Found(page, segment))

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def take(self) -> list[bytes]:
        """The sources of the open block as far as it has come: web citations with offsets in characters of it."""
        text = "".join(self._pieces)
        data = text.encode("utf-8", "surrogatepass")
        out: list[bytes] = []
        left: list[_Found] = []
        for found in self._waiting:
            span = self._span(found.segment, text, data)
            if span is None or span[1] <= self._block < self._length:
                left.append(found)
                continue
            page = {"type": "url_citation", "url": found.page.uri, "title": found.page.title or found.page.uri}
            start, end = max(span[0], self._block) - self._block, span[1] - self._block
            out.append(json.encode({**page, "start_index": start, "end_index": end}))
        self._waiting = left
        return out

    def drop(self) -> bool:
        """Give up what waits; whether there was anything: the text it is about is gone already."""
        left, self._waiting = self._waiting, []
        return bool(left)

    def _span(self, segment: _Segment, text: str, data: bytes) -> tuple[int, int] | None:
        """Characters of the whole text; None where the text has not come yet.

        The segment's own text is the judge of what its offsets count: some servers count characters.
        """
        place = segment.part_index
        base = self._parts[place] if 0 < place < len(self._parts) else 0
        before = len(text[:base].encode("utf-8", "surrogatepass"))
        start = before + max(0, segment.start_index)
        end = len(data) if segment.end_index is None else before + segment.end_index
        quote = (segment.text or "").encode("utf-8", "surrogatepass")
        if quote and data[start:end] != quote:
            said = segment.text or ""
            first, last = base + segment.start_index, base + (segment.end_index or 0)
            if text[first:last] == said:
                return first, last
            at = text.find(said)
            return None if at < 0 else (at, at + len(said))
        if end > len(data) or start >= end:
            return None
        return _characters(data[:start]), _characters(data[:end])


_CONTINUED = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that begin no character."""


def _characters(data: bytes) -> int:
    """How many characters begin in ``data``."""
    return len(data.translate(None, _CONTINUED))


# --- to a client -----------------------------------------------------------------------------------------


class _Cited(msgspec.Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    url_citation: json.Raw = json.Raw()


_cited = json.decoder(_Cited)


class Grounds:
    """Collects what a client is told of the sources of one answer: ``groundingMetadata``.

    Offsets count in the whole text, as those of a stream have to; with `place` in the part that was named.
    """

    def __init__(self) -> None:
        self._block: list[str] = []
        self._before = 0
        """Bytes of the text before the open block."""
        self._part: int | None = None
        self._queries: list[str] = []
        self._pages: dict[str, str] = {}
        self._supports: list[dict[str, object]] = []

    def open(self) -> None:
        """A block of text begins."""
        self._before += len("".join(self._block).encode("utf-8", "surrogatepass"))
        self._block = []

    def place(self, part: int) -> None:
        """The open block is one part of a whole answer: that many came before it."""
        self._before, self._part = 0, part

    def add(self, text: str) -> None:
        """The text goes on."""
        self._block.append(text)

    def cite(self, raw: bytes) -> bool:
        """A citation of another dialect; False where it names no page, which is all there is a word for here."""
        try:
            found = json.decode(raw, _cited)
            if len(found.url_citation):
                found = json.decode(found.url_citation, _cited)
        except RemoteProtocolError:
            return False
        if not found.url:
            return False
        text = "".join(self._block)
        start = min(max(found.start_index or 0, 0), len(text))
        end = len(text) if found.end_index is None else min(max(found.end_index, start), len(text))
        first = self._before + len(text[:start].encode("utf-8", "surrogatepass"))
        quote = text[start:end]
        last = first + len(quote.encode("utf-8", "surrogatepass"))
        segment: dict[str, object] = {"partIndex": self._part} if self._part else {}
        if first:
            segment["startIndex"] = first
        segment.update(endIndex=last, text=quote)
        self._support(segment, self._page(found.url, found.title))
        return True

    def _support(self, segment: dict[str, object], page: int) -> None:
        if self._supports and self._supports[-1]["segment"] == segment:
            indices = self._supports[-1]["groundingChunkIndices"]
            assert isinstance(indices, list)
            if page not in indices:
                indices.append(page)
        else:
            self._supports.append({"segment": segment, "groundingChunkIndices": [page]})

    def _page(self, url: str, title: str | None) -> int:
        self._pages.setdefault(url, title or "")
        if title and not self._pages[url]:
            self._pages[url] = title
        return list(self._pages).index(url)

    def search(self, raw: bytes) -> bool:
        """The metadata of a search of another dialect (`ferryllm_proto.search`); False for a provider's own."""
        try:
            found = json.loads(raw)
        except RemoteProtocolError:
            return False
        if not isinstance(found, dict) or not found.keys() <= {"webSearchQueries", "groundingChunks"}:
            return False
        self._queries.extend(str(query) for query in found.get("webSearchQueries", ()))
        for chunk in found.get("groundingChunks", ()):
            page = chunk.get("web") if isinstance(chunk, dict) else None
            if not isinstance(page, dict) or not isinstance(page.get("uri"), str):
                return False
            title = page.get("title")
            self._page(page["uri"], title if isinstance(title, str) and title != page["uri"] else None)
        return True

    def metadata(self) -> bytes | None:
        """The object; None where there is nothing to say."""
        out: dict[str, object] = {}
        if self._queries:
            out["webSearchQueries"] = self._queries
        if self._pages:
            out["groundingChunks"] = [
                {"web": {"uri": url, "title": title or url}} for url, title in self._pages.items()
            ]
        if self._supports:
            out["groundingSupports"] = self._supports
        return json.encode(out) if out else None
