"""Limits: every wait and every bound of the connection to an implementation, in seconds and bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults are for real implementations; a test passes shorter ones."""

    # --- connecting ---
    # To open the socket and finish the handshake: a container that starts answers slowly.
    connect_seconds: float = 10.0
    # For the answer that proves the connection: LLBot answers nothing at all on a wrong path.
    proof_seconds: float = 10.0
    # For the answers that say what the implementation is: one that has no such action may answer nothing.
    describe_seconds: float = 2.0
    # Between two tries after a refused token or path: only a person can help.
    refused_seconds: float = 60.0
    # The first retry is at once; then delays grow from the first to the most.
    retry_first_seconds: float = 0.5
    retry_most_seconds: float = 30.0
    # A connection that lasted shorter than this after its proof does not start the delays afresh.
    stable_seconds: float = 1.0

    # --- noticing that a connection is dead ---
    # WebSocket pings, on top of the watchdog: no implementation pings its clients.
    ping_seconds: float = 20.0
    # Silence after which the connection is closed: at least this, else a number of announced heartbeats.
    silence_seconds: float = 15.0
    silent_heartbeats: float = 3.0
    # For the closing handshake: the other side may be gone.
    close_seconds: float = 1.0

    # --- calls ---
    # NapCat waits 10 s for QQ's own confirmation, and users saw forwarded chats take 20 s and more.
    call_seconds: float = 45.0
    # A request is answered this long after it came: answered at once, QQ repeats the request.
    answer_request_seconds: float = 1.0
    # Calls that wait for their answers at a time.
    max_calls: int = 256

    # --- receiving ---
    # One frame: a picture in base64 or the members of a large group.
    frame_bytes: int = 64 * 1024 * 1024
    # Events that wait for the disk; beyond it the socket is not read.
    inbox_bytes: int = 16 * 1024 * 1024
    # Without an event an empty batch is yielded after this long, as a sign of life.
    idle_seconds: float = 5.0
    # Events of one batch: one fsync and one script call.
    batch: int = 100

    # --- history after a gap ---
    # Between two calls: more in a row look like a scraper.
    history_pause_seconds: float = 0.5
    # Chats that are asked for: heard from in this time, the latest ones first.
    history_age_seconds: float = 3600.0
    history_chats: int = 100
    # Contact lists are loaded this long after the notice that changes them: several come together.
    reload_seconds: float = 2.0
