"""The same stage on each network: programs, two chats, and what the people there say and receive."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from adapter.bus.bus import Bus
from adapter.directory import IdSpace
from adapter.permanent_directory import compute_stable_id
from tests.chaos.line import Line
from tests.onebot_server import DIALECTS, OneBotServer
from tests.simulator import Simulator
from tests.support.official_system import OfficialSystem, official_system
from tests.support.onebot_system import onebot_system
from tests.support.system_harness import Processes, system

# Seconds until an adapter is back on a network that is.
BACK = 30.0
# The faces that people use, with their numbers.
FACES = {"微笑": "14", "呲牙": "13"}
_FACE = re.compile(rf"\[({'|'.join(FACES)})\]")


class NetworkStage(Protocol):
    """One network with a friend and a group of the account; texts have faces by name, as `[微笑]`."""

    programs: Processes
    friend: str
    group: str

    def say(self, chat: str, text: str) -> None:
        """Let a person write in one of the two chats."""
        ...

    def received(self) -> list[tuple[str, str]]:
        """Return chat and text of all that the account has sent."""
        ...

    async def restart(self) -> None:
        """End the network and bring it back; returns once the adapter hears it again."""
        ...


class SmartQQStage:
    """A simulator behind a line that can be cut."""

    friend, group = "friend:10001", "group:123456789"

    def __init__(self, programs: Processes, sim: Simulator, line: Line) -> None:
        self.programs = programs
        self._sim = sim
        self._line = line

    def say(self, chat: str, text: str) -> None:
        """Let the friend write, here or in the group."""
        self._sim.say(chat, text, sender=10001 if chat == self.group else None)

    def received(self) -> list[tuple[str, str]]:
        """Return what the simulated phones show."""
        return [(one.chat, one.text) for one in self._sim.received]

    async def restart(self) -> None:
        """Cut the line and mend it."""
        await self._line.cut()
        await self._line.mend()
        await self._sim.wait_poll(BACK)


@asynccontextmanager
async def smartqq_stage(profile: str, bus: Bus, url: str, folder: Path) -> AsyncIterator[NetworkStage]:
    """Start a simulator."""
    async with (
        system(bus, url, folder, profile, poll_seconds=0.5) as it,
        Line(int(it.sim.url.rpartition(":")[2])) as line,
    ):
        it.settings["QQBUS_SMARTQQ_URL"] = line.url
        yield SmartQQStage(it, it.sim, line)


class OneBotStage:
    """An implementation of OneBot whose port can be closed."""

    friend, group = "friend:10001", "group:30001"

    def __init__(self, programs: Processes, server: OneBotServer) -> None:
        self.programs = programs
        self._server = server

    def say(self, chat: str, text: str) -> None:
        """Let the friend write, here or in the group."""
        self._server.say(chat, message=_segments(text), sender=10001)

    def received(self) -> list[tuple[str, str]]:
        """Return what reached the chats, faces by name."""
        return [(one.chat, _text(one.segments)) for one in self._server.record.received.entries]

    async def restart(self) -> None:
        """End the implementation and start it again: it has forgotten the ids of its messages."""
        await self._server.do.restart()
        await self._server.wait_connections(1, BACK)


@asynccontextmanager
async def onebot_stage(dialect: str, bus: Bus, url: str, folder: Path) -> AsyncIterator[NetworkStage]:
    """Start an implementation."""
    async with onebot_system(dialect, bus, url, folder) as it:
        yield OneBotStage(it, it.server)


class OfficialStage:
    """The official API with a group that sends all its messages to the bot."""

    def __init__(self, programs: OfficialSystem) -> None:
        server = programs.server
        self.programs = programs
        self._server = server
        self._names = {
            f"friend:{compute_stable_id(IdSpace.PERSON, server.openid('friend:ann'))}": "friend:ann",
            f"group:{compute_stable_id(IdSpace.GROUP, server.openid('group:lab'))}": "group:lab",
        }
        self.friend, self.group = self._names

    def say(self, chat: str, text: str) -> None:
        """Let the friend write, here or in the group."""
        self._server.say(self._names[chat], text, sender="" if chat == self.friend else "ann")

    def received(self) -> list[tuple[str, str]]:
        """Return what the users see."""
        chats = {name: chat for chat, name in self._names.items()}
        return [(chats[one.chat], one.text) for one in self._server.shown]

    async def restart(self) -> None:
        """End the gateway's session with all connections: the next one is another session."""
        identified = self._server.record.count("identifies")
        await self._server.invalidate()
        await self._server.wait(
            lambda: self._server.record.count("identifies") > identified, "another session", BACK
        )


@asynccontextmanager
async def official_stage(bus: Bus, url: str, folder: Path) -> AsyncIterator[NetworkStage]:
    """Start the server of a bot."""
    async with official_system(bus, url, folder) as it:
        it.server.change("group:lab", receives="all")
        yield OfficialStage(it)


def _segments(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, part in enumerate(_FACE.split(text)):
        if number % 2:
            found.append({"type": "face", "data": {"id": FACES[part]}})
        elif part:
            found.append({"type": "text", "data": {"text": part}})
    return found


def _text(segments: list[dict[str, Any]]) -> str:
    names = {number: name for name, number in FACES.items()}
    return "".join(
        f"[{names[str(one['data']['id'])]}]" if one["type"] == "face" else str(one["data"].get("text"))
        for one in segments
    )


Opener = Callable[[Bus, str, Path], AbstractAsyncContextManager[NetworkStage]]

# Each network in each of its forms.
NETWORKS: dict[str, Opener] = {
    **{f"smartqq {profile}": partial(smartqq_stage, profile) for profile in ("e1", "e3")},
    **{f"onebot {dialect}": partial(onebot_stage, dialect) for dialect in DIALECTS},
    "official": official_stage,
}
