"""The whole upstream against the official server: events in, answers out, a clean end."""

from pathlib import Path

import anyio
import pytest

from adapter.content import At, Face, Image, Reply, Text
from adapter.errors import UpstreamError
from adapter.events import (
    Address,
    AnswerRequest,
    CallAction,
    ChatKind,
    ContactList,
    EventRef,
    Gap,
    ListKind,
    Outcome,
    Recall,
    SessionChange,
    SessionState,
    Status,
)
from tests.official_server import OfficialServer
from tests.support.helpers import wait_until
from tests.support.official_harness import friend, group, limits, listening, send

pytestmark = pytest.mark.anyio


async def test_a_message_comes_in_and_an_answer_goes_out(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        event = server.say("friend:ann", "hi [微笑]")
        (message,) = await heard.heard(1)
        assert message.chat == friend(server, "ann")
        assert message.segments == (Text("hi "), Face(14, "微笑"))
        outcome = await send(heard.upstream, message.chat, Text("you said "), Face(14, "微笑"))
        (received,) = await server.wait_received(1)
        assert (received.chat, received.text) == ("friend:ann", "you said [微笑]")
        assert received.anchor == event.message_id
        assert outcome == Outcome(Status.SENT, "ok", "", received.id)
        online = heard.of(SessionChange)[-1]
        assert (online.account, online.nick) == (server.appid, "qqbus-bot")
        assert heard.states == ["starting", "online"]
        assert not heard.of(Gap)


async def test_contacts_are_those_that_were_met_and_outlive_the_process(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        async with listening(server, tmp_path) as heard:
            await heard.online()
            server.say("friend:ann", "hi")
            server.say("group:lab", "hi", sender="bob", at=True)
            await heard.heard(2)
            await wait_until(lambda: len(heard.of(ContactList)) >= 2, "two lists", 20.0)
        async with listening(server, tmp_path) as heard:
            lists = await wait_until(lambda: heard.of(ContactList), "the lists of the next process", 20.0)
            friends, groups = lists[:2]
            assert (friends.kind, [one.id for one in friends.contacts]) == (
                ListKind.FRIENDS,
                [friend(server, "ann").id],
            )
            assert [one.id for one in groups.contacts] == [group(server, "lab").id]
            await heard.upstream.refresh_contacts()
            await wait_until(lambda: len(heard.of(ContactList)) >= 4, "the lists on demand", 20.0)


async def test_a_member_who_has_spoken_can_be_mentioned_and_quoted(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        server.change("group:lab", receives="all")
        await heard.online()
        server.say("group:lab", "one", sender="bob")
        (said,) = await heard.heard(1)
        assert said.profile.name == "bob"
        member = server.openid("group:lab", "bob")
        server.say("group:lab", content=f'<@{member}> <qqbot-at-user id="{member}" />', sender="eve")
        _, mentioning = await heard.heard(2)
        mentions = [one for one in mentioning.segments if isinstance(one, At)]
        assert len({one.qq for one in mentions}) == 1
        outcome = await send(heard.upstream, said.chat, Reply(said.message_id), mentions[0], Text(" yes"))
        assert outcome is not None
        assert outcome.status is Status.SENT
        (received,) = await server.wait_received(1)
        assert received.text == f'<qqbot-at-user id="{member}" /> yes'
        assert received.reference == said.upstream["msg_idx"]
        await send(heard.upstream, friend(server, "bob"), At(mentions[0].qq, "bob"), Text(" hi"))
        assert server.record.received[-1].text == "@bob hi"


async def test_five_thousand_messages_in_a_burst_come_in_order_and_in_batches(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        for number in range(5_000):
            server.say("friend:ann", f"x {number}")
        await heard.heard(5_000, 60.0)
        assert heard.texts == [f"x {number}" for number in range(5_000)]
        assert max(len(batch) for batch in heard.batches) <= 102  # and two contact lists


async def test_frames_that_make_no_sense_are_events_and_end_nothing(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        for frame in (
            {"op": 0, "t": "NEWS", "d": [1]},
            {"op": 0, "d": None},
            {"op": 99},
            {"op": 0, "s": "x"},
        ):
            await server.push_frame(frame)
        server.push("GROUP_MESSAGE_CREATE", {"id": "m", "content": 7})
        server.say("friend:ann", "hi")
        await heard.heard(1)
        assert len(await heard.noticed("other", 4)) == 4


async def test_a_disk_that_stands_still_stops_reading_and_loses_nothing(tmp_path: Path) -> None:
    small = limits(inbox_bytes=100_000, idle_seconds=30.0, silent_heartbeats=20.0)
    async with (
        OfficialServer(heartbeat_ms=1_000, heartbeats_missed=15.0) as server,
        listening(server, tmp_path, limits=small) as heard,
    ):
        await heard.online()
        heard.gate = anyio.Event()
        for number in range(1_000):
            server.say("friend:ann", f"{number} " + "y" * 1_000)
        inbox = heard.upstream._inbox  # noqa: SLF001
        await wait_until(lambda: inbox.held_bytes >= 100_000, "a full inbox", 20.0)
        # The heartbeats go on while nothing is read: the server would close after a while.
        beats = sum(frame.op == 1 for frame in server.record.frames)
        await server.wait(
            lambda: sum(frame.op == 1 for frame in server.record.frames) >= beats + 4, "four heartbeats", 20.0
        )
        assert inbox.held_bytes < 110_000
        assert server.record.count("connections") == 1
        heard.gate.set()
        messages = await heard.heard(1_000, 60.0)
        assert len({message.key for message in messages}) == len(messages) == 1_000
        assert not heard.of(Gap)


async def test_the_end_yields_what_was_received_and_the_next_process_goes_on_behind_it(
    tmp_path: Path,
) -> None:
    async with OfficialServer() as server:
        async with listening(server, tmp_path, limits=limits(idle_seconds=30.0)) as heard:
            await heard.online()
            heard.gate = anyio.Event()
            server.say("friend:ann", "first")
            await heard.heard(1)
            for number in range(50):
                server.say("friend:ann", f"m{number}")
            session, seq = heard.upstream._session, server.sessions[-1].seq  # noqa: SLF001
            await wait_until(lambda: session._session.seq == seq, "50 frames in the inbox", 20.0)  # noqa: SLF001
            heard.upstream.stop_receiving()
            heard.gate.set()
            await heard.heard(51)
            server.say("friend:ann", "too late")
            assert (await send(heard.upstream, friend(server, "ann"), Text("last"))) is not None
        async with listening(server, tmp_path) as heard:
            await heard.heard(1)
            assert heard.texts == ["too late"]
            assert not heard.of(Gap)


async def test_what_the_network_lacks_says_what_to_do(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        request = EventRef("e", None, "", "m", 0.0)
        for operation in (CallAction("get_status"), AnswerRequest(request, is_approved=True)):
            outcome = await heard.upstream.perform(operation, lambda: True)
            assert outcome is not None
            assert outcome.code == "content.unsupported"
            assert not heard.upstream.is_paced(operation)
        with pytest.raises(UpstreamError, match="no captchas"):
            await heard.upstream.submit_captcha("x")
        with pytest.raises(UpstreamError, match="not known any more"):
            await heard.upstream.fetch_image(Image(file_id="x"), {})
        assert await heard.upstream.probe()
        server.set(ip_allowed=False)
        assert not await heard.upstream.probe()


async def test_a_picture_is_fetched_by_the_address_that_the_bus_does_not_show(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        server.say("friend:ann", attachments=[{"kind": "image", "name": "a.png"}])
        (message,) = await heard.heard(1)
        (image,) = message.segments
        assert isinstance(image, Image)
        assert (image.name, "rkey" in image.url) == ("a.png", False)
        data = await heard.upstream.fetch_image(image, message.upstream)
        assert data.body.startswith(b"\x89PNG")
        server.advance(4_000.0)
        with pytest.raises(UpstreamError, match="status 400"):
            await heard.upstream.fetch_image(image, message.upstream)


async def test_a_message_is_recalled(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        chat = friend(server, "ann")
        outcome = await send(heard.upstream, chat, Text("oops"))
        assert outcome is not None
        done = await heard.upstream.perform(Recall(outcome.message_id, chat), lambda: True)
        assert done == Outcome(Status.SENT, "ok")
        assert server.shown == []
        again = await heard.upstream.perform(Recall(outcome.message_id, chat), lambda: True)
        assert again is not None
        assert (again.status, again.code) == (Status.FAILED, "upstream.denied")
        unmet = await heard.upstream.perform(Recall("x", Address(ChatKind.FRIEND, "123")), lambda: True)
        assert unmet is not None
        assert unmet.code == "target.unknown"
        assert await heard.upstream.perform(Recall("x", chat), lambda: False) is None


async def test_logout_ends_the_connection_until_login(tmp_path: Path) -> None:
    async with OfficialServer() as server, listening(server, tmp_path) as heard:
        await heard.online()
        await heard.upstream.logout()
        change = await heard.state(SessionState.OFFLINE)
        assert change.reason == "logout"
        await server.wait(lambda: not server.is_connected, "the connection is closed", 20.0)
        server.say("friend:ann", "while away")
        await heard.upstream.login()
        await heard.online(2)
        await heard.heard(1)
        assert not heard.of(Gap)
        await heard.upstream.reconnect()
        await server.wait(lambda: server.record.count("connections") >= 3, "a third connection", 20.0)
