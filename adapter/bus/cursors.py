"""Keep cursors of those who follow streams: a stream whose late ids were healed begins again below them."""

import time
from collections.abc import Mapping

from adapter.bus.admin import AdminClient
from adapter.bus.id_limit import MAX_AHEAD_MS, milliseconds_of


async def rewound_cursors(client: AdminClient, cursors: Mapping[str, str]) -> dict[str, str]:
    """Return new cursors for the streams that began again. Raises BusUnavailable."""
    latest, found = int(time.time() * 1000) + MAX_AHEAD_MS, {}
    for stream, cursor in cursors.items():
        if milliseconds_of(cursor) > latest:
            last = await client.last_id(stream)
            if milliseconds_of(last) <= latest:
                found[stream] = last
    return found
