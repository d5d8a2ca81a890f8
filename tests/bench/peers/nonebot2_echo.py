"""nonebot2 with an echo: says every message back. It tells when it is connected."""

import os

import nonebot
from nonebot import on_message
from nonebot.adapters.onebot.v11 import Adapter, Bot, MessageEvent
from nonebot.log import logger

# Its log goes to the standard output.
logger.remove()
nonebot.init(
    driver="~websockets", onebot_ws_urls=[os.environ["BOT_URL"]], onebot_access_token="", log_level="WARNING"
)
driver = nonebot.get_driver()
driver.register_adapter(Adapter)


@driver.on_bot_connect
async def connected(_: Bot) -> None:
    """Say so."""
    print("{}", flush=True)


@on_message().handle()
async def echo(bot: Bot, event: MessageEvent) -> None:
    """Answer with what was said."""
    await bot.send(event, event.message)


nonebot.run()
