"""Ready-made events and how to have millions of them: the server copies them by itself."""

import itertools
from typing import Final

import redis.asyncio as redis

from adapter.bus.bus import Bus, Fence, pack_batch
from adapter.codec.inbound import EventRecord, RecordContext, encode_message
from adapter.content import Face, Font, Segment, Text
from adapter.events import Address, ChatKind, ContactRef, Message, Participants
from tests.bench.traffic import texts

ACCOUNT: Final = "305419896"
FENCE: Final = Fence(1, "bench")
BATCH: Final = 500
# One call blocks the server while it lasts: well under the limit at which it calls a script slow.
COPIED: Final = 100_000
COPY: Final = """
local count, has = tonumber(ARGV[1]), redis.call('XLEN', KEYS[1])
local rows = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', math.min(has, count))
for i = 1, count do redis.call('XADD', KEYS[2], '*', unpack(rows[(i - 1) % #rows + 1][2])) end
"""


def drafts(count: int, chats: int = 50, offset: int = 0) -> list[EventRecord]:
    """So many messages in so many group chats, as the adapter would write them."""
    font = Font("微软雅黑", 10, (0, 0, 0), "000000")
    said = itertools.islice(texts(11), count)
    found = []
    for number, text in enumerate(said, start=offset):
        chat = Address(ChatKind.GROUP, str(2_400_000_000 + number % chats))
        sender = ContactRef(str(3_600_000_000 + number % 400), "林晓", card="小林")
        segments: tuple[Segment, ...] = (Text(text), Face(14, "微笑")) if number % 3 == 0 else (Text(text),)
        upstream = {
            "network": "smartqq",
            "poll_type": "group_message",
            "from_uin": int(chat.id),
            "msg_type": 0,
        }
        message = Message(
            chat=chat,
            sender=sender.id,
            time=1_445_653_507.0 + number // 50,
            segments=segments,
            message_id=str(number),
            font=font,
            upstream=upstream | {"send_uin": int(sender.id), "msg_id": number},
        )
        place = Participants(chat, ContactRef(chat.id, "读书会"), sender)
        found.append(encode_message(message, place, RecordContext(ACCOUNT, 1, 0.0), raw=False))
    return found


async def fill(url: str, prefix: str, count: int, chats: int = 50) -> None:
    """Put so many events into a stream as the adapter does."""
    async with Bus.open(url, prefix) as bus:
        for start in range(0, count, BATCH):
            made = drafts(min(BATCH, count - start), chats, start)
            await bus.append(FENCE, ACCOUNT, pack_batch(made), 0)


async def copy(client: "redis.Redis", source: str, target: str, count: int) -> None:
    """Let the server append so many copies of entries of `source`."""
    for start in range(0, count, COPIED):
        await client.eval(COPY, 2, source, target, min(COPIED, count - start))
