"""A bot on nonebot2: it echoes, answers pictures, approves requests, recalls, and prints what it saw.

It dials (BOT_URL), or is dialled at BOT_PORT.
"""

import asyncio
import base64
import json
import os
from typing import Annotated

import nonebot
from nonebot import on_command, on_message, on_notice, on_request
from nonebot.adapters.onebot.v11 import (
    Adapter,
    Bot,
    FriendRequestEvent,
    GroupRequestEvent,
    Message,
    MessageEvent,
    MessageSegment,
    NoticeEvent,
)
from nonebot.params import CommandArg

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

port = os.environ.get("BOT_PORT")
place = {"driver": "~fastapi", "host": "127.0.0.1", "port": port} if port else {"driver": "~websockets"}
nonebot.init(
    **place,
    onebot_ws_urls=[] if port else [os.environ["BOT_URL"]],
    onebot_access_token=os.environ["BOT_TOKEN"],
    log_level="WARNING",
)
nonebot.get_driver().register_adapter(Adapter)


# A task that no name refers to may be collected.
timers: set[asyncio.Task[None]] = set()


def show(kind: str, **fields: object) -> None:
    """Print a line for the test."""
    print(json.dumps({"kind": kind, **fields}, ensure_ascii=False), flush=True)


@on_command("add", priority=1, block=True).handle()
async def add(bot: Bot, event: MessageEvent, arguments: Annotated[Message, CommandArg()]) -> None:
    """Add two numbers."""
    one, two = (int(word) for word in arguments.extract_plain_text().split())
    await bot.send(event, f"{one} + {two} = {one + two}")


async def remind(bot: Bot, user: int) -> None:
    """Say something without being asked."""
    await asyncio.sleep(0.5)
    await bot.send_private_msg(user_id=user, message="it is time")


@on_message(priority=5).handle()
async def answer(bot: Bot, event: MessageEvent) -> None:
    """Answer a message in the way that its text asks for."""
    text = event.get_plaintext().strip()
    show(
        "message",
        text=text,
        sender=event.sender.nickname,
        segments=[one.type for one in event.original_message],
    )
    if text == "recall":
        sent = await bot.send(event, "gone soon")
        await bot.delete_msg(message_id=sent["message_id"])
    elif text == "timer":
        timers.add(asyncio.create_task(remind(bot, event.user_id)))
    elif any(one.type == "image" for one in event.original_message):
        await bot.send(event, MessageSegment.image(PICTURE))
    elif event.message_type == "group":
        parts = [MessageSegment.reply(event.message_id), MessageSegment.at(event.user_id)]
        await bot.send(event, Message([*parts, MessageSegment.text(f" {text} [x]"), MessageSegment.face(14)]))
    else:
        await bot.send(event, Message([MessageSegment.text(text), MessageSegment.face(14)]))


@on_notice().handle()
async def notice(event: NoticeEvent) -> None:
    """Print a notice."""
    show("notice", type=event.notice_type, event=type(event).__name__)


@on_request().handle()
async def approve(bot: Bot, event: FriendRequestEvent | GroupRequestEvent) -> None:
    """Approve a request."""
    await event.approve(bot)
    show("request", type=event.request_type)


@nonebot.get_driver().on_bot_connect
async def connected(bot: Bot) -> None:
    """Print who the account is, as its lists say."""
    show("connected", friends=len(await bot.get_friend_list()), groups=len(await bot.get_group_list()))


nonebot.run()
