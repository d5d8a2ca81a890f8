"""Prove messages/sender.py: the outcome of each message."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapter.content import Text
from adapter.errors import ProtocolError
from adapter.events import Address, ChatKind, Message, Outcome, SessionState, Status
from adapter.networks.smartqq.messages.sender import message_ids
from adapter.networks.smartqq.protocol.http import resolve_redirect
from adapter.networks.smartqq.upstream import SmartQQUpstream
from tests.simulator import Answer as Scripted
from tests.simulator import Simulator
from tests.support.helpers import wait_until
from tests.support.smartqq_harness import FAST, always, config, friend, names, online, send
from tests.support.tcp_proxy import Line

pytestmark = pytest.mark.anyio


SEND = "/channel/send_buddy_msg2"


def test_numbers_follow_the_official_formula_and_differ_within_its_second() -> None:
    assert list(islice(message_ids(1482192000.0), 2)) == [20000001, 20000002]
    first, second = (set(islice(message_ids(1482192000 + part), 500)) for part in (0.1, 0.2))
    assert not first & second
    assert {number // 10000 for number in first | second} == {2000}


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
    limits = replace(FAST, call_timeout=0.2)
    async with Simulator("e3") as sim, online(sim, tmp_path, limits) as listener:
        sim.next_answer(SEND, Scripted(delay=5.0))
        outcome = await send(listener, friend(sim))
        assert (outcome.status, outcome.code) == (Status.UNKNOWN, "upstream.timeout")


async def test_where_nothing_leaves_the_message_certainly_has_not(tmp_path: Path) -> None:
    limits = replace(FAST, session_repair=0.3)
    async with Simulator("e3") as sim, online(sim, tmp_path, limits) as listener:
        to = friend(sim)
        await sim.__aexit__(None, None, None)
        assert await send(listener, to) is None  # it waits for the network


async def test_before_any_login_a_send_is_given_back(tmp_path: Path) -> None:
    async with SmartQQUpstream(
        config("http://127.0.0.1:1", tmp_path), limits=replace(FAST, session_repair=0.05)
    ) as upstream:
        (part,) = upstream.split((Text("x"),), None)
        assert await upstream.send(Address(ChatKind.FRIEND, "1"), part, may_send=always) is None


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
        assert await send(listener, to) is None  # it is to be addressed again
        assert not sim.received


# --- when nobody mends the session any more ---

STUBBORN = replace(FAST, session_repair=60.0, send_retry_first=60.0)


@pytest.mark.parametrize("resends", [1, 3], ids=["mending", "connecting again"])
async def test_a_hang_up_ends_the_wait_for_a_network_that_is_gone(resends: int, tmp_path: Path) -> None:
    limits = replace(STUBBORN, send_attempts=resends)
    async with Simulator("e3", poll_seconds=60.0) as sim:
        line = Line(int(sim.url.rpartition(":")[2]))
        await line.open()
        async with online(sim, tmp_path, limits, {"smartqq_url": line.url}) as listener:
            to, outcomes = friend(sim), []

            async def sending() -> None:
                outcomes.append(await send(listener, to))

            line.close()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sending)
                tasks.start_soon(sending)
                if resends == 1:
                    await listener.state(SessionState.OFFLINE)  # found out by what could not leave
                else:
                    await anyio.wait_all_tasks_blocked()
                listener.upstream.stop_receiving()
                with anyio.fail_after(20):
                    await wait_until(lambda: len(outcomes) == 2, "both are given back")
            assert outcomes == [None, None]
            assert await send(listener, to) is None


async def test_what_is_refused_behind_a_hang_up_is_given_back(tmp_path: Path) -> None:
    async with Simulator("e3", poll_seconds=60.0) as sim, online(sim, tmp_path, STUBBORN) as listener:
        to, outcomes = friend(sim), []

        async def sending() -> None:
            outcomes.append(await send(listener, to))

        sim.next_answer(SEND, Scripted(delay=0.3, json={"retcode": 100001}))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sending)
            await sim.wait_delayed(SEND)
            listener.upstream.stop_receiving()
            # What has left is waited for; that the session is gone is nothing to wait for.
            with anyio.fail_after(20):
                await wait_until(lambda: outcomes, "it is given back")
        assert outcomes == [None]
        assert not sim.received


async def test_a_refusal_is_that_of_its_own_message(tmp_path: Path) -> None:
    # The polls go on well, so the session looks well until time runs out for the one that was refused.
    # A poll that outlasts short_pause would be taken for a dead line: a busy machine needs that second.
    limits = replace(FAST, session_repair=4.0, short_pause=1.0, fast_answer=0.0, call_timeout=1.0)
    async with Simulator("e3", poll_seconds=0.02) as sim, online(sim, tmp_path, limits) as listener:
        to = friend(sim)
        outcomes: dict[str, Outcome] = {}

        async def sending(text: str) -> None:
            outcomes[text] = await send(listener, to, text)

        sim.next_answer("/channel/get_online_buddies2", *[Scripted(status=502)] * 9)
        sim.next_answer(SEND, reply(retcode=100001), Scripted(delay=5.0))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sending, "refused")
            await sim.wait_requests(SEND)
            tasks.start_soon(sending, "no answer")
        assert outcomes["no answer"].code == "upstream.timeout"
        assert outcomes["refused"].code == "session.rejected"


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


@pytest.mark.parametrize("held", [True, False], ids=["from the start", "while the session is mended"])
async def test_what_may_not_leave_any_more_is_given_back(tmp_path: Path, *, held: bool) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        to, asked = friend(sim), 0

        def may() -> bool:
            nonlocal asked
            asked += 1
            return asked == 1 and not held

        sim.next_answer(SEND, reply(retcode=100001))
        (part,) = listener.upstream.split((Text("x"),), None)
        assert await listener.upstream.send(to, part, may_send=may) is None
        assert names(sim).count("send_buddy_msg2") == int(not held)
        assert sim.received == []


@pytest.mark.parametrize(
    "location", ["http://[x/", "http://x:y/", "http://x:99999/", "http://x:0/", "http://ü.com/"]
)
def test_a_redirect_to_no_address_is_a_protocol_error(location: str) -> None:
    with pytest.raises(ProtocolError, match="not a valid address"):
        resolve_redirect("https://w.qq.com/a", location)
    assert resolve_redirect("https://w.qq.com/a", "/b?c#d") == "https://w.qq.com/b?c#d"
