"""`ir.Request` of any dialect to a generateContent request.

What a client of this dialect wrote for the model it asked for leaves as it came, unknown fields included, in camelCase.
For all others the table of capabilities decides about sampling and thinking, so that no request fails for a knob.
"""

from __future__ import annotations

import re
from typing import Any

from ... import capabilities, ir, json, system, tools
from ...dialect import ToolRules, UpstreamRequest
from ...errors import RemoteProtocolError
from ...loss import Loss, Report
from ...rules import ProviderRules
from . import encode_contents, models, paths, schemas
from .encode_params import ParamWriter, drop_knobs, refuse_contracts, tier
from .encode_parts import Block, PartWriter, put
from .wire import NAME

TOOL_RULES = ToolRules(
    name_pattern=r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}",
    max_name=64,
    id_prefix="call_",
    max_id=256,  # no limit is documented; ours only keeps ids from being used as storage
    id_pattern=r"[!-~]+",
)

_ENTRY = re.compile(r"tools\[(\d+)\]")
_SCHEMA_KEYS = {"anthropic": "input_schema", "openai": "function.parameters", "ollama": "function.parameters"}


def encode(
    request: ir.Request, model: str | None, headers: tuple[tuple[str, str], ...], rules: ProviderRules
) -> tuple[UpstreamRequest, list[Loss]]:
    """The request to send. Raises `RemoteProtocolError` for what must not be left out (G5)."""
    report = Report(request)
    name = model or request.model
    if not name:
        raise RemoteProtocolError("model: this field is required", param="model", code="missing_required_parameter")
    body = json.encode(_Encoding(request, name, report, rules).body())
    path = paths.build(name, paths.STREAM if request.stream else paths.GENERATE)
    query = "alt=sse" if request.stream else ""
    return UpstreamRequest("POST", path, query, headers, body, request.stream), report.losses


def encode_count(
    request: ir.Request, model: str | None, headers: tuple[tuple[str, str], ...], rules: ProviderRules
) -> tuple[UpstreamRequest, list[Loss]]:
    """The same conversation as a question for its number of tokens."""
    report = Report(request)
    name = model or request.model
    if not name:
        raise RemoteProtocolError("model: this field is required", param="model", code="missing_required_parameter")
    body = _Encoding(request, name, report, rules).body()
    counted: Block = {"contents": body["contents"]}
    if body.keys() & {"systemInstruction", "tools"}:  # they are only counted inside a whole request
        counted = {"generateContentRequest": {"model": f"models/{paths.plain_name(name)}", **body}}
    return UpstreamRequest("POST", paths.build(name, paths.COUNT), "", headers, json.encode(counted), False), (
        report.losses
    )


