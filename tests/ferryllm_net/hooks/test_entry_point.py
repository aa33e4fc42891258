"""Rows given to functions of installed packages."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator

import pytest

from ferryllm_net.config.usage_settings import HookSettings
from ferryllm_net.hooks.entry_point import EntryPointSink
from ferryllm_net.hooks.fault import HookError
from support.ledgers import FULL

pytestmark = pytest.mark.anyio

MODULE = """
import threading
seen = []
def plain(rows): seen.append((rows[0]["id"], threading.current_thread() is threading.main_thread()))
async def waits(rows): seen.append((rows[0]["id"], "async"))
class Kept:
    async def __call__(self, rows): seen.append((rows[0]["id"], "object"))
kept = Kept()
def fails(rows): raise ValueError(rows[0]["model_asked"])
number = 5
"""


@pytest.fixture(autouse=True)
def package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with hooks."""
    (tmp_path / "billing_of_tests.py").write_text(MODULE)
    info = tmp_path / "billing_of_tests-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: billing-of-tests\nVersion: 1\n")
    names = ("plain", "waits", "kept", "fails", "number", "missing")
    lines = [f"{name} = billing_of_tests:{name}\n" for name in names]
    (info / "entry_points.txt").write_text("[ferryllm.usage_hooks]\n" + "".join(lines) + "gone = not_there:f\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("billing_of_tests", None)


def sink(name: str) -> EntryPointSink:
    return EntryPointSink(HookSettings("bill", entry_point=name))


async def test_functions_run_in_a_thread_and_asynchronous_ones_in_the_loop() -> None:
    for name in ("plain", "waits", "kept"):
        await sink(name).deliver([FULL])
    assert sys.modules["billing_of_tests"].seen == [("req_1", False), ("req_1", "async"), ("req_1", "object")]


async def test_what_a_function_raises_is_told_without_its_words() -> None:
    with pytest.raises(HookError, match=r"^fails raised ValueError$"):
        await sink("fails").deliver([FULL])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("number", "is no function"),
        ("missing", "AttributeError"),
        ("gone", "ModuleNotFoundError"),
        ("x", "no installed"),
    ],
)
async def test_what_cannot_be_loaded_is_said_at_the_start(name: str, words: str) -> None:
    with pytest.raises(HookError, match=words):
        sink(name)
