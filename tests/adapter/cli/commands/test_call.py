"""Prove `qqbus call` on a OneBot implementation."""

import json
from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from tests.support.cli import Cli
from tests.support.helpers import wait_until
from tests.support.onebot_system import onebot_system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


async def test_an_action_is_called_and_its_answer_printed(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with onebot_system("napcat", bus, redis_url, tmp_path) as it:
        adapter = it.start("adapter", "run")
        cli = Cli(it.settings)

        async def is_online() -> bool:
            return (await bus.client.hget(bus.keys("status"), "state")) == b"online"

        await wait_until(is_online, adapter.text(), 30.0)
        done = await cli("call", "get_login_info")
        assert (done.code, done.err) == (0, "")
        assert json.loads(done.out)["user_id"]
        asked = await cli("call", "get_group_info", '{"group_id": 30001}')
        assert "30001" in asked.out
        piped = await cli("call", "get_group_info", "-", "--json", stdin='{"group_id": 30001}')
        assert json.loads(piped.out)["status"] == "sent"
        large = json.dumps({"group_id": 30001, "note": "x" * 300_000})
        assert (await cli("call", "get_group_info", "-", stdin=large)).code == 0
        long = await cli("send", "friend:10001", "-", "--wait", "--json", stdin="a" * 50_000)
        assert json.loads(long.out)["parts"] == "13/13"
        unknown = await cli("call", "no_such_action")
        assert unknown.code == 1
        assert "content.unsupported" in unknown.out


async def test_logging_in_and_out_is_left_to_the_implementation(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with onebot_system("napcat", bus, redis_url, tmp_path) as it:
        await it.adapter()
        cli = Cli(it.settings)
        for line in (["logout"], ["login", "--force"], ["captcha", "abcd"]):
            done = await cli(*line)
            assert (done.code, done.out) == (1, "")
            assert f"{line[0]} is not supported by onebot: log in and out at" in done.err
        assert await bus.client.xlen(bus.keys("control")) == 0


@pytest.mark.parametrize("params", ["[1]", "{", "7"])
async def test_params_that_are_no_object_are_refused(bus: Bus, redis_url: str, params: str) -> None:
    done = await Cli({"REDIS_URL": redis_url, "QQBUS_PREFIX": bus.keys.prefix})("call", "get_status", params)
    assert done.code == 2
    assert "PARAMS is not" in done.err
    assert await bus.client.xlen(bus.keys("outbound")) == 0
