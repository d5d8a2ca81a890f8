"""The whole upstream against the OneBot server: events of each dialect in, messages out, a clean end."""

import time
from pathlib import Path

import anyio
import pytest

from adapter.content import Face, Image, Text
from adapter.errors import SchemaError, UpstreamError
from adapter.events import (
    Address,
    ChatKind,
    ContactList,
    Coverage,
    Gap,
    ListKind,
    Outcome,
    SessionChange,
    Status,
)
from adapter.networks.onebot.protocol.frames import Heartbeat
from tests.onebot_server import DIALECTS, OneBotServer
from tests.support.helpers import wait_until
from tests.support.onebot_harness import limits, listening, send

pytestmark = pytest.mark.anyio

ALL = tuple(DIALECTS)
GROUP = Address(ChatKind.GROUP, "30001")
FRIEND = Address(ChatKind.FRIEND, "10001")


@pytest.mark.parametrize("dialect", ALL)
async def test_a_message_comes_in_and_an_answer_goes_out(dialect: str, tmp_path: Path) -> None:
    async with (
        OneBotServer(dialect, token="secret") as server,
        listening(server, tmp_path, token="secret") as heard,
    ):
        await heard.online()
        server.say("group:30001", message="hi [CQ:face,id=14]", sender=10002)
        (message,) = await heard.heard(1)
        assert (message.chat, message.segments) == (GROUP, (Text("hi "), Face(14, "微笑")))
        outcome = await send(heard.upstream, message.chat, Text("[CQ:at,qq=all]"), Face(14, ""))
        (delivery,) = await server.wait_received(1)
        assert outcome == Outcome(Status.SENT, "ok", "", str(delivery.message_id))
        assert (delivery.chat, delivery.form, len(delivery.segments)) == ("group:30001", "array", 2)
        assert heard.of(SessionChange)[-1].account == "20001"
        assert not heard.of(Gap)


