"""What a test can make go wrong: scripts, rules, strict headers; and every type of poll item."""

import asyncio
import json
import time
from typing import Any

import pytest

from tests.simulator import Answer, FaultError, Rule, Simulator
from tests.simulator.visitor import CHANNEL, DATA, Visitor, logged_in

pytestmark = pytest.mark.anyio


async def test_a_script_runs_step_by_step() -> None:
    script = {
        "options": {"poll_seconds": 0.01},
        "answers": {"/channel/get_online_buddies2": [{"status": 502}]},
        "rules": [{"path": "/channel/poll2", "every": 2, "answer": {"status": 504}}],
        "steps": [
            {"after": {"state": "online"}, "do": "say", "with": {"chat": "friend:10001", "text": "one"}},
            {
                "after": {"requests": "/channel/poll2", "count": 2},
                "do": "notice",
                "with": {"kind": "typing", "qq": 10001},
            },
            {"after": {"seconds": 0}, "do": "drop", "with": {"code": 100012}},
            {"do": "kick"},
            {"after": {"state": "offline"}, "do": "options", "with": {"new_uins": "always"}},
        ],
    }
    async with logged_in() as (sim, visitor):
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            playing = group.create_task(sim.play(script))
            await sim.wait_requests("/channel/get_online_buddies2")
            assert (await visitor.fetch(CHANNEL, "/channel/get_online_buddies2")).status == 502
            assert (await visitor.poll())["result"][0]["poll_type"] == "message"
            assert (await visitor.fetch(CHANNEL, "/channel/poll2", form={"r": "{}"})).status == 504
            await playing
        assert (await visitor.poll())["retcode"] == 100012
        assert sim.options.new_uins == "always"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([], "a script is an object"),
        ({"step": []}, "a script has no step"),
        ({"steps": [{"do": "dance"}]}, "cannot do dance"),
        ({"steps": [{"after": {"moon": 1}, "do": "kick"}]}, "a step comes after one of"),
        ({"steps": [{}]}, "needs something to do"),
        ({"rules": [{"often": 1}]}, "a rule has no often"),
        ({"answers": {"/x": [{"base64": "!"}]}}, "not base64"),
    ],
)
async def test_a_script_that_cannot_be_understood_is_refused(script: Any, words: str) -> None:
    with pytest.raises(FaultError, match=words):
        await Simulator().play(script)


async def test_rules_apply_again_and_again_until_cleared() -> None:
    async with Simulator() as sim, Visitor(sim.url) as visitor:
        sim.add_rule(Rule("/proxy.html", Answer(status=404), every=3))
        statuses = [(await visitor.fetch("w.qq.com", "/proxy.html")).status for _ in range(6)]
        assert statuses == [200, 200, 404, 200, 200, 404]
        sim.clear_faults()
        sim.add_rule(Rule("/proxy.html", Answer(body=b"", headers={"Retry-After": "1"}), chance=1.0))
        response = await visitor.fetch("w.qq.com", "/proxy.html")
        assert (response.headers["Retry-After"], await response.read()) == ("1", b"")


async def test_a_delayed_answer_is_the_true_one_only_later() -> None:
    async with Simulator() as sim, Visitor(sim.url) as visitor:
        sim.next_answer("/ptqrshow", Answer(delay=0.05, headers={"X-Slow": "yes"}))
        response = await visitor.fetch("ssl.ptlogin2.qq.com", "/ptqrshow")
        assert (response.content_type, response.headers["X-Slow"]) == ("image/png", "yes")


@pytest.mark.parametrize(
    ("host", "path", "headers", "good"),
    [
        (DATA, "/api/get_self_info2", {}, False),
        (
            DATA,
            "/api/get_self_info2",
            {"Referer": "http://s.web2.qq.com/proxy.html?v=20130916001&callback=1&id=1"},
            True,
        ),
        (CHANNEL, "/channel/get_online_buddies2", {}, True),
        (CHANNEL, "/channel/get_online_buddies2", {"Origin": "http://d1.web2.qq.com"}, True),
        (CHANNEL, "/channel/get_online_buddies2", {"Origin": "http://example.org"}, False),
        (
            CHANNEL,
            "/channel/get_online_buddies2",
            {"User-Agent": "Mozilla/5.0 (compatible; MSIE 9.0)"},
            False,
        ),
        (CHANNEL, "/channel/get_online_buddies2", {"User-Agent": "Robot"}, False),
    ],
)
async def test_strict_mode_wants_a_browsers_headers(
    host: str, path: str, headers: dict[str, str], *, good: bool
) -> None:
    async with logged_in() as (sim, visitor):
        sim.set(strict=True)
        query = {**visitor.tokens(), "t": "1482192000123"}
        response = await visitor.fetch(
            host, path, query=query, headers={"User-Agent": "Mozilla/5.0 X", **headers}
        )
        assert (await response.json(content_type=None))["retcode"] == (0 if good else 100001)
        response = await visitor.fetch(
            host, path, query={**query, "t": "0.1"}, headers={"User-Agent": "Mozilla/5.0 X"}
        )
        assert (await response.json(content_type=None))["retcode"] == 100001
        plain = {"User-Agent": "Mozilla/5.0 X", "Content-Type": "text/plain"}
        r = b"r=" + json.dumps({"clientid": 53999199, "psessionid": visitor.psessionid}).encode()
        response = await visitor.fetch(CHANNEL, "/channel/poll2", form=r, headers=plain)
        assert (await response.json(content_type=None))["retcode"] == 100006
        assert (await visitor.fetch("ssl.ptlogin2.qq.com", "/ptqrlogin")).status == 403


