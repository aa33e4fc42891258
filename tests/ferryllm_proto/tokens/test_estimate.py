"""The estimate of input tokens: never zero, near to what providers count, cheap."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import struct
import sys

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.tokens import estimate
from ferryllm_proto.tokens.estimate import estimate_input
from support import counted

CLAUDE, GPT, GEMINI = "claude-sonnet-4-5", "gpt-4o", "gemini-2.5-flash"
TOLERANCE = 0.15
"""The median error a family may have (translation.md A43)."""


def request(*parts: ir.Part, model: str = CLAUDE, **fields: object) -> ir.Request:
    return ir.Request("anthropic", model, turns=(ir.Turn(ir.Role.USER, parts),), **fields)  # type: ignore[arg-type]  # fields of Request


def cost(*parts: ir.Part, model: str = CLAUDE) -> int:
    return estimate_input(request(*parts, model=model)) - estimate_input(request(model=model))


@pytest.mark.parametrize("model", [CLAUDE, GPT, GEMINI, "", "x" * 5000, "claude-opus-4-8", "../../etc"])
def test_a43_it_is_never_zero(model: str) -> None:
    assert estimate_input(ir.Request("openai", model)) > 0
    assert estimate_input(request(ir.Text("x"), model=model)) >= estimate_input(request(model=model))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 20, 180, 230),
        ('{"key": "value", "list": [1, 2, 3]}' * 10, 130, 260),
        ("    if value is None:\n        return default\n" * 20, 165, 320),
        ("Съешь же ещё этих мягких французских булок. " * 10, 150, 300),
        ("敏捷的棕色狐狸跳过了懒狗。" * 10, 110, 190),
        ("dGhpcyBpcyBhIGxvbmcgYmFzZTY0IGJsb2I" * 20, 230, 560),
        ("😀" * 10, 15, 40),
        ("\ud83d" * 4, 1, 10),
    ],
)
def test_texts_of_several_scripts(text: str, low: int, high: int) -> None:
    assert low <= estimate.estimate_text(text) <= high
    assert low <= cost(ir.Text(text)) <= high


def test_everything_in_a_request_counts() -> None:
    words = "some words that are long enough to count for something"
    proof = ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "x" * 400)
    for part in (
        ir.Refusal(words),
        ir.Reasoning(words, summary=(words,)),
        ir.Reasoning(opaque=(proof,)),
        ir.ToolCall("t", "f", json.dumps({"a": words})),
        ir.ToolResult("t", (ir.Text(words),)),
        ir.Audio(ir.Source(ir.SourceKind.BASE64, "x" * 100_000)),
        ir.Hosted("anthropic", "x", json.dumps({"a": words}).encode()),
        ir.Document(ir.Source(ir.SourceKind.TEXT, words)),
        ir.Document(ir.Source(ir.SourceKind.BASE64, "x" * 400, "text/plain")),
        ir.Document(ir.Source(ir.SourceKind.BASE64, "x" * 400, "application/msword")),
    ):
        assert cost(part) > 5, part
    plain = estimate_input(request())
    schema = json.dumps({"type": "object", "properties": {"city": {"type": "string"}}}).encode()
    for fields in (
        {"system": (ir.Text(words),)},
        {"tools": (ir.Function("f", words, schema),)},
        {"tools": (ir.Custom("f", words, definition=words),)},
        {"tools": (ir.HostedTool("anthropic", "x", schema),)},
        {"format": ir.Format(ir.FormatKind.JSON_SCHEMA, schema=schema)},
    ):
        assert estimate_input(request(**fields)) > plain + 5


def test_a_signature_is_a_proof_and_no_text() -> None:
    proof = ir.Opaque("anthropic", "m", ir.OpaqueKind.SIGNATURE, "x" * 4000)
    assert cost(ir.Reasoning("a", opaque=(proof,))) == cost(ir.Reasoning("a"))


def test_documents_cost_their_pages() -> None:
    def pdf(data: str) -> ir.Document:
        return ir.Document(ir.Source(ir.SourceKind.BASE64, data, "application/pdf"))

    two = base64.b64encode(b"%PDF /Type /Pages x /Type /Page x /Type/Page x").decode()
    assert cost(pdf(two)) == 2 * cost(ir.Document(ir.Source(ir.SourceKind.URL, "https://x")))
    assert cost(pdf("x" * 20_000_000)) == estimate.MAX_PAGES * 2100
    assert cost(pdf(two), model=GEMINI) == 2 * 258
    asked = ir.Document(ir.Source(ir.SourceKind.TEXT, "short"), citations=True)
    assert cost(asked) > 500, "the instructions for citing"
    assert cost(asked, asked) < 2 * cost(asked), "once"


def _png(width: int, height: int) -> ir.Image:
    data = b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">II", width, height) + bytes(60)
    return ir.Image(ir.Source(ir.SourceKind.BASE64, base64.b64encode(data).decode()))


@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        (CLAUDE, (640, 480), 424),
        (CLAUDE, (20_000, 10_000), 1600),
        (GPT, (512, 512), 255),
        (GPT, (1024, 1024), 765),
        ("gpt-4o-mini", (1, 1), 8500),
        ("o4-mini", (640, 480), 486),
        (GEMINI, (300, 300), 258),
    ],
)
def test_images_cost_what_their_vendors_say(model: str, size: tuple[int, int], tokens: int) -> None:
    assert cost(_png(*size), model=model) == pytest.approx(tokens, abs=1)


def test_images_of_unknown_size_cost_an_ordinary_one() -> None:
    unknown = ir.Image(ir.Source(ir.SourceKind.URL, "https://x"))
    assert cost(unknown, model=GPT) == 765
    assert cost(ir.Image(ir.Source(ir.SourceKind.URL, "https://x"), detail="low"), model=GPT) == 85
    assert cost(ir.Image(ir.Source(ir.SourceKind.BASE64, "?"))) == cost(ir.Image(ir.Source(ir.SourceKind.FILE_ID, "f")))


# --- against the truth ---------------------------------------------------------------------------------------

FAMILIES: dict[str, tuple[str, ...]] = {
    "Claude to 4.6": ("claude",),
    "Claude from 4.7": ("claude-opus-4-7", "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5"),
    "GPT-4o and later, o-series": ("gpt-4o", "gpt-4.", "gpt-5", "o1", "o3", "o4", "chatgpt", "codex"),
    "GPT-4 and 3.5": ("gpt-3", "gpt-4"),
    "gpt-oss": ("gpt-oss",),
    "Gemini": ("gemini",),
    "Mistral": ("mistral", "ministral", "magistral", "codestral", "devstral", "open-mistral", "mixtral"),
    "Llama": ("llama", "meta-llama"),
    "Qwen": ("qwen", "qwq"),
    "DeepSeek": ("deepseek",),
    "Grok": ("grok",),
    "GLM": ("glm",),
    "Kimi": ("kimi", "moonshot"),
    "Sonar": ("sonar",),
}
"""Families of the page, by the beginnings of models' names; the longest that fits counts."""

