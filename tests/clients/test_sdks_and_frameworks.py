"""The official Node SDKs, the AI SDK and Python's frameworks, each in its own words, against every provider dialect.

They run as programs of their own (``node_sdks.mjs``, ``python_frameworks.py``) and print a line for each case: a whole
answer, and a loop of a streamed call of a tool and the answer to its result.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import pytest

from support.agents import libraries, run
from support.processes import Gateway

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

BACKENDS = ("openai", "openai_responses", "anthropic", "gemini", "ollama")
HERE = pathlib.Path(__file__).parent
BOTH = ("whole", "loop")
NODE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("openai.chat", "openai.responses", "anthropic", "google", "ollama"), BOTH),
    **{f"ai.{kind}": BOTH for kind in ("chat", "responses", "anthropic", "google")},
}
FRAMEWORKS: dict[str, tuple[str, ...]] = {
    **{f"litellm.{kind}": BOTH for kind in ("openai", "anthropic", "gemini", "ollama")},
    **{f"langchain.{kind}": BOTH for kind in ("chat", "responses", "anthropic", "google", "ollama")},
    **{f"pydantic_ai.{kind}": ("loop",) for kind in ("chat", "responses", "anthropic")},
    **{f"agents.{kind}": ("loop",) for kind in ("responses", "chat")},
}


def faults(out: str, model: str, wanted: dict[str, tuple[str, ...]]) -> list[Any]:
    """The cases of ``wanted`` that are not there, and every case that is not as it has to be."""
    found = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    cases = {(one["client"], one["case"]) for one in found}
    missing = [(name, case) for name, cases_ in wanted.items() for case in cases_ if (name, case) not in cases]
    return missing + [one for one in found if not _is_right(one, model)]


def _is_right(one: dict[str, Any], model: str) -> bool:
    if "error" in one or "missing" in one or one.get("model", model) != model:
        return False
    if one["case"] == "whole":
        return bool(one["text"] == "hello from afar")
    return (one["name"], one["input"], one["text"]) == ("get_weather", {"city": "Paris"}, "it is sunny")


@pytest.mark.parametrize("backend", BACKENDS)
def test_node_sdks_answer_and_call_tools(served: Gateway, tmp_path: pathlib.Path, backend: str) -> None:
    command = ["node", str(HERE / "node_sdks.mjs"), served.base_url, f"{backend}-m"]
    out = run(command, tmp_path, {"NODE_SDKS": str(libraries())})
    assert faults(out, f"{backend}-m", NODE) == []
    assert "request handler failed" not in served.log


@pytest.mark.parametrize("backend", BACKENDS)
def test_frameworks_answer_and_call_tools(served: Gateway, tmp_path: pathlib.Path, backend: str) -> None:
    python = os.environ.get("FERRYLLM_FRAMEWORKS")
    if python is None:
        pytest.skip("no frameworks: FERRYLLM_FRAMEWORKS names a python that has them, see docs/development.md")
    command = [python, str(HERE / "python_frameworks.py"), served.base_url, f"{backend}-m"]
    out = run(command, tmp_path, {"LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    assert faults(out, f"{backend}-m", FRAMEWORKS) == []
    assert "request handler failed" not in served.log
