"""The seam: what the pipelines expect of a network.

`Upstream` is what every network has. Abilities that only some networks have are protocols of their own; a
command that needs one of them is answered by `require` with what to do instead.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from adapter.aio import AutoResetEvent
from adapter.codec.request_body import RequestLimits
from adapter.content import Font, Image, Segment
from adapter.errors import UpstreamError
from adapter.events import Address, Batch, Coverage, ImageData, Operation, Outcome, Part


@dataclass(frozen=True, slots=True)
class Traits:
    """What a network is like.

    `has_permanent_ids`: a number names the same contact for ever. `has_idempotent_sends`: the network
    recognises a part that is sent again with its message id. `keeps_events_while_away`: events wait for a
    client that is away. `instead`: for an ability that the network lacks, by the name of the command, what to
    do instead.
    """

    has_permanent_ids: bool
    has_idempotent_sends: bool
    keeps_events_while_away: bool
    # Bytes of one request, and seconds between two messages of the account.
    request_limits: RequestLimits
    send_interval_seconds: float
    instead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at the network has shown.

    `problem` is "", "warn" or "bad"; `what` is a format for `values`; `change` says what to do.
    """

    problem: str
    what: str
    change: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


class Upstream(Protocol):
    """One account on one network."""

    network: str
    traits: Traits

    def events(self) -> AsyncGenerator[Batch, None]:
        """Log in, stay online while this is iterated, and yield events by batch.

        An empty batch is a sign of life. To request the next batch says that the last one is stored: the
        caller stores each batch before the network may forget it. Cancelling waits for an answer that has
        begun to arrive, and yields it. Raises LoginRefused when only the owner can help.
        """
        ...

    def stop_receiving(self) -> None:
        """End `events` soon, without losing what the network has handed over."""
        ...

    async def connected(self) -> None:
        """Wait until messages can be sent."""
        ...

    async def probe(self) -> bool:
        """Return whether the session is valid; an invalid one is repaired first."""
        ...

    async def reconnect(self) -> None:
        """Open the session again, even if it looks valid."""
        ...

    def split(self, segments: tuple[Segment, ...], font: Font | None) -> tuple[Part, ...]:
        """Cut content into messages of the network's size, each with its message id.

        Raises SchemaError where the network cannot express a segment.
        """
        ...

    async def send(
        self, to: Address, part: Part, *, answers: str = "", may_send: Callable[[], bool]
    ) -> Outcome | None:
        """Send one part to an address in the network's ids. A refusal is an Outcome.

        `answers` is the id of the event that is answered, empty if there is none. Calls `may_send()` just
        before each write. Returns None if nothing was sent (not allowed, session ended, or ids changed):
        resolve the address again and retry.
        """
        ...


@runtime_checkable
class SupportsLogin(Protocol):
    """A network that is logged in to from here: by QR code or password."""

    async def login(self) -> None:
        """Request a fresh QR code, or another attempt with the password."""
        ...

    async def logout(self) -> None:
        """Leave the network until `login`."""
        ...

    async def submit_captcha(self, text: str) -> None:
        """Pass on what a person read in a captcha's picture."""
        ...


@runtime_checkable
class SupportsContacts(Protocol):
    """A network with lists of contacts."""

    async def refresh_contacts(self) -> None:
        """Load all contacts again; they arrive as events."""
        ...


@runtime_checkable
class SupportsMembers(Protocol):
    """A network whose members of groups are loaded on demand."""

    async def load_members(self, chat: Address) -> None:
        """Load the members of a group; they arrive as an event. Raises UpstreamError."""
        ...


@runtime_checkable
class SupportsMedia(Protocol):
    """A network whose pictures the adapter fetches."""

    async def fetch_image(self, image: Image, upstream: Mapping[str, object]) -> ImageData:
        """Fetch a segment's picture. `upstream` is that field of its message.

        Raises UpstreamError.
        """
        ...


@runtime_checkable
class SupportsPresence(Protocol):
    """A network on which the account chooses how to be seen."""

    async def set_presence(self, status: str) -> None:
        """Show the account as online, away, busy, hidden, callme or silent.

        Raises UpstreamError.
        """
        ...


@runtime_checkable
class SupportsPacing(Protocol):
    """A network that takes some messages less often than others."""

    def is_due(self, to: Address, answers: str) -> bool:
        """Return whether a message may leave now, to an address in the network's ids; see `send`."""
        ...


@runtime_checkable
class SupportsOperations(Protocol):
    """A network that recalls messages, answers requests, or has actions to call."""

    def is_paced(self, operation: Operation) -> bool:
        """Return whether an operation counts as a message for the pace of the account."""
        ...

    async def perform(self, operation: Operation, may_send: Callable[[], bool]) -> Outcome | None:
        """Carry out one operation. A refusal is an Outcome; None if nothing was sent, as of `send`."""
        ...


class EventLog(Protocol):
    """A log on disk: `peek` returns the oldest record until `advance` passes it."""

    def write(self, payload: bytes) -> None:
        """Append a record. Raises SpoolError: there is no room."""
        ...

    def sync(self) -> bool:
        """Put on disk what was written. Raises SpoolError."""
        ...

    def peek(self) -> bytes | None:
        """Return the oldest record, None if there is none."""
        ...

    def advance(self) -> None:
        """Pass the oldest record."""
        ...


@runtime_checkable
class SupportsHandover(Protocol):
    """A network whose session another machine can continue.

    `session_begun` is set when the position is of another session than before.
    """

    session_begun: AutoResetEvent

    def position(self) -> Mapping[str, str]:
        """Return where the session goes on behind the last stored event; {} if there is none."""
        ...

    def note_position(self, position: Mapping[str, str]) -> None:
        """Go on where another adapter stopped. Call it before `events`; {} says nothing."""
        ...


@runtime_checkable
class SupportsStandby(Protocol):
    """A network that keeps nothing for a client that is away: a standby is connected, too.

    It is opened before the lease is held.
    """

    def coverage(self) -> Coverage | None:
        """Return what this adapter has heard; None if nothing yet."""
        ...

    async def stand_by(self) -> None:
        """Keep on disk what comes, until cancelled; nothing is sent. `events` yields it first."""
        ...

    def note_holder(self, coverage: Coverage | None) -> None:
        """Note what the lease holder has heard; None if not known."""
        ...


Ability = TypeVar("Ability")


def require(upstream: Upstream, ability: type[Ability], command: str) -> Ability:
    """Return the upstream with an ability. Raises UpstreamError that says what to do instead."""
    if isinstance(upstream, ability):
        return upstream
    raise UpstreamError(unsupported(upstream, command))


def unsupported(upstream: Upstream, command: str) -> str:
    """Say that a network does not support a command, and what to do instead."""
    instead = upstream.traits.instead.get(command, "")
    return f"{command} is not supported by {upstream.network}" + (f": {instead}" if instead else "")
