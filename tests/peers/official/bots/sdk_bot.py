"""Run a small bot on Tencent's qqbot-agent-sdk: `sdk_bot.py URL APPID SECRET`.

The SDK reads its addresses from the environment when it is imported.
"""

import asyncio
import logging
import os
import sys
from typing import Any

url, appid, secret = sys.argv[1:]
os.environ |= {"QQ_API_BASE": url, "QQ_TOKEN_URL": f"{url}/app/getAppAccessToken"}

import httpx  # noqa: E402
from qqbot_agent_sdk import EventParser, MessageToCreate, QQApiClient, QQWebSocket, WSCallbacks  # noqa: E402
from qqbot_agent_sdk.dto import MediaInfo, RichMediaMessage  # noqa: E402

logging.basicConfig(level=logging.INFO)


class Bot:
    """Echo text and pictures."""

    def __init__(self, api: QQApiClient) -> None:
        self._api = api
        self.session: tuple[str | None, int | None] = (None, None)

    async def answer(self, kind: str, raw: dict[str, Any]) -> None:
        """Answer one message."""
        event = EventParser.parse(kind, raw)
        send = self._api.post_group_message if event.chat_scope == "group" else self._api.post_c2c_message
        upload = self._api.upload_group_file if event.chat_scope == "group" else self._api.upload_c2c_file
        text = f"echo: {event.content}"
        await send(event.chat_id, MessageToCreate(content=text, msg_id=event.message_id, msg_seq=1))
        for seq, picture in enumerate(event.attachments, start=2):
            media = await upload(event.chat_id, RichMediaMessage(file_type=1, url=picture.url))
            shown = MediaInfo(file_info=media["file_info"])
            await send(
                event.chat_id,
                MessageToCreate(msg_type=7, media=shown, msg_id=event.message_id, msg_seq=seq),
            )

    def keep(self, session_id: str | None, seq: int | None) -> None:
        """Keep what Resume needs."""
        self.session = (session_id, seq)


async def main() -> None:
    """Run until the process ends."""
    async with httpx.AsyncClient() as http:
        api = QQApiClient(appid, secret)
        api.setup(http)
        bot = Bot(api)
        socket = QQWebSocket(
            WSCallbacks(
                on_message_event=bot.answer,
                on_connected=lambda: None,
                on_disconnected=lambda: None,
                on_fatal_error=lambda code, words: print(code, words, file=sys.stderr),
                get_token=api.ensure_token_sync,
                get_session=lambda: bot.session,
                set_session=bot.keep,
                set_heartbeat_interval=lambda _: None,
                clear_token=api.clear_token,
                fail_pending=lambda _: None,
                get_gateway_url=api.get_gateway_url_sync,
            )
        )
        socket.start(await api.get_gateway_url(), asyncio.get_running_loop())
        await asyncio.Event().wait()


asyncio.run(main())
