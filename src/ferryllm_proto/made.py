"""What a provider made by itself in an answer: searches, code it ran, pictures (translation.md D1, X16).

Apart from the dialects because none of them may know another: each one's blocks are read into `Run` and `Picture` here,
and written from there; searches are `search`'s. A block that says more than the client's dialect can is not taken: its
encoder reports the loss.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from . import ids, ir, json
from .errors import RemoteProtocolError
from .search import Searches


class Run(msgspec.Struct, frozen=True):
    """A program the provider has run."""

    id: str = ""
    code: str | None = None
    """None: this is only what came of it."""
    output: str | None = None
    """None: this is only the program."""
    error: str = ""
    failed: bool = False


class Picture(msgspec.Struct, frozen=True):
    """An image the provider has made."""

    data: str
    """Base64 text."""
    media_type: str


_Made = Run | Picture
_Mint = Callable[[str], str]


class Made:
    """Brings what was made in one answer from the provider's blocks to the client's.

    Some dialects have two blocks for one thing, the program and what came of it; they are joined here.
    """

    def __init__(self, client: str, seed: int) -> None:
        self._searches = Searches(client, seed)
        self._client = client
        self._seed = seed
        self._count = 0
        self._begun: list[Run] = []

    @property
    def made(self) -> int:
        """How many searches were written."""
        return self._searches.made

    @property
    def usage(self) -> ir.Usage:
        """As `Searches.usage`."""
        return self._searches.usage

    def receive(self, block: ir.Hosted) -> tuple[ir.Hosted, ...] | None:
        """The client's blocks for ``block``; () while its other half is awaited; None when there are none."""
        found = self._searches.receive(block)
        if found is not None or block.dialect == self._client:
            return found
        read = _READERS.get((block.dialect, block.type))
        if read is None:
            return None
        try:
            value = json.loads(block.raw)
        except RemoteProtocolError:  # carried raw, so never looked into before
            return None
        made = read(value)
        return None if made is None else self._take(made)

    def _take(self, made: tuple[_Made, ...]) -> tuple[ir.Hosted, ...] | None:
        out: list[ir.Hosted] = []
        for one in made:
            if (self._client, type(one)) not in _WRITERS:
                return None
            if isinstance(one, Run) and one.output is None:
                self._begun.append(one)
                continue
            if isinstance(one, Run) and one.code is None:
                asked = next((run for run in self._begun if run.id == one.id), None)
                if asked is None:
                    return None
                self._begun.remove(asked)
                one = msgspec.structs.replace(one, code=asked.code)
            out.extend(self._written(one))
        return tuple(out)

    def end(self) -> tuple[ir.Hosted, ...]:
        """Blocks for what was begun and never ended."""
        left, self._begun = self._begun, []
        return (*self._searches.end(), *(block for run in left for block in self._written(run)))

    def _written(self, made: _Made) -> tuple[ir.Hosted, ...]:
        position, self._count = self._count, self._count + 1
        write = _WRITERS[self._client, type(made)]
        return write(made, lambda prefix: ids.mint(prefix, self._seed, f"made{position}"), position)


# --- from providers ----------------------------------------------------------------------------------------------


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _read_executable(value: object) -> tuple[_Made, ...] | None:
    code = _object(_object(value).get("executableCode", _object(value).get("executable_code")))
    return (Run(_text(code.get("id")), _text(code.get("code"))),) if "code" in code else None


def _read_executed(value: object) -> tuple[_Made, ...] | None:
    result = _object(_object(value).get("codeExecutionResult", _object(value).get("code_execution_result")))
    output = _text(result.get("output"))
    failed = result.get("outcome") not in ("OUTCOME_OK", 1)
    return (Run(_text(result.get("id")), None, "" if failed else output, output if failed else "", failed),)


def _read_inline(value: object) -> tuple[_Made, ...] | None:
    blob = _object(_object(value).get("inlineData", _object(value).get("inline_data")))
    kind, data = _text(blob.get("mimeType", blob.get("mime_type"))), _text(blob.get("data"))
    # SDKs write the URL-safe alphabet, which nobody else reads.
    data = data.replace("-", "+").replace("_", "/")
    return (Picture(data, kind),) if kind.startswith("image/") and data else None


def _read_server_tool_use(value: object) -> tuple[_Made, ...] | None:
    given = _object(value)
    code = _object(given.get("input")).get("code")
    if given.get("name") != "code_execution" or not isinstance(code, str):
        return None
    return (Run(_text(given.get("id")), code),)


def _read_code_result(value: object) -> tuple[_Made, ...] | None:
    given = _object(value)
    content = _object(given.get("content"))
    id_ = _text(given.get("tool_use_id"))
    if content.get("type") == "code_execution_tool_result_error":
        return (Run(id_, None, "", _text(content.get("error_code")), failed=True),)
    if content.get("type") != "code_execution_result" or content.get("content"):
        return None  # files only its provider keeps
    failed = content.get("return_code") not in (0, None)
    return (Run(id_, None, _text(content.get("stdout")), _text(content.get("stderr")), failed),)


def _read_interpreter(value: object) -> tuple[_Made, ...] | None:
    given = _object(value)
    outputs = given.get("outputs")
    logs = [_object(one) for one in outputs] if isinstance(outputs, list) else []
    if any(one.get("type") != "logs" for one in logs):
        return None  # images at addresses only its provider serves
    text = "".join(_text(one.get("logs")) for one in logs)
    return (Run(_text(given.get("id")), _text(given.get("code")), text, failed=given.get("status") == "failed"),)


