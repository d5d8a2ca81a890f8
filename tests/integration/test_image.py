"""The image, built and run: where buildah is at hand and an image of Python in its storage; none is fetched.

Without a registry `debootstrap` makes such a base: Debian with python3, python3-venv and a link `python`, put
into an image named python:3.11-slim.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from adapter.bus.bus import Bus
from tests.support import ROOT
from tests.support.helpers import wait_until
from tests.support.ports import free_port
from tests.support.system_harness import Program, System, system

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(400)]

PYTHONS = ("3.13", "3.12", "3.11")
IMAGE = "localhost/qqbus-test"
# What an index that is not the usual one may take: settings and certificates of this machine.
LENT = ("/etc/pip.conf", "/etc/ssl/certs")
FRIEND = "friend:10001"


def buildah(*line: str) -> str:
    done = subprocess.run(["buildah", *line], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{line}: {done.stderr[-3000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Build the image as deploy/Dockerfile describes it."""
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed")
    known = subprocess.run(["buildah", "images", "--json"], capture_output=True, text=True, check=False)
    if known.returncode:
        pytest.skip(f"buildah cannot work here: {known.stderr.strip()[-200:]}")
    names = {name for row in json.loads(known.stdout) or () for name in row.get("names") or ()}
    bases = [one for one in PYTHONS if f"docker.io/library/python:{one}-slim" in names]
    if not bases:
        pytest.skip("no image python:3.x-slim is in buildah's storage")
    lent = [word for path in LENT if Path(path).exists() for word in ("--volume", f"{path}:{path}:ro")]
    line = ["bud", "--pull-never", "--isolation", "chroot", "--format", "docker", *lent]
    line += ["--build-arg", f"PYTHON={bases[0]}", "--ignorefile", str(ROOT / ".dockerignore")]
    buildah(*line, "--file", str(ROOT / "deploy" / "Dockerfile"), "--tag", IMAGE, str(ROOT))
    yield IMAGE
    buildah("rmi", "--force", IMAGE)


@pytest.fixture
def container(image: str) -> Iterator[str]:
    """Create a container of it, not running."""
    name = buildah("from", "--pull-never", image)
    yield name
    buildah("rm", name)


def run(container: str, *line: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(container, *line, **settings), capture_output=True, text=True, timeout=60, check=False
    )


def command(container: str, *line: str, **settings: str) -> list[str]:
    given = [f"--env={name}={value}" for name, value in settings.items()]
    return ["buildah", "run", "--isolation", "chroot", *given, container, "--", *line]


def test_what_is_in_the_image(image: str, container: str) -> None:
    made = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    assert made["User"] == "10001"
    assert made["Cmd"] == ["qqbus", "run"]
    assert made["Healthcheck"]["Test"] == ["CMD", "python", "/opt/qqbus/health.py"]
    assert re.fullmatch(r"qqbus \d+\.\d+\.\d+", run(container, "qqbus", "--version").stdout.strip())
    assert run(container, "id", "-u").stdout.strip() == "10001"
    assert run(container, "touch", "/opt/qqbus/x").returncode != 0, "its own program cannot be changed"
    assert run(container, "touch", "/var/lib/qqbus/x").returncode == 0
    assert run(container, "python", "-m", "pip", "--version").returncode != 0
    for worker in ("echo", "archive", "relay", "webhook", "commands", "console"):
        assert run(container, "python", "-m", f"consumers.{worker}", "--help").returncode == 0


@asynccontextmanager
async def running(it: System, container: str, *line: str, **settings: str) -> AsyncIterator[Program]:
    """Run a program in a container that shares this machine's network and process ids."""
    log = it.folder / f"{len(it.programs)}-container.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: ASYNC220 – starting takes no time
            command(container, *line, **(it.settings | settings)), stdout=errors, stderr=errors
        )
    program = Program(process, log)
    it.programs.append(program)
    yield program


async def test_the_image_runs_an_adapter_and_a_worker(
    bus: Bus, redis_url: str, tmp_path: Path, image: str, container: str
) -> None:
    place = f"0.0.0.0:{free_port()}"
    worker = buildah("from", "--pull-never", image)

    async def healthy() -> bool:
        done = await anyio.to_thread.run_sync(
            lambda: run(container, "python", "/opt/qqbus/health.py", QQBUS_HTTP=place)
        )
        return done.returncode == 0

    async def holder() -> int:
        status = await bus.hgetall(bus.keys("status"))
        found = re.search(rb":(\d+):", status.get("holder", b""))
        return int(found[1]) if found else 0

    try:
        async with system(bus, redis_url, tmp_path) as it:
            assert not await healthy(), "nothing runs yet"
            async with (
                running(it, container, "qqbus", "run", QQBUS_HTTP=place) as adapter,
                running(it, worker, "python", "-m", "consumers.echo"),
            ):
                await it.sim.wait_poll(30.0)
                await wait_until(healthy, "the health check of the image is content", 20.0)
                it.sim.say(FRIEND, "hello")
                [answer] = await it.sim.wait_received(1, 20.0)
                assert (answer.chat, answer.text) == (FRIEND, "hello")
                os.kill(await holder(), signal.SIGTERM)
                assert await adapter.ended(20.0) == 0, adapter.text()
                assert "its token is in /var/lib/qqbus/http-token" in adapter.text()
                for pid in processes("consumers.echo", bus.keys.prefix):
                    with suppress(ProcessLookupError):  # what it had started ended with it
                        os.kill(pid, signal.SIGTERM)
    finally:
        buildah("rm", worker)


def processes(module: str, prefix: str) -> list[int]:
    """Those of the user of the image that run a module for keys of this prefix, which only this test uses."""
    found, setting = [], f"QQBUS_PREFIX={prefix}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            mine = setting in (folder / "environ").read_bytes().split(b"\0")
            if mine and module.encode() in words and folder.stat().st_uid == 10001:
                found.append(int(folder.name))
    return found
