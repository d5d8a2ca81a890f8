"""Run each bot against each dialect, and judge by the server's record and by what the bot printed."""

import json
import socket
import tempfile
from pathlib import Path
from typing import Any

from tests.onebot_server import DIALECTS, OneBotServer
from tests.peers.environment import Script, prepare, script

HERE = Path(__file__).parent
# The server that nonebot2 is dialled at, without uvloop, which connects unseen.
PACKAGES = ("nonebot2[websockets]", "nonebot-adapter-onebot", "aiocqhttp", "fastapi", "uvicorn")
# aiocqhttp accepts tokens without blanks alone.
TOKEN = "token-of-peers"
GROUP, FRIEND, STRANGER = 30001, 10001, 10009

NOTICES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("group_upload", {"group": GROUP, "user": 10002}),
    ("group_admin", {"group": GROUP, "user": STRANGER}),
    ("group_increase", {"group": GROUP, "user": 10003, "operator": FRIEND}),
    ("group_decrease", {"group": GROUP, "user": 10003, "sub_type": "kick", "operator": FRIEND}),
    ("group_ban", {"group": GROUP, "user": 10002, "operator": FRIEND}),
    ("friend_add", {"user": 10004}),
    ("poke", {"user": FRIEND, "group": GROUP}),
    ("group_card", {"group": GROUP, "user": 10002, "card": "新"}),
    ("input_status", {"user": FRIEND}),
)


async def check() -> None:
    """Check both bots on all dialects."""
    python = prepare("onebot", PACKAGES, HERE / "constraints.txt")
    for dialect in DIALECTS:
        await check_nonebot(python, dialect)
        print(f"onebot: nonebot2 on {dialect}: accepted", flush=True)
        await check_aiocqhttp(python, dialect)
        print(f"onebot: aiocqhttp on {dialect}: accepted", flush=True)


async def check_nonebot(python: Path, dialect: str) -> None:
    """Let nonebot2 connect forward; a reset in between is survived."""
    with tempfile.TemporaryDirectory(prefix="qqbus-peers-") as folder:
        async with (
            OneBotServer(dialect, token=TOKEN) as server,
            script(
                python,
                HERE / "bots" / "nonebot_bot.py",
                home=Path(folder),
                BOT_URL=server.url,
                BOT_TOKEN=TOKEN,
            ) as bot,
        ):
            await converse(server, bot)
            server.do.reset()
            await bot.until(lambda: len(seen(bot, "connected")) == 2, "a second connection")
            await say(server, f"friend:{FRIEND}", "again")
            assert bot.refused == [], bot.refused


async def check_aiocqhttp(python: Path, dialect: str) -> None:
    """Let the server connect to aiocqhttp."""
    with tempfile.TemporaryDirectory(prefix="qqbus-peers-") as folder:
        port = free_port()
        async with (
            OneBotServer(dialect, token=TOKEN) as server,
            script(
                python,
                HERE / "bots" / "aiocqhttp_bot.py",
                home=Path(folder),
                BOT_PORT=str(port),
                BOT_TOKEN=TOKEN,
            ) as bot,
        ):
            server.do.reverse(f"ws://127.0.0.1:{port}/ws/", seconds=0.2)
            await converse(server, bot)
            assert bot.refused == [], bot.refused


