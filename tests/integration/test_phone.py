"""Proof of the simulator's phones by HTTP: what the page asks, answered in permanent numbers."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.simulator import Simulator
from tests.simulator.visitor import logged_in

pytestmark = pytest.mark.anyio


async def get(http: aiohttp.ClientSession, sim: Simulator, path: str) -> Any:
    async with http.get(sim.url + path) as response:
        assert response.status == 200
        return await response.json()


async def test_both_sides_of_a_conversation_are_told_in_order_and_once() -> None:
    async with logged_in() as (sim, visitor), aiohttp.ClientSession() as http:
        sim.say("friend:10001", "hello [微笑]")
        sim.say("group:123456789", content=["look: ", ["face", 14], ["font", {}]], sender=20002)
        await visitor.send("send_buddy_msg2", "to", sim.uin_of(10001), ["hi"], face=522)
        first = await get(http, sim, "/sim/phone")
        told = [(one["chat"], one["sender"], one["text"]) for one in first["messages"]]
        assert told == [
            ("friend:10001", 10001, "hello [微笑]"),
            ("group:123456789", 20002, "look: [微笑]"),
            ("friend:10001", sim.account, "hi"),
        ]
        assert first["state"] == "online"
        waiting = asyncio.create_task(get(http, sim, f"/sim/phone?key={first['key']}&wait=1"))
        sim.say("friend:20002", "news")
        async with asyncio.timeout(10):
            second = await waiting
        assert [one["text"] for one in second["messages"]] == ["news"]
        assert second["key"] != first["key"]


async def test_the_phone_sees_the_code_and_what_became_of_it() -> None:
    async with Simulator(auto_scan=False) as sim, aiohttp.ClientSession() as http:
        before = await get(http, sim, "/sim/phone?key=nonsense")
        assert (before["state"], before["code"]) == ("offline", False)
        async with http.get(sim.url + "/sim/code") as response:
            assert response.status == 404
        waiting = asyncio.create_task(get(http, sim, f"/sim/phone?key={before['key']}&wait=1"))
        async with http.get(sim.url + "/ptqrshow?s=5") as response:
            shown = await response.read()
        async with asyncio.timeout(10):
            assert (await waiting)["state"] == "waiting"
        async with http.get(sim.url + "/sim/code") as response:
            assert await response.read() == shown
        async with http.post(sim.url + "/sim/scan") as response:
            assert response.status == 200
        assert (await get(http, sim, "/sim/phone"))["state"] == "scanned"


async def test_everybody_is_there_in_permanent_numbers() -> None:
    async with Simulator() as sim, aiohttp.ClientSession() as http:
        world = await get(http, sim, "/sim/world")
        assert world["me"] == {"qq": sim.account, "nick": "小桥", "status": "online"}
        assert world["friends"][0] == {"qq": 10001, "nick": "林晓", "status": "online", "mark": "小林"}
        cards = {one["qq"]: one["card"] for one in world["groups"][0]["members"]}
        assert cards[987654321] == "赵老师"


async def test_the_page_is_on_the_control_host_alone() -> None:
    async with Simulator() as sim, aiohttp.ClientSession() as http:
        for path in ("/phone", "/phone/phone.css", "/phone/phone.js"):
            async with http.get(sim.url + path) as response:
                assert response.status == 200
            async with http.get(sim.url + path, headers={"Host": "w.qq.com"}) as response:
                assert response.status == 404
