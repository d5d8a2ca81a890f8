"""History after a gap: four dialects, only what was missed, in order; and the gap stands."""

import time
from pathlib import Path

import pytest

from adapter.events import Gap
from tests.onebot_server import DIALECTS, OneBotServer
from tests.support.helpers import wait_until
from tests.support.onebot_harness import Listener, listening

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)


async def miss(server: OneBotServer, heard: Listener, count: int, *, chat: str = "group:30001") -> None:
    """Let people write while the port is closed, then open it."""
    await heard.online()
    server.say(chat, "before", time=int(time.time()) - 300)
    await heard.heard(1)
    await server.do.down()
    for number in range(count):
        server.say(chat, f"missed {number}")
    await server.do.up()
    await heard.online(2)


@pytest.mark.parametrize("dialect", ["napcat", "llbot", "go-cqhttp"])
async def test_messages_of_a_group_that_were_missed_come_in_order(dialect: str, tmp_path: Path) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path, history=50) as heard:
        await miss(server, heard, 30)
        await heard.heard(31)
        assert heard.texts == ["before", *(f"missed {number}" for number in range(30))]
        assert len(heard.of(Gap)) == 1


async def test_snowluma_shows_what_it_has_seen_itself(tmp_path: Path) -> None:
    async with OneBotServer("snowluma") as server, listening(server, tmp_path, history=50) as heard:
        await heard.online()
        server.say("group:30001", "before")
        await heard.heard(1)
        server.do.silence()
        server.say("group:30001", "missed")
        server.do.reset()
        await heard.heard(3)
        assert "missed" in heard.texts


@pytest.mark.parametrize("dialect", ["napcat", "llbot", "snowluma"])
async def test_private_messages_are_asked_for_where_the_dialect_can(dialect: str, tmp_path: Path) -> None:
    async with OneBotServer(dialect) as server, listening(server, tmp_path, history=5) as heard:
        await heard.online()
        server.say("friend:10001", "before", time=int(time.time()) - 300)
        await heard.heard(1)
        server.do.silence()
        for number in range(10):
            server.say("friend:10001", f"missed {number}")
        server.say("friend:10001", "own", sender=20001)
        server.do.reset()
        await heard.heard(5)
        assert heard.texts == ["before", *(f"missed {number}" for number in range(6, 10))]


async def test_go_cqhttp_is_asked_until_the_gap_is_reached(tmp_path: Path) -> None:
    async with OneBotServer("go-cqhttp") as server, listening(server, tmp_path, history=45) as heard:
        await miss(server, heard, 60)
        await heard.heard(46)
        assert heard.texts[1:] == [f"missed {number}" for number in range(15, 60)]


async def test_without_a_number_nothing_is_asked_for(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await miss(server, heard, 1)
        server.say("group:30001", "after")
        await heard.heard(2)
        assert heard.texts == ["before", "after"]
        assert not [one for one in server.record.actions.entries if "history" in one.action]


async def test_a_history_that_fails_is_left_and_one_that_is_cut_off_is_asked_for_again(
    tmp_path: Path,
) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path, history=5) as heard:
        await heard.online()
        server.say("friend:10001", "friend")
        server.say("group:30001", "group")
        await heard.heard(2)
        server.do.silence()
        server.say("group:30001", "missed")
        server.do.answer("get_group_msg_history", [{"reply": "reset"}])
        server.do.reset()
        await heard.online(3)
        await wait_until(lambda: "missed" in heard.texts, "the missed message")
        assert len(heard.of(Gap)) == 2
