"""Prove upstream.py, components.py, echo.py and receiver.py: SmartQQ as an upstream, over sockets."""

from dataclasses import replace
from pathlib import Path

import anyio
import anyio.abc
import pytest

from adapter.content import Face, Markup, Text, render
from adapter.events import (
    Address,
    ChatKind,
    ContactList,
    ListKind,
    Message,
    Notice,
    SessionChange,
    SessionState,
    Status,
)
from adapter.networks.smartqq.upstream import SmartQQUpstream
from adapter.networks.upstream import Upstream
from tests.simulator import Answer as Scripted
from tests.simulator import Friend, Person, Simulator
from tests.support.helpers import wait_until
from tests.support.smartqq_harness import FAST, always, config, friend, listening, names, online, send

pytestmark = pytest.mark.anyio


ODD = 'quotes " \\ \n line <&> 😀 &amp; \ttab [微笑] \\n'


def test_it_is_an_upstream(tmp_path: Path) -> None:
    upstream: Upstream = SmartQQUpstream(config("http://127.0.0.1:1", tmp_path))
    assert upstream.network == "smartqq"
    assert not list(tmp_path.iterdir())


# --- there and back ---


@pytest.mark.parametrize("profile", ["e1", "e3"])
async def test_what_is_said_arrives_unchanged_both_ways(profile: str, tmp_path: Path) -> None:
    async with Simulator(profile) as sim, online(sim, tmp_path) as listener:
        places = {
            "friend:10001": friend(sim),
            "group:123456789": Address(ChatKind.GROUP, str(sim.gid_of(123456789))),
            "discuss:1664012345": Address(ChatKind.DISCUSS, str(sim.did_of(1664012345))),
        }
        for chat, address in places.items():
            told = len(listener.of(Message))
            sim.say(chat, ODD)
            message = await listener.first(Message, told + 1)
            assert render(message.segments) == ODD
            assert Face(14, "微笑") in message.segments
            assert (message.chat, message.from_self) == (address, False)
            (part,) = listener.upstream.split((Markup(ODD),), None)
            outcome = await listener.upstream.send(address, part, may_send=always)
            assert (outcome.status, outcome.code) == (Status.SENT, "ok")
            assert (sim.received[-1].chat, sim.received[-1].text) == (chat, ODD)
            assert str(sim.received[-1].msg_id) == part.message_id


@pytest.mark.parametrize("profile", ["e1", "e3"])
async def test_a_batch_comes_whole_and_oldest_first(profile: str, tmp_path: Path) -> None:
    async with Simulator(profile) as sim, online(sim, tmp_path) as listener:
        sim.say_all({"chat": "group:123456789", "text": str(n), "sender": 10001} for n in range(60))
        await listener.first(Message, 60)
        assert [render(m.segments) for m in listener.of(Message)] == [str(n) for n in range(60)]


async def test_a_poll_that_brings_nothing_is_a_sign_of_life(tmp_path: Path) -> None:
    async with Simulator("e3", poll_seconds=0.01) as sim, online(sim, tmp_path) as listener:
        before = len(listener.batches)
        await wait_until(lambda: listener.batches[before:].count(()) >= 3, "three empty batches")


