"""What is installed: every version stands in constraints.txt, and every file's SHA-256 in locks/."""

import re
import tomllib

import pytest

from tests.support import ROOT

LOCKS = {file.stem: file.read_text(encoding="utf-8") for file in sorted((ROOT / "locks").glob("*.txt"))}
PIN = re.compile(
    r"(?m)^([a-z0-9-]+)==(\S+)(?: ; [^\\\n]+)? \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
)
# `make lock` fetches it for itself; nothing else does.
TOOLS = {"uv"}


def normal(name: str) -> str:
    """Normalise a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Return the versions of a lock by their packages."""
    return {name: version for name, version, _ in PIN.findall(text)}


@pytest.mark.parametrize("name", ["build", "run", "sim", "dev"])
def test_a_lock_holds_pins_with_hashes_and_nothing_else(name: str) -> None:
    before = {"sim": "-r run.txt\n", "dev": "-r sim.txt\n"}.get(name, "")
    head, left = "# Made by `make lock`; not to be edited.\n", PIN.sub("", LOCKS[name])
    assert left == head + before
    assert pins(LOCKS[name])


def test_the_locks_and_the_constraints_name_the_same_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = dict(line.split("==") for line in lines if not line.startswith("#"))
    locked = {name: version for text in LOCKS.values() for name, version in pins(text).items()}
    constrained = {normal(name): version for name, version in constraints.items()}
    assert locked == {name: version for name, version in constrained.items() if name not in TOOLS}


def test_every_dependency_of_the_project_is_locked_where_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    run = pins(LOCKS["run"])
    sim = run | pins(LOCKS["sim"])
    wanted = [
        (project["project"]["dependencies"] + extras["standby"], run),
        (extras["sim"], sim),
        (extras["dev"], sim | pins(LOCKS["dev"])),
        (project["build-system"]["requires"], pins(LOCKS["build"])),
    ]
    for requirements, locked in wanted:
        names = {normal(re.split(r"[\[<>=;! ]", one)[0]) for one in requirements} - {"qqbus"}
        assert names <= set(locked), "`make lock` writes them anew"
