"""Run a small bot on NoneBot and its QQ adapter: `nonebot_bot.py URL APPID SECRET`."""

import sys

import nonebot
from nonebot.adapters.qq import Adapter, Bot, MessageEvent, MessageSegment
from nonebot.adapters.qq.event import FriendAddEvent

url, appid, secret = sys.argv[1:]
nonebot.init(
    driver="~httpx+~websockets",
    log_level="DEBUG",
    qq_api_base=url,
    qq_auth_base=f"{url}/app/getAppAccessToken",
    qq_bots=[
        {
            "id": appid,
            "secret": secret,
            "intent": {
                "guilds": False,
                "guild_members": False,
                "guild_message_reactions": False,
                "message_audit": False,
                "at_messages": False,
                "c2c_group_at_messages": True,
            },
        }
    ],
)
nonebot.get_driver().register_adapter(Adapter)
messages = nonebot.on_message()
notices = nonebot.on_notice()


@messages.handle()
async def echo(bot: Bot, event: MessageEvent) -> None:
    """Answer with what was understood: text, faces, pictures."""
    said = event.get_message()
    parts = [
        f"[face {segment.data['id']}]" if segment.type == "emoji" else segment.data.get("text", "")
        for segment in said
    ]
    await bot.send(event, f"echo: {''.join(parts).strip()}")
    for picture in said["image"]:
        await bot.send(event, MessageSegment.image(picture.data["url"]))


@notices.handle()
async def greet(bot: Bot, event: FriendAddEvent) -> None:
    """Answer a new friend by the id of the event."""
    await bot.send_to_c2c(openid=event.openid, message="echo: welcome", event_id=event.event_id)


nonebot.run()
