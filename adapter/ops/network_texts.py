"""What states and reasons mean on each network, where that differs from SmartQQ. Pure.

Each key is a state, the reason of a session that is offline or was kicked, or an alarm.
"""

from collections.abc import Mapping
from typing import Final

from adapter.ops.state_text import Level, StateText

_OWN_PAGE: Final = "log in at the implementation's own page"
_AGAIN: Final = "nothing: the adapter tries again by itself; `qqbus doctor` says more"
_AGAIN_PAGE: Final = "Nothing to do: the adapter tries again by itself."

_ONEBOT: Final[Mapping[str, StateText]] = {
    "offline": StateText(
        Level.BAD,
        "offline",
        "run `qqbus doctor`, and look at the implementation's own page",
        "Look at the implementation's own page: is QQ logged in there?",
    ),
    "kicked": StateText(
        Level.BAD,
        "QQ was logged out in the implementation",
        _OWN_PAGE,
        "Log in at the implementation's own page; the adapter goes on by itself then.",
    ),
    "token": StateText(
        Level.BAD,
        "the implementation refuses the token",
        "set QQBUS_ONEBOT_TOKEN to the token of the implementation and start the adapter again",
        "Set QQBUS_ONEBOT_TOKEN to the token of the implementation and start the adapter again.",
    ),
    "path": StateText(
        Level.BAD,
        "nothing answers at the path of QQBUS_ONEBOT_URL",
        "correct the path of QQBUS_ONEBOT_URL and start the adapter again",
        "Correct the path of QQBUS_ONEBOT_URL and start the adapter again.",
    ),
    "login": StateText(
        Level.BAD,
        "QQ is not logged in behind the connection",
        _OWN_PAGE,
        "Log in at the implementation's own page; the adapter goes on by itself then.",
    ),
    "unreachable": StateText(
        Level.BAD,
        "the implementation of OneBot cannot be reached",
        "start it, or correct QQBUS_ONEBOT_URL; the adapter tries again by itself",
        "Start it, or correct QQBUS_ONEBOT_URL. The adapter tries again by itself.",
    ),
    "silent": StateText(Level.BAD, "the implementation has gone silent", _AGAIN, _AGAIN_PAGE),
    "closed": StateText(Level.BAD, "the implementation closes the connection", _AGAIN, _AGAIN_PAGE),
    "deaf": StateText(
        Level.BAD,
        "online, but no events arrive",
        "look at the implementation's own page, and start it again",
        "A new connection did not help. Look at the implementation's own page, and start it again.",
    ),
    "mute": StateText(
        Level.BAD,
        "online, but no message gets out",
        "look at the implementation's own page, and start it again",
        "Events arrive, but no send is confirmed. Look at the implementation's page, and start it again.",
    ),
    "disk": StateText(
        Level.BAD,
        "the disk is full",
        "make room on the adapter's disk: it stops reading, and what it cannot keep is lost",
        "Make room on the adapter's disk. It stops reading, and what it cannot keep is lost.",
    ),
}
_OFFICIAL: Final[Mapping[str, StateText]] = {
    "offline": StateText(
        Level.BAD,
        "offline",
        "run `qqbus doctor`",
        "Look at the reason below, and at the bot's page of Tencent.",
    ),
    "kicked": StateText(
        Level.BAD,
        "another program uses this bot",
        "stop the other program",
        "Stop the other program that uses this bot.",
    ),
    "network": StateText(
        Level.BUSY,
        "Tencent's servers do not answer",
        "nothing: the adapter tries again by itself",
        _AGAIN_PAGE,
    ),
    "deaf": StateText(
        Level.BAD,
        "online, but no events arrive",
        "look at the bot's page of Tencent: is it online, and may it hear these events?",
        "Look at the bot's page of Tencent: is it online, and may it hear these events?",
    ),
    "mute": StateText(
        Level.BAD,
        "online, but no message gets out",
        "look at the bot's page of Tencent",
        "Events arrive, but sends are not confirmed. Look at the bot's page of Tencent.",
    ),
    "disk": StateText(
        Level.BAD,
        "the disk is full",
        "make room on the adapter's disk: it stops reading until then",
        "Make room on the adapter's disk. It stops reading until then.",
    ),
}
NETWORKS: Final[Mapping[str, Mapping[str, StateText]]] = {"onebot": _ONEBOT, "official": _OFFICIAL}
