"""Turn the items of a poll into events, and queue look-ups of unknown speakers."""

from collections.abc import Callable, Sequence

from adapter.events import Batch, ContactList, ListKind, Message, Notice, UpstreamEvent
from adapter.failpoints import Failpoint, hit
from adapter.networks.smartqq.contacts.loader import ContactLoader
from adapter.networks.smartqq.messages.echo import EchoDetector
from adapter.networks.smartqq.protocol.poll_items import parse_items
from adapter.networks.smartqq.session.credentials import Credentials


class MessageReceiver:
    """Decode polls. Nothing here waits: the server has forgotten these items."""

    def __init__(
        self,
        contacts: ContactLoader,
        echo_detector: EchoDetector,
        credentials: Credentials,
        *,
        clock: Callable[[], float],
        keep_raw: bool,
    ) -> None:
        self._contacts = contacts
        self._echo_detector = echo_detector
        self._credentials = credentials
        self._clock = clock
        self._keep_raw = keep_raw

    def decode(self, items: Sequence[object]) -> Batch:
        """Return the events of a poll, oldest first, after the lists they change."""
        hit(Failpoint.BROUGHT)
        now, account = self._clock(), self._credentials.account
        lists: list[ContactList] = []
        events: list[UpstreamEvent] = []
        for event in parse_items(items, account=account, now=now, keep_raw=self._keep_raw):
            match event:
                case Message():
                    if (listed := self._contacts.note_group_number(event)) is not None:
                        lists.append(listed)
                    events.append(self._classify(event, account, now))
                case Notice(kind="contacts"):
                    self._contacts.invalidate(ListKind.FRIENDS)
                    events.append(event)
                case _:
                    events.append(event)
        return (*lists, *events)

    def _classify(self, message: Message, account: str, now: float) -> Message | Notice:
        roster = self._contacts.roster
        if self._echo_detector.needs_lookup(message, roster):
            self._contacts.request_lookup(message)
        return self._echo_detector.classify(message, roster, account, now)
