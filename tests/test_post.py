"""Proof of adapter/smartqq/post.py and sending.py: what becomes of a message."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from adapter.events import (
    Address,
    ChatKind,
    Message,
    Status,
    Text,
)
from adapter.smartqq.network import SmartQQ
from adapter.smartqq.sending import message_ids
from tests.rig import FAST, config, friend, names, online, send
from tests.simulator import Answer as Scripted
from tests.simulator import Simulator

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
    limits = replace(FAST, call=0.2)
    async with Simulator("e3") as sim, online(sim, tmp_path, limits) as listener:
        sim.next_answer(SEND, Scripted(delay=5.0))
        outcome = await send(listener, friend(sim))
        assert (outcome.status, outcome.code) == (Status.UNKNOWN, "upstream.timeout")


async def test_where_nothing_leaves_the_message_certainly_has_not(tmp_path: Path) -> None:
    async with Simulator("e3") as sim, online(sim, tmp_path) as listener:
        to = friend(sim)
        await sim.__aexit__(None, None, None)
        assert await send(listener, to) is None  # it waits for the network


async def test_before_any_login_a_send_is_given_back(tmp_path: Path) -> None:
    async with SmartQQ(config("http://127.0.0.1:1", tmp_path), limits=replace(FAST, heal=0.05)) as upstream:
        (part,) = upstream.prepare((Text("x"),), None)
        assert await upstream.send(Address(ChatKind.FRIEND, "1"), part) is None


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
