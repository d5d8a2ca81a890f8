"""The Python worker of the chaos run: says every message back, as the Node one beside it does."""

from adapter import Delivery
from qqbus import Event, Worker, WorkerOptions

worker = Worker("chaos", options=WorkerOptions(claim_after=2.0))


@worker.on("message")
async def answer(event: Event) -> None:
    """Half of the answers may be repeated when it is unclear whether they arrived."""
    number = event.text.removeprefix("m")
    delivery = "at-least-once" if number.isdecimal() and int(number) % 2 else "at-most-once"
    await worker.send(
        event.chat, event.text, id=f"chaos/{event.id}", cause=event.id, delivery=Delivery(delivery)
    )


if __name__ == "__main__":
    worker.main()
