"""How much to think, in the words of each vendor (wire.md 7.4, translation.md A35).

Every form says it in its own way and reports what it cannot say. A client of Chat itself said it in one of these
forms, which goes back as it came.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ir
from ...capabilities import EFFORTS, Thinking, budget_of, clamp, effort_of
from ...loss import wish, wishes
from ...opaque import family
from .encode_parts import Scope, Wire, given
from .profile import Reasoning


def reasoning(scope: Scope, out: Wire, *, forced: bool = False, unthought: bool = False) -> None:
    """Write the wish to think.

    ``forced`` says that a tool has to be called, ``unthought`` that a turn of the history called tools without the
    thoughts that led to it: providers that want them back refuse to think on then (A27).
    """
    params = scope.request.reasoning
    if scope.native:
        if params is not None:
            name = scope.request.wire_name("reasoning")
            out[name] = _native(name, params)
        return
    if forced and not scope.profile.forced_thinks:
        params = _put_off(scope, params, scope.request.wire_name("tool_choice"), "it refuses both together", need=True)
    elif unthought and scope.profile.reasoning is Reasoning.THINKING and scope.profile.model.replay:
        what = "the turns that called tools come without their thoughts"
        params = _put_off(scope, params, scope.request.wire_name("turns"), what, need=False)
    if params is None:
        return
    form = scope.profile.reasoning
    if params.show not in (None, "omitted") and form is not Reasoning.OBJECT:
        scope.report.dropped(wish(scope.request, "show"), "Chat shows what the provider shows of its reasoning")
    if params.mode is ir.ThinkingMode.BETWEEN_TOOLS:
        scope.report.degraded(_path(scope), "Chat cannot say when to think")
    _FORMS[form](scope, out, params)


def _native(name: str, params: ir.ReasoningParams) -> object:
    if name == "reasoning_effort":
        return params.effort
    on = None if params.mode is None else params.mode is ir.ThinkingMode.ON
    if name == "thinking":
        return given({"type": "enabled" if on else "disabled", "budget_tokens": params.budget})
    hidden = None if params.show is None else params.show == "omitted"
    return given({"effort": params.effort, "max_tokens": params.budget, "exclude": hidden, "enabled": on})


def _put_off(
    scope: Scope, params: ir.ReasoningParams | None, path: str, why: str, *, need: bool
) -> ir.ReasoningParams | None:
    """No thoughts in this answer: some of these providers think without being asked, and then refuse the request.

    ``need``: a model that always thinks can not do what ``path`` asks for.
    """
    if scope.profile.restless:
        if need:
            raise scope.report.refuse(path, f"{scope.model} always thinks, and can not be made to call a tool")
        return params
    if params is not None and _wanted(params) == "none":
        return params
    if params is None and scope.profile.reasoning is not Reasoning.THINKING:
        return None
    scope.report.degraded(path if params is None else _path(scope), f"thinking is off: {why}")
    return ir.ReasoningParams(ir.ThinkingMode.OFF)


def _path(scope: Scope) -> str:
    return scope.request.wire_name("reasoning")


def _wanted(params: ir.ReasoningParams) -> str | None:
    """The effort a client asked for in any of its ways; None leaves it to the model."""
    if params.mode is ir.ThinkingMode.OFF:
        return "none"
    if params.effort is not None:
        return params.effort
    return None if params.budget is None else effort_of(params.budget)


def _on(params: ir.ReasoningParams) -> bool | None:
    """Whether to think at all; None is not said."""
    wanted = _wanted(params)
    if wanted is None:
        return None if params.mode is None else True
    return wanted != "none"


def _drop(scope: Scope, why: str) -> None:
    for path in wishes(scope.request):
        scope.report.dropped(path, why)


def _much(scope: Scope, params: ir.ReasoningParams) -> str:
    """Where the client said how much."""
    return wish(scope.request, "effort" if params.effort is not None else "budget")


def _effort_losses(scope: Scope, params: ir.ReasoningParams, wanted: str, said: str | None, how: str) -> None:
    """Report a word that is not the client's, and a budget for which a word is said."""
    if wanted == "none" and params.effort not in (None, "none"):
        scope.report.dropped(wish(scope.request, "effort"), "thinking is off")
    if said != wanted:
        scope.report.degraded(_much(scope, params) if _on(params) else _path(scope), how)
    elif params.budget is not None and wanted != "none":
        scope.report.degraded(wish(scope.request, "budget"), f"a budget is not taken here: {how}")


