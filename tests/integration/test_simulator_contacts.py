"""The simulator's lists, profiles, avatars and pictures."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image

from tests.simulator import PICTURE, Friend, Member, Person, Simulator
from tests.simulator.tokens import bkn
from tests.simulator.visitor import CHANNEL, DATA, OLD_CHANNEL, Visitor, logged_in

pytestmark = pytest.mark.anyio
READERS, NEIGHBOURS, TALK = 123456789, 223344556, 1664012345


@pytest.fixture
async def online() -> AsyncIterator[tuple[Simulator, Visitor]]:
    async with logged_in() as both:
        yield both


async def data(visitor: Visitor, call: str, **query: Any) -> Any:
    """Return a GET's answer of the data host."""
    return await visitor.get(DATA, f"/api/{call}", **query, vfwebqq=visitor.vfwebqq)


async def test_the_account_knows_itself(online: tuple[Simulator, Visitor]) -> None:
    _, visitor = online
    me = (await data(visitor, "get_self_info2"))["result"]
    assert (me["uin"], me["account"], me["nick"], me["lnick"]) == (305419896, 305419896, "小桥", "流水人家")
    assert me["vfwebqq"] != visitor.vfwebqq


async def test_friends_have_entities_numbers_for_nicks_and_twins(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    result = (await visitor.contacts("get_user_friends2"))["result"]
    nicks = [one["nick"] for one in result["info"]]
    assert nicks[2:6] == ["Tom &amp; &lt;Jerry&gt;", 10086, "小王", "小王"]
    sim.set(escape="full")
    strict = (await visitor.contacts("get_user_friends2"))["result"]["info"]
    assert strict[2]["nick"] == "Tom&nbsp;&amp;&nbsp;&lt;Jerry&gt;"
    assert [one["index"] for one in result["categories"]] == [1, 2]
    assert {"uin": sim.uin_of(10001), "markname": "小林", "type": 0} in result["marknames"]
    assert sim.account not in [one["uin"] for one in result["friends"]]


async def test_the_world_can_change_while_it_runs(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    sim.world.add_friend(Friend(Person(80008, "新人")))
    sim.world.remove_friend(70007)
    sim.world.change_person(10001, nick="林小")
    sim.world.change_friend(10001, mark="")
    info = (await visitor.contacts("get_user_friends2"))["result"]
    nicks = {one["uin"]: one["nick"] for one in info["info"]}
    assert (nicks[sim.uin_of(10001)], nicks[sim.uin_of(80008)]) == ("林小", "新人")
    assert sim.uin_of(70007) not in nicks
    sim.world.change_card(READERS, 10001, "新名片")
    sim.world.add_member(READERS, Member(Person(80008, "新人")))
    sim.world.remove_member(READERS, 30003)
    group = (await data(visitor, "get_group_info_ext2", gcode=sim.code_of(READERS)))["result"]
    assert {"muin": sim.uin_of(10001), "card": "新名片"} in group["cards"]
    uins = {one["muin"] for one in group["ginfo"]["members"]}
    assert (sim.uin_of(80008) in uins, sim.uin_of(30003) in uins) == (True, False)


async def test_groups_by_post_and_by_get(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    result = (await visitor.contacts("get_group_name_list_mask2"))["result"]
    assert [(one["gid"], one["code"]) for one in result["gnamelist"]] == [
        (sim.gid_of(number), sim.code_of(number)) for number in (READERS, NEIGHBOURS)
    ]
    assert result["gmasklist"][2] == {"gid": sim.gid_of(NEIGHBOURS), "mask": 1}
    r = json.dumps({"vfwebqq": visitor.vfwebqq, "hash": "wrong"})
    assert (await visitor.get(DATA, "/api/get_group_name_list_mask2", r=r))["retcode"] == 50


async def test_a_group_goes_by_its_code_and_has_me_in_it(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    assert (await data(visitor, "get_group_info_ext2", gcode=sim.gid_of(READERS)))["retcode"] == 6
    result = (await data(visitor, "get_group_info_ext2", gcode=sim.code_of(READERS)))["result"]
    assert result["ginfo"]["gid"] == sim.gid_of(READERS)
    assert sim.account in [one["uin"] for one in result["minfo"]]
    assert {"client_type": 1, "uin": sim.uin_of(987654321), "stat": 50} in result["stats"]
    result = (await data(visitor, "get_group_info_ext2", gcode=sim.code_of(NEIGHBOURS)))["result"]
    assert "cards" not in result


async def test_discussions_give_away_real_numbers(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    listed = await data(visitor, "get_discus_list", clientid=1, psessionid=visitor.psessionid)
    assert listed["result"]["dnamelist"][0]["did"] == sim.did_of(TALK)
    answer = await visitor.get(CHANNEL, "/channel/get_discu_info", did=sim.did_of(TALK), **visitor.tokens())
    members = answer["result"]["info"]["mem_list"]
    assert {"mem_uin": sim.uin_of(10001), "ruin": 10001} in members


async def test_lists_lose_the_keys_they_are_told_to_and_their_order(
    online: tuple[Simulator, Visitor],
) -> None:
    sim, visitor = online
    sim.set(omit="minfo marknames", shuffle_lists=True)
    assert "marknames" not in (await visitor.contacts("get_user_friends2"))["result"]
    result = (await data(visitor, "get_group_info_ext2", gcode=sim.code_of(READERS)))["result"]
    assert ("minfo" in result, "ginfo" in result) == (False, True)


async def test_one_person(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    chen, lin = sim.uin_of(20002), sim.uin_of(10001)
    assert (await data(visitor, "get_single_long_nick2", tuin=chen))["result"] == [
        {"uin": chen, "lnick": "山高水长"}
    ]
    assert (await data(visitor, "get_single_long_nick2", tuin=lin))["retcode"] == 100000
    assert (await data(visitor, "get_qq_level2", tuin=chen))["result"]["level"] == 16
    assert (await data(visitor, "get_friend_info2", tuin=lin))["result"]["stat"] == 10
    assert (await data(visitor, "get_stranger_info2", tuin=lin))["result"]["city"] == "东城"
    assert (await data(visitor, "get_friend_info2", tuin=17))["retcode"] == 100000


async def test_real_numbers_were_given_away_until_2017(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    lin = sim.uin_of(10001)
    assert (await data(visitor, "get_friend_uin2", tuin=lin, type=1))["result"] == {}
    sim.set(friend_uin=True)
    assert (await data(visitor, "get_friend_uin2", tuin=lin, type=1))["result"]["account"] == 10001
    for tuin in (sim.gid_of(READERS), sim.code_of(READERS)):
        for kind in (1, 4):
            answer = await data(visitor, "get_friend_uin2", tuin=tuin, type=kind)
            assert answer["result"] == {"uiuin": "", "account": READERS, "uin": tuin}
    assert (await data(visitor, "get_friend_uin2", tuin=17, type=4))["retcode"] == 100000


async def test_who_is_online_and_who_was_talked_to(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    buddies = (await visitor.online())["result"]
    assert {"client_type": 24, "status": "online", "uin": sim.uin_of(20002)} in buddies
    r = {"vfwebqq": visitor.vfwebqq, "clientid": 53999199, "psessionid": ""}
    recent = (await visitor.post(CHANNEL, "/channel/get_recent_list2", r))["result"]
    assert {"type": 1, "uin": sim.gid_of(READERS)} in recent


async def test_status_typing_and_shaking(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    tokens = visitor.tokens()
    assert (await visitor.get(CHANNEL, "/channel/change_status2", newstatus="busy", **tokens))[
        "result"
    ] == "ok"
    assert sim.world.me.status == "busy"
    assert (await visitor.get(CHANNEL, "/channel/change_status2", newstatus="gone", **tokens))[
        "retcode"
    ] == 100001
    for call in ("input_notify2", "shake2"):
        assert (await visitor.get(CHANNEL, f"/channel/{call}", to_uin=17, **tokens))["result"] == "ok"


async def test_a_temporary_chat_needs_a_signature_and_ends_in_silence() -> None:
    async with logged_in() as (sim, visitor):
        query = {"id": sim.gid_of(READERS), "to_uin": sim.uin_of(987654321), "service_type": 0}
        answer = await visitor.get(CHANNEL, "/channel/get_c2cmsg_sig2", **query, **visitor.tokens())
        signature = answer["result"]["value"]
        to, more = sim.uin_of(987654321), {"service_type": 0, "group_sig": signature}
        assert (await visitor.send("send_sess_msg2", "to", to, ["x"], group_sig="ff"))["errCode"] == -3
        assert (await visitor.send("send_sess_msg2", "to", to, ["x"], 2, **more))["errCode"] == 0
        assert [one.chat for one in sim.dropped] == [f"temp:987654321@group:{READERS}"]
        sim.set(sess_delivered=True)
        await visitor.send("send_sess_msg2", "to", to, ["x"], 3, **more)
        assert [one.chat for one in sim.received] == [f"temp:987654321@group:{READERS}"]
        query["to_uin"] = sim.uin_of(70007)
        answer = await visitor.get(CHANNEL, "/channel/get_c2cmsg_sig2", **query, **visitor.tokens())
        assert answer["result"]["value"] == ""


async def test_the_group_pages_want_skey_and_its_hash(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online
    form = {"bkn": str(bkn(visitor.cookie("skey", "qun.qq.com") or "")), "gc": str(READERS)}

    async def ask(host: str, path: str, **changes: str) -> Any:
        return json.loads(await (await visitor.fetch(host, path, form={**form, **changes})).text())

    friends = await ask("qun.qq.com", "/cgi-bin/qun_mgr/get_friend_list")
    assert {"name": "小林", "uin": 10001} in friends["result"]["0"]["mems"]
    groups = await ask("qun.qq.com", "/cgi-bin/qun_mgr/get_group_list")
    assert [one["gc"] for one in groups["join"]] == [READERS, NEIGHBOURS]
    raw = await visitor.fetch("qun.qq.com", "/cgi-bin/qun_mgr/get_group_list", form=form)
    assert "读书会&nbsp;&lt;一&gt;" in await raw.text(), "the ampersand is no escape of JSON"
    members = await ask("qinfo.clt.qq.com", "/cgi-bin/qun_info/get_group_members_new")
    assert (members["owner"], members["cards"]["305419896"]) == (987654321, "书童")
    found = await ask("qun.qq.com", "/cgi-bin/qun_mgr/search_group_members", st="0", end="1")
    assert [one["uin"] for one in found["mems"]] == [987654321, 305419896]
    assert (await ask("qun.qq.com", "/cgi-bin/qun_mgr/get_friend_list", bkn="1"))["ec"] == 4
    sim.set(qun_open=False)
    assert (await ask("qun.qq.com", "/cgi-bin/qun_mgr/get_friend_list"))["ec"] == 99999


async def test_avatars_follow_the_person_through_every_login(online: tuple[Simulator, Visitor]) -> None:
    sim, visitor = online

    async def face(uin: int, kind: int = 1) -> bytes:
        query = {"type": kind, "uin": uin, "vfwebqq": visitor.vfwebqq, "f": 40, "cache": 1}
        response = await visitor.fetch(f"face{uin % 10}.web.qq.com", "/cgi/svr/face/getface", query=query)
        assert response.content_type == "image/jpeg"
        return await response.read()

    before = await face(sim.uin_of(10001))
    assert before != await face(17)
    assert await face(sim.code_of(READERS), 4) != await face(17, 4)
    await visitor.log_in()
    assert await face(sim.uin_of(10001)) == before
    response = await visitor.fetch("q.qlogo.cn", "/g", query={"b": "qq", "nk": 10001, "s": 100})
    assert Image.open(io.BytesIO(await response.read())).size == (100, 100)


async def test_pictures_can_be_fetched_and_errors_are_json_with_200() -> None:
    async with logged_in("e1") as (sim, visitor):
        sim.say("friend:10001", content=[[PICTURE, "a.png"], "text"])
        sim.say("group:123456789", content=[[PICTURE, "b.png"]], sender=10001)
        group, private = (item["value"]["content"][1][1] for item in (await visitor.poll())["result"])
        query = {"file_path": private["file_path"], "f_uin": sim.uin_of(10001), **visitor.tokens()}
        response = await visitor.fetch(OLD_CHANNEL, "/channel/get_offpic2", query=query)
        assert response.status == 302
        response = await visitor.follow(response.headers["Location"])
        assert (response.content_type, (await response.read())[:4]) == ("image/png", b"\x89PNG")
        response = await visitor.fetch(
            "w.qq.com", "/d/channel/get_offpic2", query={**query, "psessionid": "x"}
        )
        assert (response.status, json.loads(await response.read())) == (200, {"retcode": 103, "errmsg": ""})
        ip, _, port = group["server"].partition(":")
        query = {
            "fid": group["file_id"],
            "gid": sim.code_of(READERS),
            "pic": group["name"],
            "rip": ip,
            "rport": port,
        }
        more = {"uin": sim.uin_of(10001), "vfwebqq": visitor.vfwebqq, "type": 0}
        response = await visitor.fetch("web2.qq.com", "/cgi-bin/get_group_pic", query={**query, **more})
        assert response.content_type == "image/png"
        response = await visitor.fetch(
            "web2.qq.com", "/cgi-bin/get_group_pic", query={**query, "vfwebqq": "x"}
        )
        assert (response.status, json.loads(await response.read())["retcode"]) == (200, 100000)
        query = {"lcid": 1, "guid": "a.png", "to": sim.uin_of(10001), "psessionid": visitor.psessionid}
        assert (
            await visitor.fetch(OLD_CHANNEL, "/channel/get_cface2", query=query)
        ).content_type == "image/png"
        assert (await visitor.fetch(OLD_CHANNEL, "/channel/get_file2", query=query)).status == 200
        assert (await visitor.get(OLD_CHANNEL, "/channel/refuse_file2", **visitor.tokens()))["result"] == "ok"
