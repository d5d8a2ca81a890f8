"""Packages of npm for peers: pinned in a package.json, installed in .venv-peers/NAME."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.peers.environment import FOLDER

# Seconds for npm.
_INSTALL_SECONDS = 400.0


def install(name: str, manifest: Path) -> Path | str:
    """Install the packages of a package.json if they are missing or old.

    Returns the folder, or why there is none: a machine without Node skips these peers.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "skipped: Node or npm is missing"
    folder = FOLDER / name
    stamp = hashlib.sha256(manifest.read_bytes()).hexdigest()
    done = folder / ".done"
    if done.exists() and done.read_text(encoding="utf-8") == stamp:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(manifest, folder)
    line = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    try:
        made = subprocess.run(
            line, cwd=folder, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"skipped: npm took more than {_INSTALL_SECONDS:g} s"
    if made.returncode:
        return f"skipped: npm: {made.stderr.strip()[-300:]}"
    done.write_text(stamp, encoding="utf-8")
    return folder
