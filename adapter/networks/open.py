"""Open the network that the configuration names. No other module knows the networks.

Only the network that is opened is imported: OneBot keeps nothing for a client that is away, and the import of
the others would be a third of the time in which a process that was killed is back.
"""
# ruff: noqa: PLC0415

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from adapter.config import Config, OfficialConfig
from adapter.networks.official.hosts import Hosts
from adapter.networks.official.protocol.binding import BotCredentials
from adapter.networks.upstream import EventLog, Finding, Upstream

log = logging.getLogger(__name__)


# Leases whose events a standby keeps: the holder has lost its lease after one, and may be late to notice.
KEPT_LEASES: Final = 3


def is_opened_on_standby(config: Config) -> bool:
    """Whether a standby is connected: the network keeps nothing for a client that is away."""
    return config.onebot is not None


@asynccontextmanager
async def open_upstream(config: Config, kept: EventLog | None = None) -> AsyncIterator[Upstream]:
    """Open the upstream of the account, with the session of the state folder.

    `kept`: where a standby keeps what it hears.
    """
    if config.official is not None:
        async with _open_official(config, config.official) as official:
            yield official
        return
    if config.onebot is not None:
        from adapter.networks.onebot.upstream import OneBotUpstream

        onebot = config.onebot
        async with OneBotUpstream(
            *(onebot.url, onebot.token, config.state_dir),
            kept=kept,
            keep_seconds=KEPT_LEASES * config.lease_seconds,
            history=onebot.history,
            keep_raw=config.include_raw,
        ) as upstream:
            yield upstream
        return
    from adapter.networks.smartqq.upstream import SmartQQUpstream

    async with SmartQQUpstream(config) as smartqq:
        yield smartqq


def log_network(config: Config) -> None:
    """Log which network the adapter is for; SmartQQ itself is no more."""
    if config.network == "smartqq" and config.smartqq_url is None:
        log.warning(
            "SmartQQ closed in 2019: set QQBUS_SMARTQQ_URL to a simulator (`qqbus sim`), or QQBUS_NETWORK to "
            "onebot for a QQ account through NapCat or LLBot, or to official for a bot of Tencent's API"
        )
    else:
        log.info("network: %s", config.network)


async def examine_network(config: Config) -> tuple[Finding, ...]:
    """Return what `qqbus doctor` finds out about the network; () where it looks only for an open port."""
    if config.onebot is not None:
        from adapter.networks.onebot.examination import examine

        return await examine(config.onebot.url, config.onebot.token)
    if config.official is not None:
        from adapter.networks.official.examination import examine as examine_official

        return await examine_official(*_official(config.official), config.state_dir)
    return ()


def _open_official(config: Config, official: OfficialConfig) -> AbstractAsyncContextManager[Upstream]:
    from adapter.networks.official.upstream import OfficialUpstream

    return OfficialUpstream(
        *_official(official),
        config.state_dir,
        intents=official.intents,
        keep_raw=config.include_raw,
    )


def _official(official: OfficialConfig) -> tuple[Hosts, BotCredentials | None]:
    credentials = BotCredentials(official.appid, official.secret) if official.appid else None
    return Hosts(official.api_url, official.token_url, official.portal_url), credentials


def session_file(config: Config) -> Path:
    """Return the file that keeps the session of the account, or what a scan has bound."""
    if config.official is not None:
        from adapter.networks.official.credentials_file import NAME as CREDENTIALS_NAME

        return config.state_dir / CREDENTIALS_NAME
    from adapter.networks.smartqq.session.store import NAME

    return config.state_dir / NAME
