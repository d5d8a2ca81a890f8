"""What a password login was asked to prove, from `check` and the captcha picture to `login`."""

from collections import OrderedDict
from dataclasses import dataclass, field

CHALLENGES_KEPT = 64


@dataclass
class Challenge:
    """What a `check` was answered, until the login that uses it."""

    salt: bytes
    code: str
    session: str = ""
    picture: bool = False


@dataclass
class Challenges:
    """Open challenges by verifysession; those waiting for their picture by cap_cd."""

    by_session: OrderedDict[str, Challenge] = field(default_factory=OrderedDict)
    by_cap_cd: OrderedDict[str, Challenge] = field(default_factory=OrderedDict)
    newest: Challenge | None = None

    def expect_picture(self, cap_cd: str, challenge: Challenge) -> None:
        """Keep a challenge until its picture is fetched."""
        self.newest = challenge
        _keep(self.by_cap_cd, cap_cd, challenge)

    def expect_login(self, challenge: Challenge) -> None:
        """Keep a challenge until a login uses it."""
        self.newest = challenge
        _keep(self.by_session, challenge.session, challenge)


def _keep(shelf: OrderedDict[str, Challenge], name: str, challenge: Challenge) -> None:
    shelf[name] = challenge
    if len(shelf) > CHALLENGES_KEPT:
        shelf.popitem(last=False)
