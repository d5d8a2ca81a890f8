"""What clients demand of an event, by the clients themselves: ours has it, and without it they drop it or die."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from adapter.codec.reader import read_event
from consumers.onebot.events import to_event
from tests.peers.environment import script
from tests.peers.gateway.stage import START_SECONDS, Peer
from tests.peers.onebot.check import free_port, seen
from tests.support.bus_events import fields, mapping, message

Frame = dict[str, Any]
# Keys without which nonebot takes a message for no message.
NONEBOT = (
    *("time", "self_id", "post_type", "message_type", "sub_type", "message_id", "user_id", "message"),
    *("raw_message", "font", "sender"),
)
# Keys without which koishi's process ends; the last one lies in `sender`.
KOISHI = ("message_id", "message", "sender", "sender.user_id")
ACCOUNT = 10001
ANSWERS: Mapping[str, Any] = {
    "get_login_info": {"user_id": ACCOUNT, "nickname": "me"},
    "get_friend_list": [],
    "get_group_list": [],
}


def ours(chat: str = "group:2") -> Frame:
    """Return a message as the gateway sends it."""
    event = to_event(read_event("1793000000123-0", mapping(fields(message("hello", chat)))), {})
    assert event is not None
    return event


def without(frame: Frame, key: str) -> Frame:
    """Return a frame without a key, or without one of its sender."""
    name, _, inner = key.partition(".")
    if inner:
        return frame | {name: {one: value for one, value in frame[name].items() if one != inner}}
    return {one: value for one, value in frame.items() if one != name}


async def check_nonebot(python: Path, file: Path, home: Path) -> None:
    """Let nonebot's adapter read ours, and ours without each key."""
    answer = ours() | {"real_id": 1}
    cases: list[tuple[str, Frame, str | None]] = [
        ("event", ours(), "GroupMessageEvent"),
        ("event", ours("friend:3"), "PrivateMessageEvent"),
        ("event", ours("temp:3@group:2"), "PrivateMessageEvent"),
        ("event", ours("discuss:4"), "GroupMessageEvent"),
        ("answer", answer, "Reply"),
        ("answer", without(answer, "real_id"), None),
        *[("event", without(ours(), key), None) for key in NONEBOT],
    ]
    place = home / "cases.json"
    place.write_text(json.dumps([case[:2] for case in cases]), encoding="utf-8")
    async with script(python, file, str(place), home=home) as parsed:
        await parsed.until(lambda: len(parsed.lines) >= len(cases), "all are read", START_SECONDS)
    for (kind, value, expected), line in zip(cases, parsed.lines, strict=True):
        got = json.loads(line)
        # What lacks a key may still be an event, of no use to matchers of messages.
        is_right = got == expected if expected else got in {None, "Event"}
        assert is_right, (kind, got, value)


async def check_koishi(peer: Peer, home: Path) -> None:
    """Let koishi read ours, then ours without each key."""
    for key in ("", *KOISHI):
        frame = ours("friend:3")
        is_taken = await _is_taken(peer, home, without(frame, key) if key else frame)
        assert is_taken == (not key), (key, is_taken)


async def _is_taken(peer: Peer, home: Path, frame: Frame) -> bool:
    """Play an implementation; return whether koishi shows this message."""
    sockets: list[ServerConnection] = []

    async def play(socket: ServerConnection) -> None:
        sockets.append(socket)
        # A process that dies closes nothing.
        with contextlib.suppress(ConnectionClosed):
            async for said in socket:
                asked = json.loads(said)
                data = ANSWERS.get(asked["action"])
                # An action that it does not know is answered too: koishi waits for that at its start.
                outcome = {"status": "ok", "retcode": 0} if data is not None else {"status": "failed"}
                answer = {"retcode": 1404, **outcome, "data": data, "echo": asked["echo"]}
                await socket.send(json.dumps(answer))

    port = free_port()
    settings = {"BOT_URL": f"ws://127.0.0.1:{port}/", "BOT_TOKEN": "", "BOT_ACCOUNT": str(ACCOUNT)}
    async with (
        serve(play, "127.0.0.1", port),
        script(peer.program, peer.file, home=home, **settings) as bot,
    ):
        await bot.until(lambda: bool(seen(bot, "connected")), "koishi is connected", START_SECONDS)
        await sockets[-1].send(json.dumps(frame))
        try:
            await bot.until(lambda: bool(seen(bot, "message")), "the message", 10.0)
        except AssertionError:
            return False
        return True
