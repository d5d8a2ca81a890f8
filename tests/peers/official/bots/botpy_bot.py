"""Run a small bot on Tencent's qq-botpy: `botpy_bot.py URL APPID SECRET`.

botpy has its hosts in its code. They are changed here before the bot starts; the bot itself is as in its
examples.
"""

import sys
from typing import Any

import aiohttp
import botpy
from botpy.http import Route
from botpy.manage import C2CManageEvent
from botpy.message import C2CMessage, GroupMessage

url, appid, secret = sys.argv[1:]
Route.SCHEME, Route.DOMAIN = "http", url.removeprefix("http://")
_request = aiohttp.ClientSession._request  # noqa: SLF001 – the only place all requests pass


async def _redirected(self: aiohttp.ClientSession, method: str, where: Any, **options: Any) -> Any:
    return await _request(self, method, str(where).replace("https://bots.qq.com", url), **options)


aiohttp.ClientSession._request = _redirected  # noqa: SLF001


class Bot(botpy.Client):
    """Echo text and pictures."""

    async def on_c2c_message_create(self, message: C2CMessage) -> None:
        """Answer a private message."""
        await message.reply(msg_type=0, content=f"echo: {message.content.strip()}")
        for seq, picture in enumerate(message.attachments, start=2):
            media = await self.api.post_c2c_file(
                openid=message.author.user_openid, file_type=1, url=picture.url
            )
            await message.reply(msg_type=7, msg_seq=seq, media=media)

    async def on_group_at_message_create(self, message: GroupMessage) -> None:
        """Answer a mention in a group."""
        await message.reply(msg_type=0, content=f"echo: {message.content.strip()}")

    async def on_friend_add(self, event: C2CManageEvent) -> None:
        """Answer a new friend by the id of the event."""
        await self.api.post_c2c_message(
            openid=event.openid, msg_type=0, content="echo: welcome", event_id=event.event_id
        )


Bot(intents=botpy.Intents(public_messages=True)).run(appid=appid, secret=secret)
