"""Reading the configuration again: what is handed over, what is said, and that a bad one changes nothing."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.config import Settings
from ferryllm_net.config.configuration import Configuration
from ferryllm_net.config.secret import secrets_in
from ferryllm_net.reload import EVERYTHING, Order, Reload
from ferryllm_net.reload import reload as module
from ferryllm_net.telemetry import Log
from support.planted import CLIENT_KEY, PROVIDER_KEY, leaks

pytestmark = pytest.mark.anyio

CONFIG = """
[server]
listen = "127.0.0.1:0"
[logging]
level = "{level}"
[reload]
watch = {watch}
[[providers]]
name = "a"
type = "openai"
base_url = "http://127.0.0.1:{port}"
api_key_file = "a.key"
[[providers]]
name = "b"
type = "anthropic"
base_url = "http://127.0.0.1:9"
[[providers.key_watch]]
file = "b.json"
path = "env.KEY"
url_path = "env.URL"
"""


def put(path: Path, text: str) -> None:
    """As programs write keys: a new file, renamed over the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(path)


class Desk:
    """A Reload over files, with what it handed over, counted, said and passed on."""

    def __init__(self, folder: Path, *, watch: bool = True, needs: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.write()
        put(folder / "a.key", PROVIDER_KEY)
        put(folder / "b.json", '{"env": {"KEY": "first-of-b", "URL": "http://127.0.0.1:10"}}')
        self.taken: list[Settings] = []
        self.counted: list[tuple[str, bool]] = []
        self.told: list[Order] = []
        self.renewed = 0
        self.out = io.StringIO()
        configuration = Configuration(folder / "f.toml", {})
        self.first = configuration.load()
        log = Log(self.out, now=lambda: 0.0, secrets=secrets_in(self.first))
        self.reload = Reload(configuration, self.first, log, watch=watch)
        self._needs = needs
        self.reload.apply = self._take
        self.reload.renew = self._renew
        self.reload.count = lambda what, ok: self.counted.append((what, ok))

    def _take(self, settings: Settings) -> tuple[str, ...]:
        self.taken.append(settings)
        return self._needs

    def _renew(self) -> None:
        self.renewed += 1

    def write(self, port: int = 9, *, level: str = "info", watch: bool = True) -> None:
        put(self.folder / "f.toml", CONFIG.format(port=port, level=level, watch=str(watch).lower()))

    def break_it(self) -> None:
        text = CONFIG.format(port=9, level="loud", watch="true").replace('type = "openai"', 'type = "opnai"')
        put(self.folder / "f.toml", text)

    async def looks(self, times: int = 2) -> None:
        for _ in range(times):
            await self.reload.look()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.reload.run)
                yield
                tasks.cancel_scope.cancel()

    @property
    def said(self) -> str:
        return self.out.getvalue()

    async def counts(self, times: int) -> None:
        while len(self.counted) < times:
            await anyio.lowlevel.checkpoint()


