"""`qqbus` on OneBot with short waits: `python -m tests.chaos.fast_onebot WAY run`; WAY is `whole` or broken.

A broken product proves the checker: each way breaks one promise, and a run with it must find that.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from adapter.bus import retention
from adapter.cli.main import main
from adapter.events import Gap, Outcome, Status
from adapter.networks.onebot import upstream as network
from adapter.networks.onebot.gaps import GapTracker
from adapter.networks.onebot.limits import Limits
from adapter.networks.onebot.receiver import Receiver
from adapter.networks.onebot.sender import MessageSender
from tests.chaos.broken import claim_success, reverse_batches
from tests.chaos.late_appends import watch

# A quarter of the real waits and less; half-open sockets are noticed before the next fault.
HASTY = replace(
    Limits(),
    connect_seconds=3.0,
    proof_seconds=3.0,
    refused_seconds=0.5,
    retry_first_seconds=0.1,
    retry_most_seconds=1.0,
    silence_seconds=3.0,
    close_seconds=0.3,
    call_seconds=3.0,
    idle_seconds=1.0,
    reload_seconds=0.1,
)


def hurry(limits: Limits = HASTY) -> None:
    """Let the adapter connect with these limits, and trim nothing: a checker reads all of it in the end."""
    network.OneBotUpstream = partial(network.OneBotUpstream, limits=limits)  # type: ignore[assignment,misc]
    retention.KEPT_ENTRIES.update(dict.fromkeys(retention.KEPT_ENTRIES, 10_000_000))


# --- broken products ---


def hide_gaps() -> None:
    """Tell no gap."""
    resume = GapTracker.resume

    def resumed(tracker: GapTracker, proved: float) -> None:
        resume(tracker, proved)

    GapTracker.resume = resumed  # type: ignore[assignment,method-assign]


def shorten_gaps() -> None:
    """Let gaps begin when the connection is back, as if nothing had been lost before."""
    resume = GapTracker.resume

    def resumed(tracker: GapTracker, proved: float) -> Gap | None:
        gap = resume(tracker, proved)
        return None if gap is None else Gap(gap.until, gap.until, gap.reason)

    GapTracker.resume = resumed  # type: ignore[method-assign]


def widen_gaps() -> None:
    """Say of all time that something may be missing."""
    resume = GapTracker.resume

    def resumed(tracker: GapTracker, proved: float) -> Gap | None:
        gap = resume(tracker, proved)
        return None if gap is None else Gap(gap.until - 3600.0, gap.until + 3600.0, gap.reason)

    GapTracker.resume = resumed  # type: ignore[method-assign]


def send_twice() -> None:
    """Repeat what is not known to have arrived."""
    send = MessageSender.send

    async def sent(sender: MessageSender, *given: Any) -> Outcome | None:
        outcome = await send(sender, *given)
        is_unclear = outcome is not None and outcome.status is Status.UNKNOWN
        return await send(sender, *given) if is_unclear else outcome

    MessageSender.send = sent  # type: ignore[method-assign]


WAYS: dict[str, Callable[[], None]] = {
    "whole": lambda: None,
    "hide-gaps": hide_gaps,
    "shorten-gaps": shorten_gaps,
    "widen-gaps": widen_gaps,
    "send-twice": send_twice,
    "claim-success": partial(claim_success, MessageSender),
    "reverse-batches": partial(reverse_batches, Receiver),
}

if __name__ == "__main__":
    hurry()
    WAYS[sys.argv[1]]()
    watch(Path(sys.argv[2]))
    del sys.argv[1:3]
    main()
