"""Limits and deadlines of the HTTP layer: one frozen value, each number with its precedent.

Apart from the code they bound, so that the configuration can fill them and a test can shrink them.
"""

from __future__ import annotations

import msgspec

KIB = 1024
MIB = 1024 * KIB


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one server or one pool; times in seconds, sizes in bytes."""

    request_line_bytes: int = 16 * KIB
    """nginx takes 8 KiB (large_client_header_buffers), Apache 8,190 bytes; long queries of agents fit in 16."""
    head_bytes: int = 64 * KIB
    """Requests and upstream answers. Apache and Go stop at 1 MiB, Node at 16 KiB, hyper near 400 KiB."""
    head_fields: int = 100
    """Apache LimitRequestFields 100; hyper 100. The HTTP/2 bomb CVE-2026-49975 was thousands of tiny ones."""
    body_bytes: int = 32 * MIB
    """Anthropic's own limit of a request is 32 MB."""
    chunk_overhead_bytes: int = 16 * KIB
    """Extensions and trailers of one message together: Go stops at 16 KiB of excess since CVE-2023-39326."""
    interim_responses: int = 16
    """1xx heads before the answer; Go allows 5 of them plus a byte limit, curl is bounded by its header limit."""

    accept_head_secs: float = 15.0
    """From accept to a complete first head, so that a silent connection is not kept (slowloris)."""
    head_secs: float = 10.0
    """From the first byte of a head to its end; Apache RequestReadTimeout header=20, nginx 60, hyper 30."""
    body_idle_secs: float = 15.0
    """Without a byte of a body that we wait for; Apache RequestReadTimeout body=20."""
    body_floor_after_secs: float = 10.0
    """After this time the body has to keep to the rate below."""
    body_floor_bytes_per_sec: float = 1024.0
    """Apache RequestReadTimeout MinRate=500, Kestrel MinRequestBodyDataRate 240 after 5 s."""
    keep_alive_secs: float = 75.0
    """nginx keepalive_timeout 75."""
    write_stall_secs: float = 60.0
    """Without progress of a write to a client; nginx send_timeout 60."""
    write_piece_bytes: int = 128 * KIB
    """Progress of a large write is seen in pieces of this size."""
    tls_handshake_secs: float = 10.0
    """Go servers commonly 10; nginx client_header_timeout 60 covers it there."""
    linger_secs: float = 2.0
    """How long the rest of a refused body is thrown away before the close, so that the answer is not lost to a RST."""
    linger_bytes: int = 32 * MIB
    """And how much of it: one whole body of the largest allowed size."""
    drain_rest_bytes: int = 256 * KIB
    """An unread rest up to this is read away to keep the connection (Go: 256 KiB), above it the connection closes."""
    connections: int = 10_000
    """Open at once in one process; above it accepting waits. nginx worker_connections are 512 to 10,240 in practice."""
    connections_per_address: int = 256
    """Loopback is exempt: a reverse proxy on the same machine speaks for everybody. 0 takes the limit away."""
    socket_ping_secs: float = 30.0
    """A WebSocket whose client is silent gets a ping: load balancers commonly drop what is idle for 60 s (AWS ALB)."""
    socket_idle_secs: float = 3600.0
    """Without a message and without an answer under way, then it closes; OpenAI ends every one after 60 minutes."""
    drain_secs: float = 30.0
    """From start_drain() to the interruption of what still runs; Kubernetes' default grace period is 30."""
    drain_error_secs: float = 2.0
    """What an interrupted handler has to write its last words."""
    sweep_secs: float = 0.5
    """How often server deadlines are looked at: one timer a process instead of one an await."""

    h2_streams: int = 100
    """Requests at once on one HTTP/2 connection; RFC 9113 section 6.5.2 advises no less, Go 250, nginx 128."""
    h2_frame_bytes: int = 16 * KIB
    """Of one frame to us: the least that RFC 9113 section 4.2 allows, and what everybody sends."""
    h2_stream_window_bytes: int = 64 * KIB
    """Of a body that nobody has asked for yet; with 100 streams 6.4 MiB a connection. nginx 64 KiB, Go 1 MiB."""
    h2_body_window_bytes: int = MIB
    """And once a handler reads it: an upload over 50 ms of way may then go at 20 MB/s."""
    h2_connection_window_bytes: int = 2 * MIB
    """Of all streams together, between two reads: what is read is given back at once."""
    h2_table_bytes: int = 4 * KIB
    """Compression table of our answers, whatever a client allows; the default of RFC 9113 section 6.5.2."""
    h2_backlog_bytes: int = 64 * KIB
    """Written by streams and not taken by the system yet: above it they wait, and no frames are read."""
    h2_continuations: int = 16
    """Frames of one header block: 16 of 16 KiB are four times what a head may have."""
    h2_flood_secs: float = 10.0
    """The counts below are for this time."""
    h2_flood_frames: int = 100
    """SETTINGS, PING, PRIORITY, CONTINUATION, GOAWAY, unknown and empty DATA frames, each. Go's servers stop at 10,000
    control frames that wait, nghttp2 at 1,000 SETTINGS a second; Firefox sends 6 PRIORITY at the start."""
    h2_window_updates: int = 20_000
    """WINDOW_UPDATE frames: two for each of 10,000 frames of an answer, more than one process writes."""
    h2_resets: int = 100
    """Streams reset by the client or because of it; nghttp2 allows 1,000 and then 33 a second (CVE-2023-44487)."""
    h2_streams_per_reset: int = 5
    """More resets than that are allowed while they are less than one stream in this many."""
    h2_late_frames: int = 1000
    """Frames on streams that are closed; what was on its way to a body given up half way is 64 of them."""
    h2_linger_secs: float = 0.5
    """`linger_secs` after a GOAWAY: a client that reads it closes at once, and TLS has no half-close to show it."""
    h2_goaway_secs: float = 1.0
    """How long a drain waits for the client to have seen it before it refuses new streams."""

    h2_answer_window_bytes: int = 256 * KIB
    """Of an upstream's answer that nobody has read yet; an answer over 50 ms of way may then come at 5 MB/s. Go's
    client has 4 MiB, nghttp2's 64 KiB."""
    h2_answers_window_bytes: int = 8 * MIB
    """Of all answers of one connection, between two reads."""
    h2_upload_secs: float = 60.0
    """Without progress of a write to a connection that many share; then it is lost to all of them."""
    h2_ping_secs: float = 15.0
    """A connection with running streams that is silent for so long is asked whether it lives, and is given up after as
    long again; Go's ReadIdleTimeout and PingTimeout are 15 where they are set."""

    pool_idle_per_origin: int = 64
    """Kept open for reuse per origin; Go's MaxIdleConnsPerHost is 2, httpx keeps 20, hyper has no bound."""
    pool_idle_total: int = 512
    """And over all origins."""
    pool_idle_secs: float = 55.0
    """An idle upstream connection older than this is dropped: load balancers commonly close at 60 (AWS ALB)."""
    pool_look_secs: float = 5.0
    """How often idle connections are looked at: one that the upstream closed is an open file for nothing."""
    pool_sweep_secs: float = 0.13
    """How often the deadlines of running exchanges are looked at: one timer a process instead of one a read."""
    pool_waiting: int = 1000
    """Requests that may wait for a connection of one origin whose limit is reached; HAProxy's maxqueue has no bound by
    default, nginx's queue needs a number."""
    pool_wait_secs: float = 30.0
    """And how long each; nginx queue 60, HAProxy timeout queue is timeout connect, 5 in practice."""
    inflate_ratio: int = 200
    """Bytes of a decoded answer per byte that came; Envoy stops at 100, JSON of agents comes near 50."""
    inflate_bytes: int = MIB
    """Up to this size any ratio is harmless."""
    pool_stale_secs: float = 1.0
    """A kept connection that closes sooner after a request than this, without a word, had been closed already: a way
    there and back takes less. Later its end may be the request's own work, which must not be done twice."""
    cleanup_secs: float = 1.0
    """Closing something is shielded from cancellation for at most this long."""


class Timeouts(msgspec.Struct, frozen=True):
    """Deadlines of one upstream exchange, in seconds."""

    connect_secs: float = 5.0
    """Name, TCP and TLS together."""
    head_secs: float = 300.0
    """From the sent request to the answer's head: thinking models are silent for minutes."""
    idle_secs: float = 120.0
    """Between two reads of the answer's body (pings count); also the stall of a write of the request."""
    total_secs: float | None = None
    """From open() to the last byte. None by default: a healthy stream of 20 minutes must live."""
