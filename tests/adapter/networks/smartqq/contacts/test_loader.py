"""Prove contacts/loader.py, list_client.py and numbers.py: sources of numbers, and their failures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapter.events import ChatKind, ContactList, ListKind, Message, SessionChange, SessionState
from tests.simulator import ACCOUNT, Answer, Friend, Person, Simulator, sample_world
from tests.support.helpers import wait_until
from tests.support.smartqq_harness import FAST, Listener, names, online

pytestmark = pytest.mark.anyio


def numbers(listener: Listener, kind: ListKind) -> dict[str, str]:
    """Name to permanent number, as the latest list of this kind has them."""
    told = [one for one in listener.of(ContactList) if one.kind is kind][-1]
    return {contact.name: contact.qq for contact in told.contacts}


async def test_while_upstream_gives_numbers_away_all_are_known(tmp_path: Path) -> None:
    async with Simulator("e1") as sim, online(sim, tmp_path) as listener:
        assert numbers(listener, ListKind.FRIENDS)["小林"] == "10001"
        assert "" not in numbers(listener, ListKind.FRIENDS).values()
        assert set(numbers(listener, ListKind.GROUPS).values()) == {"123456789", "223344556"}
        assert "get_friend_list" not in names(sim)


async def test_when_it_stops_names_are_compared_and_namesakes_left_alone(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        found = numbers(listener, ListKind.FRIENDS)
        assert (found["小林"], found["汤姆 <猫>"]) == ("10001", "30003")
        lists = [one for one in listener.of(ContactList) if one.kind is ListKind.FRIENDS]
        namesakes = [{c.qq for c in one.contacts if c.name == "小王"} for one in lists]
        # Their cards in a group tell them apart later.
        assert (namesakes[0], namesakes[-1]) == ({""}, {"50005", "60006"})
        assert names(sim).count("get_friend_uin2") <= 2


async def test_members_are_compared_too_as_long_as_the_group_page_answers(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        group = str(sim.gid_of(123456789))
        told = next(one for one in listener.of(ContactList) if one.of and one.of.id == group)
        assert {c.name: c.qq for c in told.contacts}["王一"] == "50005"
        assert {c.name: c.qq for c in told.contacts}["王二"] == "60006"


async def test_when_that_stops_too_discussions_still_tell(tmp_path: Path) -> None:
    async with Simulator("e3", qun_open=False) as sim, online(sim, tmp_path) as listener:
        found = numbers(listener, ListKind.FRIENDS)
        assert (found["小林"], found["Chen 🎈"], found["汤姆 <猫>"]) == ("10001", "20002", "")
        assert sum("qun_" in entry.path for entry in sim.requests) <= 2


async def test_our_own_number_is_known_without_asking(tmp_path: Path) -> None:
    async with Simulator("e3", qun_open=False) as sim, online(sim, tmp_path) as listener:
        members = [one for one in listener.of(ContactList) if one.of and one.of.kind is ChatKind.GROUP]
        assert members
        assert all(str(ACCOUNT) in {c.qq for c in one.contacts} for one in members)


@pytest.mark.parametrize(
    "part", ["minfo", "cards", "marknames", "gmarklist", "minfo cards marknames gmarklist"]
)
async def test_lists_with_a_part_missing_are_told_all_the_same(part: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"omit": part, "shuffle_lists": True}
    async with Simulator("e3", **changes) as sim, online(sim, tmp_path) as listener:
        assert {one.kind for one in listener.of(ContactList)} == set(ListKind)
        friends = [one for one in listener.of(ContactList) if one.kind is ListKind.FRIENDS][-1]
        assert {c.nick for c in friends.contacts} >= {"林晓", "小王", "10086"}


async def test_members_that_take_too_long_come_later(tmp_path: Path) -> None:
    limits = replace(FAST, members_timeout=0.2, idle_lookup=2.0)
    async with Simulator("e3", poll_seconds=0.05) as sim:
        sim.next_answer("/api/get_group_info_ext2", *[Answer(delay=0.6)] * 2)
        async with online(sim, tmp_path, limits) as listener:
            await wait_until(
                lambda: len({str(one.of) for one in listener.of(ContactList) if one.of}) == 3, "all members"
            )


@pytest.mark.parametrize("path", ["/api/get_user_friends2", "/api/get_group_info_ext2"])
async def test_a_refresh_that_a_new_login_overtakes_takes_no_members_from_it(
    path: str, tmp_path: Path
) -> None:
    async with Simulator("e3", new_uins="always") as sim, online(sim, tmp_path) as listener:
        before = {str(one.of) for one in listener.of(ContactList) if one.of}
        sim.next_answer(path, Answer(delay=1.0))  # longer than a login takes here
        async with anyio.create_task_group() as group:
            group.start_soon(listener.upstream.refresh_contacts)
            await sim.wait_delayed(path)
            await listener.upstream.reconnect()
            await listener.state(SessionState.ONLINE, 2)

        def members() -> set[str]:
            again = max(n for n, one in enumerate(listener.events) if isinstance(one, SessionChange))
            return {str(one.of) for one in listener.events[again:] if isinstance(one, ContactList) and one.of}

        await wait_until(lambda: len(members()) == len(before) == 3, "all members of the new session")
        assert members().isdisjoint(before)


async def test_a_friend_made_meanwhile_is_told_with_the_change(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.world.friends[77777] = Friend(Person(77777, "新朋友"))
        value = {"added_friends": [{"groupid": 0, "uin": sim.uin_of(77777)}], "removed_friends": []}
        sim.push("buddylist_change", value)
        await wait_until(lambda: "新朋友" in numbers(listener, ListKind.FRIENDS), "the new friend")
        sim.say("friend:77777", "hi")
        assert (await listener.first(Message)).sender == str(sim.uin_of(77777))


async def test_a_crowd_of_friends_is_asked_for_a_few_at_a_time(tmp_path: Path) -> None:
    world = sample_world()
    for qq in range(800_000, 800_200):
        world.friends[qq] = Friend(Person(qq, f"friend {qq}"))
    limits = replace(FAST, members_timeout=8.0)
    async with Simulator("e1", world=world) as sim, online(sim, tmp_path, limits) as listener:
        found = numbers(listener, ListKind.FRIENDS)
        assert all(found[f"friend {qq}"] == str(qq) for qq in range(800_000, 800_200))
