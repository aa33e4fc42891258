"""The settings say which store there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ResponsesSettings
from ferryllm_net.stores import MemoryResponses, StoreError, open_responses
from ferryllm_net.stores.sqlite import SqliteResponses

pytestmark = pytest.mark.anyio


async def test_each_kind_of_store_is_made(tmp_path: Path) -> None:
    assert open_responses(ResponsesSettings("off")) is None
    assert isinstance(open_responses(ResponsesSettings()), MemoryResponses)
    store = open_responses(ResponsesSettings("sqlite", str(tmp_path / "r.db")))
    assert isinstance(store, SqliteResponses)
    await store.aclose()


async def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        open_responses(ResponsesSettings("sqlite", str(tmp_path)))
