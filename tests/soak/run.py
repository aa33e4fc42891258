"""One soak: the gateway, its provider, load for a time, quiet, and the reckoning."""

from __future__ import annotations

import math
import pathlib
import random
import tempfile
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc
import msgspec
from anyio.streams.tls import TLSAttribute

from support.faults import provider as faults

from . import clients, process
from .clients import GONE
from .criteria import Memory, leftovers, memory
from .process import Sample
from .provider import Marking, serve_h2
from .scenes import SCENES
from .world import Problem, World, Wrong

WORKERS = 16
"""Scenes at once: as many as keep one core of the gateway busy while its provider and clients have the other."""
LAST_SECS = 2.0
"""For what runs when the time is over; then its clients leave too."""
SAMPLE_SECS = 1.0
RENEW_SECS = 7.0
"""Between two certificates."""
RENEWED_SECS = 10.0
"""By then new connections show it; nothing waits for that long but a busy machine."""
KILL_SECS = 10.0
"""Between two workers that are killed, where there are any."""
KILLED_SECS = 2.0
"""So long after a kill a kept connection may turn out to have been that worker's."""
SAY_SECS = 5.0
SETTLE_SECS = 45.0
"""After the load: idle connections of clients last 5 s, the provider's end with it and are noticed within 5 s."""
MOST_PROBLEMS = 50
"""Then the run ends: they are the same ones again."""
WARM_SCENES = ("plain", "many", "websocket", "large", "shared")

Say = Callable[[str], None]


class Outcome(msgspec.Struct):
    """What a run found."""

    backend: str
    seed: int
    secs: float
    requests: int
    scenes: dict[str, int]
    ends: dict[str, int]
    renewals: int
    kills: int
    """Of workers."""
    slowest_secs: float
    left_secs: list[float]
    """Median, 99th percentile and largest, from a client's going to the end of its provider's connection."""
    before: Sample
    peak: Sample
    after: Sample
    memory: Memory
    problems: list[Problem]

    @property
    def good(self) -> bool:
        return not self.problems


