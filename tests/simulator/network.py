"""The state of the simulated service, shared by all handlers: one account, its world, its tokens."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import polls, wire
from .challenges import Challenges
from .codes import KICKED
from .faults import Faults
from .identity import Identity
from .journal import Journal
from .mailbox import Mailbox
from .options import Options
from .polls import Head
from .qr import QrCodes, QrState
from .sessions import Grant, Session, Sessions
from .tokens import Mint
from .world import World

ELSEWHERE = "您的帐号在另一地点登录，您已被迫下线"

_RECENT_MSG_IDS = 20_000
_REPEAT_SECONDS = 60.0


@dataclass
class Signature:
    """Leave to write to somebody through a group or discussion, as get_c2cmsg_sig2 gives it."""

    qq: int
    chat: str


class Network:
    """Everything the service knows. `clock` gives seconds since 1970."""

    def __init__(
        self, options: Options, world: World, *, seed: int | None, clock: Callable[[], float]
    ) -> None:
        self.options = options
        self.world = world
        self.clock = clock
        self.rng = random.Random(seed)
        self.mint = Mint(self.rng)
        self.ids = Identity(world.me.qq, self.rng)
        self.codes = QrCodes(self.mint)
        self.sessions = Sessions(self.mint)
        self.mailbox = Mailbox()
        self.faults = Faults(self.rng)
        self.challenges = Challenges()
        self.pictures: dict[str, str] = {}  # name in a message -> name at the storage host
        self.journal = Journal()
        self.signatures: dict[str, Signature] = {}
        self.counters: dict[str, int] = {}
        self.sent_ids: dict[tuple[str, int], float] = {}
        self.sent_times: list[float] = []
        self.deaf = ""  # what makes polls bring messages again: "relink" or "login"; "" when they do

    @property
    def account(self) -> int:
        """The account's own QQ number."""
        return self.world.me.qq

    @property
    def state(self) -> str:
        """`online` with a live session, else the state of the newest code, else `offline`."""
        if self.sessions.current is not None:
            return "online"
        newest = self.codes.newest
        if newest is None or newest.state is QrState.USED:
            return "offline"
        return str(newest.state)

    def new_grant(self) -> Grant:
        """Make the tokens of a new login, with or without ptwebqq as the options have it."""
        empty = self.options.empty_ptwebqq or self.options.missing_ptwebqq
        return self.sessions.issue("" if empty else self.mint.hexadecimal(64), self.clock())

    def is_worn_out(self, grant: Grant) -> bool:
        """Return whether the cookies of a login are too old; `superkey` outlives them."""
        return self.clock() - grant.issued > self.options.session_seconds

    def open_session(self, grant: Grant, former: str, status: str) -> Session:
        """Let login2 succeed. `former` is the psessionid it came with: "" makes it a new login."""
        relink = former != "" and former in {*self.sessions.dead, self.psessionid}
        renewed = self.options.new_uins == "always" or (self.options.new_uins == "login" and not relink)
        if self.deaf == "relink" or not relink:
            self.deaf = ""
        present = self.sessions.current
        stranger = present is not None and present.grant is not grant
        self.sessions.end(KICKED, self.farewell(ELSEWHERE) if stranger else "")
        if renewed and self.sessions.born:
            self.ids.renew()
            self.mailbox.rewrite()
        self.mailbox.wake()
        return self.sessions.start(grant, self.account, status)

    @property
    def psessionid(self) -> str:
        """The name of the live session, "" if there is none."""
        return self.sessions.current.psessionid if self.sessions.current else ""

    def farewell(self, reason: str | None, *, bare: bool = False) -> str:
        """Return the kick_message that ends a session, as JSON text."""
        head = Head(self.count("system"), self.account, int(self.clock()), self.rng.randrange(1, 1_000_000))
        return wire.dumps(polls.kick(head, reason, bare=bare), ascii_only=self.options.ascii_json)

    def count(self, what: str) -> int:
        """Return the next number of a 16-bit counter that begins somewhere and wraps to 1."""
        if what not in self.counters:
            self.counters[what] = self.rng.randrange(1, 60_000)
        number = self.counters[what] % 65535 + 1
        self.counters[what] = number
        return number

    def repeated(self, chat: str, msg_id: int) -> bool:
        """Note a msg_id; tell whether the same was sent to the same target a short time ago."""
        now = self.clock()
        key = (chat, msg_id)
        last = self.sent_ids.pop(key, None)
        self.sent_ids[key] = now
        if len(self.sent_ids) > _RECENT_MSG_IDS:
            del self.sent_ids[next(iter(self.sent_ids))]
        return last is not None and now - last < _REPEAT_SECONDS

    def too_fast(self) -> bool:
        """Note a send; tell whether there were more than the limit allows."""
        limit = self.options.spam_count
        if not limit:
            return False
        now = self.clock()
        self.sent_times = [then for then in self.sent_times if now - then < self.options.spam_seconds]
        self.sent_times.append(now)
        return len(self.sent_times) > limit


def wall_clock() -> float:
    """Return the present second since 1970, the default clock."""
    return time.time()
