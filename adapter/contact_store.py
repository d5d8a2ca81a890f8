"""Contact store: the directory in Redis, as lists for the workers and as records for the next process."""

import logging
from dataclasses import asdict

import msgpack

from adapter.bus.bus import MEMBERS_TTL, Bus
from adapter.bus.lease import Lease
from adapter.codec.inbound import pack, timestamp
from adapter.directory import Directory, IdSpace, Record
from adapter.errors import BusUnavailable
from adapter.events import Contact, ContactList, Identity
from adapter.permanent_directory import AnyDirectory, PermanentDirectory

log = logging.getLogger(__name__)

# Seconds after which a contact that no list had any more is forgotten.
FORGET_AFTER = 90 * 86_400
# Computed ids that are read at a start; the others are computed again when their contact is met again.
MAX_COMPUTED = 100_000
# Keys of the records: of networks whose ids change, and of those whose ids are permanent.
_CHANGING, _PERMANENT = "ids:contacts", "ids:permanent"
_GENERATION, _ACCOUNT = "session", "account"
# Fields of a record whose names in Redis are older than those in the code.
_STORED_NAMES = {"remark": "mark", "session_scoped_id": "momentary", "generation": "session"}
_CODE_NAMES = {stored: name for name, stored in _STORED_NAMES.items()}


class ContactStore:
    """Write-back store: the directory changes at once, Redis at the next `flush`."""

    def __init__(self, bus: Bus, lease: Lease, directory: AnyDirectory) -> None:
        self._bus = bus
        self._lease = lease
        self._directory = directory
        self._dirty: dict[str, tuple[list[tuple[str, bytes]], int]] = {}
        self._records: dict[str, bytes] = {}

    def start_generation(self, account: str) -> None:
        """Begin a login with new session-scoped ids."""
        self._directory.start_generation(account)
        self._records[_GENERATION] = str(self._directory.generation).encode()
        self._records[_ACCOUNT] = self._directory.account.encode()
        self.collect_changes()

    def update(self, listed: ContactList, now: float) -> None:
        """Apply a list; `flush` publishes it with stable ids."""
        rows = self._directory.update(listed, now)
        asof = timestamp(now)
        packed = [(stable, _contact(stable, contact, identity, asof)) for stable, contact, identity in rows]
        if listed.of is None:
            key, ttl = self._bus.keys(listed.kind.value), 0
        else:
            chat = self._directory.address(listed.of)
            key, ttl = self._bus.keys.members(str(chat)), MEMBERS_TTL
        self._dirty[key] = (packed, ttl)
        self.collect_changes()

    def collect_changes(self) -> bool:
        """Take over what is new in the directory; returns whether there was anything."""
        records = self._directory.drain_changes()
        for record in records:
            row = {_STORED_NAMES.get(name, name): value for name, value in asdict(record).items()}
            self._records[f"{record.space}:{record.stable}"] = pack(row)
        return bool(records)

    @property
    def is_dirty(self) -> bool:
        """Whether anything waits for `flush`."""
        return bool(self._records or self._dirty)

    async def flush(self) -> None:
        """Write what has changed; while Redis is away it waits for the next call."""
        try:
            for key, (rows, ttl) in list(self._dirty.items()):
                await self._bus.replace_hash(self._lease.fence, key, rows, ttl)
                del self._dirty[key]
            is_permanent = isinstance(self._directory, PermanentDirectory)
            key = self._bus.keys(_PERMANENT if is_permanent else _CHANGING)
            await self._bus.hset(key, self._records)
            self._records.clear()
        except BusUnavailable as exc:
            log.debug("contacts: %s", exc)


async def load(bus: Bus, now: float, *, has_permanent_ids: bool = False) -> AnyDirectory:
    """Load the directory as the last process left it; `now` in seconds since 1970.

    What a network with changing ids left means nothing where ids are permanent, and the other way round.
    """
    if has_permanent_ids:
        computed = await bus.hgetall(bus.keys(_PERMANENT))
        await bus.hdel(bus.keys(_PERMANENT), list(computed)[MAX_COMPUTED:])
        values = list(computed.values())[:MAX_COMPUTED]
        return PermanentDirectory(record for value in values if (record := _record(value)) is not None)
    key = bus.keys(_CHANGING)
    rows = await bus.hgetall(key)
    generation, account = int(rows.pop(_GENERATION, b"0")), rows.pop(_ACCOUNT, b"").decode()
    records, stale = [], []
    for name, value in rows.items():
        record = _record(value)
        if record is None or record.seen < now - FORGET_AFTER:
            stale.append(name)
        else:
            records.append(record)
    await bus.hdel(key, stale)
    return Directory(records, generation, account)


def _record(value: bytes) -> Record | None:
    try:
        row = {_CODE_NAMES.get(name, name): field for name, field in msgpack.unpackb(value).items()}
        row["space"], row["identity"] = IdSpace(row["space"]), Identity(row["identity"])
        return Record(**row)
    except (ValueError, TypeError, KeyError, AttributeError, msgpack.UnpackException):
        return None  # written by another version: the contact gets a new id


def _contact(stable: str, contact: Contact, identity: Identity, asof: str) -> bytes:
    row: dict[str, object] = {"id": stable, "name": contact.name, "identity": identity.value, "asof": asof}
    names = {"nick": contact.nick, "mark": contact.remark, "qq": contact.qq}
    return pack(row | {name: value for name, value in names.items() if value} | dict(contact.data))
