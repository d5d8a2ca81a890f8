"""One worker for every network: says text and faces back, counts, and answers by the id of an event."""

from collections import Counter

from qqbus import Event, Worker

worker = Worker("everywhere")
# Messages of each chat so far, and the id of the first one.
heard: Counter[str] = Counter()
first: dict[str, str] = {}


@worker.on("message", text="^count$")
async def count(event: Event) -> None:
    """Say how many messages came before."""
    await event.reply(f"{heard[event.chat]} messages")


@worker.on("message", text="^first$")
async def answer_first(event: Event) -> None:
    """Answer the first message of the chat by its id, whatever happened since."""
    await worker.send(f"reply:{first[event.chat]}", "that was the first", id=f"everywhere/{event.id}")


@worker.on("message")
async def echo(event: Event) -> None:
    """Count, and say all but the commands back."""
    heard[event.chat] += 1
    first.setdefault(event.chat, event.id)
    if event.text not in {"count", "first"}:
        await event.reply(event.segments)


if __name__ == "__main__":
    worker.main()
