"""The directory kept in Redis: contacts for the workers to look up, and who was who for the next process."""

import logging
from dataclasses import asdict

import msgpack

from adapter.bus.bus import MEMBERS_TTL, Bus
from adapter.bus.lease import Lease
from adapter.codec.inbound import pack, timestamp
from adapter.directory import Directory, IdSpace, Record
from adapter.errors import BusUnavailable
from adapter.events import Contact, ContactList, Identity

log = logging.getLogger(__name__)

# Somebody who was in no list for so long is forgotten.
FORGET_AFTER = 90 * 86_400
_SESSION, _ACCOUNT = "session", "account"

# Attributes that Redis holds under another name: what is stored outlives a rename in the code.
_STORED = {"remark": "mark", "session_scoped_id": "momentary", "generation": "session"}
_ATTRIBUTES = {stored: name for name, stored in _STORED.items()}


class ContactStore:
    """What the directory learns, written down. While Redis is away only the directory knows."""

    def __init__(self, bus: Bus, lease: Lease, directory: Directory) -> None:
        self._bus = bus
        self._lease = lease
        self._directory = directory
        self._dirty: dict[str, tuple[list[tuple[str, bytes]], int]] = {}
        self._records: dict[str, bytes] = {}

    def start_generation(self, account: str) -> None:
        """A login with new momentary ids. `settle` writes it down."""
        self._directory.start_generation(account)
        self._records[_SESSION] = str(self._directory.generation).encode()
        self._records[_ACCOUNT] = self._directory.account.encode()
        self._note()

    def update(self, listed: ContactList, now: float) -> None:
        """Take in a list; `settle` publishes it with stable ids."""
        rows = self._directory.update(listed, now)
        asof = timestamp(now)
        packed = [(stable, _contact(stable, contact, identity, asof)) for stable, contact, identity in rows]
        if listed.of is None:
            key, kept = self._bus.keys(listed.kind.value), 0
        else:
            chat = self._directory.address(listed.of)
            key, kept = self._bus.keys.members(str(chat)), MEMBERS_TTL
        self._dirty[key] = (packed, kept)
        self._note()

    def _note(self) -> None:
        for record in self._directory.drain_changes():
            self._records[f"{record.space}:{record.stable}"] = pack(
                {_STORED.get(name, name): kept for name, kept in asdict(record).items()}
            )

    async def flush(self) -> None:
        """Write what is owed; what Redis cannot take now is owed until the next time."""
        try:
            for key, (rows, kept) in list(self._dirty.items()):
                await self._bus.replace_hash(self._lease.fence, key, rows, kept)
                del self._dirty[key]
            await self._bus.hash_set(self._bus.keys("ids:contacts"), self._records)
            self._records.clear()
        except BusUnavailable as exc:
            log.debug("contacts: %s", exc)


async def load(bus: Bus, now: float) -> Directory:
    """The directory as the last process left it."""
    key = bus.keys("ids:contacts")
    rows = await bus.hash(key)
    session, account = int(rows.pop(_SESSION, b"0")), rows.pop(_ACCOUNT, b"").decode()
    records, stale = [], []
    for name, value in rows.items():
        record = _record(value)
        if record is None or record.seen < now - FORGET_AFTER:
            stale.append(name)
        else:
            records.append(record)
    await bus.hash_delete(key, stale)
    return Directory(records, session, account)


def _record(value: bytes) -> Record | None:
    try:
        known = msgpack.unpackb(value)
        known = {_ATTRIBUTES.get(name, name): kept for name, kept in known.items()}
        known["space"], known["identity"] = IdSpace(known["space"]), Identity(known["identity"])
        return Record(**known)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException):
        return None  # written by another version: met anew


def _contact(stable: str, contact: Contact, identity: Identity, asof: str) -> bytes:
    row: dict[str, object] = {"id": stable, "name": contact.name, "identity": identity.value, "asof": asof}
    for name in ("nick", "mark", "qq"):
        if value := getattr(contact, _ATTRIBUTES.get(name, name)):
            row[name] = value
    return pack(row | dict(contact.data))
