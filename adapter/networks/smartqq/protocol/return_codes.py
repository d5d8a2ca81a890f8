"""Map SmartQQ's return codes of a send to results on the bus (4.6)."""

from typing import Final

from adapter.events import Status
from adapter.networks.smartqq.protocol.parsing import OK

# All other codes, -3 among them (Mojo: errCode of a message that was not sent), are refusals.
RESULTS: Final = {
    OK: (Status.SENT, "ok"),  # recorded 2015 to 2018; all clients
    100100: (Status.SENT, "ok"),  # accepted. Yinzo, Mojo
    # Uncertain, often delivered: sending again would double it. Yinzo and Mojo take it for sent.
    1202: (Status.UNKNOWN, "upstream.maybe"),
    108: (Status.FAILED, "rate.limited"),  # too fast. lwqq
}

# The session or its cookies are in doubt; nothing was sent.
SESSION_INVALID: Final = frozenset(
    {
        100,  # page script: not logged in
        103,  # recorded 2015 to 2018; Yinzo and pandolia probe
        120,  # recorded 2015; page script relinks
        121,  # recorded 2014, 2015; page script relinks
        122,  # a third party's list of codes
        100000,  # Mojo logs in anew
        100001,  # pandolia probes, then logs in
        100002,  # login2: invalid ptwebqq; for sends an assumption
        100012,  # pandolia and Mojo probe
        100101,  # a third party's list of codes
    }
)
