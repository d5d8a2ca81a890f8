"""Ids as Tencent spells them."""

import hashlib
import random
import string

_MESSAGE = string.ascii_letters + string.digits + "._-"
_REFERENCE = string.ascii_letters + string.digits + "+/"
_TOKEN = string.ascii_letters + string.digits + "-_"


def openid(appid: str, space: str, name: str) -> str:
    """Return the 32 upper-case hex digits of a person or group.

    The openid differs for each bot and for each space: C2C, the list of groups, and each group's members.
    """
    return hashlib.sha256(f"{appid}|{space}|{name}".encode()).hexdigest()[:32].upper()


class Mint:
    """Random ids."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def message(self) -> str:
        """Return a message id of 60 to 100 characters."""
        return f"ROBOT1.0_{self._text(_MESSAGE, self._rng.randint(50, 85))}!!"

    def reference(self) -> str:
        """Return an id by which a message is quoted."""
        return f"REFIDX_{self._text(_REFERENCE, 20)}=="

    def token(self, length: int = 86) -> str:
        """Return an opaque secret."""
        return self._text(_TOKEN, length)

    def hexadecimal(self, length: int = 32) -> str:
        """Return lower-case hex digits."""
        return self._text("0123456789abcdef", length)

    def decimal(self, length: int) -> str:
        """Return digits that begin with a 1."""
        return "1" + self._text(string.digits, length - 1)

    def _text(self, alphabet: str, length: int) -> str:
        return "".join(self._rng.choices(alphabet, k=length))
