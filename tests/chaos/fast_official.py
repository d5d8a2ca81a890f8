"""`qqbus` on the official API with short waits: `python -m tests.chaos.fast_official run`."""

from dataclasses import replace
from functools import partial

from adapter.bus import retention
from adapter.cli.main import main
from adapter.networks.official import upstream as network
from adapter.networks.official.limits import Limits

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


if __name__ == "__main__":
    hurry()
    main()
