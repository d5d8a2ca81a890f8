"""Prove adapter/bus/spool/legacy.py: what the previous release left is taken over, once."""

import struct
import zlib
from pathlib import Path
from typing import Any

import msgpack
import pytest

from adapter.bus.bus import Bus, pack_batch
from adapter.bus.spool.legacy import append_handoff, recover_staging_file
from adapter.bus.spool.log import Spool
from tests.adapter.bus.spool.test_publisher import Desk, draft

pytestmark = pytest.mark.anyio

LATE = "ids:late"


def record(number: int) -> bytes:
    return b"1\n" + pack_batch([draft(number)])


def staged(*payloads: bytes) -> bytes:
    """Build a record of the staging file."""
    packed = msgpack.packb(payloads)
    return struct.pack(">II", len(packed), zlib.crc32(packed)) + packed


def taken(folder: Path, limit: int = 10_000) -> list[bytes]:
    """Return what the spool has after the staging file was recovered."""
    with Spool(folder, limit) as spool:
        recover_staging_file(spool, folder / "held")
        found = []
        while (payload := spool.peek()) is not None:
            found.append(payload)
            spool.advance()
        return found


def test_the_last_record_of_a_staging_file_goes_to_the_spool_once(tmp_path: Path) -> None:
    (tmp_path / "held").write_bytes(staged(b"as it came") + staged(b"one", b"two"))
    assert taken(tmp_path) == [b"one", b"two"]
    assert not (tmp_path / "held").exists()
    assert taken(tmp_path) == []


@pytest.mark.parametrize("tail", [staged(b"torn")[:-1], bytes(100), b"\x00"], ids=["torn", "zeros", "short"])
def test_a_torn_record_leaves_the_one_before_it(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "held").write_bytes(staged(b"whole") + tail)
    assert taken(tmp_path) == [b"whole"]


def test_a_staging_file_without_room_waits_for_the_next_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "held").write_bytes(staged(b"x" * 100))
    assert taken(tmp_path, limit=50) == []
    assert "waits for the next start" in caplog.text
    assert taken(tmp_path) == [b"x" * 100]


async def test_what_was_handed_off_comes_before_anything_newer_and_once(bus: Bus, tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        desk = Desk(bus, spool)
        await desk.lease.acquire()
        await bus.append(desk.lease.fence, "1", pack_batch([draft(0)]))
        await bus.client.rpush(bus.keys(LATE), record(0), record(1), record(1), record(2))
        await desk.add("1", [draft(3)])
        assert await desk.texts() == ["0", "1", "2", "3"]
        rows: Any = await bus.client.xrange(bus.keys("inbound"))
        assert {fields[b"epoch"] for _, fields in rows} == {str(desk.lease.fence.epoch).encode()}
        assert not await bus.client.exists(bus.keys(LATE))


STRANGE = b"1\n" + msgpack.packb([[b"\xff", *[b"1"] * 7]], use_bin_type=False)  # an id that is no text


@pytest.mark.parametrize(
    "junk",
    [b"", b"junk", b"1\n", b"1\n\x90\x90", b"1\n\x91\x91\x01", b"\n\x90", b"x\n\x90", b"1\n\x90", STRANGE],
)
async def test_a_record_that_cannot_be_read_stands_in_the_way_of_nothing(
    bus: Bus, tmp_path: Path, caplog: pytest.LogCaptureFixture, junk: bytes
) -> None:
    await bus.client.rpush(bus.keys(LATE), junk, record(1))
    await append_handoff(bus)
    with Spool(tmp_path) as spool:
        assert await Desk(bus, spool).texts() == ["1"]
    assert "cannot be read" in caplog.text
    assert not await bus.client.exists(bus.keys(LATE))
