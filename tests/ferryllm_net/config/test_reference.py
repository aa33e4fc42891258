"""The reference page is the one that the schema makes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import msgspec.inspect

from ferryllm_net.config import schema
from ferryllm_net.config.reference import reference_page
from ferryllm_net.config.validate import is_table, tables

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def test_the_page_in_docs_is_up_to_date() -> None:
    assert PAGE.read_text() == reference_page(), "run: python -m ferryllm_net.config.reference > " + str(PAGE)


def test_every_key_of_every_table_has_a_row_with_a_meaning() -> None:
    rows = {line.split(" | ")[0] for line in reference_page().splitlines() if line.startswith("| `")}
    for header, table in tables():
        assert f"## `{header}`" in reference_page()
        for field in msgspec.structs.fields(table):
            if not is_table(msgspec.inspect.type_info(field.type)):
                assert f"| `{field.encode_name}`" in rows
    assert " |  |\n" not in reference_page(), "a key without a meaning"


def test_timeouts_carry_their_unit_in_the_name_and_in_the_table() -> None:
    for table in (schema.Server, schema.Provider):
        for field in msgspec.structs.fields(table):
            if "timeout" in field.name:
                assert field.name.endswith("_secs")
    timeouts = [line for line in reference_page().splitlines() if "timeout_secs` |" in line and line.startswith("| `")]
    assert timeouts
    assert all(" | seconds | " in line for line in timeouts)
