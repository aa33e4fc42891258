"""What receivers get: every column, the same id for the same rows, a signature they can check."""

from __future__ import annotations

import hashlib
import hmac
import json

from ferryllm_net.hooks.form import body, delivery_id, lines, signature
from ferryllm_net.ledger import COLUMNS
from support.ledgers import BARE, FULL


def test_a_body_holds_every_column_of_every_row() -> None:
    found = json.loads(body([FULL, BARE]))
    assert found["type"] == "ferryllm.usage"
    assert [list(row) for row in found["rows"]] == [list(COLUMNS)] * 2
    assert found["rows"][0]["input_tokens"] == 10
    assert found["rows"][0]["tries"] == [{"provider": "a"}]
    assert found["rows"][1]["input_tokens"] is None


def test_lines_are_objects_of_their_own() -> None:
    text = lines([FULL, BARE])
    assert text.endswith(b"\n")
    assert [json.loads(line)["id"] for line in text.splitlines()] == ["req_1", "req_2"]


def test_the_same_rows_have_the_same_id_at_every_attempt() -> None:
    assert delivery_id([FULL, BARE]) == delivery_id([FULL, BARE])
    assert len({delivery_id([FULL, BARE]), delivery_id([FULL]), delivery_id([BARE, FULL])}) == 3


def test_a_signature_is_over_time_and_body() -> None:
    expected = hmac.new(b"s3cret", b"1700000000.{}", hashlib.sha256).hexdigest()
    assert signature("s3cret", 1_700_000_000, b"{}") == f"t=1700000000,v1={expected}"
