"""Proof that no secret leaves the adapter: everything it and the workers wrote, searched for everything they had."""

from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from adapter.bus.bus import Bus
from adapter.networks.smartqq.session.store import NAME
from tests.simulator import PICTURE
from tests.simulator import Answer as Scripted
from tests.support.cli import Cli, running
from tests.support.helpers import BEARER, wait_until
from tests.support.ports import free_port
from tests.support.secrets import found_in, secrets_of, whole_bus, written
from tests.support.system_harness import System

pytestmark = pytest.mark.anyio

FRIEND, GROUP = "friend:10001", "group:123456789"
BUDDY, PROBE, OFFPIC = "/channel/send_buddy_msg2", "/channel/get_online_buddies2", "/channel/get_offpic2"
PASSWORD = "correct horse battery staple"
PAGES = ("/", "/metrics", "/healthz", "/readyz", "/api/contacts")


@dataclass
class Watched:
    """A system, the secrets met on the way, and all that is shown at different moments."""

    it: System
    cli: Cli
    port: int
    secrets: set[str] = field(default_factory=set)
    shown: dict[str, str] = field(default_factory=dict)

    async def look(self, moment: str) -> None:
        """Remember what there is to find, and what anybody may see."""
        self.secrets |= secrets_of(self.it.sim)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", trust_env=False, headers=BEARER
        ) as http:
            for page in PAGES:
                self.shown[f"{page} {moment}"] = (await http.get(page)).text

    async def state(self, name: str) -> None:
        """Wait for a state of the session."""

        async def there() -> bool:
            return (await self.it.bus.hgetall(self.it.bus.keys("status"))).get("state") == name.encode()

        await wait_until(there, f"{name}, but {self.it.programs[-1].text()[-2000:]}", 20.0)

    async def captchas(self, count: int) -> int:
        """Wait until the session waits at a captcha, and so many have been shown; how many were."""
        shown = 0

        async def there() -> bool:
            nonlocal shown
            states = [row["state"] for row in await self.it.rows("session")]
            shown = states.count("captcha")
            return states[-1:] == ["captcha"] and shown >= count

        await wait_until(there, f"captcha number {count}", 20.0)
        return shown

    async def back(self) -> None:
        await self.state("online")
        await self.it.sim.wait_poll(20.0)

    async def order(self, command: str, **fields: str) -> None:
        await self.it.bus.client.xadd(self.it.bus.keys("control"), {"cmd": command, **fields})

    async def verdict(self, folder: Path, kept: str) -> None:
        """Nothing is to be found anywhere but where it belongs."""
        self.secrets |= secrets_of(self.it.sim)
        bus = await whole_bus(self.it.bus)
        private = bus.pop("session")
        everything = self.shown | bus | written(folder, but=NAME)
        leaks = {
            place: found for place, text in everything.items() if (found := found_in(text, self.secrets))
        }
        assert leaks == {}
        # The search does find what is there: the tokens in their own file, the pictures on their own stream.
        assert len(found_in(kept, self.secrets)) > 5
        assert "\x89PNG" in private or "\xff\xd8\xff" in private
        assert not [
            place for place, text in everything.items() if "\x89PNG" in text or "\xff\xd8\xff" in text
        ]
        assert any(
            "adapter.networks.smartqq" in text or "session online" in text for text in everything.values()
        )
        assert len(self.secrets) > 40


async def talk(it: System) -> None:
    """Words there and back, with an answer of the echo worker."""
    before = len(it.sim.received)
    it.sim.say(FRIEND, "said by a friend")
    it.sim.say(GROUP, "said in a group", sender=10001)
    it.sim.say(FRIEND, content=["look: ", [PICTURE, "x.png"]])
    await it.sim.wait_received(before + 3, 20.0)


async def result(it: System, name: str) -> dict[str, str]:
    """Wait for the result of a request."""

    async def there() -> list[dict[str, str]]:
        return [row for row in await it.rows("results") if row["id"] == name]

    return dict((await wait_until(there, f"the result of {name}", 20.0))[0])


