"""Name every wait and every bound of the conversation with SmartQQ. Times are seconds."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """The defaults are for the real network; a test passes shorter ones."""

    # To open a connection: a slow line needs 10 s, a dead one should be known soon.
    connect_timeout: float = 15.0
    # For the answer of an ordinary call: what the official client allows.
    call_timeout: float = 30.0
    # For the answer of a poll: the server holds it for a minute, its gateway cuts it before that.
    poll_timeout: float = 120.0
    # For the rest of an answer that has begun, which nothing may cut.
    body_timeout: float = 30.0
    # For an answer that was on its way when its poll was aborted.
    abort_grace: float = 1.0
    # For the logout call: the process may be about to exit.
    logout_timeout: float = 1.0

    # --- polling ---
    # Before a repetition after a passing fault, and between two relinks.
    short_pause: float = 1.0
    # After a code that means "not now" (109, 110, 100003, and all unknown ones).
    long_pause: float = 10.0
    # Before a new login where the server is overloaded (108, 112).
    busy_pause: float = 30.0
    # An empty answer sooner than this did not come from a long poll.
    fast_answer: float = 1.0
    # Pauses after such answers grow from the first to the longest: never a hot loop.
    fast_pause_first: float = 0.25
    fast_pause_max: float = 10.0
    # How long the server keeps messages that nothing polls, as far as clients observed.
    server_buffer: float = 60.0

    # --- login ---
    # Between two questions whether the code was scanned. Clients used 1 to 5 s.
    qr_poll_interval: float = 1.0
    # A code counts as valid for this long. The server keeps it for 2 to 4 minutes.
    qr_lifetime: float = 120.0
    # Codes shown in a row without a scan before the interval becomes slow.
    qr_attempts: int = 3
    # Between two codes after that: three an hour.
    qr_slow_interval: float = 1200.0
    # For a person to type four letters.
    captcha_timeout: float = 600.0
    # After "too many logins from this address".
    blocked_pause: float = 600.0
    # Before the single login after a kick: a person has just logged in elsewhere.
    kick_pause: float = 60.0
    # A second kick within this time means that two clients compete: log out.
    kick_window: float = 3600.0
    # Attempts for a call of the login that got no answer, before the login starts over.
    login_attempts: int = 4

    # --- contacts ---
    # For the three contact lists after a login. What has not come by then is requested later.
    lists_timeout: float = 20.0
    # For members and numbers after a login.
    members_timeout: float = 5.0
    # For missing lists and unknown speakers, between two polls.
    idle_lookup: float = 1.5
    # Between two requests for the same list.
    lookup_interval: float = 60.0
    # Parallel requests for contacts: the server answers many of them with a captcha.
    max_parallel_lookups: int = 4

    # --- sending ---
    # Attempts to open a connection for a message, and the first pause between them.
    send_attempts: int = 3
    send_retry_first: float = 0.5
    # A message waits this long for the repair of the session before it is handed back.
    session_repair: float = 20.0
    # A sent text is remembered this long, to recognise its echo.
    echo_lifetime: float = 30.0
    # The permission for a temporary conversation is reused for this long.
    temp_session_ttl: float = 300.0

    # --- network ---
    # Pauses while the server cannot be reached grow from the first to the longest.
    retry_first: float = 0.5
    retry_max: float = 60.0
    # Bytes of the largest picture fetched.
    max_picture_bytes: int = 20 * 1024 * 1024


# Bytes of the largest answer. The contact list of a crowded account has about one megabyte.
MAX_BODY_BYTES: Final = 32 * 1024 * 1024
