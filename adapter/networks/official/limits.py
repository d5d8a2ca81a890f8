"""Limits: every wait and every bound of the connection to the official API, in seconds and bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults are for the real API; a test passes shorter ones."""

    # --- HTTP ---
    connect_seconds: float = 10.0
    # The documents advise five or more; a message under audit takes longer.
    call_seconds: float = 20.0
    # An upload waits until the network has fetched the file.
    upload_seconds: float = 60.0
    # One answer, or one picture that is fetched.
    answer_bytes: int = 1024 * 1024
    picture_bytes: int = 32 * 1024 * 1024

    # --- token ---
    # It is renewed this long before its end, when the next one is given; but not more often than this.
    renew_before_seconds: float = 60.0
    renew_pause_seconds: float = 10.0

    # --- gateway ---
    # For Hello, and for the next frame until READY or RESUMED: a long replay takes its time.
    hello_seconds: float = 10.0
    ready_seconds: float = 20.0
    close_seconds: float = 1.0
    # Intervals of heartbeats without any frame, after which the connection counts as dead.
    silent_heartbeats: float = 2.0
    # One frame: a message with quotations and a card has some kilobytes.
    frame_bytes: int = 4 * 1024 * 1024
    # Between two tries; only READY or RESUMED begins anew.
    retry_seconds: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
    # A drop within this time is quick; after three of them in a row the longest delay counts.
    quick_seconds: float = 5.0
    quick_drops: int = 3
    # An expired connection that lasted shorter is not opened again at once.
    stable_seconds: float = 1.0
    # After frames were sent too fast, and after a refusal that a person has to mend.
    slow_seconds: float = 60.0
    # An outage of this length is one that workers hear of.
    offline_seconds: float = 30.0

    # --- receiving ---
    # Events that wait for the disk; beyond it the socket is not read.
    inbox_bytes: int = 16 * 1024 * 1024
    # Without an event an empty batch is yielded after this long, as a sign of life.
    idle_seconds: float = 5.0
    # Events of one batch: one fsync and one script call.
    batch: int = 100
    # Contact lists are published this long after the first new contact.
    contacts_seconds: float = 5.0
    # After this long the client of a user who pressed a button waits no more.
    acknowledge_seconds: float = 5.0

    # --- sending ---
    # Before the one repeat of a message that was certainly not delivered, and between tries to connect.
    repeat_seconds: float = 2.0
    # Between two messages without an anchor: of the bot, and of one chat.
    proactive_seconds: float = 2.0
    proactive_chat_seconds: float = 3.0

    # --- QR binding ---
    bind_poll_seconds: float = 2.0
    # Codes that expire unscanned before the adapter waits for `login`.
    bind_codes: int = 5
