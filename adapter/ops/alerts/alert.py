"""Encode an alarm or its all-clear: as text, as JSON for programs, as a row of the state file. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from adapter.codec.inbound import timestamp

# Characters of a text. The whole JSON must fit into a pipe whose reader has not begun (16 KiB on macOS).
MAX_TEXT: Final = 2_000


@dataclass(frozen=True, slots=True)
class Alert:
    """What the operator gets. `active` is False for the all-clear; `time` is in seconds since 1970."""

    active: bool
    reason: str
    text: str
    account: str
    time: float

    def as_json(self) -> bytes:
        """Encode the body of the webhook; chat services show its `text`."""
        value = {
            "event": "alarm" if self.active else "clear",
            "reason": self.reason,
            "text": self.line(),
            "account": self.account,
            "time": timestamp(self.time),
        }
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")

    def line(self) -> str:
        """Return the alert in one line."""
        prefix = f"qqbus {self.account}".rstrip() + ("" if self.active else " all clear")
        return f"{prefix}: {self.text[:MAX_TEXT]}"

    def as_row(self) -> dict[str, Any]:
        """Return the values that `from_row` reads."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Any) -> "Alert":
        """Read a row of the state file. Raises KeyError, TypeError or ValueError."""
        return cls(
            active=row["active"] is True,
            reason=str(row["reason"]),
            text=str(row["text"]),
            account=str(row["account"]),
            time=float(row["time"]),
        )
