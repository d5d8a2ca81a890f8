"""Access tokens: what is asked, and what the answer says. Errors come as HTTP 200 with a code."""

from dataclasses import dataclass, field
from typing import Final

from adapter.networks.official.protocol.binding import BotCredentials
from adapter.networks.official.protocol.return_codes import Answer
from adapter.networks.official.protocol.values import Object, parse_int, parse_text

# AppID or secret are wrong, or the bot is banned: asking again does not help.
_REFUSED: Final = frozenset({10004, 100007, 100016})
# Seconds of a token whose answer names none.
_USUAL_SECONDS: Final = 7_200


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and the seconds that it is good for."""

    text: str = field(repr=False)
    seconds: float


def token_body(credentials: BotCredentials) -> Object:
    """Return the body that asks for a token. It holds the secret."""
    return {"appId": credentials.appid, "clientSecret": credentials.secret}


def token_of(answer: Answer) -> Token | None:
    """Return the token of an answer; None for a refusal."""
    text = parse_text(answer.object.get("access_token"))
    if not text or not text.isascii() or not text.isprintable():
        return None
    seconds = parse_int(answer.object.get("expires_in"))
    return Token(text, float(_USUAL_SECONDS if seconds is None else seconds))


def is_refused_for_good(answer: Answer) -> bool:
    """Whether AppID and secret are refused, rather than the moment."""
    return bool(answer.codes & _REFUSED)
