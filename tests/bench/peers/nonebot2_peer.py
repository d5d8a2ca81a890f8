"""nonebot2 with a matcher that does nothing: prints a line when it has handled a flood of messages."""

import json
import os

import nonebot
from nonebot import on_message
from nonebot.adapters.onebot.v11 import Adapter, MessageEvent
from nonebot.log import logger

COUNT = int(os.environ["BOT_COUNT"])
handled = 0

# Its log goes to the standard output.
logger.remove()
nonebot.init(
    driver="~websockets", onebot_ws_urls=[os.environ["BOT_URL"]], onebot_access_token="", log_level="WARNING"
)
nonebot.get_driver().register_adapter(Adapter)


@on_message().handle()
async def nothing(_: MessageEvent) -> None:
    """Count."""
    global handled  # noqa: PLW0603 – a bot of one file
    handled += 1
    if handled % COUNT == 0:
        print(json.dumps({"handled": handled}), flush=True)


@nonebot.get_driver().on_bot_connect
async def connected() -> None:
    """Say that it is ready."""
    print(json.dumps({"connected": True}), flush=True)


nonebot.run()
