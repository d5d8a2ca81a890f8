"""Open the network that the configuration names. No other module knows the networks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapter.config import Config
from adapter.networks.smartqq.session.store import NAME
from adapter.networks.smartqq.upstream import SmartQQUpstream
from adapter.networks.upstream import Upstream


@asynccontextmanager
async def open_upstream(config: Config) -> AsyncIterator[Upstream]:
    """Open the upstream of the account, with the session of the state folder."""
    async with SmartQQUpstream(config) as upstream:
        yield upstream


def session_file(config: Config) -> Path:
    """Return the file that keeps the session of the account."""
    return config.state_dir / NAME
