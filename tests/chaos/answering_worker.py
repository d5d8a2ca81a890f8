"""A worker that answers every Nth message: `python -m tests.chaos.answering_worker N`."""

import itertools
import sys

from qqbus import Event, Worker, WorkerOptions

worker = Worker("talker", options=WorkerOptions(claim_after=300.0))
numbers = itertools.count(1)


@worker.on("message")
async def answer(event: Event) -> None:
    """Say every Nth one back."""
    if next(numbers) % int(sys.argv[1]) == 0:
        await event.reply(event.text)


if __name__ == "__main__":
    worker.main()
