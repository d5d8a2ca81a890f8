"""Bind a bot by its code with Tencent's qqbot-agent-sdk; print what came.

The SDK takes the portal from QQ_PORTAL_HOST and speaks https to it.
"""

import asyncio
import json
import sys

from qqbot_agent_sdk import start_onboard


async def main() -> None:
    """Print the address in the code, then AppID and secret."""
    bound = await start_onboard(lambda url: print(url, flush=True), poll_interval=0.1)
    json.dump({"appid": bound.app_id, "secret": bound.client_secret}, sys.stdout)


asyncio.run(main())
