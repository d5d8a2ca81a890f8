"""What is deployed with: Procfile, image, compose file, systemd units. Run where that can be, linted where not."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from adapter.bus.bus import Bus
from adapter.config import Config
from adapter.ops.metrics import Metrics
from tests.support import ROOT
from tests.support.helpers import clean_environment, wait_until
from tests.support.ports import free_port
from tests.support.system_harness import Program, System, system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
# `PATH` as in an activated environment: the Procfile and the image call `qqbus` and `python` by name.
PATH = f"{BIN}{os.pathsep}{os.environ['PATH']}"
FRIEND = "friend:10001"


def tool(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*line: str | Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = clean_environment(PATH=PATH, **settings)
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)


# --- Procfile ----------------------------------------------------------------------------------


@asynccontextmanager
async def honcho(it: System, port: int) -> AsyncIterator[Program]:
    """`honcho start` on the Procfile, as a person types it; whatever it leaves is ended."""
    log = it.folder / f"honcho-{len(it.programs)}.log"
    settings = {name: value for name, value in it.settings.items() if name != "QQBUS_HTTP"}
    environment = clean_environment(
        **settings, PATH=PATH, PORT=str(port), QQBUS_STATE_DIR=str(it.folder / "state")
    )
    with log.open("wb") as output:
        line = [str(BIN / "honcho"), "--procfile", str(ROOT / "Procfile"), "start", "--no-prefix"]
        process = subprocess.Popen(  # noqa: ASYNC220 – starting takes no time
            line, env=environment, stdout=output, stderr=output, cwd=it.folder
        )
    program = Program(process, log)
    it.programs.append(program)
    try:
        yield program
    finally:
        # honcho that is killed leaves its processes behind, each in a session of its own.
        if process.poll() is None:
            for pid in re.findall(r"started \(pid=(\d+)\)", program.text()):
                os.killpg(int(pid), signal.SIGKILL)


async def healthy(port: int) -> bool:
    done = await anyio.run_process(
        [sys.executable, str(DEPLOY / "health.py")],
        env=clean_environment(QQBUS_HTTP="0.0.0.0:8710", PORT=str(port)),
        check=False,
    )
    return done.returncode == 0


async def test_the_procfile_runs_under_honcho_and_ends_without_a_loss(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with system(bus, redis_url, tmp_path) as it:
        port = free_port()
        for turn in range(2):
            async with honcho(it, port) as program:
                await it.sim.wait_poll(20.0)
                # Each process is given a PORT of its own; the adapter's page is on the first.
                await wait_until(lambda: healthy(port), "the page answers on PORT")
                for number in range(20):
                    it.sim.say(FRIEND, f"m{20 * turn + number}")
                await it.sim.wait_received(20 * turn + 5, 20.0)
                assert await program.stop() == 128 + signal.SIGTERM
                assert len(re.findall(r"stopped \(rc=0\)", program.text())) == 2, program.text()
        # What the first run had not come to, the second one has done: all, once, in order.
        async with honcho(it, port) as program:
            received = await it.sim.wait_received(40, 20.0)
            assert [message.text for message in received] == [f"m{number}" for number in range(40)]
            assert {row["status"] for row in await it.results(40)} == {"sent"}
            assert await program.stop() == 128 + signal.SIGTERM


def test_every_line_of_the_procfile_leads_to_a_program() -> None:
    text = (ROOT / "Procfile").read_text(encoding="utf-8")
    lines = dict(re.findall(r"(?m)^(?:# )?([a-z]+): exec (\S.*)$", text))
    assert {"adapter", "echo", "archive", "commands", "relay", "webhook"} <= set(lines)
    assert re.findall(r"(?m)^[a-z]+(?=:)", text) == ["adapter", "echo"]
    for line in lines.values():
        leads_to_a_program(shlex.split(line))


def leads_to_a_program(words: list[str]) -> None:
    match words:
        case ["qqbus", *_]:
            assert run(BIN / "qqbus", *words[1:], "--help").returncode == 0
        case ["python", "-m", module, *_]:
            assert find_spec(module), module
        case ["node" | "sh", file, *_]:
            assert (ROOT / file).is_file(), file
        case _:
            raise AssertionError(f"an unknown kind of program: {words}")


# --- health ------------------------------------------------------------------------------------


async def test_the_health_check_tells_a_healthy_process_from_one_that_is_away(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    page, numbers = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    asked = {"adapter": {"QQBUS_HTTP": page}, "worker": {"QQBUS_WORKER_HTTP": numbers}}
    # A proxy that the environment names must not be asked.
    proxy = {"http_proxy": "http://127.0.0.1:9"}

    async def answers(who: str) -> bool:
        done = await anyio.to_thread.run_sync(
            lambda: run(sys.executable, DEPLOY / "health.py", **asked[who], **proxy)
        )
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode == 0

    async with system(bus, redis_url, tmp_path) as it:
        assert not await answers("adapter")
        assert not await answers("worker")
        it.start("adapter", "run", QQBUS_HTTP=page)
        it.start("consumers.echo", QQBUS_WORKER_HTTP=numbers)
        await wait_until(lambda: answers("adapter"), "the adapter is healthy")
        await wait_until(lambda: answers("worker"), "the worker is healthy")
    assert run(sys.executable, DEPLOY / "health.py", QQBUS_HTTP="off").returncode == 0


# --- the image ---------------------------------------------------------------------------------


def steps() -> list[tuple[str, str]]:
    """Parse the Dockerfile's instructions with what follows them, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    joined = re.sub(r"\\\n\s*", " ", text)
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines()) if name]


