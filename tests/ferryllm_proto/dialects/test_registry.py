"""The registry: all dialects by name, each loaded when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ferryllm_proto import DIALECTS

NAMES = ["openai", "openai_responses", "anthropic", "gemini", "ollama"]


def test_every_dialect_stands_under_its_own_name() -> None:
    assert list(DIALECTS) == NAMES
    assert len(DIALECTS) == len(NAMES)
    assert [dialect.name for dialect in DIALECTS.values()] == NAMES
    assert all(DIALECTS[name] is DIALECTS[name] for name in NAMES)


def test_a_name_that_is_none_is_a_key_error() -> None:
    assert "cohere" not in DIALECTS
    assert DIALECTS.get("cohere") is None
    with pytest.raises(KeyError):
        DIALECTS["cohere"]


def test_what_nobody_speaks_is_not_loaded() -> None:
    program = """
import sys
from ferryllm_proto import DIALECTS
assert "gemini" in DIALECTS and "ollama" in DIALECTS
names = ("anthropic", "gemini", "ollama", "openai_responses")
print(*(name for name in names if f"ferryllm_proto.dialects.{name}" in sys.modules))
DIALECTS["gemini"]
print("ferryllm_proto.dialects.gemini" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "\nTrue\n"
