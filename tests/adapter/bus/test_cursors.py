"""Proof of adapter/bus/cursors.py."""

import pytest

from adapter.bus.admin import AdminClient
from adapter.bus.bus import Bus
from adapter.bus.cursors import rewound_cursors

pytestmark = pytest.mark.anyio


async def test_a_stream_that_began_again_is_followed(bus: Bus, redis_url: str) -> None:
    last, dead = f"{2**64 - 1}-{2**64 - 1}", bus.keys("dead")
    cursors = {"dead": last, "inbound": "0-0"}
    await bus.client.xadd(dead, {"n": "1"}, id=last)
    async with AdminClient.open(redis_url, bus.keys.prefix) as desk:
        assert await rewound_cursors(desk, cursors) == {}
        await bus.client.delete(dead)
        await bus.client.xadd(dead, {"n": "2"}, id="5-5")
        assert await rewound_cursors(desk, cursors) == {"dead": "5-5"}
