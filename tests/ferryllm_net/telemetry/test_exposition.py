"""The text for Prometheus: read back by the parsers of its own client library."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from ferryllm_net.telemetry import families as f
from ferryllm_net.telemetry.cells import Cells, Numbers, width
from ferryllm_net.telemetry.exposition import render

NASTY = 'a"b\\c\nd{e="f"} 1\n# HELP x y\u2028é'


def everything(label: str = "one") -> Numbers:
    """One series of every family that is not derived."""
    derived = {family.name for family in f.DERIVED}
    return {
        (family.name, *[label] * len(family.labels)): [1.0] * width(family)
        for family in f.ALL
        if family.name not in derived
    }


def samples(numbers: Numbers) -> dict[tuple[str, ...], float]:
    text, _ = render(numbers)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in read_text(text.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("numbers", [{}, everything()], ids=["nothing", "everything"])
def test_every_family_has_its_words_and_its_type(numbers: Numbers) -> None:
    found = {family.name: family for family in read_text(render(numbers, keys=True)[0].decode())}
    assert {family.name for family in f.ALL} == set(found)
    for family in f.ALL:
        assert (found[family.name].documentation, found[family.name].type) == (family.words, family.kind.value)


def test_every_line_is_of_a_family_with_words_and_type() -> None:
    lines = render(everything(), keys=True)[0].decode().splitlines()
    told = {line.split()[2] for line in lines if line.startswith("# HELP ")}
    assert told == {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    for line in lines:
        if not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0]
            bare = name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
            assert name in told or bare in told


def test_a_histogram_adds_its_buckets_up() -> None:
    cells = Cells()
    cell = cells.cell(f.QUEUE_WAIT)
    cell[0], cell[1], cell[3], cell[len(cell) - 1] = 7.5, 2, 1, 4
    found = samples(cells.numbers())
    name = f.QUEUE_WAIT.name
    assert [found[f"{name}_bucket", str(bound)] for bound in f.WAITS] == [2, 2] + [3] * (len(f.WAITS) - 2)
    assert found[f"{name}_bucket", "+Inf"] == found[f"{name}_count",] == 7
    assert found[f"{name}_sum",] == 7.5


def test_labels_are_escaped_and_nothing_breaks_out_of_one() -> None:
    text = render(everything(NASTY), keys=True)[0].decode()
    families = list(read_text(text))
    assert {family.name for family in families} == {family.name for family in f.ALL}
    found = {value for family in families for sample in family.samples for key, value in sample.labels.items()}
    found -= {value for value in found if value == "+Inf" or value.replace(".", "").isdigit()}
    assert found == {NASTY}
    assert len(text.split("\n")) == len(render(everything(), keys=True)[0].decode().split("\n"))


def test_series_by_keys_are_not_even_named_without_them() -> None:
    assert b"ferryllm_key_" not in render(everything())[0]
    assert b"ferryllm_key_" in render(everything(), keys=True)[0]


@pytest.mark.parametrize(
    ("accept", "open_"),
    [
        (None, False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;q=0.5,text/plain;q=0.2", True),
    ],
)
def test_openmetrics_for_who_asks_for_it(accept: str | None, open_: bool) -> None:
    text, kind = render(everything(), accept, keys=True)
    assert kind.startswith("application/openmetrics-text" if open_ else "text/plain; version=0.0.4")
    assert text.endswith(b"# EOF\n") == open_
    if open_:
        families = list(read_openmetrics(text.decode()))  # type: ignore[no-untyped-call] # the library has no types there
        assert {family.name for family in families} == {family.name for family in f.ALL}


def test_what_follows_from_the_others() -> None:
    cells = Cells()
    for outcome, number in (("ok", 5), ("error", 2), ("truncated", 1), ("cancelled", 4)):
        cells.cell(f.REQUESTS, "openai", "one", outcome)[0] = number
    for outcome, number in (("ok", 5), ("status", 2), ("timeout", 1), ("cancelled", 4)):
        cells.cell(f.ATTEMPTS, "one", outcome)[0] = number
    for kind, number in (("input", 100), ("cache_read", 60), ("cache_write", 40), ("output", 9)):
        cells.cell(f.TOKENS, "one", kind)[0] = number
    cells.cell(f.CACHE_PROMPT, "one")[0] = 150
    cells.cell(f.LATENCY, "openai", "one")[0] = 1.5
    found = samples(cells.numbers())
    assert found["ferryllm_requests_ok_total", "openai", "one"] == 5
    assert found["ferryllm_requests_error_total", "openai", "one"] == 3
    assert found["ferryllm_upstream_errors_total", "one"] == 3
    assert found["ferryllm_upstream_prompt_tokens_total", "one"] == 200
    assert found["ferryllm_prompt_cached_tokens_total", "one"] == 60
    assert found["ferryllm_prompt_cache_read_tokens_total", "one"] == 60
    assert found["ferryllm_prompt_cache_creation_tokens_total", "one"] == 40
    assert found["ferryllm_prompt_cache_hit_ratio", "one"] == 0.4
    assert found["ferryllm_request_latency_micros_total", "openai", "one"] == 1_500_000


def test_more_tokens_from_a_cache_than_there_are_make_no_ratio_above_one() -> None:
    numbers: Numbers = {(f.TOKENS.name, "one", "cache_read"): [60.0], (f.CACHE_PROMPT.name, "one"): [50.0]}
    assert samples(numbers)["ferryllm_prompt_cache_hit_ratio", "one"] == 1


def test_numbers_of_no_family_or_of_another_form_are_not_shown() -> None:
    numbers: Numbers = {("nobody",): [1.0], (f.RETRIES.name,): [1.0], (f.QUEUE_WAIT.name,): [1.0]}
    assert render(numbers)[0] == render({})[0]
