"""What the bot does besides answering: takes a moment, and is written down, so that doing it twice shows."""

import asyncio
import os
import time

MOMENT = 0.005
_log = os.open(os.environ["PONG_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def work(event: str, text: str) -> None:
    """Write a line for each attempt; it outlives a killed process. One text always fails."""
    await asyncio.sleep(MOMENT)
    os.write(_log, f"{time.time():.3f} {event}\n".encode())
    if "poison" in text:
        raise ValueError(text)