class _Encoding:
    """One request being written."""

    def __init__(self, request: ir.Request, model: str, report: Report, rules: ProviderRules) -> None:
        self.request = request
        self.model = model
        self.report = report
        self.able = capabilities.of(model, rules)
        self.ours = request.dialect == NAME
        self.own = self.ours and model == request.model
        self.lowered = tools.lower(request, TOOL_RULES, NAME, report)
        self.writer = PartWriter(request, model, self.lowered, report, own=self.own)

    def body(self) -> Block:
        request = self.request
        if not self.ours:
            refuse_contracts(request, self.report)
            drop_knobs(request, self.report, tools=bool(self.lowered.tools))
        params = ParamWriter(request, self.model, self.able, self.report, own=self.own)
        config = params.config()
        body: Block = {}
        if self.own:
            body["contents"] = encode_contents.as_written(request.turns, self.writer)
        else:
            body["contents"] = encode_contents.shaped(
                request.turns, self.writer, self.report, prefill=self.able.prefill and self.ours
            )
        self._system(body)
        if self.lowered.tools:
            body["tools"] = self._tools(self.lowered.tools)
        self._choice(body)
        if config:
            body["generationConfig"] = config
        found = tier(request, self.report, ours=self.ours)
        if found is not None:
            body["serviceTier"] = found
        if self.ours and request.store is not None:
            body["store"] = request.store
        self._ext(body)
        return body

    def _system(self, body: Block) -> None:
        texts = self.request.system if self.ours else system.for_foreign(self.request, self.report)
        parts: list[Block] = []
        for text in texts:
            if not text.text.strip() and not self.own:
                continue
            self.writer.cache(text.cache, text.path)
            block: Block = {"text": text.text}
            self.writer.ext(block, text.ext, text.path)
            parts.append(block)
        if parts:
            body["systemInstruction"] = {"parts": parts}

    # --- tools ---

    def _tools(self, found: tuple[ir.Tool, ...]) -> list[Block]:
        """One entry for all functions, or the entries as a client of this dialect had them."""
        entries: dict[int, Block] = {}
        for tool in found:
            match = _ENTRY.match(tool.path) if self.ours else None
            hosted = isinstance(tool, ir.HostedTool)
            number = int(match[1]) if match else len(found) + 1 + len(entries) if hosted else -1
            entry = entries.setdefault(number, {})
            if isinstance(tool, ir.HostedTool):
                entry.update(json.fields(tool.raw, tool.path))
            else:
                assert isinstance(tool, ir.Function)  # freeform tools were lowered to functions
                entry.setdefault("functionDeclarations", []).append(self._function(tool))
        return [entries[number] for number in sorted(entries)]

    def _function(self, tool: ir.Function) -> Block:
        out: Block = {"name": tool.name}
        if tool.description is not None:
            out["description"] = tool.description
        written = tool.ext.fields.get(".parameters") if tool.ext is not None and tool.ext.dialect == NAME else None
        if written is not None:
            out["parameters"] = json.raw(written)
        if tool.schema is not None and (written is None or schemas.to_json_schema(written) != tool.schema):
            self._parameters(out, tool, tool.schema)
        if tool.strict:
            self.report.dropped(self.report.at(tool.path, "strict"), f"{NAME} has no strict tools")
        self.writer.cache(tool.cache, tool.path)
        self.writer.ext(out, tool.ext, tool.path)
        return out

    def _parameters(self, out: Block, tool: ir.Function, schema: bytes) -> None:
        if self.ours:
            out["parametersJsonSchema"] = json.raw(schema)
            return
        key = _SCHEMA_KEYS.get(self.request.dialect, "parameters")
        at = f"{tool.path}.{key}"

        def removed(place: str, reason: str) -> None:
            self.report.dropped(f"{at}.{place}", reason)

        if models.reads_json_schema(self.model):
            cleaned = schemas.cleaned(schema, removed)
            fields = json.fields(cleaned, at)
            # The outermost schema has to say that it is one of an object (B3).
            typed = fields.keys() & {"type", "$ref", "anyOf"}
            out["parametersJsonSchema"] = json.raw(cleaned) if typed else {"type": "object", **fields}
            return
        try:
            narrowed = schemas.narrowed(schema, removed)
        except RemoteProtocolError as exc:
            raise self.report.refuse(at, str(exc)) from None
        if narrowed is not None:
            out["parameters"] = json.raw(narrowed)

    def _choice(self, body: Block) -> None:
        choice = self.lowered.choice
        if choice is None and self.ours:
            choice = self.request.tool_choice
        if choice is None:
            return
        calling: Any
        if choice.raw is not None and self.ours:
            calling = json.raw(choice.raw)
        elif choice.mode is ir.ToolChoiceMode.ALLOWED and not choice.required:
            self._only(body, choice.names)
            calling = {"mode": "AUTO"}
        elif choice.mode in (ir.ToolChoiceMode.TOOL, ir.ToolChoiceMode.ALLOWED):
            calling = {"mode": "ANY", "allowedFunctionNames": list(choice.names)}
        else:
            calling = {"mode": _MODES.get(choice.mode, "AUTO")}
        body["toolConfig"] = {"functionCallingConfig": calling}

    def _only(self, body: Block, names: tuple[str, ...]) -> None:
        """A subset that need not be used: the API restricts names only where it forces a call."""
        kept: list[Block] = []
        left_out = False
        for entry in body.get("tools", []):
            functions = [f for f in entry.get("functionDeclarations", []) if f["name"] in names]
            left_out = left_out or len(functions) < len(entry.get("functionDeclarations", []))
            rest = {key: value for key, value in entry.items() if key != "functionDeclarations"}
            if functions:
                rest = {"functionDeclarations": functions, **rest}
            if rest:
                kept.append(rest)
        body["tools"] = kept
        if left_out:
            path = self.request.wire_name("tool_choice")
            self.report.degraded(path, "the tools that are not allowed were left out of the list")

    # --- the rest ---

    def _ext(self, body: Block) -> None:
        ext = self.request.ext
        if ext is None:
            return
        if ext.dialect != NAME:
            self.report.ext(ext, NAME)
            return
        for name, value in ext.fields.items():
            if not name.startswith("."):
                _put_beside(body, name, value)
        for name, value in ext.fields.items():
            if name.startswith("."):
                self._spelling(body, name[1:], value)

    def _spelling(self, body: Block, name: str, value: bytes) -> None:
        """Write a thing the way the client did."""
        config = body.get("generationConfig", {})
        if name == "generationConfig.responseMimeType":
            config.pop("responseMimeType", None)
        elif name == "generationConfig.responseSchema":
            schema = self.request.format.schema if self.request.format is not None else None
            if schema is not None and schemas.to_json_schema(value) == schema:
                config.pop("responseJsonSchema", None)
            put(body, name, value)
        elif name == "systemInstruction":
            if len(self.request.system) == 1:
                body[name] = self.request.system[0].text
        elif name in ("tools", "toolConfig", "generationConfig"):
            body.setdefault(name, json.raw(value))
        else:
            put(body, name, value)


_MODES = {
    ir.ToolChoiceMode.AUTO: "AUTO",
    ir.ToolChoiceMode.REQUIRED: "ANY",
    ir.ToolChoiceMode.NONE: "NONE",
}


def _put_beside(body: Block, name: str, value: bytes) -> None:
    """As `put`, also into an object that is carried undecoded."""
    outer, _, inner = name.rpartition(".")
    if outer == "toolConfig.functionCallingConfig":
        calling = body.setdefault("toolConfig", {}).setdefault("functionCallingConfig", {})
        if not isinstance(calling, dict):
            calling = dict(json.fields(bytes(calling)))
            body["toolConfig"]["functionCallingConfig"] = calling
        calling[inner] = json.raw(value)
        return
    put(body, name, value)
