"""The seam to a network: what the corridors expect of one, and how patiently to try again."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Protocol

from adapter.events import Address, Batch, Font, Image, ImageData, Outcome, Part, Segment, UnresolvedBatch


class Upstream(Protocol):
    """One account on one network."""

    network: str

    def events(self) -> AsyncGenerator[Batch | UnresolvedBatch, None]:
        """Log in and stay in for as long as this is iterated; an empty batch is a sign of life.

        The network is asked for more only when the next batch is asked for: whatever has been
        yielded is the caller's, and is stored before upstream may forget it. Where it takes time to find
        out who speaks, what has come is yielded as Provisional first. Cancelling waits for an answer that
        has begun to arrive, and yields it. Raises LoginRefused when only a person can help.
        """
        ...

    def stop_receiving(self) -> None:
        """No more is wanted: `events` ends soon, and loses nothing that the network has given away."""
        ...

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        ...

    def split(self, segments: tuple[Segment, ...], font: Font | None) -> tuple[Part, ...]:
        """Cut content into messages of the size the network takes, each with its message id.

        Raises SchemaError where the network has no way to say it.
        """
        ...

    async def send(self, to: Address, part: Part, may_send: Callable[[], bool]) -> Outcome | None:
        """Send one message to an address in momentary ids. Never raises for a refusal.

        `may` is asked each time before anything leaves, however long was waited. None: nothing has left; it
        may not, or the session has ended or was replaced, with new ids perhaps. It is to be addressed and
        sent again when there is one.
        """
        ...

    async def login(self) -> None:
        """Ask for a fresh QR code, or try the password again."""
        ...

    async def logout(self) -> None:
        """Leave the network, and stay away until `login`."""
        ...

    async def submit_captcha(self, text: str) -> None:
        """What a person read in the picture of a captcha."""
        ...

    async def probe(self) -> bool:
        """Whether the network knows this session; one that is lost is mended before this returns."""
        ...

    async def reconnect(self) -> None:
        """Open the session again, though it looks well."""
        ...

    async def refresh_contacts(self) -> None:
        """Load all contacts again; they arrive as events."""
        ...

    async def fetch_image(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """The picture of a segment, with `upstream` of the message it stood in. Raises UpstreamError."""
        ...

    async def set_presence(self, status: str) -> None:
        """Be seen as online, away, busy, hidden, callme or silent. Raises UpstreamError."""
        ...
