"""The reasoning policy on bytes that pass through: each dialect's own fields read, and changed by splices.

A field that the client wrote is changed where it is, in the form it has, because servers of one dialect differ in the
forms they take. Where it wrote none, the fields are those that the provider's dialect would write for the same wish
of another protocol's client: asked of its encoder with a request that holds nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from .. import ir, json
from ..capabilities import Capabilities, Thinking, budget_of, clamp, of
from ..dialects import DIALECTS
from ..errors import RemoteProtocolError
from ..rules import NO_RULES, ProviderRules
from ..splices import Splices
from .reasoning import Applied, ReasoningPolicy, decide, rank, word_of


class _Form(enum.Enum):
    WORD = "word"
    LEVEL = "level"
    """A word in capitals."""
    TOKENS = "tokens"
    SWITCH = "switch"
    """True or false."""
    TYPE = "type"
    """``enabled``, ``disabled``, ``adaptive``."""
    THINK = "think"
    """True, false or a word."""


_Place = tuple[str, ...]

_THINKING_CONFIGS = [
    (outer, inner)
    for outer in ("generationConfig", "generation_config")
    for inner in ("thinkingConfig", "thinking_config")
]
_GEMINI: tuple[tuple[_Place, _Form], ...] = tuple(
    ((*config, name), form)
    for config in _THINKING_CONFIGS
    for form, names in (
        (_Form.LEVEL, ("thinkingLevel", "thinking_level")),
        (_Form.TOKENS, ("thinkingBudget", "thinking_budget")),
    )
    for name in names
)

FIELDS: dict[str, tuple[tuple[_Place, _Form], ...]] = {
    "anthropic": (
        (("output_config", "effort"), _Form.WORD),
        (("thinking", "type"), _Form.TYPE),
        (("thinking", "budget_tokens"), _Form.TOKENS),
    ),
    "openai": (
        (("reasoning_effort",), _Form.WORD),
        (("reasoning", "effort"), _Form.WORD),
        (("reasoning", "max_tokens"), _Form.TOKENS),
        (("reasoning", "enabled"), _Form.SWITCH),
        (("thinking", "type"), _Form.TYPE),
        (("thinking", "budget_tokens"), _Form.TOKENS),
        (("enable_thinking",), _Form.SWITCH),
        (("thinking_budget",), _Form.TOKENS),
        (("chat_template_kwargs", "reasoning_effort"), _Form.WORD),
        (("chat_template_kwargs", "enable_thinking"), _Form.SWITCH),
        (("chat_template_kwargs", "thinking"), _Form.SWITCH),
    ),
    "openai_responses": ((("reasoning", "effort"), _Form.WORD),),
    "gemini": _GEMINI,
    "ollama": ((("think",), _Form.THINK),),
}
"""Where each dialect says how much to think. Not in it: what of the thoughts is shown."""

_AMOUNTS = (_Form.WORD, _Form.LEVEL, _Form.TOKENS, _Form.THINK)
_Found = dict[_Place, tuple[_Form, object]]


def splice(
    policy: ReasoningPolicy, dialect: str, body: bytes, *, model: str, rules: ProviderRules = NO_RULES
) -> tuple[bytes, Applied]:
    """``body``, a request of ``dialect`` for a provider that speaks it too, under ``policy``.

    ``model`` is the provider's name of the model. What is not as the dialect has it stays for the provider to judge.
    """
    if policy.idle:
        return body, Applied()
    fields = json.fields(body)
    found = dict(_found(dialect, fields))
    params = _params(found)
    can = of(model, rules)
    new = decide(policy, params, can)
    told = Applied(word_of(params), word_of(new), new != params)
    if not told.changed:
        return body, told
    splices = Splices(body)
    if new is None:
        for place in _tops(found):
            splices.remove(place)
    else:
        _write(splices, dialect, found, new, can, _own(dialect, fields, new, model, rules))
    out = splices.done()
    if out == body:  # the provider has no way to be told
        return body, Applied(told.requested, told.requested)
    return out, told


def _found(dialect: str, fields: dict[str, msgspec.Raw]) -> Iterator[tuple[_Place, tuple[_Form, object]]]:
    """What the client wrote, by place; nulls are nothing."""
    tops: dict[str, object] = {}
    for place, form in FIELDS.get(dialect, ()):
        if place[0] not in fields:
            continue
        value = tops[place[0]] if place[0] in tops else tops.setdefault(place[0], json.loads(fields[place[0]]))
        for name in place[1:]:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            yield place, (form, value)


def _params(found: _Found) -> ir.ReasoningParams | None:
    """What the client asks for in all of its fields together: of two amounts the larger."""
    if not found:
        return None
    effort: str | None = None
    budget: int | None = None
    mode: ir.ThinkingMode | None = None
    for form, value in found.values():
        if form in (_Form.WORD, _Form.LEVEL, _Form.THINK) and isinstance(value, str):
            word = value.lower()
            effort = word if effort is None or rank(word) > rank(effort) else effort
        elif form is _Form.TOKENS and isinstance(value, int):
            if value < 0:
                mode = ir.ThinkingMode.ADAPTIVE
            elif value == 0:
                mode = ir.ThinkingMode.OFF
            else:
                budget = max(value, budget or 0)
        elif isinstance(value, bool):
            mode = ir.ThinkingMode.ON if value else ir.ThinkingMode.OFF
        elif form is _Form.TYPE:
            mode = _TYPES.get(str(value), ir.ThinkingMode.ADAPTIVE)
    if effort == "none" and budget is None and mode in (None, ir.ThinkingMode.OFF):
        mode = ir.ThinkingMode.OFF
    return ir.ReasoningParams(mode, effort=effort, budget=budget)


_TYPES = {"enabled": ir.ThinkingMode.ON, "disabled": ir.ThinkingMode.OFF}


def _tops(found: _Found) -> Iterator[_Place]:
    """What to take out for nothing to be said: a field with all that belongs to it, but no object of other things."""
    for place in found:
        yield place[:1] if place[0] in ("reasoning", "thinking") else place


def _write(
    splices: Splices, dialect: str, found: _Found, new: ir.ReasoningParams, can: Capabilities, own: dict[_Place, bytes]
) -> None:
    off = word_of(new) == "none"
    said = False
    for place, (form, value) in found.items():
        written = _off(dialect, form, can) if off else _on(form, value, new, can)
        if written is None:
            splices.remove(place)
        else:
            splices.replace(place, written)
            said = said or off or form in _AMOUNTS
    if off:
        splices.remove(("thinking", "display"))  # Anthropic refuses it beside "disabled"
    if said:
        return
    for place, text in own.items():
        if place not in found:
            splices.put(place, text)


def _off(dialect: str, form: _Form, can: Capabilities) -> bytes | None:
    """How a field says not to think; None: by not being there."""
    if form is _Form.SWITCH or form is _Form.THINK:
        return b"false"
    if form is _Form.TYPE:
        return b'"disabled"'
    if form is _Form.TOKENS:
        if dialect != "gemini":
            return None
        return str(can.budgets[0]).encode() if can.budgets is not None and can.restless else b"0"
    if dialect == "anthropic":
        return None  # said by "disabled"
    # A model without a word for it is told the least it has one for.
    words = can.efforts or ("minimal" if form is _Form.LEVEL else "none",)
    word = "none" if "none" in words else words[0]
    return json.encode_str(word.upper() if form is _Form.LEVEL else word)


def _on(form: _Form, value: object, new: ir.ReasoningParams, can: Capabilities) -> bytes | None:
    """How a field of the value that the client gave it says ``new``."""
    word = new.effort if new.effort is not None else word_of(new)
    if form is _Form.TOKENS:
        tokens = new.budget if new.budget is not None else budget_of(word or "high")
        if can.budgets is not None:
            tokens = max(can.budgets[0], min(tokens, can.budgets[1]))
        return str(tokens).encode()
    if form is _Form.SWITCH:
        return b"true"
    if form is _Form.TYPE:
        return json.encode_str(str(value)) if value != "disabled" else b'"enabled"'
    if word is None:
        return json.encode(value)
    if form is _Form.THINK and value is True:
        return b"true"  # the model may not take words
    fitted = (clamp(word, can.efforts) or word) if can.efforts else word
    return json.encode_str(fitted.upper() if form is _Form.LEVEL else fitted)


# --- fields nobody wrote yet -----------------------------------------------------------------------------


def _own(
    dialect: str, fields: dict[str, msgspec.Raw], new: ir.ReasoningParams, model: str, rules: ProviderRules
) -> dict[_Place, bytes]:
    """The fields in which a provider of ``dialect`` is told ``new``, leaf by leaf; {} where it can not be told."""
    limit = _limit(fields)
    if dialect == "anthropic" and word_of(new) != "none":
        held = _unable(fields, of(model, rules))
        if held:
            return {}
    asked = ir.Request("", model, turns=(ir.Turn(ir.Role.USER, (ir.Text("x"),)),), max_output=limit, reasoning=new)
    try:
        upstream, _ = DIALECTS[dialect].encode_request(asked, model=model, rules=rules)
    except RemoteProtocolError:
        return {}
    written = json.fields(upstream.body)
    return {place: json.encode(value) for place, (_, value) in _found(dialect, written)}


def _limit(fields: dict[str, msgspec.Raw]) -> int | None:
    """The limit of the answer, which bounds a budget, where the client's body says it."""
    found = json.loads(fields["max_tokens"]) if "max_tokens" in fields else None
    return found if isinstance(found, int) and found > 0 else None


