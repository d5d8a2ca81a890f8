"""Environments of their own for peers: pinned packages in a folder, and scripts run in them.

An environment lies in .venv-peers/NAME and is made again when its packages or pins change. A script
in it has no proxy settings and no user's configuration, and reaches loopback alone (see `seal`).
"""

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / ".venv-peers"
_SEAL = Path(__file__).with_name("seal.py")
# Lines of a script's output that are kept.
MAX_LINES = 10_000
# Seconds that a script has to end after SIGTERM.
_STOP_SECONDS = 5.0
# Settings of the caller that a script needs; all others stay out, proxies first of all.
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


class PreparationError(RuntimeError):
    """An environment cannot be made; the text holds pip's own words."""


def prepare(name: str, packages: Iterable[str], constraints: Path, place: Path = FOLDER) -> Path:
    """Make the environment of that name if it is missing or old; return its Python.

    Every package that is installed has to be pinned in `constraints` (name==version). Environments lie in
    the folder `place`. Raises PreparationError.
    """
    folder, wanted = place / name, sorted(packages)
    python = folder / "bin" / "python"
    stamp = _stamp(wanted, constraints)
    done = folder / ".done"
    if done.exists() and done.read_text(encoding="utf-8") == stamp:
        return python
    try:
        venv.create(folder, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise PreparationError(f"{name}: {folder} cannot be made: {exc}") from exc
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    line = [*pip, "--constraint", str(constraints), *wanted]
    installed = subprocess.run(line, capture_output=True, text=True, check=False)
    if installed.returncode:
        raise PreparationError(f"{name}: {installed.stderr.strip()[-2000:]}")
    _check_pins(name, python, constraints)
    _install_seal(folder)
    done.write_text(stamp, encoding="utf-8")
    return python


def _stamp(packages: list[str], constraints: Path) -> str:
    digest = hashlib.sha256("\n".join([sys.version, *packages]).encode())
    for file in (constraints, _SEAL):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _check_pins(name: str, python: Path, constraints: Path) -> None:
    """Raise if a package was installed that the constraints do not pin."""
    listed = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", "freeze"],
        capture_output=True,
        text=True,
        check=True,
    )
    pinned = {_plain(line) for line in constraints.read_text(encoding="utf-8").splitlines()}
    if loose := [line for line in listed.stdout.splitlines() if _plain(line) not in pinned]:
        raise PreparationError(f"{name}: pin in {constraints.name}: {' '.join(loose)}")


def _plain(pin: str) -> str:
    return pin.strip().lower().replace("_", "-").replace(".", "-")


def _install_seal(folder: Path) -> None:
    paths = sysconfig.get_paths("venv", {"base": str(folder), "platbase": str(folder)})
    packages = Path(paths["purelib"])
    (packages / "qqbus_seal.py").write_text(_SEAL.read_text(encoding="utf-8"), encoding="utf-8")
    (packages / "qqbus_seal.pth").write_text("import qqbus_seal\n", encoding="utf-8")


class Script:
    """A script under way: its lines as they come."""

    def __init__(self, process: asyncio.subprocess.Process, seal_log: Path) -> None:
        self.process = process
        # Gets each line as it comes.
        self.on_line: Callable[[str], None] = lambda _: None
        self.lines: deque[str] = deque(maxlen=MAX_LINES)
        self._seal_log = seal_log
        self._changed = asyncio.Event()

    @property
    def refused(self) -> list[str]:
        """Return the foreign addresses that the script tried to reach."""
        return self._seal_log.read_text(encoding="utf-8").splitlines() if self._seal_log.exists() else []

    async def read(self) -> None:
        """Keep the lines of the script until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip())
            self._changed.set()
            self.on_line(self.lines[-1])
        self._changed.set()

    async def until(self, is_found: Callable[[], bool], described: str, seconds: float = 30.0) -> None:
        """Wait until the lines satisfy `is_found`; raise AssertionError with the last lines if not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not is_found() and self.process.returncode is None:
                    self._changed.clear()
                    await self._changed.wait()
        if not is_found():
            tail = "\n".join(list(self.lines)[-40:])
            raise AssertionError(f"not seen within {seconds:g} s: {described}\n{tail}")


@contextlib.asynccontextmanager
async def script(
    python: Path, file: Path, *arguments: str, home: Path, **settings: str
) -> AsyncIterator[Script]:
    """Run a script in an environment, in the folder `home`; end it at the end."""
    seal_log = home / "sealed.log"
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    fixed = {"HOME": str(home), "PYTHONUNBUFFERED": "1", "QQBUS_SEAL_LOG": str(seal_log)}
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(file),
        *arguments,
        env={**kept, **fixed, **settings},
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=64 * 1024 * 1024,
        start_new_session=True,  # Ctrl-C is the caller's, who ends it in order
    )
    running = Script(process, seal_log)
    reading = asyncio.ensure_future(running.read())
    try:
        yield running
    finally:
        await _stop(process)
        await reading


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
