"""Find the address that an operator means: by address, name or QQ number."""

from typing import Final

from adapter.bus.admin import AdminClient
from adapter.codec.address import parse_address
from adapter.errors import SchemaError
from adapter.i18n import N_
from adapter.ops.contact_search import LISTS, Row, contact_rows

# Addresses that an error names: enough to choose from, few enough for a line.
_MAX_NAMED: Final = 5
_NAMES: Final = ("name", "nick", "mark", "card", "qq")
# The start of an address that names an event.
_REPLY: Final = "reply:"


async def find_address(admin: AdminClient, text: str) -> str:
    """Return the address that `text` means.

    An address stands for itself, unless its number is only the QQ number of one contact. Raises SchemaError
    if a name fits no contact or several.
    """
    text = text.strip()
    if text.startswith(_REPLY):
        return text
    try:
        address = parse_address(text)
    except SchemaError as exc:
        rows = [row for kind in LISTS for row in contact_rows(kind, await admin.hgetall(kind))]
        return _by_name(rows, text, exc)
    kind = next((name for name, chat in LISTS.items() if chat is address.kind), None)
    if kind is None:
        return text
    found = await admin.hgetall(kind)
    if address.id in found:
        return text
    numbered = [row["address"] for row in contact_rows(kind, found) if str(row.get("qq", "")) == address.id]
    return str(numbered[0]) if len(numbered) == 1 else text


def _by_name(rows: list[Row], text: str, reason: SchemaError) -> str:
    """Return the address of the only contact that has exactly this name or number."""
    wanted = text.casefold()
    found = [
        str(row["address"])
        for row in rows
        if wanted
        and (
            any(str(row.get(name, "")).casefold() == wanted for name in _NAMES)
            or str(row["address"]).partition(":")[2] == text
        )
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise SchemaError(
            N_("{reason}, and no contact has that name or number: `qqbus contacts` lists them"), reason=reason
        )
    more = ", …" if len(found) > _MAX_NAMED else ""
    raise SchemaError(
        N_("{count} contacts are named {name!r}: {names}{more}"),
        count=len(found),
        name=text,
        names=", ".join(found[:_MAX_NAMED]),
        more=more,
    )
