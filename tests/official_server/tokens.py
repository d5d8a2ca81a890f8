"""Access tokens: one at a time, the next one overlapping the former."""

from dataclasses import dataclass

from .clock import Clock
from .ids import Mint
from .options import Options

# Wrong AppID, wrong secret: the codes that the endpoint answers with HTTP 200.
WRONG_APPID = 100007
WRONG_SECRET = 100016
_KEPT = 8


@dataclass
class Token:
    """One token and the time at which it stops being valid."""

    text: str
    expires: float


class Tokens:
    """Issue tokens to one bot and check them."""

    def __init__(self, appid: str, secret: str, mint: Mint, clock: Clock) -> None:
        self.appid = appid
        self.secret = secret
        self._mint = mint
        self._clock = clock
        self._tokens: list[Token] = []
        self.given: list[str] = []

    def refusal(self, appid: str, secret: str, options: Options) -> int:
        """Return the code that refuses these credentials, 0 if none."""
        if options.token_code:
            return options.token_code
        if appid != self.appid or options.banned:
            return WRONG_APPID
        return 0 if secret == self.secret else WRONG_SECRET

    def issue(self, options: Options) -> tuple[str, int]:
        """Return the present token, or a new one, and its remaining seconds."""
        now = self._clock()
        newest = self._tokens[-1] if self._tokens else None
        if newest is None or newest.expires - now <= options.token_overlap:
            newest = Token(self._mint.token(), now + options.token_seconds)
            self._tokens = [*self._tokens, newest][-_KEPT:]
            self.given.append(newest.text)
        return newest.text, max(int(newest.expires - now), 0)

    def is_valid(self, header: str) -> bool:
        """Return whether `QQBot TOKEN` holds a token that is alive."""
        kind, _, text = header.partition(" ")
        now = self._clock()
        return kind == "QQBot" and any(one.text == text and one.expires > now for one in self._tokens)

    def revoke(self) -> None:
        """Make all tokens invalid at once."""
        self._tokens.clear()