# --- the forms -------------------------------------------------------------------------------------------


def _none(scope: Scope, out: Wire, params: ir.ReasoningParams) -> None:
    if _on(params):
        _drop(scope, f"{scope.model} does not reason, or not so that it could be told how much")


def _effort(scope: Scope, out: Wire, params: ir.ReasoningParams) -> None:
    effort = _wanted(params)
    known = scope.profile.efforts
    if effort is None:
        if _on(params) and not known:
            _drop(scope, f"{scope.model} can not be told to think")
        return
    if not [word for word in known if word != "none"]:
        if effort == "none" and "none" in known:
            out["reasoning_effort"] = effort
        elif effort != "none" or scope.profile.restless:
            _drop(scope, f"{scope.model} can not be told how much to think")
        return
    said = clamp(effort, known) if effort in EFFORTS else effort
    if said is None and scope.profile.restless:
        said = known[0]  # the least there is
    if said is None:
        _drop(scope, "this provider cannot be told not to think")
        return
    _effort_losses(scope, params, effort, said, f"said as reasoning_effort {said}")
    out["reasoning_effort"] = said


def _thinking(scope: Scope, out: Wire, params: ir.ReasoningParams) -> None:
    on = _on(params)
    if on is None:
        return
    if not on and scope.profile.restless:
        _drop(scope, f"{scope.model} can not be told not to think")
        return
    out["thinking"] = {"type": "enabled" if on else "disabled"}
    effort = _wanted(params)
    if not on or effort is None:
        return
    said = clamp(effort, scope.profile.efforts)
    if said is None:
        scope.report.degraded(_much(scope, params), "how much to think can not be said here, only that")
        return
    _effort_losses(scope, params, effort, said, f"said as reasoning_effort {said}")
    out["reasoning_effort"] = said


def _enable(scope: Scope, out: Wire, params: ir.ReasoningParams) -> None:
    on = _on(params)
    if on is None:
        return
    out["enable_thinking"] = on
    if not on:
        return
    if params.budget:
        out["thinking_budget"] = params.budget
    elif params.effort is not None:
        out["thinking_budget"] = tokens = budget_of(params.effort)
        scope.report.degraded(wish(scope.request, "effort"), f"said as a thinking_budget of {tokens} tokens")


def _object(scope: Scope, out: Wire, params: ir.ReasoningParams) -> None:
    fields: Wire = {}
    effort = _wanted(params)
    if effort == "none" or (effort is not None and params.effort is not None):
        # One of both: where a client said a budget too, the word goes, as it is the newer way to say it.
        said = clamp(effort, scope.profile.efforts) if effort in EFFORTS else effort
        _effort_losses(scope, params, effort, said, f"said as an effort of {said}")
        fields["effort"] = said
    elif params.budget is not None:
        fields["max_tokens"] = params.budget
    elif params.mode is not None:
        fields["enabled"] = True
    if params.show == "omitted":
        fields["exclude"] = True
    if fields:
        out["reasoning"] = given(fields)


# Models whose template calls the switch by another name than Qwen's.
_SWITCH = {"deepseek": "thinking", "kimi": "thinking"}


def _template(scope: Scope, out: Wire, params: ir.ReasoningParams) -> None:
    on, effort = _on(params), _wanted(params)
    if on is None:
        return
    if scope.profile.model.thinking is Thinking.EFFORT:  # gpt-oss: a word, for some servers a variable too
        _effort(scope, out, params)
        if "reasoning_effort" in out:
            out["chat_template_kwargs"] = {"reasoning_effort": out["reasoning_effort"]}
        return
    name = family(scope.model)
    switch = next((word for start, word in _SWITCH.items() if name.startswith(start)), "enable_thinking")
    out["chat_template_kwargs"] = {switch: on}
    if on and effort is not None:
        scope.report.degraded(_much(scope, params), "how much to think can not be said here, only that")


_FORMS: dict[Reasoning, Callable[[Scope, Wire, ir.ReasoningParams], None]] = {
    Reasoning.NONE: _none,
    Reasoning.EFFORT: _effort,
    Reasoning.THINKING: _thinking,
    Reasoning.ENABLE: _enable,
    Reasoning.OBJECT: _object,
    Reasoning.TEMPLATE: _template,
}
"""Not in it: nothing, every form has its writer."""
