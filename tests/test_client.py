"""Proof of adapter/smartqq/client.py, network.py and driver.py: SmartQQ as an upstream, over sockets."""

import logging
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from adapter.errors import TransportError
from adapter.events import (
    Address,
    ChatKind,
    ContactList,
    Face,
    Gap,
    ListKind,
    Markup,
    Message,
    Notice,
    Outcome,
    SessionState,
    Status,
    Text,
    UpstreamEvent,
    render,
)
from adapter.smartqq.client import Client
from adapter.smartqq.cookies import Jar
from adapter.smartqq.network import SmartQQ
from adapter.smartqq.protocol import Answer, Request
from adapter.upstream import Upstream
from tests.helpers import wait_until
from tests.rig import FAST, Listener, config, listening, online
from tests.simulator import Answer as Scripted
from tests.simulator import Simulator

pytestmark = pytest.mark.anyio

SEND = "/channel/send_buddy_msg2"
ODD = 'quotes " \\ \n line <&> 😀 &amp; \ttab [微笑] \\n'


def friend(sim: Simulator, qq: int = 10001) -> Address:
    return Address(ChatKind.FRIEND, str(sim.uin_of(qq)))


async def send(listener: Listener, to: Address, text: str = "hello") -> Outcome:
    (part,) = listener.upstream.prepare((Text(text),), None)
    return await listener.upstream.send(to, part)


def names(sim: Simulator, since: int = 0) -> list[str]:
    return [entry.path.rpartition("/")[2] for entry in sim.requests[since:]]


def test_it_is_an_upstream(tmp_path: Path) -> None:
    upstream: Upstream = SmartQQ(config("http://127.0.0.1:1", tmp_path))
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
            assert (message.chat, message.own) == (address, False)
            (part,) = listener.upstream.prepare((Markup(ODD),), None)
            outcome = await listener.upstream.send(address, part)
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
        parts = listener.upstream.prepare((Text(text),), None)
        assert len({part.message_id for part in parts}) == len(parts) > 1
        for part in parts:
            assert (await listener.upstream.send(friend(sim), part)).status is Status.SENT
        assert "".join(received.text for received in sim.received) == text


# --- what becomes of a send (the rows of 4.6) ---


def reply(**values: Any) -> Scripted:
    return Scripted(json=values)


@pytest.mark.parametrize(
    ("answers", "status", "code", "tries"),
    [
        ([reply(retcode=0, result="ok")], Status.SENT, "ok", 1),
        ([reply(errCode=0, msg="send ok")], Status.SENT, "ok", 1),
        ([reply(errCode=0, retcode=100000)], Status.SENT, "ok", 1),
        ([reply(errmsg="error!!!", retcode=100100)], Status.SENT, "ok", 1),
        ([reply(errmsg="error!!!", retcode=1202)], Status.UNKNOWN, "upstream.maybe", 1),
        ([reply(errMsg="ERROR", errCode=-3)], Status.FAILED, "upstream.denied", 1),
        ([reply(errMsg="ERROR", errCode=-3, retcode=0)], Status.FAILED, "upstream.denied", 1),
        ([reply(retcode=77)], Status.FAILED, "upstream.denied", 1),
        ([reply(retcode=108)], Status.FAILED, "rate.limited", 1),
        ([Scripted(status=403)], Status.FAILED, "upstream.denied", 1),
        ([Scripted(status=502)], Status.UNKNOWN, "upstream.lost", 1),
        ([Scripted(body=b"<html>")], Status.UNKNOWN, "upstream.lost", 1),
        ([Scripted(body=b"")], Status.UNKNOWN, "upstream.lost", 1),
        ([Scripted(cut="after")], Status.UNKNOWN, "upstream.lost", 1),
        ([Scripted(cut="body")], Status.UNKNOWN, "upstream.lost", 1),
        ([reply(retcode=100001)], Status.SENT, "ok", 2),
        ([reply(retcode=103)], Status.SENT, "ok", 2),
        ([reply(retcode=100001)] * 2, Status.FAILED, "session.rejected", 2),
    ],
    ids=str,
)
async def test_a_reply_has_its_outcome(
    answers: list[Scripted], status: Status, code: str, tries: int, tmp_path: Path
) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.next_answer(SEND, *answers)
        outcome = await send(listener, friend(sim))
        assert (outcome.status, outcome.code) == (status, code)
        sent = await sim.wait_requests(SEND, tries)
        assert len(sent) == tries
        assert len({entry.params["r"] for entry in sent}) == 1  # a retry keeps its number


async def test_an_answer_that_does_not_come_is_a_time_out(tmp_path: Path) -> None:
    limits = replace(FAST, call=0.2)
    async with Simulator("e3") as sim, online(sim, tmp_path, limits) as listener:
        sim.next_answer(SEND, Scripted(delay=5.0))
        outcome = await send(listener, friend(sim))
        assert (outcome.status, outcome.code) == (Status.UNKNOWN, "upstream.timeout")