async def test_sends_do_not_wait_for_the_poll(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(send, listener, friend(sim))
        assert len(sim.received) == 5
        assert sim.network.mailbox.polls == 1


async def test_a_long_text_goes_in_parts_with_numbers_of_their_own(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        text = "中文 " * 200
        parts = listener.upstream.split((Text(text),), None)
        assert len({part.message_id for part in parts}) == len(parts) > 1
        for part in parts:
            assert (await listener.upstream.send(friend(sim), part, may_send=always)).status is Status.SENT
        assert "".join(received.text for received in sim.received) == text


# --- our own echo ---


@pytest.mark.parametrize("echo", ["random", "zero", "own"])
@pytest.mark.parametrize("profile", ["e1", "e3"])
async def test_our_own_words_come_back_as_our_own(profile: str, echo: str, tmp_path: Path) -> None:
    async with Simulator(profile, echo=echo) as sim, online(sim, tmp_path) as listener:
        places = [
            friend(sim),
            Address(ChatKind.GROUP, str(sim.gid_of(123456789))),
            Address(ChatKind.DISCUSS, str(sim.did_of(1664012345))),
        ]
        for address in places:
            told = len(listener.of(Message))
            await send(listener, address, "said by us <&> [微笑]")
            message = await listener.first(Message, told + 1)
            assert (message.from_self, message.chat, message.sender) == (True, address, "305419896")


async def test_a_service_text_is_a_notice(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.say("group:123456789", "小王(50005) 被管理员禁言10分钟", sender=111)
        notice = await listener.first(Notice)
        assert (notice.kind, notice.data["event"]) == ("group", "mute")


async def test_an_unknown_sender_is_published_at_once_and_named_afterwards(tmp_path: Path) -> None:
    limits = replace(FAST, lookup_interval=0.0)
    async with Simulator("e3") as sim, online(sim, tmp_path, limits) as listener:
        sim.next_answer("/api/get_user_friends2", Scripted(delay=0.2))
        sim.world.friends[77777] = Friend(Person(77777, "新朋友"))
        sim.say("friend:77777", "hi")
        message = await listener.first(Message)
        assert not message.from_self
        before = listener.batches.index((message,))
        named = await listener.first(Notice)
        assert (named.kind, named.chat, named.sender) == ("contacts", message.chat, message.sender)
        assert (named.text, named.data) == ("发言者：新朋友", {"event": "named"})
        batch = next(batch for batch in listener.batches[before:] if named in batch)
        assert isinstance(batch[0], ContactList)
        assert "新朋友" in {contact.name for contact in batch[0].contacts}


async def test_members_are_looked_up_once_an_interval_however_often_a_stranger_speaks(
    tmp_path: Path,
) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path, replace(FAST, lookup_interval=0.5)) as listener:
        for number in range(3):
            sim.say("group:123456789", "who am I?", sender=111)
            message = await listener.first(Message, number + 1)
            assert (message.from_self, message.sender) == (False, str(sim.uin_of(111)))
        since = len(sim.requests)
        await wait_until(
            lambda: (
                names(sim, since).count("get_group_info_ext2")
                or sim.say("group:123456789", "and now?", sender=111) is None
            ),
            "the members are looked up when the interval is over",
        )
        assert names(sim, since).count("get_group_info_ext2") == 1


async def test_the_first_words_of_an_unlisted_group_load_the_group_and_its_members(tmp_path: Path) -> None:
    limits = replace(FAST, lookup_interval=0.0)
    async with Simulator("e3") as sim, online(sim, tmp_path, limits) as listener:
        sim.world.groups[777] = replace(sim.world.groups[123456789], number=777, name="新群")
        sim.say("group:777", "welcome", sender=10001)
        message = await listener.first(Message)
        named = await listener.first(Notice)
        assert (named.chat, named.sender) == (message.chat, message.sender)


async def test_a_stranger_who_repeats_our_words_is_our_echo_once(tmp_path: Path) -> None:
    async with Simulator("e3", echo="off") as sim, online(sim, tmp_path) as listener:
        chat = "group:123456789"
        await send(listener, Address(ChatKind.GROUP, str(sim.gid_of(123456789))), "same words")
        for sender in (111, 222):
            sim.say(chat, "same words", sender=sender)
        await listener.first(Message, 2)
        assert [message.from_self for message in listener.of(Message)] == [True, False]


# --- contacts ---


async def test_all_lists_follow_a_login_and_come_before_any_message(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, listening(sim, tmp_path) as listener:
        await listener.state(SessionState.ONLINE)
        sim.say("friend:10001", "early")
        await listener.first(Message)
        kinds = [told.kind for told in listener.of(ContactList)]
        assert set(kinds) == set(ListKind)
        first = next(i for i, event in enumerate(listener.events) if isinstance(event, Message))
        assert all(isinstance(event, ContactList) for event in listener.events[first - 3 : first])
        (friends,) = [told for told in listener.of(ContactList) if told.kind is ListKind.FRIENDS][-1:]
        assert {c.name for c in friends.contacts} >= {"小林", "汤姆 <猫>", "10086", "Chen 🎈"}
        assert next(c for c in friends.contacts if c.name == "小林").qq == "10001"


async def test_lists_that_do_not_come_hold_up_nothing(tmp_path: Path) -> None:
    limits = replace(FAST, lists_timeout=0.05, lookup_interval=0.05)
    async with Simulator("e3") as sim:
        for path in ("/api/get_user_friends2", "/api/get_group_name_list_mask2", "/api/get_discus_list"):
            sim.next_answer(path, Scripted(delay=60.0), Scripted(status=502), Scripted(json={"retcode": 6}))
        async with listening(sim, tmp_path, limits) as listener:
            with anyio.fail_after(20):
                await listener.upstream.connected()
            sim.say("friend:10001", "hello")
            await listener.first(Message)
            sim.say("friend:10001", "again")
            await wait_until(
                lambda: (
                    {told.kind for told in listener.of(ContactList)} >= {ListKind.FRIENDS, ListKind.GROUPS}
                    or sim.say("friend:10001", "more") is None
                ),
                "the lists",
            )


async def test_a_list_without_its_main_part_is_asked_for_again(tmp_path: Path) -> None:
    bare = {"retcode": 0, "result": {"ginfo": {"members": [{"muin": 5}]}}}
    async with Simulator("e3") as sim:
        sim.next_answer("/api/get_group_info_ext2", Scripted(json=bare), Scripted(json={"retcode": 100003}))
        async with online(sim, tmp_path) as listener:
            members = [
                told for told in listener.of(ContactList) if told.of and told.of.kind is ChatKind.GROUP
            ]
            assert len(members) == 2
            assert all(len(told.contacts) > 1 for told in members)


async def test_a_refresh_tells_everything_again(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        before = len(listener.of(ContactList))
        await listener.upstream.refresh_contacts()
        sim.say("friend:10001", "wake the poll")
        await wait_until(lambda: len(listener.of(ContactList)) >= 2 * before - 1, "all lists again")
        assert sim.network.mailbox.polls <= 1


async def test_a_refresh_that_a_new_login_overtakes_tells_nobody_s_ids(tmp_path: Path) -> None:
    path = "/api/get_group_name_list_mask2"
    async with Simulator("e3", new_uins="always") as sim, online(sim, tmp_path) as listener:
        sim.next_answer(path, Scripted(delay=0.3))
        async with anyio.create_task_group() as group:
            group.start_soon(listener.upstream.refresh_contacts)
            await sim.wait_delayed(path)
            await listener.upstream.reconnect()
            await listener.state(SessionState.ONLINE, 2)
        sim.say("friend:10001", "wake the poll")
        message = await listener.first(Message)
        events = listener.events
        again = max(n for n, event in enumerate(events) if isinstance(event, SessionChange))
        lists = [event for event in events[again:] if isinstance(event, ContactList)]
        friends = {c.id for told in lists if told.kind is ListKind.FRIENDS for c in told.contacts}
        assert friends == {str(sim.uin_of(qq)) for qq in sim.world.friends}
        assert message.sender in friends


async def test_a_send_waits_for_a_session_that_is_being_mended(tmp_path: Path) -> None:
    async with Simulator("e3", new_uins="always") as sim, online(sim, tmp_path) as listener:
        before = friend(sim)
        sim.next_answer("/channel/login2", Scripted(delay=0.2))
        sim.drop_session()
        await listener.state(SessionState.RELINKING)
        # Its address is one of the session before: nothing is sent to it.
        assert await send(listener, before) is None
        assert (await send(listener, friend(sim))).status is Status.SENT
        assert names(sim).count("send_buddy_msg2") == 1


async def test_early_group_messages_give_the_group_s_number_away(tmp_path: Path) -> None:
    async with Simulator("e1", friend_uin=False, qun_open=False) as sim, online(sim, tmp_path) as listener:
        sim.say("group:123456789", "hi", sender=10001)
        await listener.first(Message)
        groups = [told for told in listener.of(ContactList) if told.kind is ListKind.GROUPS]
        assert {c.qq for c in groups[-1].contacts} == {"123456789", ""}
