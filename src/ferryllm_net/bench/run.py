"""run_bench: starts what has to be started, warms up, measures all targets in turn, and returns the figures."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import anyio
import msgspec

from .doors import door
from .figures import Column, Report, column
from .processes import KEY, gateway, provider
from .provider import Behaviour
from .schedule import NANO, Clock, Pace, RealClock, run_load
from .target import Target
from .usage import LOOPBACK, Usage, listening, measure

MODEL = "bench"
"""What a gateway of ours is asked for: it goes to the provider as it is."""
SAMPLE_SECS = 0.2
"""How often memory is looked at while requests run."""
SATURATED = 0.9
"""Of one core: who uses more of it was waited for."""


class Remote(msgspec.Struct, frozen=True):
    """Something that runs already."""

    base_url: str
    name: str
    stamped: bool = False
    """The provider behind it is the one of this run."""


class Options(msgspec.Struct, frozen=True):
    """One measurement."""

    entry: str
    """Dialect that is asked in."""
    backend: str | None
    """Dialect of the provider behind a gateway that is started; None: ``remotes`` only."""
    serve: tuple[str, ...] = ()
    """Command that serves a gateway."""
    engine: Literal["asyncio", "trio"] = "asyncio"
    level: str = "warn"
    mock_port: int = 0
    behaviour: Behaviour = Behaviour()
    remotes: tuple[Remote, ...] = ()
    direct: bool = True
    """Also ask the provider itself."""
    model: str = MODEL
    key: str | None = None
    stream: bool = True
    body_kb: float = 0.0
    prompt: str = ""
    requests: int | None = 200
    seconds: float | None = None
    rate: float | None = None
    arrivals: Literal["even", "poisson"] = "even"
    concurrency: int = 8
    ramp: float = 0.0
    warmup: int = 20
    rounds: int = 3
    keep_alive: bool = True
    timeout: float = 60.0
    seed: int = 1


class Place(msgspec.Struct):
    """A target in the run, and what is known of its process."""

    name: str
    target: Target
    pid: int | None
    cpu: float = 0.0
    rss: int = 0
    measured: bool = False


Progress = Callable[[str, float], None]
"""Told what is measured and which share of all is done."""


async def run_bench(options: Options, progress: Progress, clock: Clock | None = None) -> Report:
    """Measure. Raises `StartError`, and ValueError for a URL that cannot be asked."""
    clock = clock or RealClock()
    async with _places(options) as (places, provider_pid):
        for place in places:
            progress(f"{place.name}: warm-up", 0.0)
            await _warm_up(options, place, clock)
        shares = _shares(options)
        busy = {"provider": 0.0, "load": 0.0}
        done, total = 0, len(shares) * len(places)
        for pace in shares:
            # In turn, so that whatever else the machine does falls on all alike.
            for place in places:
                progress(place.name, done / total)
                used = await _measure(place, pace, provider_pid, clock)
                if place.name != DIRECT:
                    busy = {name: max(busy[name], used[name]) for name in busy}
                done += 1
        progress("", 1.0)
        columns = [_column(place) for place in places]
    return Report(columns=columns, warnings=_warnings(busy, columns), settings=_settings(options))


DIRECT = "direct"
GATEWAY = "gateway"


@asynccontextmanager
async def _places(options: Options) -> AsyncIterator[tuple[list[Place], int | None]]:
    async with AsyncExitStack() as stack:
        places: list[Place] = []
        provider_pid = None

        def add(name: str, url: str, pid: int | None, *, stamped: bool, key: str | None) -> None:
            asked = door(
                options.entry,
                model=options.model,
                key=key,
                stream=options.stream,
                body_kb=options.body_kb,
                seed=options.seed,
                prompt=options.prompt,
            )
            target = Target(
                url,
                asked,
                keep_alive=options.keep_alive,
                timeout=options.timeout,
                stamped=stamped,
                expected=options.behaviour.chunks if stamped else None,
            )
            stack.push_async_callback(target.aclose)
            places.append(Place(name, target, pid if pid is not None else listening(target.host, target.port)))

        if options.backend is not None:
            upstream = await stack.enter_async_context(provider(options.behaviour, options.mock_port))
            provider_pid = upstream.pid
            if options.direct:
                add(DIRECT, upstream.url, upstream.pid, stamped=True, key=KEY)
            serving = gateway(
                options.serve,
                upstream.url,
                options.backend,
                engine=options.engine,
                level=options.level,
                connections=2 * options.concurrency,
            )
            child = await stack.enter_async_context(serving)
            add(GATEWAY, child.url, child.pid, stamped=True, key=KEY)
        for remote in options.remotes:
            add(remote.name, remote.base_url, None, stamped=remote.stamped, key=options.key)
            if remote.stamped and places[-1].target.host not in LOOPBACK:
                raise ValueError("deltas that carry their time can only be read on the machine that sends them")
        yield places, provider_pid


def _shares(options: Options) -> list[Pace]:
    """The rounds: each a share of the requests and of the time."""
    rounds = options.rounds if options.requests is None else max(1, min(options.rounds, options.requests))
    paces = []
    for number in range(rounds):
        requests = None
        if options.requests is not None:
            requests = options.requests * (number + 1) // rounds - options.requests * number // rounds
        paces.append(
            Pace(
                concurrency=options.concurrency,
                requests=requests,
                seconds=None if options.seconds is None else options.seconds / rounds,
                rate=options.rate,
                arrivals=options.arrivals,
                ramp=options.ramp,
                seed=options.seed + number,
            )
        )
    return paces


async def _warm_up(options: Options, place: Place, clock: Clock) -> None:
    if options.warmup:
        meter = place.target.meter
        await run_load(Pace(min(options.concurrency, options.warmup), options.warmup), place.target.send, clock)
        place.target.meter = type(meter)()


async def _measure(place: Place, pace: Pace, provider_pid: int | None, clock: Clock) -> dict[str, float]:
    before, own = _usage(place.pid), time.process_time()
    provider_before = _usage(provider_pid)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch_memory, place)
        wall = await run_load(pace, place.target.send, clock)
        tasks.cancel_scope.cancel()
    own = time.process_time() - own
    after, provider_after = _usage(place.pid), _usage(provider_pid)
    place.target.meter.wall += wall
    if before is not None and after is not None:
        place.measured = True
        place.cpu += after.cpu - before.cpu
        place.rss = max(place.rss, after.rss)
    spent = 0.0 if provider_before is None or provider_after is None else provider_after.cpu - provider_before.cpu
    span = max(wall, 1) / NANO
    return {"provider": spent / span, "load": own / span}


def _usage(pid: int | None) -> Usage | None:
    return None if pid is None else measure(pid)


async def _watch_memory(place: Place) -> None:
    while True:
        await anyio.sleep(SAMPLE_SECS)
        usage = _usage(place.pid)
        if usage is not None:
            place.rss = max(place.rss, usage.rss)


def _column(place: Place) -> Column:
    meter = place.target.meter
    return column(
        place.name, meter, cpu=place.cpu if place.measured else None, rss=place.rss if place.measured else None
    )


def _warnings(busy: dict[str, float], columns: Sequence[Column]) -> list[str]:
    found = []
    for name, what in (("provider", "the mock provider"), ("load", "the load generator")):
        if busy[name] > SATURATED:
            found.append(
                f"{what} used {busy[name]:.0%} of a core: requests/s and latencies tell of it, not of the gateway"
                " (CPU per request and per chunk hold)"
            )
    if any(one.cpu_us_per_request is None for one in columns):
        found.append("CPU and memory are not measured where the process is not on this machine or there is no /proc")
    return found


def _settings(options: Options) -> dict[str, object]:
    """What was asked for, for whoever reads the figures later; no key, no prompt."""
    shown = msgspec.to_builtins(options)
    assert isinstance(shown, dict)
    for name in ("key", "serve", "prompt"):
        shown.pop(name)
    return shown
