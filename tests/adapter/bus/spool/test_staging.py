"""Proof of adapter/bus/spool/staging.py, and of what the spool makes of it."""

import errno
import os
import random
import shutil
from pathlib import Path

import pytest

from adapter.bus.spool import log as spools
from adapter.bus.spool import staging as module
from adapter.bus.spool.log import Spool
from adapter.bus.spool.staging import StagingFile
from adapter.errors import SpoolError
from tests.support.small_disk import filled, small_disk


def waiting(spool: Spool) -> list[bytes]:
    return [payload for _, payload in spool.remaining()]


def test_the_last_batches_that_were_put_are_kept_until_they_are_cleared(tmp_path: Path) -> None:
    with StagingFile(tmp_path / "held") as hold:
        assert hold.read() == []
        hold.write([b"one", b"two"])
        hold.write([b"three"])
        assert hold.read() == [b"three"]
    with StagingFile(tmp_path / "held") as hold:
        assert hold.read() == [b"three"]
        hold.clear()
        assert (hold.read(), (tmp_path / "held").stat().st_size) == ([], 0)
        hold.write([b"four"])
        assert hold.read() == [b"four"]


def test_a_record_cut_anywhere_leaves_the_one_before_it(tmp_path: Path) -> None:
    path = tmp_path / "held"
    with StagingFile(path) as hold:
        hold.write([b"whole"])
        whole = path.stat().st_size
        hold.write([b"cut", b"short" * 20])
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with StagingFile(path) as hold:
            assert hold.read() == ([b"whole"] if end >= whole else [])


def test_zeros_that_a_power_cut_left_are_no_record(tmp_path: Path) -> None:
    path = tmp_path / "held"
    with StagingFile(path) as hold:
        hold.write([b"whole"])
    data = path.read_bytes()
    for damaged, kept in ((data + bytes(100), [b"whole"]), (bytes(100), [])):
        path.write_bytes(damaged)
        with StagingFile(path) as hold:
            assert hold.read() == kept


def test_a_record_that_the_disk_refused_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with StagingFile(tmp_path / "held") as hold:
        hold.write([b"before"])
        with monkeypatch.context() as patch:
            patch.setattr(module, "_sync", refuse)
            with pytest.raises(SpoolError):
                hold.write([b"refused"])
        assert hold.read() == [b"before"]


def test_whoever_waits_for_room_holds_it_once(tmp_path: Path) -> None:
    path = tmp_path / "held"
    with StagingFile(path) as hold:
        hold.write([b"as it came"])
        hold.write([b"for good"])
        size = path.stat().st_size
        for _ in range(20):
            hold.write([b"for good"])
        assert path.stat().st_size == size


def test_what_a_term_of_office_held_and_could_not_write_is_adopted_by_the_next(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", limit=200) as spool:
        spool.write(b"x" * 150)
        spool.stage([b"held" * 20])
        with pytest.raises(SpoolError):
            spool.write(b"held" * 20)
        spool.recover_staged()
        assert waiting(spool) == [b"x" * 150], "there is no room yet"
        with pytest.raises(SpoolError):
            spool.stage([b"of the next term"])
        spool.advance()
        spool.stage([b"of the next term"])
        assert waiting(spool) == [b"held" * 20]
        spool.recover_staged()
        assert waiting(spool) == [b"held" * 20, b"of the next term"]


def test_a_byte_flipped_anywhere_never_gives_anything_else(tmp_path: Path) -> None:
    path, chance = tmp_path / "held", random.Random(1)
    with StagingFile(path) as hold:
        hold.write([b"first"])
        hold.write([b"second"])
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :])
        with StagingFile(path) as hold:
            assert hold.read() in ([], [b"first"])


def test_what_was_held_by_a_process_that_died_is_behind_all_that_it_wrote(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        spool.write(b"before")
        spool.stage([b"held", b"and this"])
        spool.write(b"meanwhile")
    with Spool(tmp_path / "s") as spool:
        assert waiting(spool) == [b"before", b"meanwhile", b"held", b"and this"]
        assert (spool.unpublished, spool.damaged) == (4, 0)
    with Spool(tmp_path / "s") as spool:
        assert spool.unpublished == 4


def test_what_was_released_is_not_told_again(tmp_path: Path) -> None:
    with Spool(tmp_path / "s") as spool:
        spool.stage([b"as it came"])
        spool.stage([b"for good"])
        spool.write(b"for good")
        spool.discard_staged()
    with Spool(tmp_path / "s") as spool:
        assert waiting(spool) == [b"for good"]


def test_a_full_disk_keeps_what_was_held_until_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        with Spool(disk / "s") as spool:
            spool.stage([b"held" * 1000])
        filler = filled(disk, 0)
        with Spool(disk / "s") as spool:
            assert spool.unpublished == 0
            with pytest.raises(SpoolError):
                spool.stage([b"later"])
            with pytest.raises(SpoolError):
                spool.write(b"later")
        with Spool(disk / "s") as spool:
            with pytest.raises(SpoolError):
                spool.admit_recovered()
            filler.unlink()
            spool.admit_recovered()
            assert spool.unpublished == 1
            spool.write(b"later")
            assert waiting(spool) == [b"held" * 1000, b"later"]
        with Spool(disk / "s") as spool:
            assert waiting(spool) == [b"held" * 1000, b"later"]


def test_a_disk_that_takes_half_of_it_keeps_what_was_held_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(file: int, data: bytes, at: int) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.pwrite(file, data[: len(data) // 2], at)

    with StagingFile(tmp_path / "held") as hold:
        hold.write([b"before"])
        with monkeypatch.context() as patch:
            patch.setattr(module, "_write", half)
            with pytest.raises(SpoolError, match="No space left"):
                hold.write([b"x" * 100])
        assert hold.read() == [b"before"]
        hold.write([b"after"])
        assert hold.read() == [b"after"]


def test_a_full_disk_holds_what_is_new_in_place_of_what_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "SEGMENT", 8_000)
    with small_disk(tmp_path / "disk", 64) as disk, Spool(disk / "s") as spool:
        for _ in range(5):
            spool.write(b"x" * 4_000)
            spool.advance()
        filled(disk, 0)
        spool.stage([b"held" * 1_000])
        shutil.copytree(disk / "s", tmp_path / "copy")
    with Spool(tmp_path / "copy") as spool:
        assert waiting(spool) == [b"held" * 1_000]


def test_a_full_disk_with_nothing_to_give_up_refuses(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk, Spool(disk / "s") as spool:
        spool.write(b"not published")
        filled(disk, 0)
        with pytest.raises(SpoolError, match="No space left"):
            spool.stage([b"held" * 1_000])