async def test_a_path_of_another_host_is_not_there() -> None:
    async with Simulator() as sim, Visitor(sim.url) as visitor:
        assert (await visitor.fetch("d1.web2.qq.com", "/api/get_self_info2")).status == 404
        assert (await visitor.fetch("127.0.0.1", "/ptqrshow")).status == 200


async def test_every_other_type_of_poll_item() -> None:
    async with logged_in() as (sim, visitor):
        tell, group = sim.notices, 123456789
        tell.typing(10001)
        tell.shake(10001)
        tell.status(10001, "away", 24)
        tell.system(987654321, "verify_required", msg="hi")
        tell.group_system(group, "group_join", new_member=10001, op_type=3)
        tell.friends_changed(added=[10001])
        tell.group_file(group, 10001, "report.docx")
        tell.group_file(group, 10001, "report.docx", linked=True)
        tell.song(group, 10001)
        tell.big_face(group, 10001)
        tell.befriended(10001)
        tell.picture_by_id(10001, group)
        tell.file(10001, "refuse", cancel_type=2)
        tell.transfer(10001, ("a.txt", 0))
        tell.offline_file(10001, "b.txt")
        tell.offline_file_done(10001, "b.txt", refused=True)
        tell.muted(group, 10001)
        tell.other("tips")
        items = (await visitor.poll())["result"]
        assert [item["poll_type"] for item in items] == [
            "input_notify",
            "shake_message",
            "buddies_status_change",
            "system_message",
            "sys_g_msg",
            "buddylist_change",
            *["group_web_message"] * 3,
            "group_message",
            "system_message",
            "sess_message",
            "file_message",
            "filesrv_transfer",
            "push_offfile",
            "notify_offfile",
            "group_message",
            "tips",
        ]
        values = [item["value"] for item in items]
        assert (values[4]["new_member"], values[4]["t_new_member"]) == (sim.uin_of(10001), 10001)
        assert '<n t="t" l="share" s="1"/>' in values[7]["xml"]
        assert values[8]["xml"].startswith("\x01\x00\x01")
        face = values[9]
        assert (face["msg_type"], face["t_gcode"], face["content"]) == (32, group, [""])
        assert set(values[10]) == {"seq", "type", "from_uin", "stat"}
        assert values[11]["content"][1:3] == [
            ["pic_id", "5E10B9BC-A2BD-F848-9CB3-239DFFA745B5"],
            ["image", "jpg", 0],
        ]
        assert values[16]["content"][1] == "林晓(10001) 被管理员禁言10分钟"
        assert (await visitor.online())["result"][0]["status"] == "away"


@pytest.mark.parametrize("until", ["relink", "login"])
async def test_a_deaf_session_looks_well_until_it_is_opened_anew(until: str) -> None:
    async with logged_in(poll_seconds=0.05, idle_status=200) as (sim, visitor):
        sim.deafen(until)
        sim.say("friend:10001", "one")
        began = time.monotonic()
        waiting = asyncio.create_task(visitor.poll())
        await sim.wait_poll()
        sim.say("friend:10001", "two")
        empty = await waiting
        assert time.monotonic() - began < 5, "what is said does not make the poll longer"
        assert "result" not in empty
        assert (await visitor.online())["retcode"] == 0
        await visitor.link(visitor.psessionid)
        await visitor.online()
        if until == "login":
            assert "result" not in await visitor.poll()
            await visitor.link("")
            await visitor.online()
        assert [item["value"]["content"][1] for item in (await visitor.poll())["result"]] == ["one", "two"]


async def test_nobody_is_made_deaf_who_is_not_there() -> None:
    async with Simulator() as sim:
        with pytest.raises(RuntimeError, match="nobody is online"):
            sim.deafen()
    async with logged_in() as (sim, _):
        with pytest.raises(ValueError, match="until must be"):
            sim.deafen("tomorrow")


async def test_lone_surrogates_reach_the_client_as_escapes() -> None:
    for profile in ("e1", "e3"):
        async with logged_in(profile) as (sim, visitor):
            sim.say("friend:10001", "a\ud83db")
            assert (await visitor.poll())["result"][0]["value"]["content"][1].strip() == "a\ud83db"
