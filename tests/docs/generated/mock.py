"""The reference of the mock provider's directives, from the table that its parser reads."""

from __future__ import annotations

from ferryllm_net.mock.directives import reference

_HEAD = """\
# The mock provider

`ferryllm mock` is a provider that answers from a script, without a model and without keys, for tests and for trying
things out. It speaks all five dialects, whole and streamed. What it answers is decided by
directives: options of the [command](cli.md#ferryllm-mock), or lines of the prompt that begin with `mock:`. A prompt's
own directives go before those of the command line. Without any it says `pong` to whoever asks for pong, and otherwise
that it is a demo. `ferryllm serve` without a configuration and without keys runs it inside the gateway.

The words "write a file PATH with TEXT" in a prompt are a directive too: the mock calls whichever of the client's tools
can write a file, so a coding agent can be tried without a model.

This page is made from the code by `python docs/generate.py`.

| directive | what it does |
| --- | --- |
"""

_TAIL = """
Several directives may stand on one line; one whose value is a text takes the rest of the line. A directive that cannot
be followed is answered with an error that names it. What the mock was asked is at `GET /__mock/requests`; `DELETE` on
the same path forgets it. Answers of Responses are kept in memory as the real API keeps them, unless `store` is false.
A request that the real API would refuse is refused here too, unless `--no-check` is given.
"""


def page() -> str:
    """The page as Markdown."""
    rows = [f"| `{example}` | {what} |" for example, what in reference()]
    return _HEAD + "\n".join(rows) + "\n" + _TAIL
