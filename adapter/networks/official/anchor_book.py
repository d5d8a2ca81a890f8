"""Anchor book: which message an answer refers to.

Invariants:
- An anchor answers its own chat alone, and the answer to an event takes the anchor of that event or none:
  it never borrows the message of another person.
- A message to a chat takes the newest anchor of that chat that the API has not refused.
- A part that is sent again takes the anchor and the msg_seq of its first attempt, also in another process:
  only so does the API recognise it. They are on disk before the first byte leaves.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from adapter.codec.address import parse_event_id
from adapter.directory import CHAT_SPACES, IdSpace
from adapter.errors import SchemaError
from adapter.events import Address, Batch, ChatKind, Contact, ContactList, ListKind, Message, Notice
from adapter.networks.official.protocol.anchors import FRIEND, GROUP, MEMBER, Anchor, Attempt, Met
from adapter.networks.official.protocol.notices import ANCHORS
from adapter.networks.official.protocol.values import parse_text
from adapter.networks.official.store import MAX_ROWS, OfficialStore
from adapter.permanent_directory import compute_stable_id

# Anchors of one chat that a message without an event may take.
_CHAT_ANCHORS: Final = 20
# Characters of an id; a longer one is not kept.
_MAX_NAME: Final = 256


class AnchorBook:
    """Anchors, contacts and attempts: in memory, and in the store."""

    def __init__(self, store: OfficialStore) -> None:
        self._store = store
        self._anchors: OrderedDict[str, Anchor] = OrderedDict()
        self._by_chat: OrderedDict[Address, deque[str]] = OrderedDict()
        self._keys: dict[str, str] = {}
        self._contacts: OrderedDict[tuple[str, str], Met] = OrderedDict()
        self._openids: dict[str, str] = {}
        self._attempts: OrderedDict[str, Attempt] = OrderedDict()
        self.has_new_contacts = False

    def load(self) -> None:
        """Read what the store holds."""
        for index in (self._anchors, self._by_chat, self._keys):
            index.clear()
        for table in (self._contacts, self._openids, self._attempts):
            table.clear()
        for anchor in self._store.load_anchors():
            self._add_anchor(anchor)
        for met in self._store.load_contacts():
            self._add_contact(met)
        for attempt in self._store.load_attempts():
            self._attempts[attempt.part] = attempt

    # --- events ------------------------------------------------------------------------------------

    def observe(self, batch: Batch) -> None:
        """Note what can be answered, and who was met; it is kept before the batch is."""
        anchors, contacts = [], []
        for event in batch:
            if isinstance(event, Message | Notice):
                if (anchor := _anchor(event)) is not None and anchor.key not in self._anchors:
                    anchors.append(anchor)
                    self._add_anchor(anchor)
                for met in _met(event):
                    known = self._contacts.get((met.kind, met.openid))
                    if known is None or met.name not in ("", known.name):
                        contacts.append(met)
                        self._add_contact(met)
        self.has_new_contacts = self.has_new_contacts or any(one.kind != MEMBER for one in contacts)
        self._store.save_met(anchors, contacts)

    def _add_anchor(self, anchor: Anchor) -> None:
        self._anchors[anchor.key] = anchor
        self._keys[anchor.name] = anchor.key
        keys = self._by_chat.setdefault(anchor.chat, deque(maxlen=_CHAT_ANCHORS))
        keys.append(anchor.key)
        self._by_chat.move_to_end(anchor.chat)
        if len(self._anchors) > MAX_ROWS:
            _, oldest = self._anchors.popitem(last=False)
            self._keys.pop(oldest.name, None)
        if len(self._by_chat) > MAX_ROWS:
            self._by_chat.popitem(last=False)

    def _add_contact(self, met: Met) -> None:
        self._contacts[met.kind, met.openid] = met
        self._contacts.move_to_end((met.kind, met.openid))
        if met.kind != GROUP:
            self._openids[compute_stable_id(IdSpace.PERSON, met.openid)] = met.openid
        if len(self._contacts) > MAX_ROWS:
            _, oldest = self._contacts.popitem(last=False)
            self._openids.pop(compute_stable_id(IdSpace.PERSON, oldest.openid), None)

    # --- contacts ----------------------------------------------------------------------------------

    def contact_lists(self) -> tuple[ContactList, ...]:
        """Return the friends and groups that were met."""
        self.has_new_contacts = False
        kinds = {FRIEND: ListKind.FRIENDS, GROUP: ListKind.GROUPS}
        return tuple(
            ContactList(
                kind,
                tuple(Contact(one.openid, one.name) for one in self._contacts.values() if one.kind == name),
            )
            for name, kind in kinds.items()
        )

    def openid_of(self, stable: str) -> str:
        """Return the openid of a person who has spoken, by the stable id; "" if unknown."""
        return self._openids.get(stable, "")

    def reference_of(self, message_id: str) -> str:
        """Return what quotes a message that has come, by its id; "" if unknown."""
        anchor = self._anchors.get(self._keys.get(message_id, ""))
        return "" if anchor is None else anchor.reference

    # --- anchors -----------------------------------------------------------------------------------

    def choose(self, chat: Address, answers: str) -> Anchor | None:
        """Return what a message to a chat answers; None if it speaks first.

        `answers` is the id of an event, or any other text.
        """
        try:
            event = parse_event_id(answers)
        except SchemaError:
            return self._newest(chat)
        anchor = self._anchors.get(event.message_id)
        if anchor is not None and anchor.chat == chat:
            return None if anchor.is_spent else anchor
        stable = compute_stable_id(CHAT_SPACES[chat.kind], chat.id)
        is_of_chat = event.chat is not None and (event.chat.kind, event.chat.id) == (chat.kind, stable)
        return None if is_of_chat else self._newest(chat)

    def _newest(self, chat: Address) -> Anchor | None:
        for key in reversed(self._by_chat.get(chat, ())):
            anchor = self._anchors.get(key)
            if anchor is not None and not anchor.is_spent:
                return anchor
        return None

    def strike(self, name: str) -> None:
        """Note that the API takes no more answers to an anchor."""
        anchor = self._anchors.get(self._keys.get(name, ""))
        if anchor is not None:
            spent = self._anchors[anchor.key] = replace(anchor, is_spent=True)
            self._store.save_met([spent], ())

    # --- attempts ----------------------------------------------------------------------------------

    def attempt_of(self, part: str) -> Attempt | None:
        """Return how a part was sent before, by any process of this folder."""
        return self._attempts.get(part)

    def record(self, attempt: Attempt) -> None:
        """Note how a part is about to be sent; it is on disk when this returns."""
        self._attempts[attempt.part] = attempt
        if len(self._attempts) > MAX_ROWS:
            self._attempts.popitem(last=False)
        self._store.save_attempt(attempt)

    def forget(self, part: str) -> None:
        """Forget an attempt of which nothing has left."""
        if self._attempts.pop(part, None) is not None:
            self._store.forget_attempt(part)


def _anchor(event: Message | Notice) -> Anchor | None:
    chat, upstream = event.chat, event.upstream
    if chat is None or event.from_self or not event.key:
        return None
    is_event = isinstance(event, Notice)
    if is_event and upstream.get("event") not in ANCHORS:
        return None
    name = parse_text(upstream.get("event_id")) if is_event else event.message_id
    reference = parse_text(upstream.get("msg_idx"))
    if not name or max(len(name), len(reference), len(chat.id)) > _MAX_NAME:
        return None
    return Anchor(event.key, chat, name, is_event, reference)


def _met(event: Message | Notice) -> Iterable[Met]:
    chat = event.chat
    if chat is None or len(chat.id) > _MAX_NAME:
        return
    if chat.kind is ChatKind.GROUP:
        yield Met(chat.id, GROUP, "")
        if event.sender and len(event.sender) <= _MAX_NAME:
            yield Met(event.sender, MEMBER, event.profile.name[:_MAX_NAME])
    else:
        yield Met(chat.id, FRIEND, event.profile.name[:_MAX_NAME])
