"""`qqbus` on the official API with short waits: `python -m tests.chaos.fast_official WAY FILE run`.

WAY is `whole` or how the product is broken: each way breaks one promise, and a run with it must find that. FILE
gets the texts that are published late.
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
from adapter.networks.official import upstream as network
from adapter.networks.official.client.gateway import End
from adapter.networks.official.gaps import GapTracker
from adapter.networks.official.limits import Limits
from adapter.networks.official.protocol.frames import GatewaySession
from adapter.networks.official.receiver import Receiver
from adapter.networks.official.sender import MessageSender
from adapter.networks.official.session_manager import SessionManager
from tests.chaos.broken import claim_success, reverse_batches
from tests.chaos.late_appends import watch

# A quarter of the real waits and less.
HASTY = replace(
    Limits(),
    connect_seconds=3.0,
    call_seconds=4.0,
    renew_pause_seconds=0.5,
    hello_seconds=3.0,
    ready_seconds=5.0,
    close_seconds=0.3,
    retry_seconds=(0.1, 0.2, 0.5, 1.0),
    quick_seconds=0.1,
    stable_seconds=0.1,
    slow_seconds=1.0,
    idle_seconds=1.0,
    contacts_seconds=1.0,
    repeat_seconds=0.2,
    proactive_seconds=0.0,
    proactive_chat_seconds=0.0,
)


def hurry(limits: Limits = HASTY) -> None:
    """Let the adapter connect with these limits, and trim nothing: a checker reads all of it in the end."""
    network.OfficialUpstream = partial(network.OfficialUpstream, limits=limits)  # type: ignore[assignment,misc]
    retention.KEPT_ENTRIES.update(dict.fromkeys(retention.KEPT_ENTRIES, 10_000_000))


# --- broken products ---


def hide_gaps() -> None:
    """Publish no gap where a new session has begun."""
    begin = GapTracker.begin

    def begun(tracker: GapTracker, at: float) -> None:
        begin(tracker, at)

    GapTracker.begin = begun  # type: ignore[assignment,method-assign]


def shorten_gaps() -> None:
    """Let gaps begin when the new session does."""
    begin = GapTracker.begin

    def begun(tracker: GapTracker, at: float) -> Gap | None:
        gap = begin(tracker, at)
        return None if gap is None else Gap(gap.until, gap.until, gap.reason)

    GapTracker.begin = begun  # type: ignore[method-assign]


def identify_always() -> None:
    """Begin a new session at each connection, as some clients do after 4009."""
    follow = SessionManager._follow  # noqa: SLF001

    async def followed(manager: SessionManager, end: End, token: str) -> float:
        pause = await follow(manager, end, token)
        manager._session = None  # noqa: SLF001
        return pause

    SessionManager._follow = followed  # type: ignore[method-assign] # noqa: SLF001


def resume_too_far() -> None:
    """Resume behind events that never came, as where `s` is kept before its event is stored."""
    follow = SessionManager._follow  # noqa: SLF001

    async def followed(manager: SessionManager, end: End, token: str) -> float:
        pause = await follow(manager, end, token)
        if (session := manager._session) is not None:  # noqa: SLF001
            manager._session = GatewaySession(session.id, session.seq + 2)  # noqa: SLF001
        return pause

    SessionManager._follow = followed  # type: ignore[method-assign] # noqa: SLF001


def send_twice() -> None:
    """Repeat as another message what is not known to have arrived."""
    send = MessageSender.send

    async def sent(sender: MessageSender, to: Any, part: Any, answers: str, may_send: Any) -> Outcome | None:
        outcome = await send(sender, to, part, answers, may_send)
        if outcome is None or outcome.status is not Status.UNKNOWN:
            return outcome
        return await send(sender, to, replace(part, message_id=f"{part.message_id}9"), answers, may_send)

    MessageSender.send = sent  # type: ignore[method-assign]


WAYS: dict[str, Callable[[], None]] = {
    "whole": lambda: None,
    "hide-gaps": hide_gaps,
    "shorten-gaps": shorten_gaps,
    "identify-always": identify_always,
    "resume-too-far": resume_too_far,
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
