"""The same bot on aiocqhttp, which the implementation connects to."""

import asyncio
import base64
import json
import os

from aiocqhttp import CQHttp, Event, Message, MessageSegment

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

bot = CQHttp(access_token=os.environ["BOT_TOKEN"])


# A task that no name refers to may be collected.
timers: set[asyncio.Task[None]] = set()


def show(kind: str, **fields: object) -> None:
    """Print a line for the test."""
    print(json.dumps({"kind": kind, **fields}, ensure_ascii=False), flush=True)


async def remind(user: int) -> None:
    """Say something without being asked."""
    await asyncio.sleep(0.5)
    await bot.send_private_msg(user_id=user, message="it is time")


@bot.on_message
async def answer(event: Event) -> None:
    """Answer a message in the way that its text asks for."""
    message = Message(event.message)
    text = message.extract_plain_text().strip()
    if text.startswith("/add "):
        one, two = (int(word) for word in text.split()[1:])
        await bot.send(event, f"{one} + {two} = {one + two}")
        return
    show("message", text=text, sender=event.sender["nickname"], segments=[one.type for one in message])
    if text == "recall":
        sent = await bot.send(event, "gone soon")
        await bot.delete_msg(message_id=sent["message_id"])
    elif text == "timer":
        timers.add(asyncio.create_task(remind(event.user_id)))
    elif any(one.type == "image" for one in message):
        content = base64.b64encode(PICTURE).decode()
        await bot.send(event, Message([MessageSegment.image(f"base64://{content}")]))
    elif event.detail_type == "group":
        parts = [MessageSegment.reply(event.message_id), MessageSegment.at(event.user_id)]
        await bot.send(event, Message([*parts, MessageSegment.text(f" {text} [x]"), MessageSegment.face(14)]))
    else:
        await bot.send(event, Message([MessageSegment.text(text), MessageSegment.face(14)]))


@bot.on_notice
async def notice(event: Event) -> None:
    """Print a notice."""
    show("notice", type=event.detail_type, event=event.name)


@bot.on_request
async def approve(event: Event) -> None:
    """Approve a request."""
    if event.detail_type == "friend":
        await bot.set_friend_add_request(flag=event.flag, approve=True)
    else:
        await bot.set_group_add_request(flag=event.flag, sub_type=event.sub_type, approve=True)
    show("request", type=event.detail_type)


@bot.on_meta_event("lifecycle.connect")
async def connected(_: Event) -> None:
    """Print who the account is, as its lists say."""
    friends, groups = await bot.get_friend_list(), await bot.get_group_list()
    show("connected", friends=len(friends), groups=len(groups))


bot.run(host="127.0.0.1", port=int(os.environ["BOT_PORT"]))
