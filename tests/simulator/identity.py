"""The momentary ids that stand for permanent numbers from one login to the next; keeps them unique."""

import random
from enum import Enum
from typing import Any

from .wire import integer

_LOWEST = 1_000_000_000
_BEYOND = 2**32  # many are above 2^31: clients that store them signed shall notice


class Kind(Enum):
    """What an id stands for. A group has two of them."""

    PERSON = "uin"
    GROUP = "gid"
    CODE = "code"
    DISCUSSION = "did"


class Identity:
    """Today's ids. One is invented when it is first asked for; `renew` forgets them all."""

    def __init__(self, account: int, rng: random.Random) -> None:
        self._account = account
        self._rng = rng
        self._momentary: dict[tuple[Kind, int], int] = {}
        self._permanent: dict[tuple[Kind, int], int] = {}
        self._used: set[int] = set()
        self.renew()

    def renew(self) -> None:
        """Give everybody new ids. The account itself always goes by its own number."""
        self._momentary = {(Kind.PERSON, self._account): self._account}
        self._permanent = {(Kind.PERSON, self._account): self._account}
        self._used = {self._account}

    def adopt(self, kind: Kind, number: int, momentary: int) -> None:
        """Let a permanent number have this momentary id."""
        self._momentary[kind, number] = momentary
        self._permanent[kind, momentary] = number
        self._used.add(momentary)

    def of(self, kind: Kind, number: int) -> int:
        """Return the momentary id of a permanent number."""
        known = self._momentary.get((kind, number))
        if known is not None:
            return known
        fresh = self.stray()
        self._momentary[kind, number] = fresh
        self._permanent[kind, fresh] = number
        return fresh

    def number(self, kind: Kind, momentary: Any) -> int | None:
        """Return the permanent number behind an id (or its digits), None if nobody has been shown it."""
        known = integer(momentary)
        return None if known is None else self._permanent.get((kind, known))

    def stray(self) -> int:
        """Return an id that stands for nobody and never will."""
        while True:
            fresh = self._rng.randrange(_LOWEST, _BEYOND)
            if fresh not in self._used:
                self._used.add(fresh)
                return fresh
