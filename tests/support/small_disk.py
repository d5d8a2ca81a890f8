"""A disk of a few kilobytes that is really full when it is full: a tmpfs of its own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount one on a folder; gone in the end. Skips the test where nobody lets us."""
    folder.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=700", "qqbus-test", str(folder)]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount on this system")
    if done.returncode:
        pytest.skip(f"mounting a small disk is refused here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def filled(folder: Path, leaving: int) -> Path:
    """Fill this disk with a file until this number of kilobytes is left."""
    row = os.statvfs(folder)
    filler = folder / "filler"
    filler.write_bytes(bytes(row.f_bavail * row.f_frsize - leaving * 1024))
    return filler
