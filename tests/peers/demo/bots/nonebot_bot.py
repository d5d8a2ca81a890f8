"""The demo's bot: a plugin as it is written for nonebot2, with nothing of qqbus in it.

BOT_URL is what it connects to. Its log goes to the standard output, without times and colours.
"""

import os
import sys
from typing import Annotated

import nonebot
from nonebot import on_command, on_message
from nonebot.adapters.onebot.v11 import Adapter, Bot, Message, MessageEvent, MessageSegment
from nonebot.log import logger
from nonebot.params import CommandArg

logger.remove()
logger.add(sys.stdout, format="{message}", level="INFO", colorize=False)
nonebot.init(driver="~websockets", onebot_ws_urls=[os.environ["BOT_URL"]])
nonebot.get_driver().register_adapter(Adapter)


@on_command("add", priority=1, block=True).handle()
async def add(bot: Bot, event: MessageEvent, words: Annotated[Message, CommandArg()]) -> None:
    """Answer `/add 2 3` with the sum."""
    numbers = [int(word) for word in words.extract_plain_text().split() if word.isdecimal()]
    await bot.send(event, f"{' + '.join(map(str, numbers))} = {sum(numbers)}")


@on_message(priority=5).handle()
async def echo(bot: Bot, event: MessageEvent) -> None:
    """Say every other message back, with a face behind it."""
    await bot.send(event, event.message + MessageSegment.face(14))


nonebot.run()
