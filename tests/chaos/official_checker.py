"""What must hold on the official API in the end: the server's own record against the streams.

The gateway keeps the events of a session for a client that is away: nothing is lost while a session lives, and
no gap is published. A session that the gateway ends takes along what was not received; then there is one gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis.asyncio as redis

from tests.chaos.checker import Verdict, rows
from tests.chaos.onebot_checker import Arrived, OneBotRecord, Rows, Said, compare, gaps

# The API's word for a part that had arrived before: the answer does not name its id.
DUPLICATE = "40054005"


@dataclass(frozen=True)
class OfficialRecord:
    """What the server knows; see OneBotRecord.

    `ended`: how many sessions it ended. `handovers`: how often the lease may have passed to another adapter.
    """

    said: Sequence[Said]
    arrived: Sequence[Arrived]
    late: Mapping[str, frozenset[tuple[str, str]]]
    ended: int
    handovers: int = 0


async def judge(client: "redis.Redis", record: OfficialRecord) -> Verdict:
    """Compare the streams with the record."""
    missing, inbound, outbound = (
        await gaps(client),
        await rows(client, "inbound"),
        await rows(client, "outbound"),
    )
    results = await rows(client, "results")
    known = _name_duplicates(record, inbound, results)
    verdict = compare(
        OneBotRecord(record.said, record.arrived, record.late, has_listeners=False),
        inbound,
        outbound,
        results,
        missing,
    )
    verdict.figures["sessions that the gateway ended"] = record.ended
    verdict.figures["repeats that the API recognised"] = known
    # A new session of less than half a second is not known to an adapter that takes over: it begins another one.
    if len(missing) > record.ended + record.handovers:
        words = f"{len(missing)} gaps, {record.ended} sessions were ended and {record.handovers} handed over"
        verdict.wrong.append(words)
    if not record.ended and missing:
        verdict.wrong.append("a gap was published though each session was resumed")
    return verdict


def _name_duplicates(record: OfficialRecord, inbound: Rows, results: Rows) -> int:
    """Give results of recognised repeats the id that the message has; returns how many there are."""
    texts = {f"chaos/{row['id']}": row["text"] for row in inbound}
    ids = {one.text: one.message_id for one in record.arrived}
    found = [row for row in results if row["detail"].startswith(DUPLICATE)]
    for row in found:
        row["message_id"] = ids.get(texts.get(row["id"], ""), row["message_id"])
    return len(found)
