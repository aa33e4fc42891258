from __future__ import annotations

import msgspec
import pytest

from ferryllm_proto import ir
from ferryllm_proto.ir import STATUS, Error, ErrorKind, Request, Usage


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        (Usage(), None),
        (Usage(cache_read=5, output=1), None),
        (Usage(input=0), 0),
        (Usage(input=3, cache_read=5), 8),
        (Usage(input=3, cache_read=5, cache_write=7, cache_write_1h=2), 15),
    ],
)
def test_u2_the_total_input_counts_the_cached_and_unknown_stays_unknown(usage: Usage, total: int | None) -> None:
    assert usage.input_total == total


def test_u4_later_counters_replace_and_absent_ones_stay() -> None:
    early = Usage(input=10, cache_read=4, output=1)
    assert early.merge(Usage(output=7, reasoning=0)) == Usage(input=10, cache_read=4, output=7, reasoning=0)
    assert early.merge(Usage(input=0)) == Usage(input=0, cache_read=4, output=1)
    assert early.merge(Usage()) == early
    assert Usage().merge(early) == early


def test_u4_counters_of_server_tools_are_replaced_one_by_one() -> None:
    early = Usage(server_tools={"web_search_requests": 1, "web_fetch_requests": 2})
    assert early.merge(Usage(server_tools={"web_search_requests": 3})).server_tools == {
        "web_search_requests": 3,
        "web_fetch_requests": 2,
    }
    assert early.merge(Usage(output=1)).server_tools == early.server_tools
    assert Usage(output=1).merge(early).server_tools == early.server_tools
    assert early.server_tools == {"web_search_requests": 1, "web_fetch_requests": 2}


def test_a_field_has_the_name_the_client_wrote() -> None:
    request = Request("anthropic", "m", names={"stop": "stop_sequences"})
    assert request.wire_name("stop") == "stop_sequences"
    assert request.wire_name("seed") == "seed"
    assert Request("anthropic", "m").names == {}


def test_requests_do_not_share_their_names() -> None:
    assert Request("a", "m").names is not Request("a", "m").names


def test_every_kind_of_error_has_a_status_of_errors() -> None:
    assert set(STATUS) == set(ErrorKind)
    assert all(400 <= status < 600 for status in STATUS.values())


def test_t8_an_upstreams_status_is_kept() -> None:
    assert Error(ErrorKind.OVERLOADED, "x", status=529).http_status == 529
    assert Error(ErrorKind.OVERLOADED, "x").http_status == 503


def test_values_do_not_change() -> None:
    for value in (
        ir.Text("a"),
        Usage(),
        Request("openai", "m"),
        ir.ToolCall("i", "n", "{}"),
        Error(ErrorKind.SERVER, ""),
    ):
        with pytest.raises(AttributeError):
            setattr(value, value.__struct_fields__[0], None)


def test_every_value_can_be_written_and_read_by_msgspec() -> None:
    turn = ir.Turn(ir.Role.USER, (ir.Text("a"), ir.ToolResult("1", (ir.Text("b"),))))
    assert msgspec.structs.asdict(turn)["parts"] == turn.parts
    assert msgspec.structs.replace(turn, role=ir.Role.SYSTEM).parts is turn.parts
