"""The protocol machines of ferryllm: bytes and events in, bytes and events out, no I/O."""
