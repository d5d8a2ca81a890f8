"""Represent one item of a poll: its type, its value and what all events take from it."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from adapter.errors import ProtocolError
from adapter.networks.smartqq.protocol.parsing import mapping, parse_id, parse_int

# Seconds; the year 10000. A later time is invalid.
MAX_TIME: Final = 253_402_300_800.0

# Fields that the server stopped sending in December 2015.
EARLY_FIELDS: Final = frozenset({"msg_id2", "reply_ip", "info_seq"})


class PollItem(NamedTuple):
    """Hold an item. `kind`: the poll_type or ""; `time`: None if the server gives none.

    `raw`: the value if raw values are kept. `whole`: the value, or the item if it has none.
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
        """Read any value; one that is no item has no kind and becomes `notice.other`."""
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
        """Return the id under a name. Raises ProtocolError if there is none."""
        found = parse_id(self.value.get(name))
        if not found:
            raise ProtocolError(f"{self.kind} without {name}")
        return found

    @property
    def moment(self) -> float:
        """The server's time, or ours if it gives none."""
        return self.now if self.time is None else self.time

    def upstream(self) -> Mapping[str, object]:
        """Return the network, the type, and the server's own integers by their names."""
        # The exact type excludes bool, a subclass of int.
        numbers = {name: value for name, value in self.value.items() if type(value) is int}
        return {"network": "smartqq", "poll_type": self.kind, **numbers}


def _time(value: Mapping[str, object]) -> float | None:
    seconds = parse_int(value.get("time", value.get("now")))
    return float(seconds) if seconds is not None and 0 < seconds < MAX_TIME else None
