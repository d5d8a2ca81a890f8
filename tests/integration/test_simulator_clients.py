"""Rules of the simulator that independent clients of SmartQQ, run unchanged against it, demanded."""

import asyncio
import json
from typing import Any

import pytest

from tests.simulator import AT, PICTURE, Simulator, SimulatorError
from tests.simulator.tokens import bkn, time33
from tests.simulator.visitor import CHANNEL, CLIENT_ID, DATA, OLD_CHANNEL, Visitor, logged_in

pytestmark = pytest.mark.anyio
GROUP, FRIEND = "group:123456789", "friend:10001"


async def values(visitor: Visitor) -> list[Any]:
    """Return the values that one poll brings."""
    return [item["value"] for item in (await visitor.poll())["result"]]


async def login2(visitor: Visitor, host: str, **headers: str) -> Any:
    """Return the answer to a login2 with these headers and the ptwebqq of before."""
    r = {"ptwebqq": "of before", "clientid": CLIENT_ID, "psessionid": "", "status": "online"}
    body = b"r=" + json.dumps(r).encode()
    response = await visitor.fetch(host, "/channel/login2", form=body, headers=headers)
    return (await response.json(content_type=None))["retcode"]


async def test_a_form_without_its_type_is_read() -> None:
    async with logged_in() as (_, visitor):
        assert await login2(visitor, CHANNEL, **{"Content-Type": "text/plain"}) == 0


@pytest.mark.parametrize(
    ("options", "code"), [({}, 100001), ({"need_referer": False}, 0), ({"strict": True}, 100001)]
)
async def test_login2_of_2017_wants_a_referer(options: dict[str, Any], code: int) -> None:
    async with logged_in() as (sim, visitor):
        sim.set(**options)
        assert await login2(visitor, CHANNEL, Referer="") == code


async def test_login2_of_2016_wants_none_but_on_the_old_host() -> None:
    async with logged_in("e1", check_ptwebqq=False) as (_, visitor):
        assert await login2(visitor, CHANNEL, Referer="") == 0
        response = await visitor.fetch(OLD_CHANNEL, "/channel/login2", form=b"r={}", headers={"Referer": ""})
        assert response.status == 403


@pytest.mark.parametrize(("options", "code"), [({}, 0), ({"check_ptwebqq": True}, 100000)])
async def test_login2_compares_ptwebqq_only_on_command(options: dict[str, Any], code: int) -> None:
    async with logged_in(**options) as (_, visitor):
        assert await login2(visitor, CHANNEL) == code


async def test_a_relinked_session_can_be_polled_at_once() -> None:
    async with logged_in() as (sim, visitor):
        sim.drop_session(121)
        assert (await visitor.poll())["retcode"] == 121
        await visitor.link(former=visitor.psessionid)
        sim.say(FRIEND, "after the relink")
        assert len(await values(visitor)) == 1


async def test_a_session_ends_after_two_days_and_the_quick_login_renews_it() -> None:
    now = [1_500_000_000.0]
    async with logged_in(clock=lambda: now[0]) as (sim, visitor):
        now[0] += 48 * 3600 - 1
        assert (await visitor.contacts("get_user_friends2"))["retcode"] == 0
        now[0] += 2
        assert (await visitor.poll())["retcode"] == 100000
        query = {"vfwebqq": visitor.vfwebqq}
        assert (await visitor.fetch(DATA, "/api/get_discus_list", query=query)).status == 504
        form = {"bkn": str(bkn(visitor.cookie("skey", "qun.qq.com") or ""))}
        closed = await visitor.fetch("qun.qq.com", "/cgi-bin/qun_mgr/get_group_list", form=form)
        assert (await closed.json(content_type=None))["ec"] == 4
        assert (await visitor.link())["retcode"] == 103
        token = time33(visitor.cookie("supertoken", "ssl.ptlogin2.qq.com") or "")
        answer = await visitor.fetch("ssl.ptlogin2.qq.com", "/pt4_auth", query={"auth_token": token})
        await visitor.follow((await answer.text()).split("'")[3])
        assert (await visitor.link())["retcode"] == 0
        sim.say(FRIEND, "again")
        assert len(await values(visitor)) == 1


async def test_late_answers_have_other_types_and_another_ending() -> None:
    async with logged_in("late") as (sim, visitor):
        assert visitor.ptwebqq == ""
        for chat in (FRIEND, GROUP, "discuss:1664012345"):
            sim.say(chat, "x")
        answer = await visitor.poll()
        assert [item["value"]["msg_type"] for item in answer["result"]] == [1, 4, 5]
        assert (answer["retcode"], answer["retmsg"]) == (0, "ok")


@pytest.mark.parametrize(
    ("profile", "spoken", "picture"),
    [
        ("e1", ["hm", "@小王  ", " "], [["offpic", {"success": 1, "file_path": "/a.jpg"}], " "]),
        ("e3", ["hm", "@小王", "", " "], []),
        ("late", ["hm", "@小王", "", " "], [""]),
    ],
)
async def test_who_is_spoken_to_and_pictures_by_era(
    profile: str, spoken: list[Any], picture: list[Any]
) -> None:
    async with logged_in(profile) as (sim, visitor):
        sim.say(FRIEND, content=["hm", [AT, "小王"], " "])
        sim.say(FRIEND, content=[[PICTURE, "a.jpg"]])
        contents = [value["content"][1:] for value in await values(visitor)]
        assert contents == ([picture, spoken] if profile == "e1" else [spoken, picture])


async def test_a_font_may_have_its_name_in_quotes() -> None:
    async with logged_in(font='"幼圆"') as (sim, visitor):
        sim.say(FRIEND, "x")
        assert (await values(visitor))[0]["content"][0][1]["name"] == '"幼圆"'


async def test_one_of_a_batch_may_stand_out_of_turn() -> None:
    async with logged_in("e1", out_of_turn=True, trailing_blank=False) as (sim, visitor):
        for number in range(68, 74):
            sim.say(FRIEND, str(number))
        texts = [value["content"][1] for value in await values(visitor)]
        assert texts == ["73", "71", "70", "69", "72", "68"]


async def test_what_was_delivered_can_be_delivered_again() -> None:
    async with logged_in() as (sim, visitor):
        with pytest.raises(SimulatorError, match="nothing has been delivered"):
            sim.redeliver()
        item = sim.say(FRIEND, "twice")
        first = await visitor.poll()
        sim.redeliver()
        sim.say(FRIEND, "once")
        second = await visitor.poll()
        assert first["result"] == [item] == second["result"][:1]
        assert len(second["result"]) == 2


async def test_a_kick_may_come_without_numbers() -> None:
    async with logged_in() as (sim, visitor):
        polling = asyncio.create_task(visitor.poll())
        await sim.wait_poll()
        sim.kick("bye", bare=True)
        assert (await polling)["result"] == [
            {"poll_type": "kick_message", "value": {"way": "poll", "show_reason": 1, "reason": "bye"}}
        ]


@pytest.mark.parametrize(
    ("profile", "page"),
    [("e1", "proxy.html%3Flogin2qq%3D1&"), ("e3", "proxy.html%3Flogin2qq%3D1%26webqq_type%3D10&")],
)
async def test_the_way_in_is_written_as_in_its_era(profile: str, page: str) -> None:
    async with Simulator(profile, scan_after=0) as sim, Visitor(sim.url) as visitor:
        await visitor.show_qr()
        answer = await visitor.poll_qr()
        assert page in answer.split("'")[5]
        assert "', '小桥');" in answer