def of(name: str) -> list[str]:
    return [rest for instruction, rest in steps() if instruction == name]


def test_the_dockerfile_passes_its_linter() -> None:
    done = run(tool("hadolint"), DEPLOY / "Dockerfile")
    assert done.returncode == 0, done.stdout


def test_the_image_is_built_in_stages_and_runs_without_root() -> None:
    bases = [rest.split()[0] for rest in of("FROM")]
    assert len(bases) == 2
    for base in bases:
        plain_image(base)
    assert of("USER")[-1].isdecimal()
    assert int(of("USER")[-1]) > 0
    assert all(rest.startswith('["') for rest in of("CMD"))
    assert 'CMD ["python", "/opt/qqbus/health.py"]' in of("HEALTHCHECK")[0]
    installs = [
        part
        for rest in of("RUN")
        for part in rest.split("&&")
        if "/pip install" in part or "/pip wheel" in part
    ]
    assert len(installs) == 4
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in of("LABEL")[0]
    # What is in the image, by its versions and licences, stands in it.
    assert any("pip inspect --local > /opt/qqbus/packages.json" in rest for rest in of("RUN"))
    assert of("VOLUME") == ["/var/lib/qqbus"]
    assert "QQBUS_STATE_DIR=/var/lib/qqbus" in of("ENV")[-1]


def plain_image(name: str) -> None:
    """Return an image's name without a registry's before it."""
    first, slash, _ = name.partition("/")
    assert not slash or not re.search(r"[.:]", first), name


def test_all_that_the_image_is_made_of_is_sent_to_the_engine() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for rest in of("COPY") if "--from" not in rest for word in rest.split()[:-1]}
    # Of `tests` only the simulators are sent.
    assert copied == {name.partition("/")[0] if name.startswith("tests/") else name for name in allowed}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"]} <= allowed
    for name in copied | allowed:
        assert (ROOT / name).exists(), name


# --- compose -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return made


def test_the_compose_file_is_understood_by_compose() -> None:
    docker = tool("docker")
    if run(docker, "compose", "version").returncode != 0:
        pytest.skip("docker has no compose here")
    done = run(docker, "compose", "--file", DEPLOY / "compose.yaml", "config", "--quiet")
    assert done.returncode == 0, done.stderr