def _unable(fields: dict[str, msgspec.Raw], can: Capabilities) -> bool:
    """Whether Anthropic would refuse this request with thinking switched on, which its client did not ask for."""
    value = {name: json.loads(fields[name]) for name in _BOUND if name in fields}
    choice = value.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        return True
    temperature, top_p = value.get("temperature"), value.get("top_p")
    if temperature not in (None, 1) or value.get("top_k") is not None or (top_p is not None and top_p < 0.95):
        return True
    return can.thinking in (Thinking.BUDGET, None) and _in_loop(fields)


_BOUND = ("tool_choice", "temperature", "top_k", "top_p")


def _in_loop(fields: dict[str, msgspec.Raw]) -> bool:
    """Whether the last turn of the model called tools without a thought before it."""
    turns = json.items(fields["messages"]) if json.kind(fields.get("messages", b"")) == "array" else []
    for raw in reversed(turns):
        turn = json.loads(raw)
        if not isinstance(turn, dict) or turn.get("role") != "assistant":
            continue
        blocks = turn.get("content")
        if not isinstance(blocks, list) or not blocks:
            return False
        kinds = [block.get("type") for block in blocks if isinstance(block, dict)]
        return "tool_use" in kinds and kinds[0] not in ("thinking", "redacted_thinking")
    return False
