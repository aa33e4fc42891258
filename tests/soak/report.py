"""The figures of a soak as a table for people."""

from __future__ import annotations

from .run import Outcome

_MIB = 1024


def table(outcome: Outcome) -> str:
    """Lines of text."""
    before, peak, after, memory = outcome.before, outcome.peak, outcome.after, outcome.memory
    rows = [
        ("", "before", "most", "after"),
        ("memory, MiB", *(f"{one.rss_kib / _MIB:.1f}" for one in (before, peak, after))),
        ("open files", *(str(one.files) for one in (before, peak, after))),
        ("tasks", *(str(one.tasks) for one in (before, peak, after))),
        ("threads", *(str(one.threads) for one in (before, peak, after))),
        ("connections", *(str(one.connections) for one in (before, peak, after))),
        ("exchanges", *(str(one.exchanges) for one in (before, peak, after))),
        ("upstream in use", *(str(one.active) for one in (before, peak, after))),
        ("upstream idle", *(str(one.idle) for one in (before, peak, after))),
    ]
    left = ", ".join(f"{1000 * secs:.0f}" for secs in outcome.left_secs)
    lines = [
        (
            f"{outcome.secs:g} s on {outcome.backend}, seed {outcome.seed}: {outcome.requests} requests, "
            f"{sum(outcome.scenes.values())} scenes, {outcome.renewals} certificates"
            + (f", {outcome.kills} workers killed" if outcome.kills else "")
        ),
        "",
        *(f"{row[0]:16}{row[1]:>10}{row[2]:>10}{row[3]:>10}" for row in rows),
        "",
        (
            f"memory: median of the middle third {memory.middle / _MIB:.1f} MiB, of the last {memory.last / _MIB:.1f} "
            f"MiB, {memory.per_thousand:+.0f} KiB for 1,000 requests; {memory.limit / _MIB:g} MiB allowed"
        ),
        f"provider closed after its client left: {left} ms (median, 99 %, most)",
        f"slowest answer: {outcome.slowest_secs:.1f} s",
        "scenes: " + ", ".join(f"{name} {count}" for name, count in outcome.scenes.items()),
        "ends: " + ", ".join(f"{name} {count}" for name, count in outcome.ends.items()),
        "",
        *(f"PROBLEM at {one.secs:.0f} s, {one.scene}: {one.words}" for one in outcome.problems),
        "right and flat" if outcome.good else f"{len(outcome.problems)} problems",
    ]
    return "\n".join(lines)
