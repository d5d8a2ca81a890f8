"""Prove the Redis users of deploy/compose.yaml: made once, one for each service, and nobody else gets in."""

import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.exceptions import AuthenticationError, NoPermissionError

from adapter.bus.bus import Bus
from adapter.bus.connection import connect
from adapter.bus.embedded import find_server
from adapter.errors import BusUnavailable
from tests.integration.test_deploy import DEPLOY, run
from tests.support.helpers import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return read


def make_users(compose: dict[str, Any], folder: Path) -> dict[str, str]:
    """Make the users as the compose file does; returns the addresses by service."""
    _, program, _, *services = compose["services"]["users"]["command"]
    assert program == "/opt/qqbus/users.py"
    for turn in range(2):
        done = run(sys.executable, DEPLOY / "users.py", folder, *services)
        assert done.returncode == 0, done.stderr
        assert ("exists" in done.stdout) == bool(turn)
    names = [one.partition("=")[0] for one in services]
    assert {"adapter", "echo", "archive"} <= set(names)
    for name in names:
        assert stat.S_IMODE((folder / name / "url").stat().st_mode) == 0o600
    made = {name: (folder / name / "url").read_text().strip() for name in names}
    text = (folder / "acl" / "users.acl").read_text()
    assert not any(url.split(":")[2].partition("@")[0] in text for url in made.values())
    for name in ("adapter", "echo", "archive"):
        service = compose["services"][name]
        assert f"{name}-user:/run/user:ro" in service["volumes"]
        assert service["environment"]["REDIS_URL_FILE"] == "/run/user/url"
        assert "REDIS_URL" not in service["environment"]
    return made


async def only_users_get_in(port: int, made: dict[str, str]) -> None:
    """Let a worker of the compose file read events and no QR code; without a user nothing is read."""
    bare = connect(f"redis://:x@127.0.0.1:{port}")
    with pytest.raises(AuthenticationError):
        await bare.ping()
    await bare.aclose()
    worker = connect(made["echo"].replace("@redis:6379", f"@127.0.0.1:{port}"))
    assert await worker.xlen("qq:inbound") == 0
    with pytest.raises(NoPermissionError):
        await worker.xrange("qq:session")
    await worker.aclose()


async def test_the_server_of_the_compose_file_is_one_that_the_adapter_takes(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    program, *options = compose["services"]["redis"]["command"]
    assert program == "valkey-server"
    made = make_users(compose, tmp_path)
    options[options.index("/acl/users.acl")] = str(tmp_path / "acl" / "users.acl")
    port = free_port()
    line = [find_server(), *options, "--port", str(port), "--dir", tmp_path, "--bind", "127.0.0.1"]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as server:  # noqa: ASYNC220 – likewise
        try:
            url = made["adapter"].replace("@redis:6379", f"@127.0.0.1:{port}")
            async with Bus.open(url, "qq") as bus:

                async def taken() -> str:
                    with suppress(BusUnavailable):
                        return await bus.check_server()
                    return ""

                assert await wait_until(taken, "the server answers")
                with pytest.raises(NoPermissionError):
                    await bus.client.config_get("*")
            await only_users_get_in(port, made)
        finally:
            server.terminate()
    given = dict(zip(options[::2], options[1::2], strict=True))
    for name, value in (("appendonly", "yes"), ("maxmemory-policy", "noeviction"), ("save", "")):
        assert given[f"--{name}"] == value
    assert given["--maxmemory"] == "1gb"
