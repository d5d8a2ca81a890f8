"""A script that the server plays, a friend that says one thing, and what a terminal shows of it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from .server import OneBotServer

# Seconds that a reader of the terminal waits at most for a new line.
_WAIT_SECONDS = 3600.0


async def play(server: OneBotServer, steps: Iterable[Mapping[str, Any]]) -> None:
    """Carry out the steps: wait `after` seconds, then the control operation `do` with the body `with`."""
    for step in steps:
        await asyncio.sleep(float(step.get("after", 0)))
        await server.control.perform(str(step["do"]), step.get("with", {}))


async def talk(server: OneBotServer, text: str) -> None:
    """Let the first friend say a text once a client has asked for the account."""
    await server.wait_actions("get_login_info", 1, _WAIT_SECONDS)
    friend = next(iter(server.world.friends))
    server.say(f"friend:{friend}", text)


async def narrate(server: OneBotServer) -> None:
    """Print who says what, and what reaches whom."""
    record, world = server.record, server.world
    events = received = 0
    while True:
        for emission in record.events.after(events, 1_000):
            event, events = emission.event, emission.n
            if event["post_type"] == "message":
                name = world.nickname_of(event["user_id"])
                place = f" in group {event['group_id']}" if event["message_type"] == "group" else ""
                print(f"{name} ({event['user_id']}){place} says: {event['raw_message']}", flush=True)
        for delivery in record.received.after(received, 1_000):
            received = delivery.n
            print(f"{delivery.chat} receives: {delivery.text}", flush=True)
        await record.next_change()
