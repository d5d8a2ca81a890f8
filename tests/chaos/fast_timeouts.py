"""`qqbus` with short waits, for life in a compressed run: `python -m tests.chaos.fast_timeouts run`."""

from dataclasses import replace
from functools import partial

from adapter.cli.main import main
from adapter.networks.smartqq import upstream as network
from adapter.networks.smartqq.limits import Limits
from tests.support.smartqq_harness import FAST

# What follows a poll goes first, as in real life, where the poll's answer is there before any other.
HASTY = replace(FAST, short_pause=0.03, fast_answer=0.2, lookup_interval=0.1, members_timeout=5.0)


def hurry(limits: Limits = HASTY) -> None:
    """Let the adapter open its door with these limits."""
    network.SmartQQUpstream = partial(network.SmartQQUpstream, limits=limits)  # type: ignore[assignment,misc]


if __name__ == "__main__":
    hurry()
    main()
