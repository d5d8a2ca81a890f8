"""Run each client against the simulator of its years, and judge by the simulator's record."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.environment import Script, prepare, script
from tests.peers.smartqq.gateway import gateway
from tests.simulator import Simulator

HERE = Path(__file__).parent
PACKAGES = ("qqbot", "python-smartqq-client", "mongomock", "trustme")
FRIEND, GROUP, DISCUSSION = "friend:10001", "group:123456789", "discuss:1664012345"
TEXT = "a<b[微笑]"
# Seconds that an idle poll lasts.
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Peer:
    """A client.

    `names` is how it calls people, by chat; `shows` what it makes of TEXT and `sends` what a phone shows of its
    answer.
    """

    name: str
    bot: str
    online: dict[str, Any]
    names: dict[str, dict[str, Any]]
    shows: str
    sends: str


QQBOT = Peer(
    "qqbot",
    "qqbot_bot.py",
    {"kind": "online", "friends": 7, "groups": 2, "discusses": 1},
    {
        FRIEND: {"chat": "buddy", "name": "小林", "member": None},
        GROUP: {"chat": "group", "name": "读书", "member": "林晓"},
        DISCUSSION: {"chat": "discuss", "name": "林晓、Chen、赵", "member": "林晓"},
    },
    "a&lt;b /微笑 ",
    "re: a&lt;b [微笑] ",
)
SMARTQQ_CLIENT = Peer(
    "python-smartqq-client",
    "smartqq_client_bot.py",
    {"kind": "online"},
    {
        FRIEND: {"chat": "buddy", "name": "小林(林晓)", "member": None},
        GROUP: {"chat": "group", "name": "读书会 &lt;一&gt;", "member": "林晓"},
    },
    'a&lt;b["face", 14]',
    're: a&lt;b["face", 14]',
)


async def check() -> None:
    """Check both clients in both eras that they know."""
    python = prepare("smartqq", PACKAGES, HERE / "constraints.txt")
    for peer in (QQBOT, SMARTQQ_CLIENT):
        for profile in ("e3", "late"):
            with tempfile.TemporaryDirectory(prefix="qqbus-peers-") as folder:
                await check_peer(python, peer, profile, Path(folder))
            print(f"smartqq: {peer.name} on {profile}: accepted", flush=True)


async def check_peer(python: Path, peer: Peer, profile: str, home: Path) -> None:
    """Let a client log in by a code that scans itself, and answer in each kind of chat."""
    async with script(python, HERE / "bots" / "certificate.py", home=home) as written:
        await written.process.wait()
    async with (
        Simulator(profile, scan_after=0, poll_seconds=POLL_SECONDS) as sim,
        gateway(int(sim.url.rpartition(":")[2]), home / "server.pem") as proxy,
        script(
            python,
            HERE / "bots" / peer.bot,
            home=home,
            HTTP_PROXY=proxy,
            HTTPS_PROXY=proxy,
            REQUESTS_CA_BUNDLE=str(home / "ca.pem"),
        ) as bot,
    ):
        await bot.until(lambda: bool(seen(bot, "online")), "the login", 60.0)
        assert seen(bot, "online") == [peer.online], seen(bot, "online")
        for chat in peer.names:
            await check_chat(sim, bot, peer, chat)
        await check_idle(sim, bot, peer)
        assert bot.refused == [], bot.refused


async def check_chat(sim: Simulator, bot: Script, peer: Peer, chat: str) -> None:
    """Say something in a chat: the client knows who it is, and its answer arrives."""
    told, received = len(seen(bot, "message")), len(sim.received)
    sim.say(chat, TEXT, sender=10001)
    await bot.until(lambda: len(seen(bot, "message")) > told, f"a message in {chat}")
    shown = seen(bot, "message")[-1]
    assert shown == {"kind": "message", "text": peer.shows, **peer.names[chat]}, shown
    answers = await sim.wait_received(received + 1, 30.0)
    assert (answers[-1].chat, answers[-1].text) == (chat, peer.sends), answers[-1]


async def check_idle(sim: Simulator, bot: Script, peer: Peer) -> None:
    """Let polls end in the gateway's 504: the client goes on, and still answers."""
    polls = [one for one in sim.requests if one.path == "/channel/poll2" and one.status == 504]
    await sim.wait_requests("/channel/poll2", sim.network.journal.by_path["/channel/poll2"] + 3, 30.0)
    later = [one for one in sim.requests if one.path == "/channel/poll2" and one.status == 504]
    assert len(later) > len(polls), "no poll ended in 504"
    await check_chat(sim, bot, peer, FRIEND)


def seen(bot: Script, kind: str) -> list[dict[str, Any]]:
    """Return what the client printed of a kind."""
    lines = [json.loads(line) for line in bot.lines if line.startswith('{"kind"')]
    return [line for line in lines if line["kind"] == kind]
