"""Tokens: all that one login consists of – cookies, channel session, data token, own number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from adapter.networks.smartqq.protocol.hashes import contact_hash
from adapter.networks.smartqq.session.cookies import Cookie, Jar

FORMAT: Final = 1
HOME: Final = "qq.com"
APIS: Final = "web2.qq.com"

DEVICE: Final = ("ptcz", "RK", "pgv_pvi", "pgv_info")
"""Cookies by which upstream knows a machine again: a stranger's logins are looked at more closely."""

STATUSES: Final = ("online", "away", "busy", "hidden", "callme", "silent")
"""How one can be seen (1.7)."""

_TEXTS: Final = ("account", "nick", "ptwebqq", "vfwebqq", "psessionid")


@dataclass(slots=True)
class Credentials:
    """What upstream gave us. Nothing here may be shown, so nothing here has a repr."""

    jar: Jar = field(default_factory=Jar, repr=False)
    account: str = ""
    nick: str = field(default="", repr=False)
    ptwebqq: str = field(default="", repr=False)
    vfwebqq: str = field(default="", repr=False)
    psessionid: str = field(default="", repr=False)
    face: int = 522
    status: str = "online"
    """How others are to see us: asked for again with every new session."""
    last_poll: float | None = None
    """When upstream last answered a poll: the other end of a gap."""

    @property
    def hash(self) -> str:
        """The proof for the contact lists; follows `ptwebqq` wherever it goes (5.3)."""
        return contact_hash(self.account or 0, self.ptwebqq)

    @property
    def has_session(self) -> bool:
        """Whether there is a channel session that may still be alive."""
        return bool(self.psessionid and self.vfwebqq and self.account)

    @property
    def has_login(self) -> bool:
        """Whether there are cookies that may still be good for a new channel session."""
        return bool(self.jar.get("p_skey", APIS) or self.jar.get("skey", HOME))

    def take_ptwebqq(self) -> None:
        """Take `ptwebqq` from the jar: after a login it may be empty or missing (1.5)."""
        self.ptwebqq = self.jar.get("ptwebqq", HOME)

    def renew(self, ptwebqq: str, now: float) -> None:
        """Return code 116: a new `ptwebqq`, in the field and in the cookie."""
        self.ptwebqq = ptwebqq
        self.jar.put(Cookie("ptwebqq", ptwebqq, HOME), now)

    def clear(self) -> None:
        """As before the first login, but for the time of the last poll and what this machine is known by."""
        self.jar.retain(*DEVICE)
        self.account = self.nick = self.ptwebqq = self.vfwebqq = self.psessionid = ""

    def dump(self) -> Mapping[str, object]:
        """Plain values for the file."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        return {
            "format": FORMAT,
            **texts,
            "face": self.face,
            "status": self.status,
            "last_poll": self.last_poll,
            "cookies": self.jar.dump(),
        }

    @classmethod
    def restore(cls, data: object, now: float) -> "Credentials":
        """What `dump` gave. Raises ValueError for anything else."""
        match data:
            case {
                "format": 1,
                "face": int() as face,
                "last_poll": (int() | float() | None) as last_poll,
                "cookies": list() as cookies,
                "account": str() as account,
                "nick": str() as nick,
                "ptwebqq": str() as ptwebqq,
                "vfwebqq": str() as vfwebqq,
                "psessionid": str() as psessionid,
            }:
                jar = Jar.restore((row for row in cookies if isinstance(row, dict)), now)
                status = data.get("status") if isinstance(data, dict) else None
                shown = status if status in STATUSES else "online"
                return cls(jar, account, nick, ptwebqq, vfwebqq, psessionid, face, shown, last_poll)
        raise ValueError("the session file is of another kind")
