"""The environments of peers: what the seal lets through, and how a script is run."""

import sys
from pathlib import Path

import pytest

from tests.peers import seal
from tests.peers.environment import script

pytestmark = pytest.mark.anyio

# The seal is installed by importing it under any other name than that of the package.
SEALED = f"import sys; sys.path.insert(0, {str(Path(seal.__file__).parent)!r}); import seal, socket, os\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "", None, "::", b"127.0.0.1"])
def test_this_machine_is_local(host: object) -> None:
    assert seal.is_local(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.invalid", "2001:db8::1", "localhost.example.invalid"])
def test_all_others_are_foreign(host: object) -> None:
    assert not seal.is_local(host)


@pytest.mark.parametrize(
    "line",
    [
        "socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "socket.getaddrinfo('example.invalid', 80)",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    ],
)
async def test_a_script_that_leaves_loopback_is_refused_and_noted(line: str, tmp_path: Path) -> None:
    file = tmp_path / "leave.py"
    file.write_text(SEALED + line)
    async with script(Path(sys.executable), file, home=tmp_path) as running:
        await running.until(lambda: any("PermissionError" in one for one in running.lines), "a refusal")
        assert len(running.refused) == 1


async def test_a_script_has_no_proxy_and_may_serve_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://192.0.2.1:3128")
    file = tmp_path / "stay.py"
    file.write_text(
        SEALED
        + "server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname())\n"
        + "print('reached', [name for name in os.environ if 'proxy' in name.lower()], os.environ['MINE'])"
    )
    async with script(Path(sys.executable), file, home=tmp_path, MINE="x") as running:
        await running.until(lambda: "reached [] x" in running.lines, "a connection")
        assert running.refused == []
