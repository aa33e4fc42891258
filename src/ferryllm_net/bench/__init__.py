"""The load tester: a provider with fixed answers, a load generator, and what they measure of a gateway between them.

`run_bench` is all of it. The parts that measure share no code with what is measured: `reader` reads HTTP, `wire` holds
the connections, `provider` answers.
"""

from __future__ import annotations
