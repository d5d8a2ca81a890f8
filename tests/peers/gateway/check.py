"""Run bots unchanged on gateways, with the adapter on each network behind them.

The bots of tests/peers/onebot, which also run directly on an implementation, and koishi.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.official_server import OfficialServer
from tests.onebot_server import OneBotServer
from tests.peers.environment import Script, prepare
from tests.peers.gateway import demands
from tests.peers.gateway.stage import START_SECONDS, Bus, Peer, bus, koishi_peers, peers
from tests.peers.onebot.check import HERE as ONEBOT
from tests.peers.onebot.check import (
    PACKAGES,
    TOKEN,
    check_commands,
    check_messages,
    check_notices,
    check_recall,
    check_requests,
    free_port,
    say,
    seen,
)
from tests.simulator import Simulator

# The bus names a friend as the account has noted it.
REMARK = "明明"
PLUGINS = (
    "nonebot-plugin-animalVoice",
    "nonebot-plugin-answersbook",
    "nonebot-plugin-are-you-ok",
    "nonebot-plugin-bracket",
    "nonebot-plugin-cocdicer",
)
HERE = Path(__file__).parent


async def check() -> None:
    """Check all bots on all networks, a restart, and plugins."""
    constraints = ONEBOT / "constraints.txt"
    python = prepare("onebot", PACKAGES, constraints)
    chosen = peers(python)
    node = koishi_peers()
    with tempfile.TemporaryDirectory(prefix="qqbus-peers-") as folder:
        await demands.check_nonebot(python, HERE / "bots" / "nonebot_parse.py", Path(folder))
        print("gateway: what nonebot2 demands of an event: accepted", flush=True)
        if isinstance(node, str):
            print(f"gateway: koishi: {node}", flush=True)
        else:
            await demands.check_koishi(node[0], Path(folder))
            print("gateway: what koishi demands of an event: accepted", flush=True)
            chosen += node
    await check_on_onebot(chosen)
    await check_on_smartqq(chosen)
    await check_on_official(chosen)
    await check_plugins(prepare("plugins", (*PACKAGES, *PLUGINS, "ujson"), constraints))


async def connected(bot: Script) -> None:
    """Wait until a bot has read the lists of the account."""
    await bot.until(lambda: bool(seen(bot, "connected")), "a connection", START_SECONDS)


# --- OneBot ----------------------------------------------------------------------------------------


async def check_on_onebot(chosen: Sequence[Peer]) -> None:
    """Let each bot do all that it can."""
    async with (
        OneBotServer("napcat", token=TOKEN) as server,
        bus(
            QQBUS_NETWORK="onebot",
            QQBUS_ONEBOT_URL=server.url,
            QQBUS_ONEBOT_TOKEN=TOKEN,
        ) as stage,
    ):
        for peer in chosen:
            async with stage.serving(peer) as bot:
                await connected(bot)
                await check_messages(server, bot, REMARK)
                await check_commands(server)
                await check_recall(server)
        await check_restart(server, stage, chosen[0])
    for peer in chosen:
        await check_lists_and_requests(peer)
        print(f"gateway: {peer.name}, on OneBot: accepted", flush=True)


async def check_lists_and_requests(peer: Peer) -> None:
    """Check what changes the lists, on a fresh network."""
    async with (
        OneBotServer("napcat", token=TOKEN) as server,
        bus(
            QQBUS_NETWORK="onebot",
            QQBUS_ONEBOT_URL=server.url,
            QQBUS_ONEBOT_TOKEN=TOKEN,
        ) as stage,
        stage.serving(peer) as bot,
    ):
        await connected(bot)
        assert seen(bot, "connected")[0] == {"kind": "connected", "friends": 3, "groups": 2}
        await check_requests(server, bot)
        # koishi knows a few notices alone, and by other names.
        if not peer.name.startswith("koishi"):
            await check_notices(server, bot)


async def check_restart(server: OneBotServer, stage: Bus, peer: Peer) -> None:
    """Say things while no bot runs; the next one answers them in order."""
    port = free_port()
    async with stage.gateway("--app", "restart", "--listen", f"127.0.0.1:{port}"):
        async with stage.bot(peer, port) as bot:
            await connected(bot)
            await say(server, "friend:10001", "before")
        before = server.record.received.count
        for number in range(5):
            server.say("friend:10001", f"while away {number}")
        async with stage.bot(peer, port) as bot:
            await bot.until(lambda: len(seen(bot, "message")) >= 5, "what came in between", START_SECONDS)
            texts = [one["text"] for one in seen(bot, "message")]
            assert texts == [f"while away {number}" for number in range(5)], texts
            await server.wait_received(before + 5)
            await say(server, "friend:10001", "again")
    print(f"gateway: {peer.name}, restarted: accepted", flush=True)


# --- SmartQQ ---------------------------------------------------------------------------------------


async def check_on_smartqq(chosen: Sequence[Peer]) -> None:
    """Let each bot do what SmartQQ can carry: text and faces."""
    async with (
        Simulator("e3", auto_scan=True, scan_after=0, poll_seconds=2.0) as sim,
        bus(QQBUS_SMARTQQ_URL=sim.url) as stage,
    ):
        for peer in chosen:
            async with stage.serving(peer) as bot:
                await connected(bot)
                await check_smartqq_messages(sim, bot)
            print(f"gateway: {peer.name}, on SmartQQ: accepted", flush=True)


async def check_smartqq_messages(sim: Simulator, bot: Script) -> None:
    """Compare text, face and mention, both ways; a command and a timer."""
    told = len(seen(bot, "message"))
    for chat, said, answer in (
        ("friend:10001", "你好[微笑]", "你好[微笑]"),
        ("group:123456789", "a<b & [x]", "@小林  a<b & [x] [x][微笑]"),
        ("friend:10001", "/add 2 3", "2 + 3 = 5"),
        ("friend:10001", "timer", "it is time"),
    ):
        count = len(sim.received)
        sim.say(chat, said, sender=10001 if chat.startswith("group") else None)
        got = (await sim.wait_received(count + 1, 30.0))[-1]
        assert (got.chat, got.text) == (chat, answer), got
    shown = seen(bot, "message")[told:]
    assert [one["segments"] for one in shown[:2]] == [["text", "face"], ["text"]], shown


# --- the official API ------------------------------------------------------------------------------


async def check_on_official(chosen: Sequence[Peer]) -> None:
    """Let each bot answer a user and a mention in a group."""
    async with (
        OfficialServer() as server,
        bus(
            QQBUS_NETWORK="official",
            QQBUS_OFFICIAL_API_URL=server.url,
            QQBUS_OFFICIAL_APPID=server.appid,
            QQBUS_OFFICIAL_SECRET=server.secret,
        ) as stage,
    ):
        for peer in chosen:
            async with stage.serving(peer) as bot:
                await connected(bot)
                for chat, said, sender in (("friend:ann", "hi", ""), ("group:lab", "good day", "bob")):
                    count = server.record.count("received")
                    server.say(chat, said, sender=sender, at=bool(sender))
                    answer = (await server.wait_received(count + 1, 30.0))[-1]
                    assert answer.chat == chat, answer
                    assert said in answer.text, answer
            print(f"gateway: {peer.name}, on the official API: accepted", flush=True)


# --- plugins ---------------------------------------------------------------------------------------


async def check_plugins(python: Path) -> None:
    """Let plugins of the package index answer, unchanged."""
    names = " ".join(name.replace("-", "_") for name in PLUGINS)
    async with (
        OneBotServer("napcat", token=TOKEN) as server,
        bus(
            QQBUS_NETWORK="onebot",
            QQBUS_ONEBOT_URL=server.url,
            QQBUS_ONEBOT_TOKEN=TOKEN,
        ) as stage,
    ):
        port = free_port()
        peer = Peer("plugins", python, HERE / "bots" / "plugins_bot.py")
        async with (
            stage.gateway("--app", "plugins", "--listen", f"127.0.0.1:{port}"),
            stage.bot(peer, port, BOT_PLUGINS=names) as bot,
        ):
            await connected(bot)
            for plugin, chat, said, expected in (
                ("bracket", "friend:10001", "([{", "}])"),
                ("are-you-ok", "friend:10001", "/ping", "pong"),
                ("answersbook", "group:30001", "今天去吗翻看答案", ""),
                ("cocdicer", "group:30001", ".r 3d1", "3"),
                # It asks for what comes next, so it comes last.
                ("animalVoice", "friend:10001", "/animalvoice", "请发送加密前文字"),
            ):
                answer = await say(server, chat, said)
                text = "".join(one["data"].get("text", "") for one in answer.segments)
                assert answer.chat == chat, (plugin, answer)
                assert text.strip(), (plugin, answer)
                assert expected in text, (plugin, answer)
                print(f"gateway: nonebot-plugin-{plugin}: {text.strip()!r}: accepted", flush=True)
            assert bot.refused == [], bot.refused
