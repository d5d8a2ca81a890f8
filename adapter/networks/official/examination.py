"""Examination for `qqbus doctor`: whether Tencent takes the bot, and what it has to switch on.

It gets a token and asks for the gateway, and opens no connection there: Identify is counted upstream.
"""

import time
from pathlib import Path
from typing import Final

from adapter.errors import ConfigError, TransportError
from adapter.i18n import N_
from adapter.networks.official.client.api import Api
from adapter.networks.official.client.errors import AccessRefusedError, Reason
from adapter.networks.official.client.http import HttpClient
from adapter.networks.official.client.tokens import TokenSource
from adapter.networks.official.credentials_file import CredentialsFile
from adapter.networks.official.hosts import Hosts
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.binding import BotCredentials, check_cryptography
from adapter.networks.upstream import Finding

# Seconds for a connection and for an answer.
_WAIT: Final = 5.0
_SEE_CONSOLE: Final = N_("see the console of q.qq.com")
_CHANGES: Final = {
    Reason.CREDENTIALS: N_(
        "correct QQBUS_OFFICIAL_APPID and QQBUS_OFFICIAL_SECRET_FILE; of a scanned bot: `qqbus login`"
    ),
    Reason.IP: N_("add the address of this host to the IP white list in the console of q.qq.com"),
    Reason.BANNED: _SEE_CONSOLE,
}
_LIMITS_OF_THE_NETWORK: Final = Finding(
    "",
    N_(
        "the official API answers messages rather than speaking first, and gives no QQ numbers, names of "
        "groups or lists of members"
    ),
)
_CONSOLE: Final = Finding(
    "",
    N_(
        "not to be seen from here: in the console of q.qq.com the bot has to use WebSocket, and the owner of "
        "a group has to let it hear all messages, else it hears those that mention it"
    ),
)


async def examine(hosts: Hosts, given: BotCredentials | None, state_dir: Path) -> tuple[Finding, ...]:
    """Return the findings, the worst first."""
    credentials = given or CredentialsFile(state_dir).load()
    if credentials is None:
        return _unbound()
    limits = Limits(connect_seconds=_WAIT, call_seconds=_WAIT)
    values: dict[str, object] = {"api": hosts.api, "appid": credentials.appid}
    async with HttpClient(limits) as http:
        tokens = TokenSource(http, hosts.token, limits, time.monotonic)
        tokens.use(credentials)
        try:
            await Api(http, tokens, hosts.api, limits).gateway_url()
        except AccessRefusedError as exc:
            change = _CHANGES.get(exc.reason, _SEE_CONSOLE)
            return (
                Finding("bad", N_("{api} refuses the bot {appid}: {error}"), change, values | {"error": exc}),
            )
        except TransportError as exc:
            change = N_("look at the network of this host, or correct QQBUS_OFFICIAL_API_URL and _TOKEN_URL")
            return (Finding("bad", N_("{api} cannot be used: {error}"), change, values | {"error": exc}),)
    found = Finding("", N_("{api} takes the bot {appid} and names its gateway"), values=values)
    return found, _LIMITS_OF_THE_NETWORK, _CONSOLE


def _unbound() -> tuple[Finding, ...]:
    try:
        check_cryptography()
    except ConfigError as exc:
        return (Finding("bad", N_("no bot is bound, and none can be"), exc.text),)
    change = N_(
        "`qqbus run`, then scan the code of `qqbus login`; or set QQBUS_OFFICIAL_APPID and its secret"
    )
    return Finding("warn", N_("no bot is bound yet"), change), _LIMITS_OF_THE_NETWORK