async def test_friends_and_groups_are_loaded_without_private_fields(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        lists = await wait_until(
            lambda: len(heard.of(ContactList)) >= 2 and heard.of(ContactList), "two lists"
        )
        friends, groups = lists
        assert (friends.kind, [one.name for one in friends.contacts]) == (
            ListKind.FRIENDS,
            ["明明", "Alice", "王哥"],
        )
        assert (groups.kind, [one.name for one in groups.contacts]) == (ListKind.GROUPS, ["茶馆", "Testers"])
        assert "phone" not in str(lists)
        server.notice("friend_add", user=10010)
        await wait_until(lambda: len(heard.of(ContactList)) >= 4, "the lists again")
        assert "10010" in {one.id for one in heard.of(ContactList)[2].contacts}
        await heard.upstream.refresh_contacts()
        await wait_until(lambda: len(heard.of(ContactList)) >= 6, "the lists on demand")


async def test_members_are_loaded_on_demand(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        server.do.group(30009, members=9_000)
        await heard.online()
        await heard.upstream.load_members(Address(ChatKind.GROUP, "30009"))
        members = await wait_until(lambda: [one for one in heard.of(ContactList) if one.of], "the members")
        assert len(members[0].contacts) == 9_000
        for chat in (FRIEND, Address(ChatKind.GROUP, "5")):
            with pytest.raises(UpstreamError):
                await heard.upstream.load_members(chat)


async def test_five_thousand_messages_in_a_burst_come_in_order_and_in_batches(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.people.flood("group:30001", 5_000)
        messages = await heard.heard(5_000, 30.0)
        assert [one.segments for one in messages] == [(Text(f"x {n}"),) for n in range(5_000)]
        sizes = [len(batch) for batch in heard.batches]
        assert max(sizes) == 100


async def test_a_frame_of_many_megabytes_and_odd_ids_come_as_they_are(tmp_path: Path) -> None:
    async with OneBotServer("llbot", message_ids="wide37") as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("friend:10001", "x" * 4_000_000)
        server.say("friend:10001", message=[{"type": "image", "data": {"size": 3_000_000}}])
        server.do.ids([-2_147_483_648, 84_966_612_664])
        server.say("friend:10001", "a")
        server.say("friend:10001", "b")
        large, picture, a, b = await heard.heard(4)
        assert large.segments == (Text("x" * 4_000_000),)
        (image,) = picture.segments
        assert isinstance(image, Image)
        assert image.size == 3_000_000
        assert (a.message_id, b.message_id) == ("-2147483648", "84966612664")


async def test_frames_that_make_no_sense_are_events_and_end_nothing(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        await heard.online()
        for text in ("{", "[]", '{"post_type":"message"}', '{"retcode":0,"echo":"none"}', '"retcode"'):
            server.do.frame(text)
        server.say("friend:10001", "hi")
        await heard.heard(1)
        assert len(await heard.noticed("other", 4)) == 4


async def test_the_end_yields_what_was_received_and_lets_a_send_finish(tmp_path: Path) -> None:
    patient = limits(idle_seconds=30.0)
    async with OneBotServer("napcat") as server, listening(server, tmp_path, limits=patient) as heard:
        await heard.online()
        heard.gate = anyio.Event()
        server.say("friend:10001", "first")
        await heard.heard(1)
        for number in range(150):
            server.say("friend:10001", f"m{number}")
        await wait_until(lambda: heard.upstream._inbox.held_bytes > 150 * 200, "150 frames in the inbox")  # noqa: SLF001
        heard.upstream.stop_receiving()
        heard.gate.set()
        await heard.heard(151)
        assert (await send(heard.upstream, FRIEND, Text("last"))) is not None
        server.say("friend:10001", "too late")
        await server.wait_received(1)
        assert heard.texts[-1] == "m149"


async def test_a_sign_of_life_after_the_end_does_not_cover_what_is_ignored(tmp_path: Path) -> None:
    passed = 0.0
    async with (
        OneBotServer("napcat") as server,
        listening(server, tmp_path, wall=lambda: time.time() + passed) as heard,
    ):
        await heard.online()
        upstream = heard.upstream

        def covered() -> Coverage:
            upstream._session.on_status(Heartbeat(True, 0.0), 0.0)  # noqa: SLF001
            found = upstream.coverage()
            assert found is not None
            return found

        await wait_until(lambda: covered().complete_seconds < 1.0, "a sign of life covers what came")
        assert covered().connected_seconds == 0.0
        upstream.stop_receiving()
        passed = 20.0
        # The gaps from here on are its successor's to tell.
        assert min(covered().complete_seconds, covered().connected_seconds) > 19.0


async def test_raw_values_are_kept_on_request(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path, keep_raw=True) as heard:
        await heard.online()
        event = server.say("friend:10001", "hi")["event"]
        (message,) = await heard.heard(1)
        assert message.raw == event


async def test_parts_have_numbers_that_do_not_come_again(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path) as heard:
        first, second = heard.upstream.split((Text("a" * 5_000),), None)
        assert first.message_id != second.message_id
        with pytest.raises(SchemaError):
            heard.upstream.split((Text(" "),), None)
        assert await heard.upstream.probe() in (True, False)


async def test_an_empty_batch_is_a_sign_of_life(tmp_path: Path) -> None:
    async with OneBotServer("napcat") as server, listening(server, tmp_path, limits=limits()) as heard:
        await heard.online()
        await wait_until(lambda: () in heard.batches, "an empty batch", 20.0)
        assert await heard.upstream.probe()
        await heard.upstream.reconnect()
        await heard.online(2)
        assert len(heard.of(Gap)) == 1


async def test_a_disk_that_stands_still_stops_reading_and_loses_nothing(tmp_path: Path) -> None:
    small = limits(inbox_bytes=100_000, idle_seconds=30.0)
    async with (
        OneBotServer("napcat", heartbeat_ms=0) as server,
        listening(server, tmp_path, limits=small) as heard,
    ):
        await heard.online()
        heard.gate = anyio.Event()
        server.people.flood("group:30001", 3_000, text="y" * 1_000)
        await wait_until(lambda: heard.upstream._inbox.held_bytes >= 100_000, "a full inbox")  # noqa: SLF001
        assert heard.upstream._inbox.held_bytes < 110_000  # noqa: SLF001
        heard.gate.set()
        assert len(await heard.heard(3_000, 30.0)) == 3_000
        assert not heard.of(Gap)
