"""The phones of the simulated people as a page: `/phone` beside the control API.

Whoever looks at it is everybody but the account: friends and members who write, and the owner who scans.
It answers the page's own questions below /sim/ and leaves all others to the control API.
"""

import contextlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from . import qr, wire
from .call import Call, Reply
from .network import Network
from .pulse import WaitTimeoutError, within
from .world import Discussion, Group, Person

_FOLDER = Path(__file__).parent / "phone_page"
_FILES = {
    "/phone": ("phone.html", "text/html; charset=utf-8"),
    "/phone/phone.css": ("phone.css", "text/css; charset=utf-8"),
    "/phone/phone.js": ("phone.js", "text/javascript; charset=utf-8"),
    "/phone/texts.js": ("texts.js", "text/javascript; charset=utf-8"),
}
_NOTHING = "0.0.0.-"
_KEY = re.compile(r"\d+\.\d+\.\d+\.[a-z-]+", re.ASCII)
_MOST_MESSAGES = 500
_MOST_SECONDS = 25.0  # less than any proxy allows


class Control(Protocol):
    """What answers all other requests."""

    async def __call__(self, call: Call) -> Reply:
        """Answer one request."""


class Phone:
    """Answers the page and what it asks; passes on everything else."""

    def __init__(self, net: Network, control: Control) -> None:
        self._net = net
        self._control = control
        self._codes: dict[str, Callable[[Call], Awaitable[Reply]]] = {
            "/sim/phone": self._news,
            "/sim/world": self._world,
            "/sim/code": self._code,
        }

    async def __call__(self, call: Call) -> Reply:
        """Answer one request."""
        if call.method == "GET" and call.path in _FILES:
            name, kind = _FILES[call.path]
            return Reply((_FOLDER / name).read_bytes(), content_type=kind)
        if call.method == "GET" and call.path in self._codes:
            return await self._codes[call.path](call)
        return await self._control(call)

    async def _news(self, call: Call) -> Reply:
        """Return what changed since `key`, as soon as something does if `wait` is given."""
        given = call.query.get("key", "")
        given = given if _KEY.fullmatch(given) else _NOTHING
        seconds = _MOST_SECONDS if call.query.get("wait") else 0.0
        if seconds > 0:
            changed = self._net.journal.changed
            with contextlib.suppress(WaitTimeoutError):
                await within(seconds, changed.until(lambda: self._key() != given), lambda: "")
        received, said = (int(part) for part in given.split(".")[:2])
        answer = {"key": self._key(), "state": self._net.state, "messages": self._messages(received, said)}
        return _json(answer | {"code": self._net.codes.newest is not None})

    def _key(self) -> str:
        journal, codes = self._net.journal, self._net.codes
        newest = codes.newest
        made = int(newest.created * 1000) if newest else 0
        return f"{journal.received_count}.{journal.said_count}.{made}.{self._net.state}"

    def _messages(self, received: int, said: int) -> list[dict[str, Any]]:
        journal = self._net.journal
        ours = [
            (one.time, one.chat, self._net.account, one.text) for one in journal.received if one.n > received
        ]
        theirs = [(one.time, one.chat, one.sender, one.text) for one in journal.said if one.n > said]
        merged = sorted([*ours, *theirs], key=lambda one: one[0])[-_MOST_MESSAGES:]
        names = ("time", "chat", "sender", "text")
        return [dict(zip(names, one, strict=True)) for one in merged]

    async def _world(self, _: Call) -> Reply:
        """Everybody there is, in permanent numbers."""
        world = self._net.world
        return _json(
            {
                "me": _person(world.me),
                "friends": [_person(one.person) | {"mark": one.mark} for one in world.friends.values()],
                "groups": [_room(one) for one in world.groups.values()],
                "discussions": [_room(one) for one in world.discussions.values()],
            }
        )

    async def _code(self, _: Call) -> Reply:
        """Return the newest QR code, as the phone's camera would see it."""
        newest = self._net.codes.newest
        if newest is None:
            return Reply(status=404)
        return Reply(
            qr.picture(newest, 5), content_type="image/png", headers=(("Cache-Control", "no-store"),)
        )


def _person(one: Person) -> dict[str, Any]:
    return {"qq": one.qq, "nick": one.nick, "status": one.status}


def _room(room: Group | Discussion) -> dict[str, Any]:
    members = [_person(one.person) | {"card": one.card} for one in room.members]
    return {"number": room.number, "name": room.name, "members": members}


def _json(value: Any) -> Reply:
    return Reply(
        wire.encode(json.dumps(value, ensure_ascii=False)), content_type="application/json; charset=utf-8"
    )
