"""One item of a poll: its type, its value and what every kind of event takes from it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from adapter.errors import ProtocolError
from adapter.networks.smartqq.protocol.parsing import mapping, parse_id, parse_int

LATEST: Final = 253_402_300_800.0
"""The year 10000: a time beyond it is rubbish."""

EARLY_FIELDS: Final = frozenset({"msg_id2", "reply_ip", "info_seq"})
"""Fields that upstream stopped sending in December 2015."""


class PollItem(NamedTuple):
    """`kind` is the poll_type, "" if there is none; `time` None where upstream gives none.

    `raw` is the value if values are kept, `whole` the value or, where there is none, the item itself.
    """

    kind: str
    value: Mapping[str, object]
    time: float | None
    early: bool
    raw: object | None
    whole: object
    now: float

    @classmethod
    def read(cls, item: object, *, now: float, keep_raw: bool) -> "PollItem":
        """Take anything at all: what is no item has no kind and becomes `notice.other`."""
        outer = mapping(item)
        kind, inner = outer.get("poll_type"), outer.get("value")
        value = mapping(inner)
        known = isinstance(kind, str) and isinstance(inner, dict)
        return cls(
            kind=kind if isinstance(kind, str) else "",
            value=value,
            time=_time(value),
            early=not EARLY_FIELDS.isdisjoint(value),
            raw=inner if keep_raw else None,
            whole=inner if known else item,
            now=now,
        )

    def id(self, name: str) -> str:
        """The id under a name that must hold one. Raises ProtocolError."""
        found = parse_id(self.value.get(name))
        if not found:
            raise ProtocolError(f"{self.kind} without {name}")
        return found

    @property
    def moment(self) -> float:
        """Upstream's time, or ours where it gives none."""
        return self.now if self.time is None else self.time

    def upstream(self) -> Mapping[str, object]:
        """The network, the type, and all of upstream's own integers by their own names."""
        # JSON knows no subclass of int but bool, which is no number here.
        numbers = {name: value for name, value in self.value.items() if type(value) is int}
        return {"network": "smartqq", "poll_type": self.kind, **numbers}


def _time(value: Mapping[str, object]) -> float | None:
    seconds = parse_int(value.get("time", value.get("now")))
    return float(seconds) if seconds is not None and 0 < seconds < LATEST else None
