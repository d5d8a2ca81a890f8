"""Say what the gateway is and what the network can."""

from importlib.metadata import version
from typing import Final

from consumers.onebot.actions.context import Context
from consumers.onebot.actions.params import Params
from consumers.onebot.answers import Answer, ok
from consumers.onebot.chat_order import ChatOrder

# Networks that send pictures and voice messages.
_WITH_FILES: Final = frozenset({"onebot", "official"})


async def get_status(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Say whether the account is online."""
    del order, params
    is_online = context.account.current.is_online
    return ok({"online": is_online, "good": is_online})


async def get_version_info(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Say which implementation this is."""
    del context, order, params
    return ok({"app_name": "qqbus", "app_version": version("qqbus"), "protocol_version": "v11"})


async def can_send_file(context: Context, order: ChatOrder, params: Params) -> Answer:
    """Say whether pictures and voice messages can be sent."""
    del order, params
    return ok({"yes": context.account.current.network in _WITH_FILES})
