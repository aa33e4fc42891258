"""The hand-written and generated pages, and the fenced blocks in them.

What a block is, its info string says: ``console`` (a session: ``$`` commands and what they print), ``console
background`` (a program that goes on while the page's other blocks run), ``python`` and ``output`` (what the block
before it prints), ``toml NAME``, ``json``, ``ini``. In expected output ``...`` stands for anything.
"""

from __future__ import annotations

import pathlib
import re

import msgspec

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


class Block(msgspec.Struct, frozen=True):
    page: str
    """Path from the project's root."""
    line: int
    kind: str
    words: tuple[str, ...]
    """What follows the kind in the info string."""
    text: str

    @property
    def first(self) -> str:
        return self.text.partition("\n")[0]


class Command(msgspec.Struct, frozen=True):
    """One ``$`` line of a console block, with its continuation lines, and the output that is expected."""

    text: str
    expected: str


def blocks(page: pathlib.Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    fence: tuple[str, int, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        mark = re.match(r"^ *(`{3,})(.*)$", line)
        if fence is None and mark:
            fence, lines = (mark[1], number, mark[2].strip()), []
        elif fence is not None and mark and mark[1] == fence[0] and not mark[2].strip():
            kind, *words = fence[2].split() or [""]
            name = str(page.relative_to(ROOT))
            found.append(Block(name, fence[1], kind, tuple(words), "\n".join(lines) + "\n"))
            fence = None
        elif fence is not None:
            lines.append(line)
    assert fence is None, f"{page}: a block that does not end"
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a console block."""
    found: list[Command] = []
    text: list[str] = []
    output: list[str] = []

    def end() -> None:
        if text:
            found.append(Command("\n".join(text), "\n".join(output)))

    for line in block.text.splitlines():
        if line.startswith("$ "):
            end()
            text, output = [line[2:]], []
        elif text and text[-1].endswith("\\") and not output:
            text.append(line)
        elif text and not output and line.startswith("> "):
            text.append(line[2:])
        else:
            assert text, f"{block.page}:{block.line}: a console block begins with a command"
            output.append(line)
    end()
    return found


def matches(expected: str, found: str) -> bool:
    """Whether ``found`` is what is expected; ``...`` stands for anything, also over several lines."""
    pattern = ".*".join(re.escape(piece) for piece in expected.strip().split("..."))
    return re.fullmatch(pattern, found.strip(), re.DOTALL) is not None
