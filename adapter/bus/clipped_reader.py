"""Read entries that other programs wrote, clipped on the server, for the page and the command line.

An entry has up to 512 MB, and a page shows sixty. The server cuts each value before it is sent, and one call
looks at a few megabytes only.
"""

from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError

from adapter.bus.entries import LAST_ID, Entry, parse_entries

if TYPE_CHECKING:
    import redis.asyncio as redis

# Streams to which any worker may add an entry of any size.
FOREIGN: Final = ("outbound", "dead", "control")
# Bytes of one value, and fields of an entry. The packed fields of a dead letter have half a megabyte.
MAX_VALUE: Final = 1024 * 1024
MAX_FIELDS: Final = 64
# Bytes of entries that one call looks at: a few milliseconds of the server's time.
LOOK_BYTES: Final = 4 * 1024 * 1024

# KEYS  stream      ARGV  XRANGE or XREVRANGE, from, to, entries, bytes to look at, bytes of a value, fields
_CLIPPED: Final = """
local rows, looked, from = {}, 0, ARGV[2]
while #rows < tonumber(ARGV[4]) and looked < tonumber(ARGV[5]) do
  local entry = redis.call(ARGV[1], KEYS[1], from, ARGV[3], 'COUNT', 1)[1]
  if not entry then break end
  local kept = {}
  for i = 1, #entry[2] do
    looked = looked + #entry[2][i]
    if i <= 2 * tonumber(ARGV[7]) then kept[i] = string.sub(entry[2][i], 1, tonumber(ARGV[6])) end
  end
  rows[#rows + 1] = { entry[1], kept }
  if entry[1] == '18446744073709551615-18446744073709551615' and ARGV[1] == 'XRANGE' then break end
  from = '(' .. entry[1]
end
return rows
"""


async def read_range(
    client: "redis.Redis", key: str, start: str, end: str, count: int, *, is_reverse: bool = False
) -> list[Entry]:
    """Return up to `count` entries from `start` to `end`, their values clipped; XREVRANGE if `is_reverse`."""
    command, found = "XREVRANGE" if is_reverse else "XRANGE", list[Entry]()
    behind_last = f"({LAST_ID}"
    while len(found) < count and behind_last != (end if is_reverse else start):
        bounds = [LOOK_BYTES, MAX_VALUE, MAX_FIELDS]
        try:
            answer: Any = await client.eval(
                _CLIPPED, 1, key, command, start, end, count - len(found), *bounds
            )
        except NoPermissionError:  # a user that may only look: its own memory is at stake
            answer = await client.execute_command(command, key, start, end, "COUNT", count)  # type: ignore[no-untyped-call]
            return parse_entries([row if isinstance(row[1], dict) else _row(row) for row in answer])
        if not answer:
            break
        found += parse_entries(map(_row, answer))
        start = f"({found[-1][0]}"
    return found


def _row(row: Any) -> tuple[bytes, dict[bytes, bytes]]:
    flat = row[1]
    return row[0], dict(zip(flat[::2], flat[1::2], strict=True))
