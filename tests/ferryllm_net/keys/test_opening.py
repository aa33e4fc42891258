"""The store that is asked for, and the one book of all keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ferryllm_net.config.auth_settings import AuthSettings, KeysSettings
from ferryllm_net.config.secret import Secret
from ferryllm_net.keys.opening import book, fixed_keys, open_keys
from ferryllm_net.keys.store import KeyStoreError
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import ClientKey


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.anyio
async def test_the_folder_of_the_file_is_made_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "share" / "ferryllm" / "keys.db"
    store = await open_keys(KeysSettings("sqlite", str(path)))
    assert await store.version() == 1
    await store.aclose()
    assert _mode(path.parent) == 0o700


@pytest.mark.anyio
async def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    with pytest.raises(KeyStoreError, match=r"the folder .*file/x cannot be made"):
        await open_keys(KeysSettings("sqlite", str(blocker / "x" / "keys.db")))


@pytest.mark.anyio
async def test_postgres_without_a_server_says_what_to_add() -> None:
    with pytest.raises(KeyStoreError, match=r"\[postgres\]"):
        await open_keys(KeysSettings("postgres"))


def test_keys_of_the_environment_have_numbers_and_go_before_the_store() -> None:
    settings = AuthSettings(True, (Secret("one"), Secret("two")), (ClientKey("ci", b"c" * 32, "ci"),))
    assert [key.id for key in fixed_keys(settings)] == ["env-1", "env-2", "ci"]
    stored = ClientKey("key_1", key_digest("one"), "copy")
    found = book(settings, [stored]).find(key_digest("one"))
    assert found is not None
    assert found.id == "env-1"