LIMITS = {"Llama": 0.2}
"""Where the median error is larger than `TOLERANCE`: every server of Llama has its own instructions for tools."""
FEW = 50
"""Requests below which a family says little: there the limit is twice as wide."""


def family(model: str) -> str | None:
    name = model.lower().rpartition("/")[2]
    best = max(
        ((len(start), title) for title, starts in FAMILIES.items() for start in starts if name.startswith(start)),
        default=None,
    )
    return best[1] if best is not None else None


def show(what: str, found: dict[str, counted.Spread], capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"\nerror of the estimate, {what}: family, requests, median, p90, bias, within 15 %"]
    for title, (number, median, p90, bias, within) in sorted(found.items(), key=lambda pair: -pair[1].number):
        lines.append(f"  {title:28} {number:5} {median:7.1%} {p90:7.1%} {bias:5.2f} {within:5.0%}")
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")


def measured(*, media: bool) -> dict[str, counted.Spread]:
    pairs: dict[str, list[tuple[int, int]]] = {}
    for dialect in DIALECTS:
        for one in counted.counted(dialect):
            title = family(one.request.model)
            if title is not None and one.has_media is media:
                guess = estimate_input(one.request, backend=dialect)
                pairs.setdefault(title, []).append((guess, one.tokens))
    return {title: counted.spread(found) for title, found in pairs.items()}


@pytest.mark.recorded
def test_a43_the_error_against_real_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """Texts and tools: half of all requests of each family within `TOLERANCE`, and no bias beyond a tenth."""
    found = measured(media=False)
    show("texts and tools", found, capsys)
    assert sum(spread.number for spread in found.values()) > 1500
    for title, spread in found.items():
        slack = 2 if spread.number < FEW else 1
        assert spread.median <= slack * LIMITS.get(title, TOLERANCE), (title, spread)
        assert abs(spread.bias - 1) <= slack * 0.1, (title, spread)


@pytest.mark.recorded
def test_a43_the_error_with_pictures_documents_and_sound(capsys: pytest.CaptureFixture[str]) -> None:
    found = {title: spread for title, spread in measured(media=True).items() if spread.number >= 7}
    show("with media", found, capsys)
    assert len(found) >= 3
    for title, spread in found.items():
        assert spread.median <= 0.25, (title, spread)


@pytest.mark.recorded
def test_a43_no_recorded_request_is_estimated_as_nothing() -> None:
    for dialect in DIALECTS:
        for one in counted.counted(dialect):
            assert estimate_input(one.request, backend=dialect) >= 1


PAGE = pathlib.Path(__file__).parents[3] / "docs/explanation/token-counts.md"
_ROW = re.compile(r"^\| ([^|]+) \| (\d+) \| (\d+) % \| (\d+) % \| ([\d.]+) \| (\d+) % \|", re.MULTILINE)


@pytest.mark.recorded
def test_the_page_has_the_figures_that_are_measured() -> None:
    """Near to them: decoders that learn to read one more request may move a figure by a little."""
    found = measured(media=False)
    written = {title: [float(figure) for figure in figures] for title, *figures in _ROW.findall(PAGE.read_text())}
    assert set(written) == set(found)
    for title, (number, median, p90, bias, within) in written.items():
        real = found[title]
        assert number == pytest.approx(real.number, rel=0.05, abs=2), title
        assert median == pytest.approx(100 * real.median, abs=2), title
        assert p90 == pytest.approx(100 * real.p90, rel=0.1, abs=2), title
        assert bias == pytest.approx(real.bias, abs=0.03), title
        assert within == pytest.approx(100 * real.within, abs=3), title
