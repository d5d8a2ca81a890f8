"""Search the contact lists that Redis keeps, for the command line and the page. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgpack

from adapter.codec.address import parse_address
from adapter.errors import SchemaError
from adapter.events import ChatKind, ListKind

# The lists of chats, each a hash in Redis, and the kind of address of their contacts.
LISTS: Final = {
    ListKind.FRIENDS.value: ChatKind.FRIEND,
    ListKind.GROUPS.value: ChatKind.GROUP,
    ListKind.DISCUSSES.value: ChatKind.DISCUSS,
}
_SEARCHED: Final = ("address", "name", "nick", "mark", "card", "qq", "category")

Row = dict[str, Any]


def contact_rows(kind: str, found: Mapping[str, bytes], chat: str = "") -> Iterator[Row]:
    """Yield the contacts of a list with the address to write to; `chat`: the one whose members they are."""
    for stable, packed in found.items():
        address = f"temp:{stable}@{chat}" if chat else f"{LISTS[kind]}:{stable}"
        yield {"address": address} | _unpack(packed)


def matches(row: Row, search: str) -> bool:
    """Return whether a contact has a text in its name, number or address, whatever the case."""
    return search.casefold() in "\n".join(str(row.get(name, "")) for name in _SEARCHED).casefold()


def sort_key(row: Row) -> tuple[bool, str]:
    """Order contacts by name; those without one come last."""
    name = str(row.get("name", ""))
    return (not name, name.casefold())


def has_members(chat: str) -> bool:
    """Return whether a chat has a list of members."""
    try:
        return parse_address(chat).kind in {ChatKind.GROUP, ChatKind.DISCUSS}
    except SchemaError:
        return False


def _unpack(packed: bytes) -> Row:
    try:
        row = msgpack.unpackb(packed)
    except (ValueError, msgpack.UnpackException):
        row = None
    return {str(name): value for name, value in row.items()} if isinstance(row, dict) else {}
