"""Take over what the previous release left. To be deleted with the next release.

That release staged events beside the spool in the file `held`, and handed what a former lease holder had left
to the holder through the list `ids:late`.
"""

import logging
import struct
import zlib
from pathlib import Path

import msgpack

from adapter.bus.bus import MAX_BATCH, Bus
from adapter.bus.spool.log import Spool
from adapter.bus.spool.replay import split_record
from adapter.codec.inbound import EventRecord
from adapter.errors import SpoolError

log = logging.getLogger(__name__)

_HEADER = struct.Struct(">II")


def recover_staging_file(spool: Spool, file: Path) -> None:
    """Append the staged records to the spool, then delete their file."""
    try:
        for payload in _staged(file.read_bytes()):
            spool.write(payload)
        spool.sync()
        file.unlink()
    except FileNotFoundError:
        return
    except SpoolError as exc:
        log.error("%s; %s waits for the next start", exc, file)  # noqa: TRY400 – the text says it all


def _staged(data: bytes) -> list[bytes]:
    """Return the payloads of the last intact record `length, CRC-32, payloads`."""
    at, last = 0, msgpack.packb([])
    while at + _HEADER.size <= len(data):
        length, check = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        packed = data[at : at + length]
        if not length or len(packed) != length or zlib.crc32(packed) != check:
            break
        at, last = at + length, packed
    payloads: list[bytes] = msgpack.unpackb(last)
    return payloads


async def append_handoff(bus: Bus) -> None:
    """Append the records that stand in `ids:late`."""
    key = bus.keys("ids:late")
    while (payload := await bus.list_head(key)) is not None:
        if _is_record(payload):
            await bus.append(None, *split_record(payload))
        else:
            log.error("a record in %s cannot be read, and is dropped", key)
        await bus.list_remove(key, payload)


def _is_record(payload: bytes) -> bool:
    account, _, packed = payload.partition(b"\n")
    try:
        rows: list[list[bytes]] = [[*row] for row in msgpack.unpackb(packed, raw=True)]
        texts = [row[0].decode() for row in rows if len(row) == len(EventRecord._fields)]
    except (ValueError, TypeError, AttributeError):
        return False
    is_batch = 0 < len(rows) == len(texts) <= MAX_BATCH and all(texts)
    return account.isdigit() and is_batch and all(isinstance(value, bytes) for row in rows for value in row)
