"""Another thread reaches the loop, and hears when there is none any more."""

from __future__ import annotations

import threading

import anyio
import pytest

from ferryllm_net.http.backends.soon import soon


@pytest.mark.anyio
async def test_a_thread_calls_into_the_loop() -> None:
    called = anyio.Event()
    seen: list[int] = []

    def work() -> None:
        seen.append(threading.get_ident())
        called.set()

    thread = threading.Thread(target=soon(), args=(work,))
    thread.start()
    with anyio.fail_after(5):
        await called.wait()
    thread.join()
    assert seen == [threading.get_ident()]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_has_ended_says_so(backend: str) -> None:
    async def run() -> object:
        return soon()

    call = anyio.run(run, backend=backend)
    assert callable(call)
    with pytest.raises(RuntimeError):
        call(lambda: None)
