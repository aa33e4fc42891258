"""How a client's own tools write a file: the one thing every coding agent can do in its own way; pure.

Claude Code brings ``Write`` or only ``Bash``, Codex ``exec_command``, ``shell``, a freeform ``apply_patch`` or a
freeform ``exec`` that takes JavaScript; any of them may lie in a namespace, or come flattened and as a function from a
gateway. So tools are told by what they take first, and by name only where that says nothing.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable

import msgspec

from ferryllm_proto import ir, json

from .directives import Write
from .samples import fill, properties

_PATHS = ("file_path", "filePath", "path", "absolute_path", "filename", "target_file")
_CONTENTS = ("content", "contents", "file_text", "text")
_FOLDER = re.compile(
    r"<cwd>\s*(/[^<\n]+?)\s*</cwd>|(?:[Ww]orking directory|cwd)\W{1,4}(/[^\s`'\"<>]+)",
)


class Chosen(msgspec.Struct, frozen=True):
    """A call that writes the file."""

    tool: ir.Function | ir.Custom
    arguments: str


_Tool = ir.Function | ir.Custom


def choose(request: ir.Request, write: Write) -> Chosen | None:
    """The call that writes the file with the tools of ``request``; None when none of them can."""
    tools = [tool for tool in request.tools if not isinstance(tool, ir.HostedTool)]
    for way in _WAYS:
        for tool in tools:
            arguments = way(tool, write, request)
            if arguments is not None:
                return Chosen(tool, arguments)
    return None


def _file_tool(tool: _Tool, write: Write, request: ir.Request) -> str | None:
    if not isinstance(tool, ir.Function) or not re.search(r"write|create|save", tool.name, re.IGNORECASE):
        return None
    known = properties(tool.schema)
    path = next((name for name in _PATHS if name in known), None)
    content = next((name for name in _CONTENTS if name in known), None)
    if path is None or content is None:
        return None
    return fill(tool.schema, {path: absolute(write.path, request), content: write.text + "\n"})


def _patch_tool(tool: _Tool, write: Write, request: ir.Request) -> str | None:
    if not tool.name.endswith("apply_patch"):
        return None
    return _freeform(tool, patch(write))


def _command_tool(tool: _Tool, write: Write, request: ir.Request) -> str | None:
    if not isinstance(tool, ir.Function):
        return None
    known = properties(tool.schema)
    for name in ("cmd", "command"):
        kind = known[name].get("type") if isinstance(known.get(name), dict) else None
        if kind == "string":
            return fill(tool.schema, {name: shell(write)})
        if kind == "array":
            return fill(tool.schema, {name: ["bash", "-lc", shell(write)]})
    return None


def _script_tool(tool: _Tool, write: Write, request: ir.Request) -> str | None:
    if tool.name.rpartition("__")[2] != "exec":
        return None
    return _freeform(tool, script(write))


def _freeform(tool: _Tool, text: str) -> str | None:
    """``text`` for a freeform tool, or for the function with one ``input`` that stands in for one."""
    if isinstance(tool, ir.Custom):
        return text
    known = properties(tool.schema)
    name = next((name for name in ("input", "patch", "code") if name in known), None)
    return None if name is None else fill(tool.schema, {name: text})


_WAYS: tuple[Callable[[_Tool, Write, ir.Request], str | None], ...] = (
    _file_tool,
    _patch_tool,
    _command_tool,
    _script_tool,
)
"""In this order: what needs no shell first, what nobody knows the inside of last."""


def patch(write: Write) -> str:
    """The file as a new one in the form of ``apply_patch``."""
    lines = "".join(f"+{line}\n" for line in write.text.split("\n"))
    return f"*** Begin Patch\n*** Add File: {write.path}\n{lines}*** End Patch\n"


def shell(write: Write) -> str:
    """A POSIX shell command that writes it."""
    return f"printf '%s\\n' {shlex.quote(write.text)} > {shlex.quote(write.path)}"


def script(write: Write) -> str:
    """JavaScript for a tool that runs code with the other tools in it."""
    arguments = json.encode({"cmd": shell(write)}).decode()
    return f"const result = await tools.exec_command({arguments});\ntext(JSON.stringify(result));\n"


def absolute(path: str, request: ir.Request) -> str:
    """``path`` below the folder the client says it works in: some tools take absolute paths only."""
    if posixpath.isabs(path):
        return path
    texts = [text.text for text in request.system]
    texts += [part.text for turn in request.turns for part in turn.parts if isinstance(part, ir.Text)]
    for text in texts:
        found = _FOLDER.search(text)
        if found is not None:
            return posixpath.join(found[1] or found[2], path)
    return path
