"""The wheel and the sdist: an installation without the checkout runs demo, worker, simulators and commands."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.helpers import clean_environment

pytestmark = pytest.mark.timeout(240)

# What no import finds: data beside the modules.
DATA = (
    "adapter/contract/asyncapi.yaml",
    "adapter/contract/schemas/inbound.json",
    "adapter/locale/zh_CN/LC_MESSAGES/qqbus.mo",
    "adapter/ops/page/static/index.html",
    "adapter/ops/page/static/page.js",
    "adapter/py.typed",
    "qqbus/__init__.py",
    "qqbus_sim/Procfile",
    "qqbus_sim/demo.py",
    "qqbus_sim/official_server/__main__.py",
    "qqbus_sim/onebot_server/__main__.py",
    "qqbus_sim/simulator/phone_page/phone.html",
)
WORKER = """
from qqbus import Event, Worker

worker = Worker("hello")


@worker.on("message", text="^hello")
async def hello(event: Event) -> None:
    await event.reply("hello yourself")


worker.main()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both; returns their folder."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", str(folder), cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an empty environment; returns the folder of its programs.

    Its dependencies are those of this environment: no index is needed.
    """
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", str(folder))
    programs = folder / "bin"
    run(str(programs / "python"), "-m", "pip", "install", "-q", "--no-deps", "--no-index", *wheels(built))
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return programs


def run(*line: str, cwd: Path | None = None, **settings: str) -> str:
    done = subprocess.run(
        line, cwd=cwd, env=environment(**settings), capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(**settings: str) -> dict[str, str]:
    """Return an environment in which nothing leads to the checkout."""
    return clean_environment(PYTHONWARNINGS="", **settings) | {"PYTHONPATH": "", "NO_COLOR": "1"}


def wheels(folder: Path) -> list[str]:
    return [str(path) for path in folder.glob("*.whl")]


@contextmanager
def program(*line: str, cwd: Path, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program; afterwards end it, and what it has started."""
    with subprocess.Popen(
        line,
        cwd=cwd,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)


def read_until(started: "subprocess.Popen[str]", text: str) -> str:
    """Read lines up to one that holds a text."""
    assert started.stdout
    lines = []
    for line in started.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"ended without {text!r}: {''.join(lines)}")


def test_wheel_and_sdist_hold_the_data_and_the_simulators(built: Path) -> None:
    (wheel,) = wheels(built)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert set(DATA) <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        files = {name.partition("/")[2] for name in tar.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "tests/demo.py", "adapter/py.typed"} <= files
    assert not [name for name in files if name.startswith((".venv", ".git/"))]


def test_every_command_of_an_installation_helps(installed: Path, tmp_path: Path) -> None:
    assert run(str(installed / "qqbus"), "--version", cwd=tmp_path) == "qqbus 0.2.0\n"
    assert "asyncapi" in run(str(installed / "qqbus"), "contract", cwd=tmp_path)
    assert "显示这段帮助并退出" in run(str(installed / "qqbus"), "--help", cwd=tmp_path, QQBUS_LANG="zh_CN")
    for network in ("smartqq", "onebot", "official"):
        text = run(str(installed / "qqbus"), "sim", network, "--help", cwd=tmp_path)
        assert f"usage: qqbus sim {network}" in text
        text = run(str(installed / "qqbus"), "sim", network, "--help", cwd=tmp_path, QQBUS_LANG="zh_CN")
        assert f"用法：qqbus sim {network}" in text


def test_an_installation_runs_the_demo_and_a_worker(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(WORKER, encoding="utf-8")
    (tmp_path / "tests").mkdir()  # a project of its own, which must not pass for the simulators
    (tmp_path / "tests" / "__init__.py").write_text("raise SystemExit('the wrong tests')", encoding="utf-8")
    with program(str(installed / "qqbus"), "demo", "--any-ports", cwd=tmp_path) as demo:
        text = read_until(demo, "Ctrl-C ends it")
        url = next(re.finditer(r"REDIS_URL=(\S+)", text))[1]
        chat = next(re.finditer(r"(friend:\d{8,})", text))[1]
        sent = run(str(installed / "qqbus"), "send", chat, "by hand", "--wait", cwd=tmp_path, REDIS_URL=url)
        assert sent.startswith("sent")
        with program(str(installed / "python"), "hello.py", cwd=tmp_path, REDIS_URL=url):
            # The worker's group begins with the oldest event, which says hello.
            read_until(demo, "hello yourself")
        demo.send_signal(signal.SIGINT)
        read_until(demo, "ended cleanly")
        assert demo.wait(30) == 0
