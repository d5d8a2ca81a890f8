"""Prove adapter/bus/spool/log.py."""

import errno
import itertools
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from adapter.bus.spool import checkpoint
from adapter.bus.spool import log as module
from adapter.bus.spool.checkpoint import Checkpoint, Position
from adapter.bus.spool.log import Spool
from adapter.errors import ConfigError, SpoolError


def drain(spool: Spool, first: int = 0) -> list[bytes]:
    """Take all that waits, as published from this number on."""
    found: list[bytes] = []
    while (payload := spool.peek()) is not None:
        found.append(payload)
        number = first and first + len(found) - 1
        spool.advance("1", number, number, number)
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
        assert spool.unpublished == 200
        assert drain(spool) == payloads(200)
        assert (spool.peek(), spool.unpublished, spool.unsent_bytes()) == (None, 0, 0)


def test_what_was_not_published_is_there_after_a_restart(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(5):
            spool.write(payload)
        spool.peek()
        spool.advance("305419896", 7, 6, 9)
    with Spool(tmp_path / "s") as spool:
        assert (spool.unpublished, spool.last_published()) == (4, payloads(1)[0])
        assert (spool.checkpoint.account, spool.checkpoint.seq, spool.checkpoint.live) == ("305419896", 7, 6)
        assert spool.checkpoint.newest == ((1, 0), 9)
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


def test_foreign_files_beside_the_segments_are_passed_over(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        spool.write(b"one")
    for name in ("x.spool", "1.5.spool", "-1.spool", "²7.spool", ".spool"):
        (tmp_path / "s" / name).write_bytes(b"not ours")
    with Spool(tmp_path / "s") as spool:
        assert drain(spool) == [b"one"]
        assert spool.corrupt_records == 0


def test_what_was_published_can_be_had_again_as_far_as_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "MARK_INTERVAL", 10)
    with small_segments(monkeypatch), Spool(tmp_path / "s") as spool:
        for number, payload in enumerate(payloads(500), 1):
            spool.write(payload)
            drain(spool, number)
        spool.rewind(0)
        again = drain(spool)
        assert again == payloads(500)[-len(again) :]
        assert len(again) > 40


@pytest.mark.parametrize("restarts", [False, True])
def test_nothing_older_than_a_number_is_offered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, restarts: bool
) -> None:
    monkeypatch.setattr(checkpoint, "MARK_INTERVAL", 10)
    with ExitStack() as stack:
        spool = stack.enter_context(Spool(tmp_path / "s"))
        for number, payload in enumerate(payloads(100), 1):
            spool.write(payload)
            drain(spool, number if number <= 50 else number + 1000)  # others had published 1,000
        spool.write(b"waits")
        if restarts:
            stack.close()
            spool = stack.enter_context(Spool(tmp_path / "s"))
        spool.rewind(1000)
        assert drain(spool, 2000) == [*payloads(100)[50:], b"waits"]
        spool.rewind(30)
        assert drain(spool) == [*payloads(100)[30:], b"waits"]