async def test_nothing_is_read_while_no_file_changes(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.looks(3)
    assert (desk.taken, desk.counted, desk.said) == ([], [], "")


async def test_a_file_that_changed_is_taken_as_a_whole_and_said_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write(port=11)
    await desk.looks(4)
    (settings,) = desk.taken
    assert settings.provider("a").port == 11
    assert desk.reload.settings is settings
    assert desk.counted == [("configuration", True)]
    assert desk.said.count("configuration reloaded") == 1
    assert "providers=2" in desk.said
    desk.write(port=12)
    await desk.looks()
    assert desk.taken[-1].provider("a").port == 12


async def test_a_bad_file_changes_nothing_and_every_problem_is_said_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.break_it()
    await desk.looks(4)
    assert desk.taken == []
    assert desk.reload.settings.provider("a").port == 9
    assert desk.counted == [("configuration", False)]
    assert desk.said.count("configuration not reloaded errors=2") == 1
    assert desk.said.count("configuration problem") == 2
    assert "logging.level: expected one of" in desk.said
    assert 'did you mean \\"openai\\"?' in desk.said
    desk.write(port=13)
    await desk.looks()
    assert [settings.provider("a").port for settings in desk.taken] == [13]


async def test_many_problems_end_with_a_word_where_to_see_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SAID", 1)
    desk = Desk(tmp_path)
    desk.break_it()
    await desk.looks()
    assert desk.said.count("configuration problem") == 2
    assert "there are more: ferryllm check-config shows all" in desk.said


async def test_a_key_file_that_was_renamed_over_is_read_each_time_and_its_key_never_shown(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number, key in enumerate((CLIENT_KEY, "another-key-0123", PROVIDER_KEY), 1):
        put(tmp_path / "a.key", key)
        await desk.looks()
        assert len(desk.taken) == number
        found = desk.taken[-1].provider("a").api_key
        assert found is not None
        assert found.reveal() == key
    assert desk.said.count('api key reloaded from file provider="a"') == 3
    assert desk.counted == [("keys", True)] * 3
    assert leaks(desk.said, (PROVIDER_KEY, CLIENT_KEY, "another-key-0123")) == []


async def test_a_watched_file_gives_key_and_url(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    put(tmp_path / "b.json", '{"env": {"KEY": "second-of-b", "URL": "http://127.0.0.1:12/v1"}}')
    await desk.looks()
    assert desk.taken[-1].provider("b").base_url == "http://127.0.0.1:12/v1"
    assert 'api key reloaded from watched file provider="b"' in desk.said
    assert 'base url reloaded from watched file provider="b" base_url="http://127.0.0.1:12/v1"' in desk.said
    assert leaks(desk.said, ("first-of-b", "second-of-b")) == []


async def test_a_key_is_read_again_beside_a_configuration_that_is_broken(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.break_it()
    put(tmp_path / "a.key", CLIENT_KEY)
    await desk.looks(4)
    (settings,) = desk.taken
    found = settings.provider("a").api_key
    assert found is not None
    assert found.reveal() == CLIENT_KEY
    assert desk.counted == [("configuration", False)]


async def test_a_key_file_that_is_empty_is_said_and_leaves_the_key(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    put(tmp_path / "a.key", "\n")
    await desk.looks(4)
    assert desk.taken == []
    assert desk.counted == [("keys", False)]
    assert "keys not reloaded errors=1" in desk.said
    assert "a.key is empty" in desk.said


async def test_a_key_that_is_in_the_log_as_a_word_is_hidden_from_its_first_moment(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    put(tmp_path / "a.key", "providers")
    await desk.looks()
    desk.write()
    await desk.looks()
    assert "configuration reloaded" in desk.said
    assert 'api key reloaded from file provider="a"' in desk.said
    desk.reload._log.info("word", text="providers")
    assert 'text="***"' in desk.said


async def test_the_level_of_the_log_follows(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write(level="warn")
    await desk.looks()
    assert "configuration reloaded" not in desk.said, "an info entry"
    assert len(desk.taken) == 1


async def test_what_needs_a_restart_is_said(tmp_path: Path) -> None:
    desk = Desk(tmp_path, needs=("server.listen", "server.backend"))
    desk.write(port=11)
    await desk.looks()
    assert 'configuration needs a restart keys="server.listen, server.backend"' in desk.said


async def test_new_warnings_are_said_and_those_of_the_start_not_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (tmp_path / "a.key").chmod(0o644)
    desk.reload.ask(Order.CONFIGURATION)
    async with desk.running():
        await desk.counts(1)
        assert desk.said.count("every user of this machine can read") == 1
        desk.reload.ask(Order.CONFIGURATION)
        await desk.counts(2)
    assert desk.said.count("every user of this machine can read") == 1


async def test_what_is_asked_for_is_read_without_a_change(tmp_path: Path) -> None:
    desk = Desk(tmp_path, watch=False)
    async with desk.running():
        desk.reload.ask(EVERYTHING)
        await desk.counts(1)
        assert (len(desk.taken), desk.renewed) == (1, 1)
        desk.reload.ask(Order.KEYS)
        await desk.counts(2)
        desk.reload.ask(Order.FAILED)
        await desk.counts(3)
        desk.break_it()
        desk.reload.ask(EVERYTHING)
        await desk.counts(4)
    assert desk.renewed == 2
    assert desk.counted == [("configuration", True), ("keys", True), ("configuration", False), ("configuration", False)]


async def test_a_parent_passes_on_what_it_could_read_and_else_the_keys(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.reload.apply = None
    desk.reload.tell = desk.told.append
    async with desk.running():
        desk.reload.ask(EVERYTHING)
        while len(desk.told) < 1:
            await anyio.lowlevel.checkpoint()
        desk.break_it()
        desk.reload.ask(EVERYTHING)
        while len(desk.told) < 2:
            await anyio.lowlevel.checkpoint()
        assert desk.said.count("configuration not reloaded") == 1
    put(tmp_path / "a.key", CLIENT_KEY)
    await desk.looks()
    assert desk.told == [EVERYTHING, Order.KEYS | Order.CERTIFICATES | Order.FAILED, Order.KEYS]
    assert "api key reloaded" not in desk.said, "the workers say it"


async def test_a_bad_file_that_was_asked_for_is_not_said_again_by_the_next_look(tmp_path: Path) -> None:
    desk = Desk(tmp_path, watch=False)
    desk.break_it()
    async with desk.running():
        desk.reload.ask(Order.CONFIGURATION)
        await desk.counts(1)
    await desk.looks(3)
    assert desk.counted == [("configuration", False)]


async def test_files_are_looked_at_only_where_there_are_some_and_that_is_wanted(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.reload._pause() == desk.first.reload.poll_secs
    desk.write(port=5)
    await desk.looks(1)
    assert desk.reload._pause() == module.SETTLE_SECS
    desk.write(watch=False)
    await desk.looks(2)
    assert desk.reload._pause() is None
    assert Desk(tmp_path, watch=False).reload._pause() is None
    alone = Configuration(None, {"OPENAI_API_KEY": "sk-alone"})
    assert Reload(alone, alone.load(), Log(io.StringIO(), now=lambda: 0.0))._pause() is None


async def test_the_environment_alone_is_not_read_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    alone = Configuration(None, {})
    desk.reload = Reload(alone, alone.load(), Log(desk.out, now=lambda: 0.0))
    desk.reload.count = lambda what, ok: desk.counted.append((what, ok))
    desk.reload.apply = desk._take
    async with desk.running():
        desk.reload.ask(EVERYTHING)
        await desk.counts(1)
    assert desk.taken == [], "the demo provider would be gone"


async def test_a_clients_key_in_a_file_lets_the_whole_be_read_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    put(tmp_path / "client.key", "client-key-of-monday-0123")
    text = (tmp_path / "f.toml").read_text()
    auth = '[auth]\nenabled = true\n[[auth.keys]]\nname = "one"\nkey_file = "client.key"\n'
    put(tmp_path / "f.toml", auth + text)
    await desk.looks()
    put(tmp_path / "client.key", "client-key-of-tuesday-0123")
    await desk.looks()
    first, second = (settings.auth.named[0].digest for settings in desk.taken)
    assert first != second
    assert desk.counted == [("configuration", True)] * 2


async def test_a_fault_of_ours_ends_nothing_and_is_said_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def fails(settings: Settings) -> tuple[str, ...]:
        raise KeyError(PROVIDER_KEY)

    desk.reload.apply = fails
    async with desk.running():
        desk.reload.ask(Order.CONFIGURATION)
        await desk.counts(1)
        desk.reload.apply = desk._take
        desk.reload.ask(Order.CONFIGURATION)
        await desk.counts(2)
    assert desk.counted == [("configuration", False), ("configuration", True)]
    assert 'reload failed error="KeyError"' in desk.said
    assert leaks(desk.said) == []


async def test_a_change_is_noticed_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_SECS", 0.001)
    desk = Desk(tmp_path)
    put(tmp_path / "f.toml", (tmp_path / "f.toml").read_text().replace("watch = true", "poll_secs = 0.1"))
    await desk.looks()
    async with desk.running():
        desk.write(port=14)
        while len(desk.taken) < 2:  # noqa: ASYNC110 - nothing tells of a look
            await anyio.sleep(0.001)
    assert desk.taken[-1].provider("a").port == 14
