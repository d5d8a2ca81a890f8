"""Prove adapter/bus/folder_id.py."""

import shutil
from pathlib import Path

import pytest

from adapter.bus.folder_id import FILE, read_folder_id
from adapter.errors import ConfigError


def test_a_folder_keeps_its_id_and_no_other_has_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = read_folder_id(tmp_path / "a")
    assert read_folder_id(tmp_path / "a") == first
    assert read_folder_id(tmp_path / "b") != first
    assert (tmp_path / "a" / FILE).stat().st_mode & 0o077 == 0


def test_a_copy_of_a_folder_has_an_id_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    first = read_folder_id(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    assert read_folder_id(tmp_path / "copy") != first


def test_a_folder_whose_id_was_cut_off_gets_a_new_one(tmp_path: Path) -> None:
    read_folder_id(tmp_path)
    (tmp_path / FILE).write_bytes(b"")
    assert read_folder_id(tmp_path) == read_folder_id(tmp_path)
    assert (tmp_path / FILE).read_bytes()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder-id"):
        read_folder_id(tmp_path / "missing")
