"""Answer one page with its server-sent events."""

import logging
from typing import Final

from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from adapter.ops.page.broadcaster import Broadcaster, Subscriber

log = logging.getLogger(__name__)

# Seconds between two comments: proxies and browsers drop a connection that is silent for long.
PING_INTERVAL: Final = 15
# Seconds in which a page that is behind must take something; then its place is given to another.
SEND_TIMEOUT: Final = 30.0


class PageStream(EventSourceResponse):
    """Send the messages of a subscriber until the page goes, takes nothing, or the adapter stops."""

    def __init__(self, broadcaster: Broadcaster, subscriber: Subscriber) -> None:
        super().__init__(subscriber.messages(), ping=PING_INTERVAL, sep="\n", send_timeout=SEND_TIMEOUT)
        self._broadcaster = broadcaster
        self._subscriber = subscriber

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("a status page took nothing for %g s: closed", SEND_TIMEOUT)
        finally:
            self._broadcaster.leave(self._subscriber)
