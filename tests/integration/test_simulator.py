"""The simulator over real sockets: login, poll, sends, faults, in both eras."""

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest
import zxingcpp
from PIL import Image

from tests.simulator import PICTURE, Answer, Simulator, SimulatorError, WaitTimeoutError
from tests.simulator.visitor import CHANNEL, CLIENT_ID, DATA, OLD_CHANNEL, Visitor, logged_in

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["e1", "e3"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_code_that_scans_itself_answers_waiting_scanned_and_success(profile: str) -> None:
    async with Simulator(profile) as sim, Visitor(sim.url) as visitor:
        picture = Image.open(io.BytesIO(await visitor.show_qr()))
        assert (picture.size, picture.mode) == ((165, 165), "1")
        answers = [await visitor.poll_qr() for _ in range(3)]
        assert [answer.split("'")[1] for answer in answers] == ["66", "67", "0"]
        assert answers[2].split("'")[5].startswith("http://ptlogin4.web2.qq.com/check_sig?")
        assert "'小桥');" in answers[2]


async def test_a_person_scans_confirms_refuses_or_lets_the_code_expire() -> None:
    async with Simulator(auto_scan=False) as sim, Visitor(sim.url) as visitor:
        picture = Image.open(io.BytesIO(await visitor.show_qr()))
        assert sim.state == "waiting"
        sim.scan(zxingcpp.read_barcodes(picture.convert("L"))[0].text)
        assert (sim.state, (await visitor.poll_qr())[:12]) == ("scanned", "ptuiCB('67',")
        sim.refuse()
        assert (await visitor.poll_qr()).startswith("ptuiCB('68',")
        await visitor.show_qr()
        sim.expire()
        assert (await visitor.poll_qr()).startswith("ptuiCB('65',")
        with pytest.raises(SimulatorError, match="expired"):
            sim.confirm()


async def test_a_wrong_or_missing_ptqrtoken_gets_the_403_page_in_e3_only() -> None:
    async with Simulator("e3") as sim, Visitor(sim.url) as visitor:
        await visitor.show_qr()
        assert "Tencent Login Server" in await visitor.poll_qr(token=1)
    async with Simulator("e1") as sim, Visitor(sim.url) as visitor:
        await visitor.show_qr()
        assert (await visitor.poll_qr(token=1)).startswith("ptuiCB('66',")


async def test_check_sig_sets_for_web2_what_it_deletes_for_qq() -> None:
    async with logged_in() as (_, visitor):
        assert visitor.cookie("p_skey", DATA)
        assert visitor.cookie("p_skey", "qun.qq.com") is None
        assert visitor.cookie("uin", "qun.qq.com") == "o0305419896"


async def test_a_message_answers_the_waiting_poll_at_once(profile: str) -> None:
    async with logged_in(profile) as (sim, visitor):
        polling = asyncio.create_task(visitor.poll())
        await sim.wait_poll()
        item = sim.say("friend:10001", "你好 <b> [微笑]")
        answer = await polling
        assert answer["result"] == [item]
        value = item["value"]
        blank = [" "] if profile == "e1" else []
        assert value["content"][1:] == ["你好 &lt;b&gt; ", ["face", 14], *blank]
        assert value["from_uin"] == sim.uin_of(10001)
        assert ("msg_id2" in value, value["msg_type"]) == ((True, 9) if profile == "e1" else (False, 0))


async def test_an_idle_poll_has_the_empty_answer_of_its_era(profile: str) -> None:
    async with logged_in(profile, poll_seconds=0.05, idle_status=200) as (_, visitor):
        expected = {"e1": {"retcode": 102, "errmsg": ""}, "e3": {"errmsg": "error!!!", "retcode": 0}}
        assert await visitor.poll() == expected[profile]


async def test_an_idle_poll_ends_in_the_gateway_s_504_in_e3() -> None:
    async with logged_in(poll_seconds=0.05) as (_, visitor):
        r = {"r": json.dumps({"clientid": CLIENT_ID, "psessionid": visitor.psessionid})}
        response = await visitor.fetch(CHANNEL, "/channel/poll2", form=r)
        assert (response.status, "504 Gateway Time-out" in await response.text()) == (504, True)


async def test_batches_are_bounded_and_newest_first_in_e1(profile: str) -> None:
    async with logged_in(profile, max_batch=2) as (sim, visitor):
        for text in "abc":
            sim.say("group:123456789", text, sender=10001)
        texts = [item["value"]["content"][1].strip() for item in (await visitor.poll())["result"]]
        assert texts == (["b", "a"] if profile == "e1" else ["a", "b"])
        assert len((await visitor.poll())["result"]) == 1


async def test_group_ids_differ_in_e1_and_agree_in_e3(profile: str) -> None:
    async with logged_in(profile) as (sim, visitor):
        sim.say("group:123456789", "x", sender=10001)
        value = (await visitor.poll())["result"][0]["value"]
        assert value["from_uin"] == sim.gid_of(123456789)
        same = value["group_code"] == value["from_uin"]
        assert same is (profile == "e3")
        assert (value.get("info_seq") == 123456789) is (profile == "e1")


async def test_pictures_arrive_in_e1_and_leave_only_a_font_in_e3(profile: str) -> None:
    async with logged_in(profile) as (sim, visitor):
        sim.say("friend:10001", content=[[PICTURE, "a.jpg"]])
        content = (await visitor.poll())["result"][0]["value"]["content"]
        assert len(content) == (3 if profile == "e1" else 1)


async def test_sends_are_received_in_real_numbers(profile: str) -> None:
    async with logged_in(profile) as (sim, visitor):
        parts = ['"\\ <&>\n', ["face", 14], " 😀"]
        answer = await visitor.send("send_buddy_msg2", "to", sim.uin_of(10001), parts)
        assert answer == (
            {"retcode": 0, "result": "ok"} if profile == "e1" else {"errCode": 0, "msg": "send ok"}
        )
        await visitor.send("send_qun_msg2", "group_uin", sim.gid_of(123456789), ["g"])
        await visitor.send("send_discu_msg2", "did", sim.did_of(1664012345), ["d"])
        assert [(one.n, one.chat, one.text) for one in await sim.wait_received(3)] == [
            (1, "friend:10001", '"\\ <&>\n[微笑] 😀'),
            (2, "group:123456789", "g"),
            (3, "discuss:1664012345", "d"),
        ]


async def test_a_group_code_or_an_unknown_id_is_not_sent_to() -> None:
    async with logged_in() as (sim, visitor):
        for target in (sim.code_of(123456789), 17):
            answer = await visitor.send("send_qun_msg2", "group_uin", target, ["x"])
            assert answer == {"errCode": -3, "errMsg": "ERROR"}
        assert sim.received == []


@pytest.mark.parametrize(("drop", "received"), [(False, [1, 1, 2]), (True, [1, 2])])
async def test_a_repeated_msg_id_is_dropped_only_on_command(received: list[int], *, drop: bool) -> None:
    async with logged_in(drop_repeats=drop) as (sim, visitor):
        for number in (1, 1, 2):
            answer = await visitor.send("send_buddy_msg2", "to", sim.uin_of(10001), ["x"], number)
            assert answer["errCode"] == 0
        assert [one.msg_id for one in sim.received] == received
        assert [one.msg_id for one in sim.dropped] == [1] * drop


async def test_requests_written_as_in_2015_are_accepted_byte_for_byte() -> None:
    async with logged_in("e1") as (sim, visitor):
        content = '[\\"line 1\nline 2\\", [\\"font\\", {\\"name\\":\\"Arial\\", \\"size\\":\\"10\\"}]]'
        r = (
            f'{{"to":{sim.uin_of(10001)}, "face":594, "content":"{content}", "msg_id":38200001, '
            f'"clientid":"8534174", "psessionid":"{visitor.psessionid}"}}'
        )
        form = {"r": r, "clientid": "8534174", "psessionid": visitor.psessionid}
        response = await visitor.fetch(OLD_CHANNEL, "/channel/send_buddy_msg2", form=form)
        assert await response.read() == b'{"retcode":0,"result":"ok"}\r\n'
        assert sim.received[0].text == "line 1\nline 2"
        broken = r.replace("line 1", 'say "x"')
        response = await visitor.fetch(OLD_CHANNEL, "/channel/send_buddy_msg2", form={"r": broken})
        assert json.loads(await response.read())["retcode"] == 100001


async def test_wrong_tokens_are_refused_with_the_codes_of_the_time() -> None:
    async with logged_in() as (sim, visitor):
        good = visitor.vfwebqq, visitor.psessionid
        visitor.vfwebqq = "0" * 80
        assert (await visitor.contacts("get_user_friends2"))["retcode"] == 100000
        visitor.vfwebqq, visitor.ptwebqq = good[0], "ab"
        assert (await visitor.contacts("get_user_friends2"))["retcode"] == 50
        visitor.psessionid = "ff"
        assert (await visitor.poll())["retcode"] == 100001
        assert (await visitor.fetch(OLD_CHANNEL, "/channel/poll2", form=b"")).status == 200
        response = await visitor.fetch(CHANNEL, "/channel/poll2", form=b"x")
        assert json.loads(await response.read())["retcode"] == 100006
        response = await visitor.fetch(OLD_CHANNEL, "/channel/poll2", form={"r": "{}"})
        assert response.status == 403
        headers = {"Referer": "http://example.org/"}
        response = await visitor.fetch(DATA, "/api/get_self_info2", headers=headers)
        assert json.loads(await response.read())["retcode"] == 100001
        async with Visitor(sim.url) as stranger:
            assert (await stranger.get(DATA, "/api/get_self_info2"))["retcode"] == 100000
            assert (await stranger.link())["retcode"] == 103


async def test_an_account_whose_polls_answer_103_is_mended_by_one_call() -> None:
    async with logged_in() as (sim, visitor):
        await visitor.link()
        sim.say("friend:10001", "a")
        assert (await visitor.poll())["retcode"] == 0
        sim.set(need_online=True)
        assert (await visitor.poll())["retcode"] == 103
        await visitor.online()
        await visitor.link()
        sim.say("friend:10001", "b")
        assert (await visitor.poll())["retcode"] == 0


async def test_a_new_login_changes_all_ids_and_a_relink_none() -> None:
    async with logged_in() as (sim, visitor):
        before = sim.uin_of(10001), sim.gid_of(123456789)
        await visitor.link(former=visitor.psessionid)
        assert (sim.uin_of(10001), sim.gid_of(123456789)) == before
        sim.say("friend:10001", "said before, fetched after")
        await visitor.log_in()
        assert sim.uin_of(10001) not in before
        assert (await visitor.poll())["result"][0]["value"]["from_uin"] == sim.uin_of(10001)
        assert sim.uin_of(sim.account) == visitor.uin == sim.account


async def test_a_kick_is_told_to_the_waiting_poll_and_ends_the_session(profile: str) -> None:
    async with logged_in(profile) as (sim, visitor):
        polling = asyncio.create_task(visitor.poll())
        await sim.wait_poll()
        sim.kick()
        value = (await polling)["result"][0]["value"]
        assert (value["show_reason"], sim.state) == (1, "offline")
        assert await visitor.poll() == {"retcode": 121, "t": "0"}
        assert (await visitor.link())["retcode"] == 0


async def test_a_second_login_kicks_the_first() -> None:
    async with logged_in() as (sim, visitor), Visitor(sim.url) as other:
        polling = asyncio.create_task(visitor.poll())
        await sim.wait_poll()
        await other.log_in()
        assert (await polling)["result"][0]["poll_type"] == "kick_message"
        sim.say("friend:10001", "x")
        assert len((await other.poll())["result"]) == 1


async def test_a_dropped_session_is_refused_until_a_relink_and_dead_cookies_for_good() -> None:
    async with logged_in() as (sim, visitor):
        sim.drop_session(100012)
        assert (await visitor.poll())["retcode"] == 100012
        assert (await visitor.online())["retcode"] == 100012
        assert (await visitor.link(former=visitor.psessionid))["retcode"] == 0
        sim.drop_session(cookies=True)
        assert (await visitor.link())["retcode"] == 103


async def test_scripted_answers_replace_delay_and_cut_the_real_ones() -> None:
    async with logged_in(poll_seconds=0.05) as (sim, visitor):
        polling = asyncio.create_task(visitor.poll())
        await sim.wait_poll()
        sim.next_poll(
            Answer(json={"retcode": 116, "p": "ab" * 24}), Answer(status=502), Answer(body=b"\xef\xbb\xbf{}")
        )
        assert (await polling)["retcode"] == 116
        response = await visitor.fetch(CHANNEL, "/channel/poll2", form={"r": "{}"})
        assert (response.status, "502 Bad Gateway" in await response.text()) == (502, True)
        response = await visitor.fetch(CHANNEL, "/channel/poll2", form={"r": "{}"})
        assert await response.read() == b"\xef\xbb\xbf{}"
        assert [entry.code for entry in sim.requests if entry.path == "/channel/poll2"] == [116, 502, 200]


@pytest.mark.parametrize("cut", ["before", "body", "after"])
async def test_messages_in_a_cut_answer_come_again(cut: Any) -> None:
    async with logged_in() as (sim, visitor):
        sim.say("friend:10001", "x")
        sim.next_poll(Answer(cut=cut))
        with pytest.raises(aiohttp.ClientError):
            await visitor.poll()
        assert len((await visitor.poll())["result"]) == 1


async def test_a_poll_whose_client_goes_away_loses_nothing() -> None:
    async with logged_in() as (sim, visitor):
        polling = asyncio.create_task(visitor.poll())
        await sim.wait_poll()
        polling.cancel()
        await asyncio.wait([polling])
        await sim.wait_poll(polls=0)
        sim.say("friend:10001", "x")
        assert len((await visitor.poll())["result"]) == 1


async def test_of_two_polls_the_last_one_gets_the_message() -> None:
    async with logged_in(poll_seconds=3, idle_status=200) as (sim, visitor):
        first = asyncio.create_task(visitor.poll())
        await sim.wait_poll()
        second = asyncio.create_task(visitor.poll())
        await sim.wait_poll(polls=2)
        sim.say("friend:10001", "x")
        assert len((await second)["result"]) == 1
        assert "result" not in await first


async def test_own_messages_come_back_under_an_unknown_id_when_echo_is_on() -> None:
    async with logged_in(echo=True) as (sim, visitor):
        await visitor.send("send_qun_msg2", "group_uin", sim.gid_of(123456789), ["<x>"])
        value = (await visitor.poll())["result"][0]["value"]
        assert value["content"][1] == "&lt;x&gt;"
        assert value["send_uin"] not in {sim.account, *map(sim.uin_of, sim.world.friends)}


async def test_sends_too_fast_are_answered_1202() -> None:
    async with logged_in(spam_count=2) as (sim, visitor):
        uin = sim.uin_of(10001)
        answers = [await visitor.send("send_buddy_msg2", "to", uin, ["x"], number) for number in range(3)]
        assert answers[2]["retcode"] == 1202
        assert (len(sim.received), len(sim.dropped)) == (2, 1)


async def test_what_does_not_come_is_reported_in_words() -> None:
    async with Simulator() as sim:
        with pytest.raises(WaitTimeoutError, match="0 of 1 messages"):
            await sim.wait_received(1, timeout=0.01)
        with pytest.raises(WaitTimeoutError, match="0 polls were waiting"):
            await sim.wait_poll(timeout=0.01)
