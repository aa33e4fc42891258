"""What Anthropic Messages refuses; the sentences are Anthropic's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .complaint import Complaint, Json, kind, words
from .proofs import is_encrypted, is_signature

MAX_CACHE_MARKS = 4
MIN_BUDGET = 1024

_FIELDS = words(
    "model max_tokens messages system stop_sequences stream temperature top_p top_k thinking tool_choice tools metadata"
    " output_config cache_control container service_tier speed inference_geo diagnostics context_management mcp_servers"
    " compaction fallbacks fallback_credit_token thread billing_policy output_format betas"
)
_BLOCKS = words(
    "text image document search_result thinking redacted_thinking tool_use tool_result server_tool_use"
    " web_search_tool_result web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result"
    " text_editor_code_execution_tool_result tool_search_tool_result container_upload mcp_tool_use mcp_tool_result"
    " mcp_tool_listing advisor_tool_result compaction fallback tool_addition tool_removal tool_reference"
)
_MID_SYSTEM = "mid-conversation-system"
"""Part of the beta flag that allows the role ``system`` in ``messages``."""
_SYSTEM_MODELS = ("claude-opus-4-8",)
"""Models seen to take it without the flag."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID = re.compile(r"[a-zA-Z0-9_-]+")


def check(body: dict[str, Json], *, counting: bool = False, betas: str = "") -> None:
    """Raises `Complaint` with the first thing that is wrong.

    ``counting``: it only asks for a count, so there is no ``max_tokens``; ``betas`` is the ``anthropic-beta`` header.
    """
    for name in ("model", "messages") if counting else ("model", "max_tokens", "messages"):
        if body.get(name) is None:
            raise Complaint(f"{name}: Field required")
    for name in body:
        if name not in _FIELDS:
            raise Complaint(f"{name}: Extra inputs are not permitted")
    messages = _list(body["messages"], "messages")
    if not messages:
        raise Complaint("messages: at least one message is required")
    _options(body, counting=counting)
    _system(body.get("system"))
    tools = _tools(body.get("tools"))
    _choice(body.get("tool_choice"), tools, body)
    system = _MID_SYSTEM in betas or str(body["model"]).startswith(_SYSTEM_MODELS)
    for n, message in enumerate(messages):
        _message(message, f"messages.{n}", last=n == len(messages) - 1, system=system)
    _pairs(_merged(messages))
    _thinks(body, messages)
    marks = sum(1 for _ in _marks(body))
    if marks > MAX_CACHE_MARKS:
        raise Complaint(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")


def _list(value: Json, path: str) -> list[Json]:
    if not isinstance(value, list):
        raise Complaint(f"{path}: Input should be a valid list")
    return value


def _object(value: Json, path: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise Complaint(f"{path}: Input should be a valid dictionary")
    return value


def _string(value: Json, path: str) -> str:
    if value is None:
        raise Complaint(f"{path}: Field required")
    if not isinstance(value, str):
        raise Complaint(f"{path}: Input should be a valid string")
    return value


def _options(body: dict[str, Json], *, counting: bool) -> None:
    limit = body.get("max_tokens")
    if limit is not None and (kind(limit) != "integer" or limit < 0):
        raise Complaint("max_tokens: Input should be a valid integer of at least 0")
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and (kind(value) not in ("integer", "decimal") or not 0 <= value <= 1):
            raise Complaint(f"{name}: range: 0..1")
    stops = body.get("stop_sequences")
    for stop in _list(stops, "stop_sequences") if stops is not None else ():
        if not _string(stop, "stop_sequences").strip():
            raise Complaint("stop_sequences: each stop sequence must contain non-whitespace")
    thinking = body.get("thinking")
    if thinking is None:
        return
    mode = _object(thinking, "thinking").get("type")
    if mode not in ("enabled", "disabled", "adaptive", "between_tools"):
        raise Complaint("thinking.type: Input should be 'enabled', 'disabled' or 'adaptive'")
    if mode == "enabled":
        budget = thinking.get("budget_tokens")
        if kind(budget) != "integer" or budget < MIN_BUDGET:
            raise Complaint("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if not counting and budget >= limit:
            raise Complaint(
                "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult the documentation on "
                "extended thinking."
            )


def _system(system: Json) -> None:
    if system is None or isinstance(system, str):
        return
    for n, block in enumerate(_list(system, "system")):
        at = f"system.{n}"
        if _object(block, at).get("type") != "text":
            raise Complaint(f"{at}.type: Input should be 'text'")
        if not _string(block.get("text"), f"{at}.text"):
            raise Complaint("system: text content blocks must be non-empty")


def _tools(tools: Json) -> set[str]:
    names: set[str] = set()
    for n, tool in enumerate(_list(tools, "tools") if tools is not None else ()):
        at = f"tools.{n}"
        sort = _object(tool, at).get("type")
        if sort not in (None, "custom"):
            names.add(str(tool.get("name")))
            continue  # a tool of Anthropic's own making
        name = _string(tool.get("name"), f"{at}.custom.name")
        if not _NAME.fullmatch(name):
            raise Complaint(f"{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if name in names:
            raise Complaint("tools: Tool names must be unique.")
        names.add(name)
        if tool.get("input_schema") is None:
            raise Complaint(f"{at}.custom.input_schema: Field required")
        found = _object(tool["input_schema"], f"{at}.custom.input_schema").get("type")
        if found is None:
            raise Complaint(f"{at}.custom.input_schema.type: Field required")
        if found != "object":
            raise Complaint(f"{at}.custom.input_schema.type: Input should be 'object'")
    return names


def _choice(choice: Json, tools: set[str], body: dict[str, Json]) -> None:
    if choice is None:
        return
    mode = _object(choice, "tool_choice").get("type")
    if mode not in ("auto", "any", "tool", "none"):
        raise Complaint("tool_choice: Input tag should be one of: 'auto', 'any', 'tool', 'none'")
    if not tools and not body.get("mcp_servers"):
        raise Complaint("tool_choice may only be specified while providing tools.")
    if mode == "tool" and _string(choice.get("name"), "tool_choice.tool.name") not in tools:
        raise Complaint(f"Tool '{choice['name']}' not found in provided tools")
    if mode in ("any", "tool") and (body.get("thinking") or {}).get("type") == "enabled":
        raise Complaint("Thinking may not be enabled when tool_choice forces tool use.")


# --- messages --------------------------------------------------------------------------------------------


def _message(message: Json, path: str, *, last: bool, system: bool) -> None:
    role = _object(message, path).get("role")
    if role == "system" and not system:
        raise Complaint(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" '
            "as an input message role."
        )
    if role not in ("user", "assistant", "system"):
        raise Complaint(f"{path}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    if content is None:
        raise Complaint(f"{path}.content: Field required")
    final = last and role == "assistant"
    if content in ("", []) and not final:
        raise Complaint(
            f"{path}: all messages must have non-empty content except for the optional final assistant message"
        )
    if isinstance(content, str):
        if content and not content.strip():
            raise Complaint("messages: text content blocks must contain non-whitespace text")
        if final and content != content.rstrip():
            raise Complaint("messages: final assistant content cannot end with trailing whitespace")
        return
    for n, block in enumerate(_list(content, f"{path}.content")):
        _block(block, f"{path}.content.{n}", role)


def _block(block: Json, path: str, role: str) -> None:
    sort = _object(block, path).get("type")
    if not isinstance(sort, str) or sort not in _BLOCKS:
        raise Complaint(
            f"{path}.type: Input tag '{str(sort)[:40]}' found using 'type' does not match any of the expected tags"
        )
    if sort == "text":
        text = _string(block.get("text"), f"{path}.text.text")
        if not text:
            raise Complaint("messages: text content blocks must be non-empty")
        if role == "user" and not text.strip():  # white space beside an assistant's tool_use is let through
            raise Complaint("messages: text content blocks must contain non-whitespace text")
    elif sort == "thinking":
        signature = _string(block.get("signature"), f"{path}.thinking.signature")
        if not is_signature(signature, _string(block.get("thinking"), f"{path}.thinking.thinking")):
            raise Complaint(f"{path}: Invalid `signature` in `thinking` block")
    elif sort == "redacted_thinking":
        if not is_encrypted(_string(block.get("data"), f"{path}.redacted_thinking.data")):
            raise Complaint(f"{path}: Invalid `data` in `redacted_thinking` block")
    elif sort == "tool_use":
        if role != "assistant":
            raise Complaint(f"{path}: `tool_use` blocks can only be in `assistant` messages")
        if not _ID.fullmatch(_string(block.get("id"), f"{path}.tool_use.id")):
            raise Complaint(f"{path}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if not _NAME.fullmatch(_string(block.get("name"), f"{path}.tool_use.name")):
            raise Complaint(f"{path}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        _object(block.get("input"), f"{path}.tool_use.input")
    elif sort == "tool_result":
        if role != "user":
            raise Complaint(f"{path}: `tool_result` blocks can only be in `user` messages")
        _string(block.get("tool_use_id"), f"{path}.tool_result.tool_use_id")
        _result(block.get("content"), f"{path}.tool_result.content", bool(block.get("is_error")))


def _result(content: Json, path: str, failed: bool) -> None:
    for n, part in enumerate(content if isinstance(content, list) else ()):
        sort = _object(part, f"{path}.{n}").get("type")
        if sort not in ("text", "image", "search_result", "document", "tool_reference", "browser_state"):
            raise Complaint(f"{path}.{n}.type: Input tag does not match any of the expected tags")
        if sort == "text" and not _string(part.get("text"), f"{path}.{n}.text"):
            raise Complaint("messages: text content blocks must be non-empty")
        if failed and sort != "text":
            raise Complaint(f"{path}: all content must be type `text` if `is_error` is true")
    if content is not None and not isinstance(content, (str, list)):
        raise Complaint(f"{path}: Input should be a valid string or list")


_Turn = tuple[str, str, list[dict[str, Json]]]
"""Path, role and blocks."""


def _merged(messages: list[dict[str, Json]]) -> list[_Turn]:
    """Messages of one role in a row are one turn; those of the system stand between nothing."""
    turns: list[_Turn] = []
    for n, message in enumerate(messages):
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        if message["role"] == "system":
            continue
        if turns and turns[-1][1] == message["role"]:
            turns[-1][2].extend(blocks)
        else:
            turns.append((f"messages.{n}", message["role"], list(blocks)))
    return turns


def _pairs(turns: list[_Turn]) -> None:
    seen: set[str] = set()
    calls: list[str] = []
    for path, role, blocks in turns:
        if role == "user":
            _results(path, blocks, calls)
            calls = []
            continue
        for n, block in enumerate(blocks):
            if block["type"] == "tool_use":
                if block["id"] in seen:
                    raise Complaint(f"{path}.content.{n}: `tool_use` ids must be unique")
                seen.add(block["id"])
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    if calls:
        _unanswered(turns[-1][0], calls)


def _results(path: str, blocks: list[dict[str, Json]], calls: list[str]) -> None:
    results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    for n, id_ in enumerate(results):
        if id_ not in calls:
            raise Complaint(
                f"{path}.content.{n}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}. Each `tool_result`"
                " block must have a corresponding `tool_use` block in the previous message."
            )
        if id_ in results[:n]:
            raise Complaint(f"{path}.content.{n}: each tool_use must have a single result. Found multiple: {id_}")
    first = [block["type"] for block in blocks[: len(results)]]
    left = [id_ for id_ in calls if id_ not in results]
    if left or first.count("tool_result") < len(results):
        _unanswered(path, left or calls)


def _unanswered(path: str, ids: list[str]) -> None:
    raise Complaint(
        f"{path}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}. Each "
        "`tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def _thinks(body: dict[str, Json], messages: list[dict[str, Json]]) -> None:
    """With a budget to think, a tool loop that is open has to begin with the thoughts it began with."""
    if (body.get("thinking") or {}).get("type") != "enabled":
        return
    turns = _merged(messages)
    if len(turns) < 2 or turns[-1][1] != "user" or not any(b["type"] == "tool_result" for b in turns[-1][2]):
        return
    path, _, blocks = turns[-2]
    if blocks[0]["type"] not in ("thinking", "redacted_thinking"):
        raise Complaint(
            f"{path}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{blocks[0]['type']}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block."
        )


def _marks(value: Json) -> Iterator[Json]:
    """Every ``cache_control`` that is set, but those that a tool's own schema or input may hold."""
    if isinstance(value, list):
        for item in value:
            yield from _marks(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "cache_control" and item is not None:
                yield item
            elif name not in ("input_schema", "input"):
                yield from _marks(item)
