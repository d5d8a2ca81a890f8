"""Limits: every wait and every bound of the conversation with SmartQQ, named, in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The real ones are the defaults; a test passes shorter ones."""

    connect: float = 15.0
    """To open a connection: a slow line needs 10 s, a dead one should be known soon."""

    call: float = 30.0
    """For the answer of an ordinary call: what the official client allows."""

    poll: float = 120.0
    """For the answer of a poll: upstream holds it for a minute, its gateway cuts it before that."""

    body: float = 30.0
    """For the rest of an answer that has begun, which nothing may cut."""

    linger: float = 1.0
    """For an answer that was on its way when its poll was hung up."""

    logout_timeout: float = 1.0
    """For the farewell on logout: the process may be on its way out."""

    # --- polling ---
    short_pause: float = 1.0
    """Before asking again where something passing went wrong, and between two relinks."""

    long_pause: float = 10.0
    """After a code that means: not now (109, 110, 100003, and all unknown ones)."""

    quick: float = 1.0
    """An empty answer sooner than this did not come from a long poll."""

    quick_first: float = 0.25
    quick_most: float = 10.0
    """Pauses after such answers grow from the first to the most: never a hot loop."""

    busy_pause: float = 30.0
    """Before a new login where upstream is overloaded (108, 112)."""

    server_buffer: float = 60.0
    """How long upstream keeps what nobody polls, as far as anybody has seen."""

    # --- login ---
    qr_poll_interval: float = 1.0
    """Between two questions whether the code was scanned. Clients used 1 to 5 s."""

    qr_lifetime: float = 120.0
    """How long a code is shown as good. Upstream keeps it for 2 to 4 minutes."""

    qr_attempts: int = 3
    """Codes shown one after the other while nobody scans; from then on slowly."""

    qr_slow_interval: float = 1200.0
    """Between two codes when nobody scanned the first ones: three an hour."""

    captcha: float = 600.0
    """For a person to type four letters."""

    blocked: float = 600.0
    """After `too many logins from this address`."""

    kick_pause: float = 60.0
    """Before the single restart after a kick: whoever kicked us wants to be there now."""

    kick_window: float = 3600.0
    """A second kick within this time means that two clients fight. We leave."""

    # --- contacts ---
    lists: float = 20.0
    """For the three contact lists after a login. What has not come by then is asked for later."""

    details: float = 5.0
    """For members and numbers after a login; the rest is learnt between polls and when needed."""

    idle_lookup: float = 1.5
    """For missing lists and unknown speakers, between two polls."""

    lookup_interval: float = 60.0
    """Between two look-ups of the same list because of unknown senders."""

    max_parallel_lookups: int = 4
    """Look-ups at a time: upstream answers a crowd of them with a captcha."""

    # --- sending ---
    resend_first: float = 0.5
    resends: int = 3
    """Tries to open a connection for a message that has not left, and the first pause between."""

    session_repair: float = 20.0
    """How long a message waits for the session to be mended before it is given back."""

    echo: float = 30.0
    """How long a sent text is remembered, to know its echo."""

    temp_session_ttl: float = 300.0
    """How long the permission for a temporary conversation is used again."""

    # --- network ---
    retry_first: float = 0.5
    retry_most: float = 60.0
    """Pauses while upstream cannot be reached."""

    tries: int = 4
    """For a call of a login that got no answer, before the login starts over."""

    picture: int = 20 * 1024 * 1024
    """Bytes of the largest picture fetched."""


BODY_BYTES = 32 * 1024 * 1024
"""No answer of SmartQQ is larger; the contact list of a crowded account is about one megabyte."""
