"""What an answer repeats of its request."""

from __future__ import annotations

from ferryllm_proto import json
from ferryllm_proto.dialects.openai_responses import DIALECT
from ferryllm_proto.dialects.openai_responses.echo import echo_fields


def test_without_a_request_the_defaults_are_told() -> None:
    fields = json.loads(b"{%b}" % echo_fields(None))
    assert (fields["tools"], fields["tool_choice"], fields["parallel_tool_calls"]) == ([], "auto", True)
    assert (fields["store"], fields["background"]) == (False, False)


def test_tools_that_came_as_an_item_are_not_repeated() -> None:
    item = {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "x"}]}
    request = DIALECT.decode_request(json.encode({"model": "m", "input": [item], "max_tool_calls": 3}))
    fields = json.loads(b"{%b}" % echo_fields(request))
    assert fields["tools"] == []
    assert fields["max_tool_calls"] == 3
