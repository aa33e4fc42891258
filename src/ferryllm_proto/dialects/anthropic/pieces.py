"""What a Messages stream is made of, as bytes: its events with places for what differs."""

from __future__ import annotations

from ... import sse

PING = sse.encode("ping", b'{"type":"ping"}')
STOP = sse.encode("message_stop", b'{"type":"message_stop"}')
START = b"""event: message_start
data: {"type":"message_start","message":{"id":%b,"type":"message","role":"assistant","model":%b,"content":[],\
"stop_reason":null,"stop_sequence":null,"usage":%b}}

"""
BLOCK_START = b"""event: content_block_start
data: {"type":"content_block_start","index":%d,"content_block":%b}

"""
DELTA = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":%b}

"""
TEXT = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}

"""
ARGS = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":%b}}

"""
THINKING = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":{"type":"thinking_delta","thinking":%b}}

"""
SIGNATURE = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":{"type":"signature_delta","signature":%b}}

"""
BLOCK_STOP = b"""event: content_block_stop
data: {"type":"content_block_stop","index":%d}

"""
MESSAGE_DELTA = (
    b"""event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":%b,"stop_sequence":%b%b},"usage":%b}

"""
    + STOP
)
TEXT_BLOCK = b'{"type":"text","text":""}'
THINKING_BLOCK = b'{"type":"thinking","thinking":"","signature":""}'
TEXT_BEGUN = BLOCK_START.replace(b"%b", TEXT_BLOCK)
