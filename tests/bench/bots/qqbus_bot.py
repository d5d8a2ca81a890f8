"""qqbus: retries, dead letters, claims and the reply's id are the runtime's."""

import os

from work import work

from qqbus import Event, Worker, WorkerOptions

worker = Worker("pong", options=WorkerOptions(claim_after=5, partitioned="PONG_LANES" in os.environ))


@worker.on("message.group", text="^#ping")
async def pong(event: Event) -> None:
    await work(event.id, event.text)
    await event.reply("pong")


worker.main()
