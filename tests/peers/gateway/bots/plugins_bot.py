"""nonebot2 with plugins of the package index, each as it is: `BOT_PLUGINS` names them."""

import os

import nonebot
from nonebot.adapters.onebot.v11 import Adapter

nonebot.init(
    driver="~websockets",
    onebot_ws_urls=[os.environ["BOT_URL"]],
    onebot_access_token=os.environ["BOT_TOKEN"],
    log_level="WARNING",
    localstore_use_cwd=True,
)
nonebot.get_driver().register_adapter(Adapter)
for name in os.environ["BOT_PLUGINS"].split():
    assert nonebot.load_plugin(name) is not None, name


@nonebot.get_driver().on_bot_connect
async def connected() -> None:
    """Say so."""
    print('{"kind": "connected"}', flush=True)


nonebot.run()