def test_the_first_compose_understands_all_but_the_name(tmp_path: Path) -> None:
    """docker-compose 1 wants no engine for this, and is older than `name`, which is an option there."""
    compose = tool("docker-compose")
    quiet = {"PYTHONWARNINGS": "ignore"}  # it is of Python as we are, and long in the tooth
    if not re.search(r"version 1\.(2[7-9]|3\d)", run(compose, "--version", **quiet).stdout):
        pytest.skip("docker-compose is not the first one, of 1.27 or later")
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    (tmp_path / "compose.yaml").write_text(re.sub(r"(?m)^name: qqbus$", "", text), encoding="utf-8")
    line = ("--project-name", "qqbus", "--project-directory", DEPLOY, "--file", tmp_path / "compose.yaml")
    done = run(compose, *line, "config", **quiet)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)
    assert set(read["services"]) == {"users", "redis", "adapter", "echo", "archive"}
    for name in ("adapter", "echo", "archive"):
        service = read["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), "what is merged in"
        assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert service["build"] == {"context": str(ROOT), "dockerfile": "deploy/Dockerfile"}
    assert read["services"]["adapter"]["environment"]["QQBUS_LOGIN"] == "qr"


def test_the_compose_file_starts_what_exists_and_keeps_what_must_be_kept(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"users", "redis", "adapter", "echo", "archive", "sim", "bot"}
    assert (services["sim"]["profiles"], services["bot"]["profiles"]) == (["sim"], ["bot"])
    for name, service in services.items():
        plain_image(service["image"])
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["mem_limit"], name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or source == "./bot.py"
        if name == "users":
            assert service["network_mode"] == "none"
            continue
        assert service["restart"] == "unless-stopped", name
        assert int(service["stop_grace_period"].removesuffix("s")) > 20, name
        for network in service["networks"]:
            assert network in compose["networks"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
    for name in ("echo", "archive"):
        leads_to_a_program(services[name]["command"])
        assert services[name]["networks"] == ["bus"]
        assert services[name]["environment"]["QQBUS_WORKER_HTTP"]
    assert compose["networks"]["bus"]["internal"] is True
    assert "state:/var/lib/qqbus" in services["adapter"]["volumes"]
    assert "redis:/data" in services["redis"]["volumes"]
    build = services["adapter"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert ROOT / build["dockerfile"] == DEPLOY / "Dockerfile"


# --- systemd -----------------------------------------------------------------------------------


BOTS = (("qqbus-bot@", "hello"),)


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """Write the units as they would be installed, on the programs of this environment."""
    made = []
    for name, instance in (
        ("qqbus-adapter", ""),
        ("qqbus-worker@", "echo"),
        ("qqbus-worker@", "archive"),
        *BOTS,
    ):
        text = (DEPLOY / f"{name}.service").read_text(encoding="utf-8")
        made.append(tmp_path / f"{name}{instance}.service")
        made[-1].write_text(text.replace("/opt/qqbus/bin", str(BIN)), encoding="utf-8")
    return made


def test_systemd_understands_the_units(units: list[Path]) -> None:
    done = run(tool("systemd-analyze"), "verify", "--man=no", *units)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_units_are_shut_in(units: list[Path]) -> None:
    systemd = tool("systemd-analyze")
    if int(run(systemd, "--version").stdout.split()[1]) < 250:
        pytest.skip("this systemd cannot rate a unit that is not loaded")
    for unit in units:
        # 0 is shut in wholly, 100 open to everything; what needs the network cannot be under 10.
        done = run(systemd, "security", "--offline=true", "--threshold=15", "--no-pager", unit)
        assert done.returncode == 0, done.stdout


# --- settings ----------------------------------------------------------------------------------


def test_every_setting_that_is_offered_exists() -> None:
    sources = [*(ROOT / "adapter").rglob("*.py"), *(ROOT / "consumers").rglob("*.py")]
    known = set(re.findall(r'"((?:QQBUS|REDIS)_[A-Z_]+)"', "\n".join(file.read_text() for file in sources)))
    for name in ("compose.yaml", "Dockerfile", "adapter.env.example", "worker.env.example", "health.py"):
        named = re.findall(r"\b((?:QQBUS|REDIS)_[A-Z_]+)\b", (DEPLOY / name).read_text(encoding="utf-8"))
        assert set(named) <= known, name


def test_the_addresses_in_the_examples_are_understood() -> None:
    for name in ("adapter.env.example", "worker.env.example"):
        urls = re.findall(r"(?m)^#(REDIS_URL)=(.+)$", (DEPLOY / name).read_text(encoding="utf-8"))
        assert urls
        for variable, url in urls:
            assert Config.from_env({variable: url}).redis_url == url


# --- Prometheus --------------------------------------------------------------------------------


def test_the_alert_rules_fire_when_they_should_and_stay_quiet_otherwise() -> None:
    promtool = tool("promtool")
    for line in (("check", "rules", DEPLOY / "alerts.yaml"), ("test", "rules", DEPLOY / "alerts.test.yaml")):
        done = run(promtool, *line)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_figure_of_the_alert_rules_is_one_that_the_adapter_has() -> None:
    figures = set(re.findall(r"qqbus_[a-z_]+", Metrics().expose([], 0, 0, 0).decode()))
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"qqbus_[a-z_]+", rule["expr"])}
    assert named - figures == set()
