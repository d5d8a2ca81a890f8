"""Proof of adapter/bus/aof.py: what follows the last whole command is cut, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.bus.aof import DamagedFileError, ends_within_a_command, newest_file, repair_tail


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


WHOLE = command(b"SELECT", b"0") + command(b"XADD", b"s", b"*", b"text", b"a\r\n*1\r\n$4\r\nPING\r\n\0")


def write(folder: Path, data: bytes, number: int = 1) -> Path:
    made = folder / "appendonlydir"
    made.mkdir(parents=True, exist_ok=True)
    file = made / f"appendonly.aof.{number}.incr.aof"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(
    "tail",
    [
        b"\0" * 12,
        b"*3\r\n$4\r\nXADD\r\n\0\0\0\0",
        b"*3\r\n$4\r\nXA",
        b"garbage of a former block",
        b"*",
        b"#TS:1",
        b"*-1\r\n",
    ],
    ids=repr,
)
def test_a_damaged_end_is_cut_after_a_copy(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path, b"old" * 9, 9)
    file = write(tmp_path, WHOLE + tail, 10)
    repair = repair_tail(tmp_path)
    assert repair is not None
    assert (repair.file, repair.cut_bytes) == (file, len(tail))
    assert file.read_bytes() == WHOLE
    assert repair.copy.read_bytes() == WHOLE + tail
    assert repair_tail(tmp_path) is None


def test_a_whole_file_and_none_at_all_are_left_alone(tmp_path: Path) -> None:
    assert repair_tail(tmp_path) is None
    assert newest_file(tmp_path) is None
    file = write(tmp_path, b"#TS:1700000000\r\n" + WHOLE)
    assert repair_tail(tmp_path) is None
    assert not ends_within_a_command(file)
    assert ends_within_a_command(write(tmp_path, WHOLE + b"\0"))
    assert not list(tmp_path.glob("damaged-*"))


def test_damage_in_the_middle_is_named_and_left_alone(tmp_path: Path) -> None:
    damaged = WHOLE + b"\0\0junk" + WHOLE
    file = write(tmp_path, damaged)
    with pytest.raises(DamagedFileError, match=f"{file} is damaged at byte {len(WHOLE)} of"):
        repair_tail(tmp_path)
    assert file.read_bytes() == damaged


@given(st.binary(max_size=60))
def test_no_end_of_a_file_confuses_it(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    folder = tmp_path_factory.mktemp("aof")
    file = write(folder, WHOLE + tail)
    try:
        repair_tail(folder)
    except DamagedFileError:
        return
    assert file.read_bytes().startswith(WHOLE)
