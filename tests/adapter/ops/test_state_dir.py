"""Proof of adapter/ops/state_dir.py: a folder that cannot be used is named in one line, a lost one is noticed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapter.config import Config
from adapter.errors import ConfigError
from adapter.ops.state_dir import FolderLostError, StateDirWatch, ensure_state_dir, find_unwritable
from tests.support import ROOT
from tests.support.helpers import clean_environment

pytestmark = pytest.mark.anyio


def config(folder: Path) -> Config:
    return Config.from_env({"QQBUS_STATE_DIR": str(folder)})


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = ensure_state_dir(config(tmp_path / "a" / "状态 #1"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.iterdir()) == []
    assert find_unwritable(folder) is None


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"QQBUS_STATE_DIR: .*/file is no folder"):
        ensure_state_dir(config(tmp_path / "file"))


async def test_a_folder_that_is_gone_or_another_one_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    watch = StateDirWatch(folder)
    await watch.check()
    shutil.rmtree(folder)
    with pytest.raises(FolderLostError, match="was removed or replaced"):
        await watch.check()
    (tmp_path / "other").mkdir()
    folder.mkdir()
    with pytest.raises(FolderLostError):
        await watch.check()


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can give files away")
@pytest.mark.parametrize("name", ["", "spool", "spool/lock", "redis"])
def test_a_folder_of_another_user_is_one_line(tmp_path: Path, name: str) -> None:
    folder = ensure_state_dir(config(tmp_path / "state"))
    (folder / "redis").mkdir()
    (folder / "spool").mkdir()
    (folder / "spool" / "lock").write_text("")
    os.chown(folder / name, 12345, 12345)
    (folder / name).chmod(0o755)
    done = subprocess.run(
        # Without its capabilities root can do what the modes of files allow it.
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m", "adapter", "run"],
        env=clean_environment(QQBUS_STATE_DIR=str(folder), REDIS_URL="redis://127.0.0.1:1", QQBUS_HTTP="off"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    where = str(folder / name) if name else str(folder)
    assert f"QQBUS_STATE_DIR: {where} cannot be written: Permission denied (it belongs to 12345;" in line
