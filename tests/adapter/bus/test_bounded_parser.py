"""Proof of adapter/bus/bounded_parser.py: a reply that is too large ends its connection, not the memory."""

import pytest

from adapter.bus.bounded_parser import MAX_REPLY
from adapter.bus.bus import Bus
from adapter.bus.connection import map_redis_errors
from adapter.errors import ReplyTooLarge

pytestmark = pytest.mark.anyio


async def test_a_reply_has_a_bound_and_the_next_one_is_read(bus: Bus) -> None:
    key = bus.keys("dead")
    for size, fits in ((MAX_REPLY // 2, True), (4 * MAX_REPLY, False), (MAX_REPLY // 2, True)):
        await bus.client.delete(key)
        await bus.client.xadd(key, {"body": b"x" * size})
        if fits:
            assert len((await bus.reader.xrange(key))[0][1][b"body"]) == size
        else:
            with pytest.raises(ReplyTooLarge), map_redis_errors():
                await bus.reader.xrange(key)


async def test_the_bound_is_that_of_one_reply(bus: Bus) -> None:
    await bus.client.xadd(bus.keys("dead"), {"body": b"x" * (MAX_REPLY // 2)})
    for _ in range(5):
        assert len(await bus.reader.xrange(bus.keys("dead"))) == 1
