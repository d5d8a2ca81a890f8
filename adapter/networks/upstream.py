"""Define what the pipelines expect of a network."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Protocol

from adapter.events import Address, Batch, Font, Image, ImageData, Outcome, Part, Segment


class Upstream(Protocol):
    """One account on one network."""

    network: str

    def events(self) -> AsyncGenerator[Batch, None]:
        """Log in, stay online while this is iterated, and yield events by batch.

        An empty batch is a sign of life. The network is asked for more only when the next batch is
        requested: the caller stores each batch before the network may forget it. Cancelling waits for an
        answer that has begun to arrive, and yields it. Raises LoginRefused when only the owner can help.
        """
        ...

    def stop_receiving(self) -> None:
        """End `events` soon, without losing what the network has handed over."""
        ...

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        ...

    def split(self, segments: tuple[Segment, ...], font: Font | None) -> tuple[Part, ...]:
        """Cut content into messages of the network's size, each with its message id.

        Raises SchemaError where the network cannot express a segment.
        """
        ...

    async def send(self, to: Address, part: Part, may_send: Callable[[], bool]) -> Outcome | None:
        """Send one part to an address in momentary ids. A refusal is an Outcome.

        Calls `may_send()` just before each write. Returns None if nothing was sent (not allowed, session
        ended, or ids changed): resolve the address again and retry.
        """
        ...

    async def login(self) -> None:
        """Request a fresh QR code, or another attempt with the password."""
        ...

    async def logout(self) -> None:
        """Leave the network until `login`."""
        ...

    async def submit_captcha(self, text: str) -> None:
        """Pass on what a person read in a captcha's picture."""
        ...

    async def probe(self) -> bool:
        """Return whether the session is valid; an invalid one is repaired first."""
        ...

    async def reconnect(self) -> None:
        """Open the session again, even if it looks valid."""
        ...

    async def refresh_contacts(self) -> None:
        """Load all contacts again; they arrive as events."""
        ...

    async def fetch_image(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """Fetch a segment's picture. `upstream` is that field of its message.

        Raises UpstreamError.
        """
        ...

    async def set_presence(self, status: str) -> None:
        """Show the account as online, away, busy, hidden, callme or silent.

        Raises UpstreamError.
        """
        ...
