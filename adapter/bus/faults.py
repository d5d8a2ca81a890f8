"""What the services of the bus report to the operator."""

from typing import Protocol


class FaultReporter(Protocol):
    """Counts losses, and shows faults of the streams until they are over."""

    def count_dropped(self, stream: str, entries: int) -> None:
        """Count entries of a stream that were dropped unread."""
        ...

    def set_bus_fault(self, reason: str, text: str, shown_seconds: float) -> None:
        """Show a fault of the streams for that number of seconds."""
        ...


class SilentReporter:
    """Reports nothing: the log has the same words."""

    def count_dropped(self, stream: str, entries: int) -> None:
        """Count nothing."""

    def set_bus_fault(self, reason: str, text: str, shown_seconds: float) -> None:
        """Show nothing."""
