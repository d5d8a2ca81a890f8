"""QR codes from their picture to the confirmed login; `ptlogin` puts the answers into words."""

import io
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

import segno

from .tokens import Mint

CODES_KEPT = 64  # clients that lost count may ask for one code after another

_VERSION = 4  # 33 modules, so 165 pixels at the usual scale of 5; the real picture had no quiet zone
_SCALES = range(1, 21)


class QrState(StrEnum):
    """Where a code stands. USED: its success has been fetched and cannot be fetched again."""

    WAITING = "waiting"
    SCANNED = "scanned"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    EXPIRED = "expired"
    USED = "used"


@dataclass
class QrCode:
    """One code. `ptsigx` is the signature of the success URL once there is one."""

    qrsig: str
    link: str
    created: float
    state: QrState = QrState.WAITING
    polls: int = 0
    ptsigx: str = ""


class QrCodes:
    """All codes that may still be asked about."""

    def __init__(self, mint: Mint) -> None:
        self._mint = mint
        self._codes: OrderedDict[str, QrCode] = OrderedDict()

    def new(self, now: float) -> QrCode:
        """Make a code."""
        link = f"http://txz.qq.com/p?k={self._mint.key()}&f=501004106"
        code = QrCode(self._mint.qrsig(), link, now)
        self._codes[code.qrsig] = code
        if len(self._codes) > CODES_KEPT:
            self._codes.popitem(last=False)
        return code

    def get(self, qrsig: str, now: float, seconds: float) -> QrCode | None:
        """Return the code of that name, expired if it is older than `seconds`."""
        code = self._codes.get(qrsig)
        if code and code.state in {QrState.WAITING, QrState.SCANNED} and now - code.created > seconds:
            code.state = QrState.EXPIRED
        return code

    @property
    def newest(self) -> QrCode | None:
        """The code made last: the one a person would be looking at."""
        return next(reversed(self._codes.values()), None)

    def use(self, ptsigx: str) -> None:
        """Note that the success of a code has been turned into cookies."""
        for code in self._codes.values():
            if code.ptsigx == ptsigx:
                code.state = QrState.USED

    def by_link(self, link: str) -> QrCode | None:
        """Return the code whose picture says `link`, for a phone that really reads the picture."""
        return next((code for code in self._codes.values() if code.link == link), None)


def picture(code: QrCode, scale: int) -> bytes:
    """Return the code as a 1-bit PNG."""
    drawn = segno.make(code.link, version=_VERSION, error="l", boost_error=False)
    target = io.BytesIO()
    drawn.save(target, kind="png", scale=scale if scale in _SCALES else 5, border=0)
    return target.getvalue()
