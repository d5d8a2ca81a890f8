"""Proof of adapter/rpc.py and the commands that ask for them: pictures and presence, from the terminal."""

import re
from dataclasses import dataclass
from pathlib import Path

import msgpack
import pytest

from adapter.bus.bus import Bus
from adapter.cli.parser import make_parser
from adapter.cli.runner import run_with_config
from adapter.config import Config
from tests.simulator import PICTURE
from tests.simulator import Answer as Scripted
from tests.support.cli import Done, alive, command_line, finished, running
from tests.support.helpers import wait_until
from tests.support.system_harness import System, system

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG"
OFFPIC = "/channel/get_offpic2"
FRIENDS = "/api/get_user_friends2"


async def seen(it: System, *content: object, chat: str = "friend:10001") -> dict[str, str]:
    """Build the event of a message with this content."""
    before = sum(row["type"].startswith("message.") for row in await it.rows("inbound"))
    it.sim.say(chat, content=list(content))
    return (await it.events(before + 1))[-1]


async def test_pictures_are_fetched_to_a_file_for_as_long_as_upstream_has_them(
    bus: Bus, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(bus, redis_url, tmp_path, profile="e1") as (it, cli):
        run = Here(it, capsys)
        await it.adapter()
        event = await seen(it, "two: ", [PICTURE, "a.png"], [PICTURE, "b.png"])
        out = tmp_path / "b.png"
        done = await cli("image", event["id"], "--number", "2", "--out", str(out))
        assert (done.code, done.err) == (0, "")
        assert re.fullmatch(rf"{out}: \d+ bytes, image/png\n", done.out)
        assert out.read_bytes().startswith(PNG)
        group = await seen(it, [PICTURE, "c.png"], chat="group:123456789")
        entry = (await it.bus.client.xrevrange(bus.keys("inbound"), count=1))[0][0].decode()
        assert (await run("image", entry, "--out", str(out))).code == 0
        # What cannot be had is said in words, and nothing is written.
        plain = await seen(it, "no picture")
        await run.refused("image", plain["id"], words="this message has no picture")
        await run.refused("image", event["id"], "--number", "3", words="this message has 2 pictures")
        await run.refused("image", "1-1", words="there is no such event any more")
        await run.refused("image", f"{10**20}-1", words="there is no such event any more")
        await run.refused("image", f"{2**64}-0", words="there is no such event any more")
        await run.refused("image", "305419896.f1.1.1.1.abcd", words="no event 305419896.f1.1.1.1.abcd on")
        await run.refused("image", group["id"], "--out", str(tmp_path), words="cannot write")
        it.sim.next_answer(OFFPIC, Scripted(json={"retcode": 103, "errmsg": ""}))
        await run.refused(
            "image", event["id"], words="answered 103 instead of a picture; a picture can be had while"
        )
        it.sim.set(pictures="font")
        kept = await seen(it, [PICTURE, "d.png"])
        await run.refused("image", kept["id"], words="SmartQQ said that there was a picture and kept it")
        assert [path.name for path in tmp_path.glob("*.png")] == ["b.png"]
        assert [key async for key in bus.client.scan_iter(f"{bus.keys('ids:reply')}:*")] == []


@dataclass
class Here:
    """Runs commands in this process: the programs are proved elsewhere, and take their time to start."""

    it: System
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, *line: str) -> Done:
        arguments = make_parser().parse_args(line)
        code = await run_with_config(Config.from_env(self.it.settings), arguments)
        return Done(code, *self.capsys.readouterr())

    async def refused(self, *line: str, words: str) -> None:
        done = await self(*line)
        assert (done.code, done.out) == (1, "")
        assert words in done.err


@pytest.mark.long
async def test_presence_is_kept_through_every_new_session(
    bus: Bus, redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        run = Here(it, capsys)
        adapter = it.start("tests.chaos.fast_timeouts", "run")
        await it.online(adapter)
        done = await run("presence", "hidden")
        assert (done.code, done.out) == (0, "seen as hidden from now on, in later sessions too\n")

        def status() -> str:
            session = it.sim.network.sessions.current
            return session.status if session else ""

        assert status() == "hidden"
        it.sim.next_answer("/channel/change_status2", Scripted(json={"retcode": 100001}))
        await run.refused("presence", "busy", words="change_status2: 100001")
        assert await adapter.stop() == 0
        await run.refused("presence", "busy", words="no adapter is running")
        it.sim.network.sessions.end(100001)
        await it.online(it.start("tests.chaos.fast_timeouts", "run"))
        assert status() == "hidden"
        await bus.client.xadd(bus.keys("control"), {"cmd": "logout"})
        assert [row["type"] for row in await it.events(1, "session.offline")] == ["session.offline"]
        await run.refused("presence", "busy", words="there is no session at this moment")


async def test_an_answer_that_does_not_come_or_makes_no_sense_is_said(bus: Bus, redis_url: str) -> None:
    with command_line(bus, redis_url) as cli:
        done = await cli("presence", "asleep")
        assert (done.code, "invalid choice" in done.err) == (2, True)
        assert (await cli("image", "1-1", "--number", "0")).code == 2
        await alive(bus)
        process = cli.start("image", "1-1")
        after = "0"
        while after == "0":
            for _, fields in await bus.client.xrange(bus.keys("control")):
                after = fields[b"reply"].decode()
        await bus.client.rpush(bus.keys.reply(after), msgpack.packb({"type": "image/png"}))
        _, errors = await finished(process)
        assert (process.returncode, b"cannot be read" in errors) == (1, True)


async def test_loading_all_contacts_again_holds_no_other_command_up(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        await it.adapter()
        before = len([one for one in it.sim.requests if one.path == FRIENDS])
        it.sim.next_answer(FRIENDS, Scripted(delay=60.0))
        for command in ("refresh", "refresh", "pause"):
            await bus.client.xadd(bus.keys("control"), {"cmd": command, "by": "test"})

        async def paused() -> bool:
            return bool(await bus.client.hget(bus.keys("status"), "paused") == b"1")

        await wait_until(paused, "the adapter is paused")
        asked = [one for one in it.sim.requests if one.path == FRIENDS]
        assert len(asked) - before <= 1
