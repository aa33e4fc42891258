"""How many input tokens a request has, about, without asking anybody.

For clients that want a number where no provider counts (``count_tokens``, the start of a Messages stream). No
tokenizer is carried: words, letters, signs and scripts have their price, tools and messages what they cost in addition,
by family of models (`weights`). docs/explanation/token-counts.md has the measured error, the tests hold it. Cheap on
purpose, editors ask dozens of times in a second (translation.md A43): everything comes out of lengths and counts, so
that the counting runs in C.
"""

from __future__ import annotations

from .. import ir
from .media import page_count, seconds, size_of
from .weights import Cut, Picture, Weights, weights_of

LETTER = 0.07
"""Tokens for a letter or digit of ASCII, beside the word it is in."""
WORD = 0.78
LINE = 0.3
INDENT = 0.7
"""Tokens for the blanks a line begins with, however many."""
SIGN = 0.75
"""Tokens for any other sign of ASCII in a text."""
LONG = 9
"""Letters a word may have on average; what is beyond is no language but keys, hashes, base64."""
BEYOND = 0.35
NARROW = 0.55
"""Tokens for a character of two bytes in UTF-8: Latin with accents, Cyrillic, Greek, Arabic, Hebrew."""
WIDE = 1.1
"""Tokens for a character of three bytes: Chinese, Japanese, Korean, Thai, Devanagari."""
ASTRAL = 2.5
"""Tokens for a character of four bytes: emoji and rare signs."""

JSON_LETTER = 0.205
JSON_SPACE = 0.03
JSON_SIGN = 0.95

BYTES_PER_TOKEN = 4
"""Of text that is inside base64."""
MAX_PAGES = 100
"""What providers read of one document."""
OFFICE = 50.0
"""A document of a type that becomes a little text."""

_ALNUM = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def estimate_input(request: ir.Request, model: str | None = None, backend: str = "") -> int:
    """Input tokens of ``request``, never 0.

    ``model`` is the provider's name of the model (None: the client's), ``backend`` the provider's dialect, for names
    that say nothing.
    """
    weights = weights_of(model or request.model, backend)
    total = weights.request
    if request.system:
        total += weights.turn + weights.text * sum(text_cost(text.text) for text in request.system)
    if request.tools:
        total += weights.tools + sum(tool_cost(tool, weights) for tool in request.tools)
    if request.format is not None and request.format.schema is not None:
        total += weights.bound + weights.format * json_cost(request.format.schema)
    cited = False
    for turn in request.turns:
        total += weights.turn
        for part in turn.parts:
            total += part_cost(part, weights)
            cited = cited or (type(part) is ir.Document and bool(part.citations))
    if cited:
        total += weights.cited
    return max(1, round(total))


def estimate_text(text: str, model: str = "") -> int:
    """Tokens of ``text`` alone."""
    return round(text_cost(text) * weights_of(model).text)


def text_cost(text: str) -> float:
    """Tokens of ``text`` for a family whose scale is 1."""
    data = text.encode("utf-8", "surrogatepass")
    size = len(data)
    letters = size - len(data.translate(None, _ALNUM))
    words = len(data.split())
    blanks = data.count(b" ")
    total = letters * LETTER + words * WORD
    if lines := data.count(b"\n"):
        blanks += lines
        total += lines * LINE
        total += data.count(b"\n ") * INDENT
    chars = len(text)
    if size == chars:
        signs = size - letters - blanks
    else:
        ascii_ = len(text.encode("ascii", "ignore"))
        astral = len(text.encode("utf-16-le", "surrogatepass")) // 2 - chars
        rest = chars - ascii_ - astral
        wide = size - ascii_ - 4 * astral - 2 * rest
        signs = ascii_ - letters - blanks
        total += (rest - wide) * NARROW + wide * WIDE + astral * ASTRAL
    total += signs * SIGN
    beyond = letters - LONG * (words + signs)
    return total + beyond * BEYOND if beyond > 0 else total


def json_cost(data: bytes | str | None) -> float:
    """Tokens of a JSON text for a family whose scale is 1."""
    if not data:
        return 0.0
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    letters = len(data) - len(data.translate(None, _ALNUM))
    blanks = data.count(b" ") + data.count(b"\n")
    return letters * JSON_LETTER + blanks * JSON_SPACE + (len(data) - letters - blanks) * JSON_SIGN


def tool_cost(tool: ir.Tool, weights: Weights) -> float:
    """Tokens of a tool's definition."""
    if isinstance(tool, ir.HostedTool):
        return json_cost(tool.raw) * weights.json
    words = text_cost(tool.name) + text_cost(tool.description or "") + text_cost(tool.namespace_description or "")
    if isinstance(tool, ir.Function):
        return weights.tool + words * weights.text + json_cost(tool.schema) * weights.json
    return weights.tool + (words + text_cost(tool.definition or "")) * weights.text


def part_cost(part: ir.Part, weights: Weights) -> float:
    """Tokens of a part of a turn."""
    if isinstance(part, (ir.Text, ir.Refusal)):
        return text_cost(part.text) * weights.text
    if isinstance(part, ir.Reasoning):
        words = text_cost(part.text) + sum(map(text_cost, part.summary))
        return words * weights.text * weights.reasoning + _sealed(part.opaque, weights)
    if isinstance(part, ir.ToolCall):
        said = text_cost(part.name) * weights.text + json_cost(part.arguments) * weights.json
        return weights.call + said + _sealed(part.opaque, weights)
    if isinstance(part, ir.ToolResult):
        return weights.call + sum(part_cost(inner, weights) for inner in part.parts)
    if isinstance(part, ir.Image):
        return _image(part, weights.picture)
    if isinstance(part, ir.Document):
        return _document(part, weights)
    if isinstance(part, ir.Audio):
        return seconds(part.source.data, part.format or part.source.media_type or "") * weights.sound
    return json_cost(part.raw) * weights.json


def _sealed(opaque: tuple[ir.Opaque, ...], weights: Weights) -> float:
    """Encrypted thoughts weigh about what they would as text; a signature is a proof and weighs nothing."""
    return sum(len(one.data) for one in opaque if one.kind is not ir.OpaqueKind.SIGNATURE) * weights.sealed


def _document(part: ir.Document, weights: Weights) -> float:
    extra = (text_cost(part.name or "") + text_cost(part.context or "")) * weights.text
    source = part.source
    if source.kind is ir.SourceKind.TEXT:
        return extra + text_cost(source.data) * weights.text
    if source.kind is not ir.SourceKind.BASE64:
        return extra + weights.page
    kind = source.media_type or ""
    if kind.startswith("text/"):
        return extra + len(source.data) * 0.75 / BYTES_PER_TOKEN
    if kind and not kind.endswith("pdf"):
        return extra + OFFICE
    return extra + min(MAX_PAGES, page_count(source.data)) * weights.page


def _image(part: ir.Image, price: Picture) -> float:
    if part.detail == "low" and price.cut is Cut.TILES:
        return price.base or price.each
    source = part.source
    size = size_of(source.data) if source.kind is ir.SourceKind.BASE64 else None
    if size is None:
        return price.unknown
    width, height = max(1, size[0]), max(1, size[1])
    if price.cut is Cut.TILES:
        shrink = min(1.0, 768 / min(width, height), 2048 / max(width, height))
        width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
    squares = -(-width // price.side) * -(-height // price.side)
    return min(price.most, price.base + squares * price.each)
