"""Break a promise of every network alike: a run with a product that is broken so must find it."""

from dataclasses import replace
from typing import Any

from adapter.events import Outcome, Status


def claim_success(sender_class: Any) -> None:
    """Say of each message that it was sent."""
    send = sender_class.send

    async def sent(sender: Any, *given: Any) -> Outcome | None:
        outcome: Outcome | None = await send(sender, *given)
        return outcome and replace(outcome, status=Status.SENT, code="ok")

    sender_class.send = sent


def reverse_batches(receiver_class: Any) -> None:
    """Publish the events of a batch in the wrong order."""
    decode = receiver_class.decode

    def decoded(receiver: Any, items: Any) -> Any:
        return decode(receiver, items)[::-1]

    receiver_class.decode = decoded
