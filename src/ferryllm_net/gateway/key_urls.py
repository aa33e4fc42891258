"""Providers' keys that are fetched (`api_key_url`): at the start, and when the configuration is read again.

Apart from the configuration, which is read without a network: `check-config` asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import msgspec

from ferryllm_net.config import Problem, ProviderSettings, Secret, Settings, Severity
from ferryllm_net.config.credentials import MAX_KEY_FILE
from ferryllm_net.config.secret import header_fault
from ferryllm_net.http import TLS, Misuse, Origin, Pool, RequestHead, Timeouts, UpstreamError
from ferryllm_net.telemetry import Log
from ferryllm_proto import __version__

from .building import proxy

FETCH_SECS = 10.0
"""For all of one answer; the seed gives it as long."""


async def fetch_keys(
    settings: Settings, before: Settings | None = None, log: Log | None = None
) -> tuple[Settings, tuple[Problem, ...]]:
    """``settings`` with the keys that their providers' URLs give; what is wrong with those that could not be fetched.

    ``before`` are settings whose keys go on counting where the same URL does not answer, which ``log`` is told.
    """
    wanted = [one for one in settings.providers if one.key_url is not None]
    if not wanted:
        return settings, ()
    found: dict[str, Secret] = {}
    faults: dict[str, str] = {}

    async def fetch(provider: ProviderSettings) -> None:
        try:
            found[provider.name] = await _fetch(pool, provider)
        except _Fault as fault:
            faults[provider.name] = str(fault)

    async with Pool() as pool, anyio.create_task_group() as tasks:
        for one in wanted:
            tasks.start_soon(fetch, one)
    old = {} if before is None else {one.name: one for one in before.providers}
    problems = []
    for one in wanted:
        if one.name not in faults:
            continue
        was = old.get(one.name)
        if was is not None and was.key_url == one.key_url and was.api_key is not None:
            found[one.name] = was.api_key
            if log is not None:
                log.warn("api key not fetched, the last one stays", provider=one.name, reason=faults[one.name])
        else:
            problems.append(_problem(settings, one.name, faults[one.name]))
    return _with_keys(settings, found), tuple(problems)


def _with_keys(settings: Settings, keys: Mapping[str, Secret]) -> Settings:
    providers = tuple(
        msgspec.structs.replace(one, api_key=keys[one.name]) if one.name in keys else one for one in settings.providers
    )
    return msgspec.structs.replace(settings, providers=providers)


def _problem(settings: Settings, name: str, fault: str) -> Problem:
    index = next(n for n, one in enumerate(settings.providers) if one.name == name)
    key, mend = f"providers[{index}].api_key_url", "check the URL, and what it answers to GET"
    return Problem(Severity.ERROR, settings.source or "environment", None, key, fault, mend)


class _Fault(Exception):
    """Why there is no key, in words that quote neither the URL nor the answer."""


async def _fetch(pool: Pool, provider: ProviderSettings) -> Secret:
    url = provider.key_url
    assert url is not None
    origin = Origin(url.scheme, url.host, url.port, TLS(), proxy=None if url.proxy is None else proxy(url.proxy))
    fields = [
        ("host", origin.authority),
        ("user-agent", f"ferryllm/{__version__}"),
        ("accept", "text/plain, */*;q=0.5"),
    ]
    timeouts = Timeouts(FETCH_SECS, FETCH_SECS, FETCH_SECS, FETCH_SECS)
    try:
        with anyio.fail_after(FETCH_SECS):
            head = RequestHead("GET", url.target, fields)
            async with await pool.open(origin, head, b"", timeouts=timeouts) as answer:
                if answer.status != 200:  # a redirect too: it may lead to anybody
                    raise _Fault(f"{origin.authority} answered {answer.status}, expected 200 and the key")
                content = await answer.read(MAX_KEY_FILE)
    except TimeoutError:
        raise _Fault(f"{origin.authority} gave no key within {FETCH_SECS:g} s") from None
    except (UpstreamError, Misuse) as exc:
        raise _Fault(f"{origin.authority} gave no key: {exc}") from None
    try:
        key = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise _Fault(f"what {origin.authority} answered is not a text") from None
    if not key:
        raise _Fault(f"what {origin.authority} answered is empty")
    fault = header_fault(key)
    if fault is not None:
        raise _Fault(f"what {origin.authority} answered cannot be sent in a header: {fault}")
    return Secret(key)
