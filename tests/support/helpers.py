"""What tests wait with: a predicate and the words for what did not happen."""

import inspect
import os
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

POLL = 0.01
# The token of every page under test, and what a program sends it as.
PAGE_TOKEN = "token-of-pages-under-test"
BEARER = {"Authorization": f"Bearer {PAGE_TOKEN}"}
# A server as most people run theirs. The embedded one waits for its disk before it acknowledges.
HASTY = ("--appendfsync", "everysec")


async def wait_until(
    predicate: Callable[[], Awaitable[Any] | Any],
    what: str,
    timeout: float = 30.0,
) -> Any:
    """Wait until the predicate gives something true, and return that. Fails naming `what`."""
    with anyio.move_on_after(timeout):
        while True:
            value = predicate()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await anyio.sleep(POLL)
    raise AssertionError(f"after {timeout:g} s still not: {what}")


def clean_environment(**settings: str) -> dict[str, str]:
    """Return the environment for a process under test: nothing of ours but what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QQBUS_")}
    for name in ("REDIS_URL", "PORT"):
        kept.pop(name, None)
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"} | settings


async def quiet(*_: object) -> None:
    """Ignore what is said."""