def free_port() -> int:
    """Return a port that is free at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def seen(bot: Script, kind: str) -> list[dict[str, Any]]:
    """Return what the bot printed of a kind."""
    lines = [json.loads(line) for line in bot.lines if line.startswith('{"kind"')]
    return [line for line in lines if line["kind"] == kind]


async def say(server: OneBotServer, chat: str, text: str | None = None, **fields: Any) -> Any:
    """Say something and return what the account answers."""
    count = server.record.received.count
    server.say(chat, text, **fields)
    return (await server.wait_received(count + 1))[-1]


async def converse(server: OneBotServer, bot: Script, name: str = "小明") -> None:
    """Go through everything that the bot can do; `name`: of the friend who speaks."""
    await bot.until(lambda: bool(seen(bot, "connected")), "the first connection", 60.0)
    assert seen(bot, "connected")[0] == {"kind": "connected", "friends": 3, "groups": 2}
    await check_messages(server, bot, name)
    await check_commands(server)
    await check_recall(server)
    await check_requests(server, bot)
    await check_notices(server, bot)


async def check_messages(server: OneBotServer, bot: Script, name: str) -> None:
    """Compare text, face, at, reply and picture, both ways."""
    answer = await say(server, f"friend:{FRIEND}", "你好 &[]<,> 😀")
    assert answer.chat == f"friend:{FRIEND}", answer
    assert [one["type"] for one in answer.segments] == ["text", "face"], answer
    assert answer.segments[0]["data"]["text"] == "你好 &[]<,> 😀", answer
    said = [{"type": "at", "data": {"qq": str(server.state.account)}}, {"type": "face", "data": {"id": "66"}}]
    answer = await say(server, f"group:{GROUP}", message=[*said, {"type": "text", "data": {"text": " hi"}}])
    assert answer.chat == f"group:{GROUP}", answer
    assert [one["type"] for one in answer.segments] == ["reply", "at", "text", "face"], answer
    assert answer.segments[1]["data"]["qq"] == str(FRIEND), answer
    assert answer.segments[2]["data"]["text"] == " hi [x]", answer
    answer = await say(server, f"group:{GROUP}", message=[{"type": "image", "data": {"size": 2_000}}])
    assert [one["type"] for one in answer.segments] == ["image"], answer
    assert server.state.pictures.find(answer.segments[0]["data"]["file"]) is not None
    shown = [(one["sender"], one["segments"]) for one in seen(bot, "message")]
    assert shown[0] == (name, ["text"]), shown
    assert shown[1] == (name, ["at", "face", "text"]), shown


async def check_commands(server: OneBotServer) -> None:
    """Let the bot take arguments, and send by itself."""
    answer = await say(server, f"friend:{FRIEND}", "/add 2 3")
    assert [one["data"] for one in answer.segments] == [{"text": "2 + 3 = 5"}], answer
    answer = await say(server, f"friend:{FRIEND}", "timer")
    assert [one["data"] for one in answer.segments] == [{"text": "it is time"}], answer


async def check_recall(server: OneBotServer) -> None:
    """Let the bot recall its own answer."""
    answer = await say(server, f"friend:{FRIEND}", "recall")
    said = server.state.messages.find(answer.message_id)
    assert said is not None
    await server.record.until(lambda: said.is_recalled, 10.0, lambda: "the message was not recalled")


async def check_requests(server: OneBotServer, bot: Script) -> None:
    """Let the bot approve both kinds of requests."""
    before = len(seen(bot, "request"))
    server.notice("friend_request", user=10008)
    server.notice("group_request", group=GROUP, user=10008, sub_type="add")
    server.notice("group_request", group=30007, user=10008, sub_type="invite")
    await bot.until(lambda: len(seen(bot, "request")) == before + 3, "three requests")
    assert [one.answer for one in server.state.requests.all()[-3:]] == ["approved"] * 3
    assert 10008 in server.world.friends
    assert 10008 in server.world.groups[GROUP].members
    assert 30007 in server.world.groups


async def check_notices(server: OneBotServer, bot: Script) -> None:
    """Compare all notices that the bot saw with all that were emitted."""
    for kind, fields in NOTICES:
        server.notice(kind, **fields)
    events = [one.event for one in server.record.events.entries]
    emitted = sorted(event["notice_type"] for event in events if event["post_type"] == "notice")
    await bot.until(lambda: len(seen(bot, "notice")) >= len(emitted), f"{len(emitted)} notices")
    shown = sorted(one["type"] for one in seen(bot, "notice"))
    assert shown == emitted, (shown, emitted)
