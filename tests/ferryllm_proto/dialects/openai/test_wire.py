"""Raw fields: absent and null are one."""

from __future__ import annotations

from ferryllm_proto.dialects.openai import wire
from ferryllm_proto.json import raw


def test_a_raw_field_that_is_absent_or_null_has_no_value() -> None:
    assert wire.value(wire.ABSENT) is None
    assert wire.value(raw(b"null")) is None
    assert wire.value(raw(b"0")) == raw(b"0")


def test_unset_raw_fields_of_a_message_are_absent() -> None:
    message = wire.MESSAGE.decode(b'{"role":"user"}')
    assert wire.value(message.content) is None
    assert wire.value(message.function_call) is None