async def trouble(w: Watched) -> None:
    """Everything that has words for what went wrong."""
    it, sim = w.it, w.it.sim
    chat = next(row["chat"] for row in await it.rows("inbound") if row["text"] == "said by a friend")
    sim.renew_ptwebqq()
    await sim.wait_poll(20.0)
    failures = [
        Scripted(json={"retcode": 1202, "errmsg": "error!!!"}),
        Scripted(json={"errCode": -3, "errMsg": "ERROR"}),
        Scripted(cut="before"),
        Scripted(cut="body"),
        Scripted(status=502),
        Scripted(status=302, body=b"", headers={"Location": "http://ptlogin2.qq.com/?ptsigx=never"}),
        Scripted(body=b"<html>not what was asked for"),
    ]
    for number, failure in enumerate(failures):
        sim.next_answer(BUDDY, failure)
        await it.ask(chat, "fails", id=f"x/{number}")
        assert (await result(it, f"x/{number}"))["status"] in {"unknown", "failed"}
    picture = next(row for row in await it.rows("inbound") if row["text"].startswith("look"))
    sim.next_answer(OFFPIC, Scripted(json={"retcode": 103, "errmsg": ""}))
    for line in (["image", picture["id"]], ["status", "--json"], ["doctor"], ["contacts"]):
        done = await w.cli(*line)
        w.shown[" ".join(line)] = done.out + done.err
    await w.look("in trouble")
    # A send is the first to know that the session is gone; then upstream has no answers at all.
    sim.network.sessions.end(100001)
    await it.ask(chat, "after all", id="x/relink")
    assert (await result(it, "x/relink"))["status"] == "sent"
    await w.back()
    sim.next_poll(Scripted(cut="before"), Scripted(body=b"<html>"), Scripted(json={"retcode": 121}))
    await it.sim.wait_requests("/channel/login2", 3, 20.0)
    await w.back()
    await w.look("after relinks")
    sim.kick()
    await it.events(1, "session.kicked")
    await w.order("login")
    await w.back()


@pytest.mark.parametrize("profile", ["e3", "e1"])
async def test_no_secret_is_found_outside_its_own_file_and_stream(
    bus: Bus, redis_url: str, tmp_path: Path, profile: str
) -> None:
    options = {"captcha": True, "password": PASSWORD} if profile == "e1" else {"password": PASSWORD}
    async with running(bus, redis_url, tmp_path, profile=profile, seed=5, **options) as (it, cli):
        port = free_port()
        it.settings |= {
            "QQBUS_HTTP": f"127.0.0.1:{port}",
            "QQBUS_LOG_LEVEL": "DEBUG",
            "QQBUS_RAW": "1",
            "QQBUS_ACCOUNT": str(it.sim.account),
            "QQBUS_PASSWORD": PASSWORD,
            "QQBUS_LOGIN": "password" if profile == "e1" else "qr",
        }
        w = Watched(it, cli, port)
        it.sim.set(auto_scan=False)
        it.start("consumers.echo", state="worker")
        it.start("tests.chaos.fast_timeouts", "run")
        await enter(w, profile)
        await talk(it)
        await trouble(w)
        # The night: every cookie dies, and somebody has to let us in again.
        it.sim.drop_session(cookies=True)
        await enter(w, profile)
        (file,) = tmp_path.rglob(NAME)
        kept = file.read_text(encoding="utf-8")
        await w.order("logout")
        await w.state("offline")
        await w.verdict(tmp_path, kept)
        assert not found_in(file.read_text(encoding="utf-8"), {one for one in w.secrets if len(one) > 64})


async def enter(w: Watched, profile: str) -> None:
    """Scan and confirm, or type what the picture shows – wrongly at first."""
    sim = w.it.sim
    if profile == "e3":
        await w.state("qr")
        await w.look("at the code")
        sim.scan()
        await w.state("scanned")
        sim.confirm()
    else:
        shown = await w.captchas(1)
        await w.look("at the captcha")
        await w.order("captcha", text="XXXX")
        await w.captchas(shown + 1)
        await w.order("captcha", text=sim.captcha)
    await w.back()
