"""Proof of adapter/bus/spool.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapter.bus import spool as module
from adapter.bus.spool import Spool
from adapter.errors import ConfigError, SpoolError


def drain(spool: Spool) -> list[bytes]:
    found = []
    while (payload := spool.peek()) is not None:
        found.append(payload)
        spool.advance()
    return found


def payloads(count: int, size: int = 10) -> list[bytes]:
    return [str(n).encode().rjust(size, b"0") for n in range(count)]


@contextmanager
def small_segments(monkeypatch: pytest.MonkeyPatch, size: int = 1000) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(module, "SEGMENT", size)
        yield


def test_what_is_written_comes_out_in_order_once(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(200):
            spool.write(payload)
        assert spool.waiting == 200
        assert drain(spool) == payloads(200)
        assert (spool.peek(), spool.waiting, spool.unsent_bytes()) == (None, 0, 0)


def test_what_was_not_published_is_there_after_a_restart(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(5):
            spool.write(payload)
        spool.peek()
        spool.advance("305419896:1")
    with Spool(tmp_path / "s") as spool:
        assert (spool.waiting, spool.note) == (4, "305419896:1")
        spool.write(b"new")
        assert drain(spool) == [*payloads(5)[1:], b"new"]


def test_many_segments_are_read_in_order_and_old_ones_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_segments(monkeypatch), Spool(tmp_path / "s") as spool:
        for payload in payloads(1000):
            spool.write(payload)
        assert len(list((tmp_path / "s").glob("*.spool"))) > 10
        assert drain(spool) == payloads(1000)
        for payload in payloads(200):
            spool.write(payload)
            assert drain(spool) == [payload]
        assert len(list((tmp_path / "s").glob("*.spool"))) == 2


def test_the_recent_part_can_be_had_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_segments(monkeypatch), Spool(tmp_path / "s") as spool:
        for payload in payloads(500):
            spool.write(payload)
            drain(spool)
        spool.rewind()
        again = drain(spool)
        assert again == payloads(500)[-len(again) :]
        assert len(again) > 40


def test_a_torn_tail_is_cut_off(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(3):
            spool.write(payload)
    file = next((tmp_path / "s").glob("*.spool"))
    file.write_bytes(file.read_bytes()[:-4])
    with Spool(tmp_path / "s") as spool:
        spool.write(b"after")
        assert drain(spool) == [*payloads(3)[:2], b"after"]


@pytest.mark.parametrize("offset", range(0, 22, 3))
def test_a_flipped_byte_costs_one_batch(tmp_path: Path, offset: int) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(9):
            spool.write(payload)
    file = next((tmp_path / "s").glob("*.spool"))
    data = bytearray(file.read_bytes())
    data[4 * 22 + offset] ^= 0x41
    file.write_bytes(data)
    with Spool(tmp_path / "s") as spool:
        assert drain(spool) == [payload for n, payload in enumerate(payloads(9)) if n != 4]
        assert spool.damaged > 0


def test_a_garbled_cursor_offers_everything_again(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(3):
            spool.write(payload)
        drain(spool)
    (tmp_path / "s" / "cursor").write_bytes(b"\xff\x00nonsense")
    with Spool(tmp_path / "s") as spool:
        assert drain(spool) == payloads(3)


def test_a_cursor_beyond_the_end_is_taken_back(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        spool.write(b"one")
    (tmp_path / "s" / "cursor").write_text("7 4000 x:1")
    with Spool(tmp_path / "s") as spool:
        assert spool.peek() is None
        spool.write(b"two")
        assert drain(spool) == [b"two"]


def test_the_bound_is_kept_and_said(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", limit=100) as spool:
        spool.write(b"x" * 60)
        with pytest.raises(SpoolError, match="100 bytes"):
            spool.write(b"x" * 60)
        assert drain(spool) == [b"x" * 60]
        spool.write(b"x" * 60)


def test_a_full_disk_leaves_what_was_written_whole(tmp_path: Path) -> None:
    # /dev/full is a disk that is always full.
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with Spool(tmp_path / "s") as spool:
        spool.write(b"one")
        sound, spool._file = spool._file, full.open("ab", buffering=0)  # noqa: SLF001 – the only way to fill it
        with pytest.raises(SpoolError, match="No space left"):
            spool.write(b"two")
        spool._file.close()  # noqa: SLF001
        spool._file = sound  # noqa: SLF001
        spool.write(b"three")
        assert drain(spool) == [b"one", b"three"]


def test_two_adapters_cannot_share_a_folder(tmp_path: Path) -> None:
    with Spool(tmp_path / "s"), pytest.raises(ConfigError, match="QQBUS_STATE_DIR"), Spool(tmp_path / "s"):
        pass