def _read_generated(value: object) -> tuple[_Made, ...] | None:
    given = _object(value)
    data = _text(given.get("result"))
    return (Picture(data, f"image/{_text(given.get('output_format')) or 'png'}"),) if data else None


def _read_images(value: object) -> tuple[_Made, ...] | None:
    out: list[Picture] = []
    for one in value if isinstance(value, list) else [value]:
        url = _text(_object(_object(one).get("image_url")).get("url"))
        head, comma, data = url.partition(";base64,")
        if not comma or not head.startswith("data:image/"):
            return None  # elsewhere
        out.append(Picture(data, head.removeprefix("data:")))
    return tuple(out)


_READERS: dict[tuple[str, str], Callable[[object], tuple[_Made, ...] | None]] = {
    ("gemini", "executableCode"): _read_executable,
    ("gemini", "codeExecutionResult"): _read_executed,
    ("gemini", "inlineData"): _read_inline,
    ("anthropic", "server_tool_use"): _read_server_tool_use,
    ("anthropic", "code_execution_tool_result"): _read_code_result,
    ("openai_responses", "code_interpreter_call"): _read_interpreter,
    ("openai_responses", "image_generation_call"): _read_generated,
    ("openai", "images"): _read_images,
    # Not in it: ollama, whose servers make nothing but words.
}


# --- to clients --------------------------------------------------------------------------------------------------


def _gemini_run(made: _Made, mint: _Mint, position: int) -> tuple[ir.Hosted, ...]:
    assert isinstance(made, Run)
    code = {"executableCode": {"language": "PYTHON", "code": made.code or ""}}
    blocks = [ir.Hosted("gemini", "executableCode", json.encode(code))]
    if made.output is not None:
        outcome = "OUTCOME_FAILED" if made.failed else "OUTCOME_OK"
        result = {"codeExecutionResult": {"outcome": outcome, "output": made.output + made.error}}
        blocks.append(ir.Hosted("gemini", "codeExecutionResult", json.encode(result)))
    return tuple(blocks)


def _anthropic_run(made: _Made, mint: _Mint, position: int) -> tuple[ir.Hosted, ...]:
    assert isinstance(made, Run)
    id_ = mint("srvtoolu_")
    use = {"type": "server_tool_use", "id": id_, "name": "code_execution", "input": {"code": made.code or ""}}
    content: dict[str, object] = {
        "type": "code_execution_result",
        "stdout": made.output or "",
        "stderr": made.error,
        "return_code": int(made.failed),
        "content": [],
    }
    if made.output is None:
        content = {"type": "code_execution_tool_result_error", "error_code": "unavailable"}
    result = {"type": "code_execution_tool_result", "tool_use_id": id_, "content": content}
    return (
        ir.Hosted("anthropic", "server_tool_use", json.encode(use)),
        ir.Hosted("anthropic", "code_execution_tool_result", json.encode(result)),
    )


def _responses_run(made: _Made, mint: _Mint, position: int) -> tuple[ir.Hosted, ...]:
    assert isinstance(made, Run)
    logs = (made.output or "") + made.error
    call = {
        "type": "code_interpreter_call",
        "id": mint("ci_"),
        "status": "failed" if made.failed else "incomplete" if made.output is None else "completed",
        "code": made.code or "",
        "container_id": "",  # SDKs insist on one; there is none to name
        "outputs": [{"type": "logs", "logs": logs}] if logs else [],
    }
    return (ir.Hosted("openai_responses", "code_interpreter_call", json.encode(call)),)


def _gemini_picture(made: _Made, mint: _Mint, position: int) -> tuple[ir.Hosted, ...]:
    assert isinstance(made, Picture)
    part = {"inlineData": {"mimeType": made.media_type, "data": made.data}}
    return (ir.Hosted("gemini", "inlineData", json.encode(part)),)


def _responses_picture(made: _Made, mint: _Mint, position: int) -> tuple[ir.Hosted, ...]:
    assert isinstance(made, Picture)
    call = {
        "type": "image_generation_call",
        "id": mint("ig_"),
        "status": "completed",
        "result": made.data,
        "output_format": made.media_type.removeprefix("image/"),
    }
    return (ir.Hosted("openai_responses", "image_generation_call", json.encode(call)),)


def _chat_picture(made: _Made, mint: _Mint, position: int) -> tuple[ir.Hosted, ...]:
    """The form of OpenRouter; what puts deltas together takes the entries of every list by their index."""
    assert isinstance(made, Picture)
    url = f"data:{made.media_type};base64,{made.data}"
    images = [{"index": position, "type": "image_url", "image_url": {"url": url}}]
    return (ir.Hosted("openai", "images", json.encode(images)),)


_WRITERS: dict[tuple[str, type], Callable[[_Made, _Mint, int], tuple[ir.Hosted, ...]]] = {
    ("gemini", Run): _gemini_run,
    ("anthropic", Run): _anthropic_run,
    ("openai_responses", Run): _responses_run,
    ("gemini", Picture): _gemini_picture,
    ("openai_responses", Picture): _responses_picture,
    ("openai", Picture): _chat_picture,
    # Not in it: code for Chat and Ollama, pictures for Anthropic and Ollama, which have no place for them.
}
