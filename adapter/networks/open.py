"""Open the network that the configuration names. No other module knows the networks."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapter.config import Config
from adapter.networks.onebot.upstream import OneBotUpstream
from adapter.networks.smartqq.session.store import NAME
from adapter.networks.smartqq.upstream import SmartQQUpstream
from adapter.networks.upstream import Upstream

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_upstream(config: Config) -> AsyncIterator[Upstream]:
    """Open the upstream of the account, with the session of the state folder."""
    if config.onebot is not None:
        onebot = config.onebot
        async with OneBotUpstream(
            onebot.url, onebot.token, config.state_dir, history=onebot.history, keep_raw=config.include_raw
        ) as upstream:
            yield upstream
        return
    if config.smartqq_url is None:
        log.warning(
            "SmartQQ closed in 2019: set QQBUS_SMARTQQ_URL to a simulator, or QQBUS_NETWORK to onebot for a "
            "QQ account or to official for a bot of Tencent's"
        )
    async with SmartQQUpstream(config) as smartqq:
        yield smartqq


def session_file(config: Config) -> Path:
    """Return the file that keeps the session of the account."""
    return config.state_dir / NAME
