"""The compose file and the page for a QQ account through NapCat: what can be run is run, the rest is read."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.bus.bus import Bus
from adapter.bus.embedded import find_server
from adapter.config import Config
from adapter.errors import BusUnavailable
from tests.integration.test_deploy import BIN, DEPLOY, leads_to_a_program, plain_image, run, tool
from tests.onebot_server import OneBotServer
from tests.support import ROOT
from tests.support.helpers import wait_until
from tests.support.onebot_system import OneBotSystem
from tests.support.ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

FILE = DEPLOY / "compose.napcat.yaml"
PAGE = DEPLOY / "onebot.md"
# What the page lets the operator write into .env.
SECRETS = {
    "ADAPTER_PASSWORD": "a" * 32,
    "WORKER_PASSWORD": "b" * 32,
    "OPERATOR_PASSWORD": "c" * 32,
    "QQBUS_ONEBOT_TOKEN": "d" * 32,
    "QQBUS_HTTP_TOKEN": "e" * 32,
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return made


def filled(text: str) -> str:
    """Return a value as compose fills it from SECRETS."""
    return re.sub(
        r"\$\{([A-Z_]+):[?-]([^}]*)\}",
        lambda found: SECRETS.get(found[1], "" if found[2].startswith("see ") else found[2]),
        text,
    )


def test_the_napcat_file_is_understood_by_compose() -> None:
    docker = tool("docker")
    if run(docker, "compose", "version").returncode != 0:
        pytest.skip("docker has no compose here")
    done = run(docker, "compose", "--file", FILE, "config", "--quiet", **SECRETS)
    assert done.returncode == 0, done.stderr
    without = run(docker, "compose", "--file", FILE, "config", "--quiet")
    assert "deploy/onebot.md" in without.stderr


def test_the_first_compose_understands_the_napcat_file(tmp_path: Path) -> None:
    program = tool("docker-compose")
    quiet = {"PYTHONWARNINGS": "ignore"}
    if not re.search(r"version 1\.(2[7-9]|3\d)", run(program, "--version", **quiet).stdout):
        pytest.skip("docker-compose is not the first one, of 1.27 or later")
    text = re.sub(r"(?m)^name: .*$", "", FILE.read_text(encoding="utf-8"))
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    line = ("--project-name", "qqbus", "--project-directory", DEPLOY, "--file", tmp_path / "compose.yaml")
    done = run(program, *line, "config", **quiet, **SECRETS)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == {"napcat", "redis", "adapter", "echo"}


def test_the_napcat_file_starts_what_exists_and_shows_little_outside(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"napcat", "redis", "adapter", "echo"}
    for name, service in services.items():
        plain_image(service["image"])
        assert service["restart"] == "unless-stopped", name
        assert int(service["stop_grace_period"].removesuffix("s")) > 20, name
        for volume in service.get("volumes", []):
            assert volume.startswith("./") or volume.partition(":")[0] in compose["volumes"]
        assert set(service["networks"]) <= set(compose["networks"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    # NapCat's WebSocket is reached by the adapter alone, Redis by adapter and worker.
    assert services["napcat"]["ports"] == ["127.0.0.1:6099:6099"]
    assert [name for name, one in services.items() if "onebot" in one["networks"]] == ["napcat", "adapter"]
    assert services["echo"]["networks"] == services["redis"]["networks"] == ["bus"]
    assert compose["networks"]["bus"] == compose["networks"]["onebot"] == {"internal": True}
    for name in ("adapter", "echo"):
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"])
    leads_to_a_program(services["echo"]["command"])
    # A version of NapCat: another one may have another login.
    assert re.fullmatch(
        r"mlikiowa/napcat-docker(:v\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})", services["napcat"]["image"]
    )
    assert {"qq:/app/.config/QQ", "napcat:/app/napcat/config"} == set(services["napcat"]["volumes"])


def test_the_settings_of_the_napcat_file_are_those_of_the_adapter(compose: dict[str, Any]) -> None:
    settings = {name: filled(value) for name, value in compose["services"]["adapter"]["environment"].items()}
    config = Config.from_env(settings)
    assert config.onebot is not None
    assert (config.onebot.url, config.onebot.token) == ("ws://napcat:3001/", SECRETS["QQBUS_ONEBOT_TOKEN"])
    sources = [*(ROOT / "adapter").rglob("*.py"), *(ROOT / "consumers").rglob("*.py")]
    known = set(re.findall(r'"((?:QQBUS|REDIS)_[A-Z_]+)"', "\n".join(file.read_text() for file in sources)))
    assert set(re.findall(r"\b((?:QQBUS|REDIS)_[A-Z_]+)\b", FILE.read_text(encoding="utf-8"))) <= known


def acl_file(folder: Path) -> Path:
    """Return the ACL file that the page makes."""
    lines = ["user default off"]
    for role in ("adapter", "worker", "operator"):
        done = subprocess.run(
            [BIN / "qqbus", "acl", "--file", "--password", "-", role],
            input=SECRETS[f"{role.upper()}_PASSWORD"] + "\n",
            capture_output=True,
            text=True,
            check=True,
        )
        lines.append(done.stdout.strip())
    file = folder / "users.acl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@contextmanager
def valkey(compose: dict[str, Any], folder: Path) -> Iterator[int]:
    """Run the server of the compose file with the ACL file of the page; yields its port."""
    program, *options = compose["services"]["redis"]["command"]
    assert program == "valkey-server"
    (_, mounted, mode) = compose["services"]["redis"]["volumes"][1].split(":")
    assert mode == "ro"
    options[options.index(mounted)] = str(acl_file(folder))
    port = free_port()
    line = [find_server(), *options, "--port", str(port), "--dir", folder, "--bind", "127.0.0.1"]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL) as server:
        try:
            yield port
        finally:
            server.terminate()


@pytest.mark.skipif(sys.platform == "win32", reason="starts a server")
async def test_a_message_is_answered_with_the_users_and_the_token_of_the_page(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    services = compose["services"]
    token = SECRETS["QQBUS_ONEBOT_TOKEN"]
    (tmp_path / "data").mkdir()
    with valkey(compose, tmp_path / "data") as port:
        urls = {
            name: filled(services[name]["environment"]["REDIS_URL"]).replace(
                "redis:6379", f"127.0.0.1:{port}"
            )
            for name in ("adapter", "echo")
        }
        operator = f"redis://qq-operator:{SECRETS['OPERATOR_PASSWORD']}@127.0.0.1:{port}"
        async with OneBotServer("napcat", token=token) as server, Bus.open(operator, "qq") as bus:

            async def serves() -> bool:
                with suppress(BusUnavailable):
                    await bus.ping()
                    return True
                return False

            await wait_until(serves, "the server answers", 30.0)
            settings = {"QQBUS_HTTP": "off", "QQBUS_NETWORK": "onebot", "QQBUS_ONEBOT_URL": server.url}
            it = OneBotSystem(bus, tmp_path, settings, server=server)
            try:
                echo = it.start("consumers.echo", REDIS_URL=urls["echo"])
                adapter = it.start("adapter", "run", REDIS_URL=urls["adapter"], QQBUS_ONEBOT_TOKEN=token)
                await it.online(adapter)
                server.say("friend:10001", "hello")
                (delivery,) = await server.wait_received(1, 30.0)
                assert (delivery.chat, delivery.text) == ("friend:10001", "hello"), echo.text()
                assert {one.token for one in server.record.handshakes.entries} == {"right"}
            finally:
                await it.kill_all()


def test_the_page_says_first_what_it_may_cost_and_then_what_to_do() -> None:
    text = PAGE.read_text(encoding="utf-8")
    first = text.split("\n\n")[1]
    assert "breaks Tencent's terms" in first
    assert "accounts have been frozen" in first
    for name in SECRETS:
        assert name in text
    for words in ("127.0.0.1:6099/webui", "上报自身消息", "上报离线消息", "users.acl", "session online"):
        assert words in text
    for words in ("Reverse WebSocket", "webhooks", "several accounts in one process"):
        assert words in text.partition("## What is left out")[2]
