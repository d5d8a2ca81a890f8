"""Redrive dead letters: an event to the group that it comes from and to no other, a request to its stream."""

from adapter.bus.admin import AdminClient
from adapter.codec.dead_letters import restored_fields
from adapter.errors import SchemaError

# Streams that a letter may return to: only the adapter makes results and session entries.
REDRIVEN = ("outbound", "inbound")


async def redrive(
    admin: AdminClient, letter: str, fields: dict[bytes, bytes], *, to_all: bool = False
) -> str:
    """Redrive a letter; returns where it went, empty if another command has redriven it.

    `to_all`: an event whose entry is trimmed is appended again, for every application. Raises SchemaError for
    a letter that cannot be redriven, and BusError.
    """
    stream, group, entry = (_text(fields, name) for name in ("stream", "group", "entry"))
    original = restored_fields(fields)
    if stream not in {admin.keys(name) for name in REDRIVEN} or not original:
        raise SchemaError(f"{stream!r} takes no letter back")
    if stream == admin.keys("inbound"):
        outcome = await admin.redeliver(letter, stream, group, entry)
        if outcome != "trimmed":
            return f"{stream} {entry}, group {group} alone" if outcome == "done" else ""
        if not to_all:
            raise SchemaError(
                f"its entry {entry} is trimmed: --to-all appends the event again, for every application"
            )
    new = await admin.redrive(letter, stream, [item for pair in original.items() for item in pair])
    return f"{stream} {new}" if new else ""


def _text(fields: dict[bytes, bytes], name: str) -> str:
    return fields.get(name.encode(), b"").decode("utf-8", "replace")