async def soak(
    secs: float, *, backend: str, seed: int, say: Say, workers: int = 1, log: pathlib.Path | None = None
) -> Outcome:
    """Load a gateway of so many processes for ``secs``; its log goes to ``log``.

    Raises RuntimeError when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with anyio.create_task_group() as tasks:
            provider = Marking()
            stopped = anyio.CancelScope()
            over = anyio.Event()

            async def provide(*, task_status: anyio.abc.TaskStatus[int]) -> None:
                with stopped:
                    async with faults.running(provider), anyio.create_task_group() as more:
                        task_status.started(await more.start(serve_h2))
                over.set()

            port = await tasks.start(provide)
            kept = log or pathlib.Path(folder) / "gateway.log"
            try:
                with process.running(
                    pathlib.Path(folder), provider, port, kept, backend=backend, workers=workers
                ) as gateway:
                    world = World(gateway, provider)
                    run = _Run(world, secs, backend, seed, say)
                    await run.load()

                    async def end() -> None:
                        """The provider goes, and its connections with it."""
                        provider.let_go.set()
                        stopped.cancel()
                        await over.wait()

                    outcome = await run.reckon(end)
            finally:
                tasks.cancel_scope.cancel()
        return outcome


class _Run:
    def __init__(self, world: World, secs: float, backend: str, seed: int, say: Say) -> None:
        self.world = world
        self.gateway = world.gateway
        self.secs = secs
        self.backend = backend
        self.seed = seed
        self.say = say
        self.samples: list[Sample] = []
        self.before: Sample | None = None
        self.renewals = 0
        self.kills = 0
        self.killed_at = -math.inf
        self.begun = anyio.current_time()
        self.ends_at = 0.0

    @property
    def going(self) -> bool:
        return anyio.current_time() < self.ends_at and len(self.world.problems) < MOST_PROBLEMS and self.gateway.alive

    async def load(self) -> None:
        """Warm up, measure, and let all scenes run."""
        chance = random.Random(self.seed)
        self.gateway.renew()  # a reload reads its files in a worker thread, which stays
        for name in WARM_SCENES:
            for _ in range(3):
                await self._play(name, chance)
        await self.world.aclose()
        await self._calm()
        self.before = await self._sample()
        self.begun = anyio.current_time()
        self.ends_at = self.begun + self.secs
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch)
            group.start_soon(self._renew)
            if self.gateway.workers > 1:
                group.start_soon(self._kill)
            with anyio.move_on_after(self.secs + LAST_SECS):
                async with anyio.create_task_group() as workers:
                    for number in range(WORKERS):
                        workers.start_soon(self._work, random.Random(f"{self.seed}/{number}"))
        await self.world.aclose()

    async def reckon(self, end_provider: Callable[[], Awaitable[None]]) -> Outcome:
        """Wait until everything has ended, and compare."""
        world = self.world
        assert self.before is not None
        await end_provider()
        after = self.before
        if self.gateway.alive:
            with anyio.move_on_after(SETTLE_SECS):
                while leftovers(self.before, after := await self._sample()):  # noqa: ASYNC110 - another process
                    await anyio.sleep(SAMPLE_SECS)
            for words in leftovers(self.before, after):
                self._note("what is left", words)
        else:
            self._note("the process", f"the gateway ended with status {self.gateway.process.poll()}")
        found = memory(self.samples, after)
        if not found.flat:
            grown = found.last - found.middle
            self._note("memory", f"{grown:.0f} KiB more in the last third than in the middle, {found.limit} allowed")
        for line in self.gateway.mistakes()[:10]:
            self._note("the log", line)
        left = sorted(world.left_secs) or [0.0]
        return Outcome(
            backend=self.backend,
            seed=self.seed,
            secs=self.secs,
            requests=world.requests,
            scenes=dict(world.scenes.most_common()),
            ends=dict(world.ends.most_common()),
            renewals=self.renewals,
            kills=self.kills,
            slowest_secs=world.slowest_secs,
            left_secs=[left[len(left) // 2], left[len(left) * 99 // 100], left[-1]],
            before=self.before,
            peak=_peak(self.samples),
            after=after,
            memory=found,
            problems=world.problems,
        )

    # --- what runs at once ---

    async def _work(self, chance: random.Random) -> None:
        names = list(SCENES)
        weights = [weight for _, weight in SCENES.values()]
        while self.going:
            await self._play(chance.choices(names, weights)[0], chance)

    async def _play(self, name: str, chance: random.Random) -> None:
        self.world.scenes[name] += 1
        begun = anyio.current_time()
        try:
            await SCENES[name][0](self.world, chance)
        except Exception as exc:
            if self.killed_at >= begun - KILLED_SECS:
                self.world.ends["ended with its worker"] += 1
            else:
                kind = "" if isinstance(exc, Wrong) else f"{type(exc).__name__}: "
                self._note(name, f"{kind}{exc}"[:500])

    async def _watch(self) -> None:
        """Samples, and a word now and then."""
        said_at = self.begun
        while self.going:
            sample = await self._sample()
            self.samples.append(sample)
            if anyio.current_time() - said_at >= SAY_SECS:
                said_at = anyio.current_time()
                self.say(
                    f"{sample.secs:5.0f} s  {sample.requests:7} requests  {len(self.world.problems)} problems  "
                    f"{sample.rss_kib / 1024:.1f} MiB  {sample.files} files  {sample.tasks} tasks"
                )
            await anyio.sleep(SAMPLE_SECS)
        if len(self.samples) < 3 and self.gateway.alive:
            self.samples.extend([await self._sample()] * 3)

    async def _kill(self) -> None:
        """A worker now and then: its clients lose their connections, the others notice nothing."""
        chance = random.Random(self.seed)
        while self.going:
            await anyio.sleep(max(0.0, min(KILL_SECS, self.ends_at - anyio.current_time() - KILL_SECS / 2)))
            if self.ends_at - anyio.current_time() < KILL_SECS / 2:
                return
            self.killed_at = anyio.current_time()
            self.kills += 1
            self.gateway.kill_worker(chance)

    async def _renew(self) -> None:
        """Other certificates, every third of them broken; new connections have to show the last good one."""
        wanted: str | None = None
        while self.going:
            broken = self.renewals % 3 == 2
            wanted = self.gateway.renew(broken=broken) or wanted
            self.renewals += 1
            with anyio.move_on_after(RENEWED_SECS) as scope:
                while await self._shown() != wanted:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.1)
            if scope.cancelled_caught:
                self._note("renewal", f"the new certificate is not shown after {RENEWED_SECS:g} s")
            await anyio.sleep(max(0.0, min(RENEW_SECS, self.ends_at - anyio.current_time())))

    async def _shown(self) -> str | None:
        """The certificate that the gateway shows, as hexadecimal digits."""
        try:
            stream = await clients.connect(self.world.places, "h1-tls")
        except GONE:
            return None
        shown = stream.extra(TLSAttribute.peer_certificate_binary)
        await anyio.aclose_forcefully(stream)
        return shown.hex() if shown else None

    # --- small things ---

    async def _sample(self) -> Sample:
        secs = anyio.current_time() - self.begun
        return await anyio.to_thread.run_sync(self.gateway.sample, secs, self.world.requests)

    async def _calm(self) -> None:
        """Until what the warm-up left has gone; idle upstream connections may stay."""
        with anyio.move_on_after(SETTLE_SECS):
            while True:
                sample = await self._sample()
                if sample.connections <= 1 and not sample.exchanges and not sample.active:
                    return
                await anyio.sleep(0.2)

    def _note(self, scene: str, words: str) -> None:
        secs = anyio.current_time() - self.begun
        self.world.problems.append(Problem(secs, scene, words))
        self.say(f"{secs:5.0f} s  PROBLEM  {scene}: {words}")


def _peak(samples: list[Sample]) -> Sample:
    """The most of each."""
    return Sample(**{name: max(getattr(one, name) for one in samples) for name in Sample.__struct_fields__})
