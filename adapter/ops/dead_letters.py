"""Redrive dead letters: an event to the group that it comes from and to no other, a request to its stream.

Any worker may write a letter that claims anything. An event comes back as it stands in `qq:inbound`, if the
letter holds the same; a copy of one that is trimmed is made from letters of the adapter alone. A request gets
the rights of none: a worker may add the same request by itself.
"""

from adapter.bus.adapter_letters import written_by_adapter
from adapter.bus.admin import AdminClient
from adapter.codec.dead_letters import holds_entry, original_fields, restored_fields
from adapter.errors import SchemaError

# Streams that a letter may return to: only the adapter makes results and session entries.
REDRIVEN = ("outbound", "inbound")


async def redrive(
    admin: AdminClient, letter: str, fields: dict[bytes, bytes], *, to_all: bool = False
) -> str:
    """Redrive a letter; returns where it went, empty if another command has redriven it.

    `to_all`: an event whose entry is trimmed is appended again, for every application, if the adapter wrote
    the letter. Raises SchemaError for a letter that cannot be redriven, and BusError.
    """
    stream = _text(fields, "stream")
    if stream not in {admin.keys(name) for name in REDRIVEN} or not original_fields(fields):
        raise SchemaError(f"{stream!r} takes no letter back")
    if stream == admin.keys("inbound"):
        outcome = await _redeliver(admin, letter, stream, fields)
        if outcome != "trimmed":
            return outcome
        await _check_trimmed(admin, letter, _text(fields, "entry"), to_all=to_all)
    original = restored_fields(fields)
    if not original:
        raise SchemaError("it holds a part of its entry only")
    new = await admin.redrive(letter, stream, [item for pair in original.items() for item in pair])
    return f"{stream} {new}" if new else ""


async def _redeliver(admin: AdminClient, letter: str, stream: str, fields: dict[bytes, bytes]) -> str:
    """Deliver an event again as it stands; returns where, "" if the letter is gone, or `trimmed`."""
    entry, group = _text(fields, "entry"), _text(fields, "group")
    standing = await admin.get_entry("inbound", entry)
    if standing is None:
        return "trimmed"
    if not holds_entry(fields, standing):
        raise SchemaError(f"{entry} in {stream} is another event than the letter holds: drop the letter")
    outcome = await admin.redeliver(letter, stream, group, entry)
    if outcome == "trimmed":
        return outcome
    return f"{stream} {entry}, group {group} alone" if outcome == "done" else ""


async def _check_trimmed(admin: AdminClient, letter: str, entry: str, *, to_all: bool) -> None:
    """Raise SchemaError unless the event of a trimmed entry may be appended from this letter."""
    if not to_all:
        raise SchemaError(
            f"its entry {entry} is trimmed: --to-all appends the event again, for every application"
        )
    marks = await written_by_adapter(admin.client, admin.keys, [letter])
    if marks is None:
        raise SchemaError("this user may not see who wrote it: renew its rights with `qqbus acl operator`")
    if not marks[letter]:
        raise SchemaError(
            f"its entry {entry} is trimmed, and a worker wrote the letter: what it holds is not proven"
        )


def _text(fields: dict[bytes, bytes], name: str) -> str:
    return fields.get(name.encode(), b"").decode("utf-8", "replace")