async def test_where_nothing_leaves_the_message_certainly_has_not(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        to = friend(sim)
        await sim.__aexit__(None, None, None)
        outcome = await send(listener, to)
    assert (outcome.status, outcome.code) == (Status.FAILED, "upstream.denied")
    assert "cannot connect" in outcome.detail


async def test_before_any_login_a_send_is_given_back(tmp_path: Path) -> None:
    async with SmartQQ(config("http://127.0.0.1:1", tmp_path), limits=replace(FAST, heal=0.05)) as upstream:
        (part,) = upstream.prepare((Text("x"),), None)
        outcome = await upstream.send(Address(ChatKind.FRIEND, "1"), part)
    assert (outcome.status, outcome.code) == (Status.FAILED, "session.rejected")


async def test_a_session_that_died_is_mended_and_the_message_sent_again(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        to = friend(sim)
        sim.next_answer("/channel/poll2", Scripted(delay=5.0))  # the poll does not notice
        sim.network.sessions.end(100001)
        outcome = await send(listener, to, "after all")
        assert (outcome.status, outcome.code) == (Status.SENT, "ok")
        assert sim.received[-1].text == "after all"
        assert listener.states[-2:] == ["relinking", "online"]


async def test_a_message_is_not_sent_to_whoever_has_the_number_after_a_new_login(tmp_path: Path) -> None:
    async with Simulator("e3", new_uins="always") as sim, online(sim, tmp_path) as listener:
        to = friend(sim)
        sim.next_answer("/channel/poll2", Scripted(delay=5.0))
        sim.network.sessions.end(100001)
        outcome = await send(listener, to)
        assert (outcome.status, outcome.code) == (Status.FAILED, "session.rejected")
        assert not sim.received


# --- strangers ---


async def test_a_stranger_is_answered_with_a_signature_that_is_used_again(tmp_path: Path) -> None:
    async with Simulator("e1") as sim, online(sim, tmp_path) as listener:
        sim.say("temp:987654321@group:123456789", "hi")
        message = await listener.first(Message)
        assert message.chat.kind is ChatKind.TEMP
        assert message.qq == "987654321"
        for _ in range(2):
            assert (await send(listener, message.chat, "hello")).status is Status.SENT
        assert sim.received[-1].chat == "temp:987654321@group:123456789"
        assert names(sim).count("get_c2cmsg_sig2") == 1


@pytest.mark.parametrize(
    "answer",
    [{"retcode": 0, "result": {"value": ""}}, {"retcode": 1}, {"retcode": 0}],
)
async def test_without_a_signature_nothing_is_sent(answer: dict[str, Any], tmp_path: Path) -> None:
    async with Simulator("e1") as sim, online(sim, tmp_path) as listener:
        sim.next_answer("/channel/get_c2cmsg_sig2", Scripted(json=answer))
        to = Address(ChatKind.TEMP, "5", Address(ChatKind.DISCUSS, str(sim.did_of(1664012345))))
        outcome = await send(listener, to)
        assert (outcome.status, outcome.code) == (Status.FAILED, "upstream.denied")
        assert "send_sess_msg2" not in names(sim)


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
            assert (message.own, message.chat, message.sender) == (True, address, "305419896")


async def test_a_service_text_is_a_notice(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.say("group:123456789", "小王(50005) 被管理员禁言10分钟", sender=111)
        notice = await listener.first(Notice)
        assert (notice.kind, notice.data["event"]) == ("group", "mute")


async def test_an_unknown_sender_has_the_members_loaded_again_once(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        since = len(sim.requests)
        sim.say("group:123456789", "who am I?", sender=111)
        message = await listener.first(Message)
        assert (message.own, message.sender) == (False, str(sim.uin_of(111)))
        assert names(sim, since).count("get_group_info_ext2") <= 1


async def test_a_new_friend_is_learnt_with_the_first_message(tmp_path: Path) -> None:
    limits = replace(FAST, relearn=0.0)
    async with Simulator("e3") as sim, online(sim, tmp_path, limits) as listener:
        lists = len(listener.of(ContactList))
        uin = sim.network.ids.stray()
        value = {"from_uin": uin, "to_uin": 1, "msg_id": 1, "time": 9, "content": [["font", {}], "hi"]}
        friends = await listener.first(ContactList)
        sim.next_answer(
            "/api/get_user_friends2",
            Scripted(json={"retcode": 0, "result": {"friends": [], "info": [{"uin": uin, "nick": "new"}]}}),
        )
        sim.push("message", value)
        message = await listener.first(Message)
        told = listener.of(ContactList)[lists:]
        assert told[0].kind is ListKind.FRIENDS
        assert told[0].contacts[0].name == "new"
        assert friends
        assert not message.own
        batch = next(batch for batch in listener.batches if message in batch)
        assert batch.index(told[0]) < batch.index(message)


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
    limits = replace(FAST, lists=0.05, relearn=0.05)
    async with Simulator("e3") as sim:
        for path in ("/api/get_user_friends2", "/api/get_group_name_list_mask2", "/api/get_discus_list"):
            sim.next_answer(path, Scripted(delay=5.0), Scripted(status=502), Scripted(json={"retcode": 6}))
        async with listening(sim, tmp_path, limits) as listener:
            with anyio.fail_after(3):
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
        await listener.upstream.refresh()
        sim.say("friend:10001", "wake the poll")
        await wait_until(lambda: len(listener.of(ContactList)) >= 2 * before - 1, "all lists again")
        assert sim.network.mailbox.polls <= 1


async def test_early_group_messages_give_the_group_s_number_away(tmp_path: Path) -> None:
    async with Simulator("e1", friend_uin=False, qun_open=False) as sim, online(sim, tmp_path) as listener:
        sim.say("group:123456789", "hi", sender=10001)
        await listener.first(Message)
        groups = [told for told in listener.of(ContactList) if told.kind is ListKind.GROUPS]
        assert {c.qq for c in groups[-1].contacts} == {"123456789", ""}


# --- leaving, being thrown out, being stopped ---


async def test_logout_says_farewell_and_stays_away(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        await listener.upstream.logout()
        change = await listener.state(SessionState.OFFLINE)
        assert change.reason == "logout"
        assert names(sim)[-1] == "logout2"
        assert "skey" not in (tmp_path / "smartqq.json").read_text(encoding="utf-8")
        await listener.upstream.login()
        await listener.state(SessionState.ONLINE, 2)
        assert listener.states[-4:] == ["starting", "qr", "scanned", "online"]


async def test_logout_while_a_code_is_shown(tmp_path: Path) -> None:
    async with Simulator("e3", auto_scan=False) as sim, listening(sim, tmp_path) as listener:
        await listener.state(SessionState.QR)
        await listener.upstream.logout()
        assert (await listener.state(SessionState.OFFLINE)).reason == "logout"


async def test_a_kick_is_told_and_answered_once(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        sim.kick()
        change = await listener.state(SessionState.KICKED)
        assert "另一地点" in change.detail
        await listener.state(SessionState.ONLINE, 2)
        await sim.wait_poll()
        sim.kick()
        again = await listener.state(SessionState.KICKED, 2)
        assert again.reason == "kicked.again"
        since = len(sim.requests)
        await listener.upstream.login()
        await listener.state(SessionState.ONLINE, 3)
        assert listener.of(Gap)
        assert "poll2" not in names(sim, since)[:2]


async def test_stopping_does_not_wait_for_a_parked_poll(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        del listener
        with anyio.fail_after(1):
            async with SmartQQ(config(sim, tmp_path), limits=FAST) as other:
                with anyio.move_on_after(0.2):
                    async with aclosing(other.events()) as events:
                        async for _ in events:
                            pass


async def slowly(stream: anyio.abc.SocketStream, begun: anyio.Event, go_on: anyio.Event) -> None:
    """Answer a poll: the headers at once, the body when told to."""
    body = b'{"retcode":0,"result":[]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nSet-Cookie: skey=@a; Domain=qq.com\r\n\r\n" % len(body)
    async with stream:
        await stream.receive()
        await stream.send(head)
        begun.set()
        await go_on.wait()
        await stream.send(body)


def origin(listener: anyio.abc.Listener[Any]) -> str:
    """Where this listener listens."""
    port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 – not Django's
    return f"http://127.0.0.1:{port}"


POLL = Request("POST", "https://d1.web2.qq.com/channel/poll2", form=(("r", "{}"),), parked=True)


async def test_an_answer_that_has_begun_is_read_to_its_end_whatever_happens() -> None:
    begun, go_on, found = anyio.Event(), anyio.Event(), list[Answer | None]()
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    client = Client(Jar(), FAST, lambda: 0.0, origin(listener))

    async def poll(scope: anyio.CancelScope) -> None:
        with scope:
            found.append(await client.park(POLL))

    async with client, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, lambda stream: slowly(stream, begun, go_on))
        scope = anyio.CancelScope()
        group.start_soon(poll, scope)
        await begun.wait()
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        client.cut()
        go_on.set()
        await wait_until(lambda: found, "the answer")
        group.cancel_scope.cancel()
    assert found[0] is not None
    assert found[0].body == b'{"retcode":0,"result":[]}'
    assert client.jar.get("skey", "qq.com") == "@a"


class Relay:
    """Stands between client and simulator, and holds a poll's answer after its headers."""

    def __init__(self, sim: Simulator) -> None:
        self._port = int(sim.url.rpartition(":")[2])
        self.hold = False
        self.begun, self.go_on = anyio.Event(), anyio.Event()

    async def serve(self, client: anyio.abc.SocketStream) -> None:
        upstream = await anyio.connect_tcp("127.0.0.1", self._port)
        async with client, upstream, anyio.create_task_group() as group:
            group.start_soon(self._forth, client, upstream)
            await self._back(upstream, client)
            group.cancel_scope.cancel()

    async def _forth(self, client: anyio.abc.SocketStream, upstream: anyio.abc.SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await upstream.send(await client.receive())
        await upstream.aclose()

    async def _back(self, upstream: anyio.abc.SocketStream, client: anyio.abc.SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                data = await upstream.receive()
                if self.hold and b"poll_type" in data:
                    head, gap, data = data.partition(b"\r\n\r\n")
                    await client.send(head + gap)
                    self.begun.set()
                    await self.go_on.wait()
                await client.send(data)


async def test_a_batch_that_has_begun_to_arrive_is_yielded_by_a_cancelled_listener(tmp_path: Path) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    got: list[UpstreamEvent] = []

    async def listen(upstream: SmartQQ, scope: anyio.CancelScope) -> None:
        with scope:
            async with aclosing(upstream.events()) as events:
                async for batch in events:
                    got.extend(batch)

    async with Simulator("e3") as sim, listener, anyio.create_task_group() as group:
        relay, scope = Relay(sim), anyio.CancelScope()
        group.start_soon(listener.serve, relay.serve)
        async with SmartQQ(config(origin(listener), tmp_path), limits=FAST) as upstream:
            group.start_soon(listen, upstream, scope)
            await upstream.connected()
            await sim.wait_poll()
            relay.hold = True
            sim.say("friend:10001", "in hand")
            await relay.begun.wait()
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            relay.go_on.set()
            await wait_until(lambda: scope.cancelled_caught, "the end of the listener")
        group.cancel_scope.cancel()
    last = got[-1]
    assert isinstance(last, Message)
    assert render(last.segments) == "in hand"


async def test_half_an_answer_is_an_error_that_says_so() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def half(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    client = Client(Jar(), FAST, lambda: 0.0, origin(listener))
    async with client, listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, half)
        with pytest.raises(TransportError) as caught:
            await client.park(POLL)
        group.cancel_scope.cancel()
    assert caught.value.sent


async def test_errors_name_host_and_path_and_no_parameter() -> None:
    client = Client(Jar(), FAST, lambda: 0.0, "http://127.0.0.1:1")
    async with client:
        with pytest.raises(TransportError) as caught:
            await client.perform(Request("GET", "https://s.web2.qq.com/api/x?a=secret", (("b", "secret"),)))
    assert not caught.value.sent
    assert "s.web2.qq.com/api/x" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_hosts_cookies_and_paths_stay_true_behind_one_origin(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path):
        hosts = {entry.host for entry in sim.requests}
        assert hosts >= {"ssl.ptlogin2.qq.com", "ptlogin4.web2.qq.com", "s.web2.qq.com", "d1.web2.qq.com"}
        for entry in sim.requests:
            cookies = entry.headers.get("Cookie", "")
            assert ("qrsig" in cookies) is (entry.path == "/ptqrlogin")
            assert ("superkey" in cookies) is False
        poll = next(entry for entry in sim.requests if entry.path.endswith("login2"))
        assert "p_skey=" in poll.headers["Cookie"]


# --- secrets ---


async def test_no_secret_is_logged_or_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = {"login": "password", "account": "305419896", "password": "secret-password"}
    async with Simulator("e1", password="secret-password") as sim:
        async with online(sim, tmp_path, settings=settings) as listener:
            await send(listener, friend(sim))
            sim.next_poll(Scripted(json={"retcode": 116, "p": "beef" * 12}), Scripted(status=502))
            sim.next_answer(SEND, Scripted(json={"retcode": 100001}), Scripted(cut="before"))
            await send(listener, friend(sim))
            sim.drop_session(cookies=True)
            await listener.state(SessionState.ONLINE, 2)
            await sim.wait_poll()
            sim.kick()
            await listener.state(SessionState.KICKED)
        shown = caplog.text + repr(listener.events) + repr(listener.upstream.__dict__)
    grants = list(sim.network.sessions.grants.values())
    secrets = ["secret-password", "beef" * 12, *sim.network.sessions.dead]
    for grant in grants:
        secrets += [grant.skey, grant.p_skey, grant.ptwebqq, grant.vfwebqq, grant.supertoken, grant.ptsigx]
    assert grants
    assert not [secret for secret in secrets if secret and secret in shown]
