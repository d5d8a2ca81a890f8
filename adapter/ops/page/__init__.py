"""The status page over HTTP, with commands, health checks and metrics.

It reads Redis over connections of its own, and `Metrics`: page and adapter never wait for each other.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapter.config import Config

if TYPE_CHECKING:
    from adapter.ops.metrics import Metrics
    from adapter.ops.supervisor import Supervisor


@asynccontextmanager
async def run_page(
    config: Config, url: str | None, metrics: "Metrics", supervisor: "Supervisor"
) -> AsyncIterator[str]:
    """Serve the page on `config.http_bind`; yield its address, "" where it is off.

    Raises ConfigError if the port is taken or the token cannot be used.
    """
    if config.http_bind is None:
        yield ""
        return
    # A server of HTTP is a quarter of the start: an adapter without a page does not import it.
    from adapter.ops.page.server import serve_page  # noqa: PLC0415

    async with serve_page(config, config.http_bind, url, metrics, supervisor) as address:
        yield address
