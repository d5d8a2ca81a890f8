"""Hold what one login consists of: cookies, session id, tokens, own number. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from adapter.networks.smartqq.protocol.hashes import contact_hash
from adapter.networks.smartqq.session.cookies import Cookie, Jar

FORMAT: Final = 1
HOME: Final = "qq.com"
APIS: Final = "web2.qq.com"

# Cookies that identify the machine: the server checks logins from an unknown one more closely.
DEVICE: Final = ("ptcz", "RK", "pgv_pvi", "pgv_info")

# Presence of the account (1.7).
STATUSES: Final = ("online", "away", "busy", "hidden", "callme", "silent")

_TEXTS: Final = ("account", "nick", "ptwebqq", "vfwebqq", "psessionid")


@dataclass(slots=True)
class Credentials:
    """Hold the secrets of one login. None of them appears in a repr."""

    jar: Jar = field(default_factory=Jar, repr=False)
    account: str = ""
    nick: str = field(default="", repr=False)
    ptwebqq: str = field(default="", repr=False)
    vfwebqq: str = field(default="", repr=False)
    psessionid: str = field(default="", repr=False)
    face: int = 522
    # Presence, requested again with each new session.
    status: str = "online"
    # Time of the last answer to a poll: where a gap begins.
    last_poll: float | None = None

    @property
    def hash(self) -> str:
        """The proof for the contact lists, from account and `ptwebqq` (5.3)."""
        return contact_hash(self.account or 0, self.ptwebqq)

    @property
    def has_session(self) -> bool:
        """Whether there is a session that may still be valid."""
        return bool(self.psessionid and self.vfwebqq and self.account)

    @property
    def has_login(self) -> bool:
        """Whether there are cookies that may be good for a new session."""
        return bool(self.jar.get("p_skey", APIS) or self.jar.get("skey", HOME))

    def take_ptwebqq(self) -> None:
        """Take `ptwebqq` from the jar: after a login it may be empty or missing (1.5)."""
        self.ptwebqq = self.jar.get("ptwebqq", HOME)

    def renew(self, ptwebqq: str, now: float) -> None:
        """Set a new `ptwebqq` (return code 116), in the field and in the cookie."""
        self.ptwebqq = ptwebqq
        self.jar.put(Cookie("ptwebqq", ptwebqq, HOME), now)

    def clear(self) -> None:
        """Forget the login, except the time of the last poll and the machine's cookies."""
        self.jar.retain(*DEVICE)
        self.account = self.nick = self.ptwebqq = self.vfwebqq = self.psessionid = ""

    def dump(self) -> Mapping[str, object]:
        """Return plain values for the file."""
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
        """Return the credentials that `dump` described. Raises ValueError."""
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
        raise ValueError("the session file has another form than this version writes")
