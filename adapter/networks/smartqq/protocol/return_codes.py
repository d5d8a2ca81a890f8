"""Map SmartQQ's return codes of a send to results on the bus (4.6)."""

from typing import Final

from adapter.events import Status
from adapter.networks.smartqq.protocol.parsing import OK

RESULTS: Final = {
    OK: (Status.SENT, "ok"),
    100100: (Status.SENT, "ok"),  # accepted
    1202: (Status.UNKNOWN, "upstream.maybe"),  # often delivered: sending again doubles it
    108: (Status.FAILED, "rate.limited"),
}

SESSION_INVALID: Final = frozenset({100, 103, 120, 121, 122, 100000, 100001, 100002, 100012, 100101})
"""The session or its cookies are doubted; nothing was sent."""
