"""What a login gives: cookies and tokens (a grant) and the channel session built on them.

Any number of grants live side by side, as cookies did; of the channel there is one, and the newest
login2 has it. How tokens are checked in a request is the business of `gates`.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from .codes import BAD_HEADERS, NO_SESSION
from .tokens import Mint

GRANTS_KEPT = 64
DEAD_KEPT = 256


@dataclass
class Grant:
    """The tokens of one login, made at the second `issued`.

    `vfwebqq` is the true one; login2 and get_self_info2 show `decoy`.
    """

    skey: str
    p_skey: str
    pt4_token: str
    ptwebqq: str
    superkey: str
    supertoken: str
    ptsigx: str
    vfwebqq: str
    decoy: str
    issued: float
    alive: bool = True
    # How many polls without the new ptwebqq are still answered with 116.
    renewals: int = 0


@dataclass
class Session:
    """The channel."""

    psessionid: str
    grant: Grant
    status: str = "online"


@dataclass
class Sessions:
    """All grants, the live session, and what to tell those who come with a dead one."""

    mint: Mint
    current: Session | None = None
    grants: OrderedDict[str, Grant] = field(default_factory=OrderedDict)
    dead: OrderedDict[str, int] = field(default_factory=OrderedDict)
    farewells: dict[str, str] = field(default_factory=dict)
    born: int = 0

    def issue(self, ptwebqq: str, now: float) -> Grant:
        """Make the tokens of a new login."""
        mint = self.mint
        grant = Grant(
            skey=mint.skey(),
            p_skey=mint.p_skey(),
            pt4_token=mint.p_skey(),
            ptwebqq=ptwebqq,
            superkey=mint.p_skey(),
            supertoken=mint.digits(10),
            ptsigx=mint.hexadecimal(128),
            vfwebqq=mint.hexadecimal(80),
            decoy=mint.hexadecimal(80),
            issued=now,
        )
        self.grants[grant.ptsigx] = grant
        if len(self.grants) > GRANTS_KEPT:
            self.grants.popitem(last=False)
        return grant

    def find(self, *, p_skey: str = "", skey: str = "", superkey: str = "") -> Grant | None:
        """Return the live grant that one of the given cookies belongs to."""
        for grant in reversed(self.grants.values()):
            if grant.alive and (
                (p_skey and grant.p_skey == p_skey)
                or (skey and grant.skey == skey)
                or (superkey and grant.superkey == superkey)
            ):
                return grant
        return None

    def start(self, grant: Grant, uin: int, status: str) -> Session:
        """Open the channel in the place of the one there was."""
        self.current = Session(self.mint.psessionid(uin, grant.skey), grant, status)
        self.born += 1
        return self.current

    def end(self, code: int, farewell: str = "") -> None:
        """End the channel; its last poll is answered `farewell`, whoever comes back is told `code`."""
        if self.current is not None:
            self.dead[self.current.psessionid] = code
            if farewell:
                self.farewells[self.current.psessionid] = farewell
            if len(self.dead) > DEAD_KEPT:
                forgotten, _ = self.dead.popitem(last=False)
                self.farewells.pop(forgotten, None)
            self.current = None

    def verdict(self, psessionid: str) -> int:
        """Return 0 for the live psessionid, else the code it is refused with."""
        if self.current is not None and psessionid == self.current.psessionid:
            return 0
        if psessionid in self.dead:
            return self.dead[psessionid]
        return BAD_HEADERS if self.current is not None else NO_SESSION
