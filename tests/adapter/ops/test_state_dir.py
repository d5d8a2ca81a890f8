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


def as_stranger(*line: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run `qqbus` as a user of the machine that owns nothing and has no home."""
    environment = {name: text for name, text in clean_environment(**settings).items() if name != "HOME"}
    command = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "adapter", *line],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if (
        "No module named" in done.stderr
        or "can't open file" in done.stderr
        or "Permission denied" in done.stderr[:90]
    ):
        pytest.skip("another user cannot read this interpreter or these sources")
    return done


@pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user"
)
@pytest.mark.parametrize("name", ["", "spool", "spool/lock"])
def test_a_folder_of_another_user_is_one_line(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    base = Path("/var/tmp") if Path("/var/tmp").is_dir() else tmp_path_factory.mktemp("x")  # noqa: S108 – tmp_path is closed to others
    folder = base / f"qqbus-test-{os.getpid()}"
    try:
        (folder / "spool").mkdir(parents=True)
        (folder / "spool" / "lock").write_text("")
        for path in (folder, folder / "spool", folder / "spool" / "lock"):
            if name and str(path.relative_to(folder)) != name:
                os.chown(path, 12345, 12345)
            path.chmod(0o755 if path.is_dir() else 0o644)
        done = as_stranger(
            "run", QQBUS_STATE_DIR=str(folder), REDIS_URL="redis://127.0.0.1:1", QQBUS_HTTP="off"
        )
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        [line] = done.stderr.splitlines()
        assert (
            f"QQBUS_STATE_DIR: {folder / name} cannot be written: Permission denied (it belongs to root"
            in line
        )
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user"
)
def test_without_a_home_commands_run_that_need_no_folder() -> None:
    done = as_stranger("status", REDIS_URL="redis://127.0.0.1:1")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "no Redis answers" in done.stderr
