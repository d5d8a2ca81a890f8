"""The contact loader: when lists are loaded, and what happens where they are not answered."""

from pathlib import Path

import pytest

from adapter.events import ContactList, ListKind
from tests.onebot_server import OneBotServer
from tests.support.helpers import wait_until
from tests.support.onebot_harness import limits, listening

pytestmark = pytest.mark.anyio


def asked(server: OneBotServer) -> int:
    return sum(one.action == "get_friend_list" for one in server.record.actions.entries)


async def test_lists_are_fresh_across_a_short_outage(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await wait_until(lambda: len(heard.of(ContactList)) == 2, "both lists")
        server.do.reset()
        await heard.online(2)
        server.say("friend:10001", "hi")
        await heard.heard(1)
        assert asked(server) == 1


async def test_several_changes_are_one_load(tmp_path: Path) -> None:
    slow = limits(reload_seconds=0.5)
    async with OneBotServer("napcat") as server, listening(server, tmp_path, limits=slow) as heard:
        await wait_until(lambda: len(heard.of(ContactList)) == 2, "both lists")
        for user in (10010, 10011, 10012):
            server.notice("friend_add", user=user)
        server.notice("group_increase", group=30009, user=20001)
        await wait_until(lambda: len(heard.of(ContactList)) == 4, "both lists again")
        assert {"10010", "10011", "10012"} <= {one.id for one in heard.of(ContactList)[2].contacts}
        assert "30009" in {one.id for one in heard.of(ContactList)[3].contacts}
        assert asked(server) == 2


async def test_a_list_that_is_not_answered_leaves_the_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with OneBotServer("napcat") as server:
        server.do.answer("get_friend_list", [{"answer": {"status": "failed", "retcode": 1200}}])
        async with listening(server, tmp_path) as heard:
            lists = await wait_until(lambda: heard.of(ContactList), "a list")
            assert lists[0].kind is ListKind.GROUPS
            assert "contact lists are not answered" in caplog.text
