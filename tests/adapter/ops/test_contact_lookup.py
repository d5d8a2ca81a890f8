"""Proof of adapter/ops/contact_lookup.py against a real server."""

import pytest

from adapter.bus.admin import AdminClient
from adapter.bus.bus import Bus
from adapter.codec.inbound import pack
from adapter.errors import SchemaError
from adapter.ops.contact_lookup import find_address

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("friend:41", "friend:41"),
        ("friend:10001", "friend:41"),  # a QQ number in the place of the stable id
        ("friend:99999", "friend:99999"),  # unknown: the adapter says what it thinks of it
        ("10001", "friend:41"),
        ("41", "friend:41"),
        ("小林", "friend:41"),
        (" linxiao ", "friend:41"),
        ("读书", "group:7"),
        ("temp:3@group:7", "temp:3@group:7"),
        ("reply:305419896.f41.41.1.1445653507.5c2e", "reply:305419896.f41.41.1.1445653507.5c2e"),
    ],
)
async def test_one_contact_is_meant(bus: Bus, redis_url: str, text: str, address: str) -> None:
    await fill(bus)
    async with AdminClient.open(redis_url, bus.keys.prefix) as admin:
        assert await find_address(admin, text) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tom", "2 contacts are named 'Tom': friend:42, friend:43"),
        ("moon", "no contact has that name"),
        ("", "no contact has that name"),
        ("小", "no contact has that name"),  # a part of a name is a search, not an address
    ],
)
async def test_none_or_several_are_refused_in_words(bus: Bus, redis_url: str, text: str, words: str) -> None:
    await fill(bus)
    async with AdminClient.open(redis_url, bus.keys.prefix) as admin:
        with pytest.raises(SchemaError, match=words):
            await find_address(admin, text)


async def fill(bus: Bus) -> None:
    friends = {
        "41": {"name": "小林", "nick": "LinXiao", "qq": "10001"},
        "42": {"name": "Tom"},
        "43": {"name": "tom", "qq": "10003"},
    }
    await bus.hset(bus.keys("friends"), {name: pack(row) for name, row in friends.items()})
    await bus.hset(bus.keys("groups"), {"7": pack({"name": "读书"})})
