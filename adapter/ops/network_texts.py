"""What states and reasons mean on each network, where that differs from SmartQQ. Pure.

Each key is a state, the reason of a session that is offline or was kicked, or an alarm.
"""

from collections.abc import Mapping
from typing import Final

from adapter.i18n import N_
from adapter.ops.state_text import Level, StateText

_OWN_PAGE: Final = N_("log in at the implementation's own page")
_AGAIN: Final = N_("nothing: the adapter tries again by itself; `qqbus doctor` says more")
_CONSOLE: Final = N_("see the console of q.qq.com, then run `qqbus login`")
_CONSOLE_PAGE: Final = N_("See the console of q.qq.com, then log in again.")
_AGAIN_PAGE: Final = N_("Nothing to do: the adapter tries again by itself.")

_ONEBOT: Final[Mapping[str, StateText]] = {
    "offline": StateText(
        Level.BAD,
        N_("offline"),
        N_("run `qqbus doctor`, and look at the implementation's own page"),
        N_("Look at the implementation's own page: is QQ logged in there?"),
    ),
    "kicked": StateText(
        Level.BAD,
        N_("QQ was logged out in the implementation"),
        _OWN_PAGE,
        N_("Log in at the implementation's own page; the adapter goes on by itself then."),
    ),
    "token": StateText(
        Level.BAD,
        N_("the implementation refuses the token"),
        N_("set QQBUS_ONEBOT_TOKEN to the token of the implementation and start the adapter again"),
        N_("Set QQBUS_ONEBOT_TOKEN to the token of the implementation and start the adapter again."),
    ),
    "path": StateText(
        Level.BAD,
        N_("nothing answers at the path of QQBUS_ONEBOT_URL"),
        N_("correct the path of QQBUS_ONEBOT_URL and start the adapter again"),
        N_("Correct the path of QQBUS_ONEBOT_URL and start the adapter again."),
    ),
    "login": StateText(
        Level.BAD,
        N_("QQ is not logged in behind the connection"),
        _OWN_PAGE,
        N_("Log in at the implementation's own page; the adapter goes on by itself then."),
    ),
    "unreachable": StateText(
        Level.BAD,
        N_("the implementation of OneBot cannot be reached"),
        N_("start it, or correct QQBUS_ONEBOT_URL; the adapter tries again by itself"),
        N_("Start it, or correct QQBUS_ONEBOT_URL. The adapter tries again by itself."),
    ),
    "silent": StateText(Level.BAD, N_("the implementation has gone silent"), _AGAIN, _AGAIN_PAGE),
    "closed": StateText(Level.BAD, N_("the implementation closes the connection"), _AGAIN, _AGAIN_PAGE),
    "deaf": StateText(
        Level.BAD,
        N_("online, but no events arrive"),
        N_("look at the implementation's own page, and start it again"),
        N_("A new connection did not help. Look at the implementation's own page, and start it again."),
    ),
    "mute": StateText(
        Level.BAD,
        N_("online, but no message gets out"),
        N_("look at the implementation's own page, and start it again"),
        N_("Events arrive, but no send is confirmed. Look at the implementation's page, and start it again."),
    ),
    "disk": StateText(
        Level.BAD,
        N_("the disk is full"),
        N_("make room on the adapter's disk: it stops reading, and what it cannot keep is lost"),
        N_("Make room on the adapter's disk. It stops reading, and what it cannot keep is lost."),
    ),
}
_OFFICIAL: Final[Mapping[str, StateText]] = {
    "offline": StateText(
        Level.BAD,
        N_("offline"),
        N_("run `qqbus doctor`"),
        N_("Look at the reason below, and at the bot's page of Tencent."),
    ),
    "qr": StateText(
        Level.ACT,
        N_("a QR code waits to be scanned: it binds a bot"),
        N_("run `qqbus login` and scan the code with QQ on the phone"),
        N_("Open QQ on the phone, tap +, then Scan. The bot that you choose there belongs to this adapter."),
    ),
    "kicked": StateText(Level.BAD, N_("Tencent has banned the bot"), _CONSOLE, _CONSOLE_PAGE),
    "banned": StateText(Level.BAD, N_("Tencent has banned the bot"), _CONSOLE, _CONSOLE_PAGE),
    "credentials": StateText(
        Level.BAD,
        N_("Tencent refuses the AppID or the secret"),
        N_("correct QQBUS_OFFICIAL_APPID and its secret; a scanned bot: run `qqbus login`"),
        N_("Correct AppID and secret and start the adapter again. A scanned bot: log in to scan again."),
    ),
    "ip": StateText(
        Level.BAD,
        N_("the address of this host is not on the bot's IP white list"),
        N_("add it in the console of q.qq.com; the adapter tries again by itself"),
        N_("Add the address of this host in the console of q.qq.com. The adapter tries again by itself."),
    ),
    "refused": StateText(
        Level.BAD,
        N_("the gateway refuses the bot"),
        N_("read the detail, mend it, then run `qqbus login`"),
        N_("Read the detail below, mend it, then log in again."),
    ),
    "closed": StateText(Level.BUSY, N_("the gateway closes the connection"), _AGAIN, _AGAIN_PAGE),
    "network": StateText(
        Level.BUSY,
        N_("Tencent's servers do not answer"),
        N_("nothing: the adapter tries again by itself"),
        _AGAIN_PAGE,
    ),
    "deaf": StateText(
        Level.BAD,
        N_("online, but no events arrive"),
        N_("look at the bot's page of Tencent: is it online, and may it hear these events?"),
        N_("Look at the bot's page of Tencent: is it online, and may it hear these events?"),
    ),
    "mute": StateText(
        Level.BAD,
        N_("online, but no message gets out"),
        N_("look at the bot's page of Tencent"),
        N_("Events arrive, but sends are not confirmed. Look at the bot's page of Tencent."),
    ),
    "disk": StateText(
        Level.BAD,
        N_("the disk is full"),
        N_("make room on the adapter's disk: it stops reading until then"),
        N_("Make room on the adapter's disk. It stops reading until then."),
    ),
}
NETWORKS: Final[Mapping[str, Mapping[str, StateText]]] = {"onebot": _ONEBOT, "official": _OFFICIAL}