def test_what_may_be_offered_again_is_asked_anew_each_time(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(3):
            spool.write(payload)
        assert drain(spool, 5) == payloads(3)
        spool.write(b"waits")
        spool.rewind(0)
        spool.advance("1", 5, 5, 5, fresh=False)
    with Spool(tmp_path / "s") as spool:
        assert drain(spool) == [b"waits"]
        spool.rewind(0)
        spool.resume()
        assert spool.peek() is None
        assert spool.last_published() == payloads(3)[2], "told again or not, it was the last one"


def test_of_a_frame_whose_answer_was_lost_the_one_before_it_says_when_it_came(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for number, payload in enumerate(payloads(3)):
            spool.write(payload)
            spool.peek()
            spool.advance("1", 100 + number, 0, 100 + number, fresh=number != 1)
            assert spool.last_published() == payload
            newest = spool.checkpoint.newest
            assert newest is not None
            assert newest.total == (100, 100, 102)[number]


@pytest.mark.parametrize("text", ["5 4000 -  0", "5 4000 ", "5 4000 305419896:3", "5 4000 - 0"])
def test_a_bookmark_without_an_account_or_of_an_older_form_keeps_its_place(text: str) -> None:
    checkpoint = Checkpoint.read(text.ljust(128).encode())
    for _ in range(2):
        assert checkpoint.cursor == Position(5, 4000)
        checkpoint = Checkpoint.read(bytes(checkpoint))


def test_a_segment_that_lost_its_end_keeps_what_was_told(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(3):
            spool.write(payload)
        drain(spool, 5)
    file = next((tmp_path / "s").glob("*.spool"))
    file.write_bytes(file.read_bytes()[:-4])
    for _ in range(2):
        with Spool(tmp_path / "s") as spool:
            assert (spool.checkpoint.live, spool.last_published()) == (7, payloads(2)[1])
    with Spool(tmp_path / "s") as spool:
        spool.rewind(0)
        assert drain(spool) == payloads(2)


def test_what_was_published_and_is_damaged_is_no_loss(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        for payload in payloads(5):
            spool.write(payload)
        drain(spool, 1)
    file = next((tmp_path / "s").glob("*.spool"))
    data = bytearray(file.read_bytes())
    data[2 * 22 + 15] ^= 0x41
    file.write_bytes(data)
    with Spool(tmp_path / "s") as spool:
        assert spool.corrupt_records == 0
        spool.rewind(0)
        assert drain(spool) == [payload for n, payload in enumerate(payloads(5)) if n != 2]


def test_the_bookmark_of_a_spool_fits_a_sector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT", 1)
    with Spool(tmp_path / "s") as spool:
        for number in range(100):
            spool.write(b"x")
            start, seq = Position(10_000_000 + number, 99_999_999), 10_000_000_000 + number * 10_000
            spool.checkpoint.record(start, "305419896305", seq, seq, seq, fresh=True)
        assert len(bytes(spool.checkpoint)) == checkpoint.SIZE
        assert Checkpoint.read(bytes(spool.checkpoint)).position_at(0) == Position(10_000_089, 99_999_999)


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
        assert spool.corrupt_records > 0


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
    (tmp_path / "s" / "cursor").write_text("7 4000 1 12,7 3000 12,7 3000 12,1 0 3,7 2000 9")
    with Spool(tmp_path / "s") as spool:
        assert spool.peek() is None
        spool.write(b"two")
        assert drain(spool) == [b"two"]
        assert (spool.last_published(), spool.checkpoint.position_at(3)) == (b"one", None)


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


def test_what_a_disk_did_not_take_at_once_is_there_when_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(tmp_path / "s") as spool:
        spool.write(b"one")
        with monkeypatch.context() as patch:
            patch.setattr(module, "_sync", Disk(random.Random(1), sync=1.0).sync)
            with pytest.raises(SpoolError, match="Input/output error"):
                spool.sync()
        # The system may have forgotten it by now.
        file = next((tmp_path / "s").glob("*.spool"))
        file.write_bytes(bytes(len(file.read_bytes())))
        spool.write(b"two")
        assert spool.sync()
        assert not spool.sync()
    with Spool(tmp_path / "s") as spool:
        assert drain(spool) == [b"one", b"two"]


class Disk:
    """One on which a call fails now and then, or writes only a part."""

    def __init__(self, chance: random.Random, *, full: float = 0.0, short: float = 0.0, sync: float) -> None:
        self._chance = chance
        self._full, self._short, self._sync = full, short, sync

    def write(self, file: int, data: bytes, offset: int) -> int:
        if self._chance.random() < self._full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = len(data) > 1 and self._chance.random() < self._short
        return os.pwrite(file, data[: self._chance.randrange(1, len(data))] if part else data, offset)

    def sync(self, _: int) -> None:
        if self._chance.random() < self._sync:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("rewinds", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_whatever_the_disk_does_what_was_taken_comes_out_in_order(  # noqa: C901 – one operation a branch
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, *, rewinds: bool
) -> None:
    chance = random.Random(seed)
    disk = Disk(chance, full=0.1, short=0.3, sync=0.1)
    waiting: list[bytes] = []
    published: set[bytes] = set()
    numbers = itertools.count(1)

    def publish() -> bool:
        payload = spool.peek()
        if payload is None:
            assert waiting == []
            return False
        if payload not in published:  # else offered again after a rewind
            assert payload == waiting.pop(0)
        published.add(payload)
        number = next(numbers)
        spool.advance("1", number, number, number)
        return True

    monkeypatch.setattr(module, "SEGMENT", 200)
    monkeypatch.setattr(checkpoint, "MARK_INTERVAL", 5)
    monkeypatch.setattr(module, "_write", disk.write)
    monkeypatch.setattr(module, "_sync", disk.sync)
    spool = Spool(tmp_path / "s").__enter__()
    for number in range(300):
        with suppress(SpoolError):
            match chance.choices("wsprb", [5, 3, 5, 0.3, 0.3 if rewinds else 0])[0]:
                case "w":
                    payload = b"%d:" % number + b"x" * chance.choice([0, 5, 20, 60, 150])
                    spool.write(payload)
                    waiting.append(payload)
                case "s":
                    spool.sync()
                case "p":
                    publish()
                case "r":
                    spool.__exit__()
                    spool = Spool(tmp_path / "s").__enter__()
                case "b":
                    spool.rewind(0)
        assert spool.unpublished >= len(waiting)
    while publish():
        pass
    spool.__exit__()


def test_two_adapters_cannot_share_a_folder(tmp_path: Path) -> None:
    with Spool(tmp_path / "s"), pytest.raises(ConfigError, match="QQBUS_STATE_DIR"), Spool(tmp_path / "s"):
        pass
