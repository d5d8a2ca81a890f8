"""A plugin of qqbot: prints each message as JSON and answers it."""

import json
from typing import Any


def show(kind: str, **values: object) -> None:
    """Print one line for the check."""
    print(json.dumps({"kind": kind, **values}, ensure_ascii=False), flush=True)


def onStartupComplete(bot: Any) -> None:  # noqa: N802 – qqbot's name
    """Tell that the client is online."""
    friends, groups, discusses = (bot.List(kind) for kind in ("buddy", "group", "discuss"))
    show("online", friends=len(friends), groups=len(groups), discusses=len(discusses))


def onQQMessage(bot: Any, contact: Any, member: Any, content: str) -> None:  # noqa: N802 – qqbot's name
    """Answer each message with its own text."""
    show("message", chat=contact.ctype, name=contact.name, member=member and member.name, text=content)
    bot.SendTo(contact, "re: " + content)
