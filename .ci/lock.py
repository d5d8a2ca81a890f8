"""Write locks/*.txt: what an installation fetches, by version and SHA-256.

`make lock` after a change of the dependencies in pyproject.toml or of a pin in constraints.txt. uv resolves
for every platform and every Python at once; it is fetched into a folder that goes afterwards.

build.txt  what builds the package
run.txt    what it needs to run, with the extra `standby`
sim.txt    run.txt, and what the extra `sim` has beside it
dev.txt    sim.txt, and what the extra `dev` has beside it
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
# Each file begins with the one before it; build.txt stands alone.
EXTRAS = {"run": "standby", "sim": "sim,standby", "dev": "dev"}
# Hatchling asks for it where a package is installed as editable.
EDITABLE = "editables"
_PIN = re.compile(r"(?m)^(?=[a-z0-9])")


def main() -> None:
    """Resolve, and write each file."""
    LOCKS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _call(sys.executable, "-m", "venv", name)
        pip = (str(folder / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet")
        _call(*pip, "--constraint", str(ROOT / "constraints.txt"), "uv")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = folder / "build.in"
        wanted.write_text("\n".join([*project["build-system"]["requires"], EDITABLE]), encoding="utf-8")
        _write("build", "", _resolved(folder, str(wanted)))
        known: set[str] = set()
        before = ""
        for lock, extras in EXTRAS.items():
            line = [word for extra in extras.split(",") for word in ("--extra", extra)]
            pins = _resolved(folder, str(ROOT / "pyproject.toml"), *line)
            _write(lock, before, [pin for pin in pins if pin not in known])
            known.update(pins)
            before = f"-r {lock}.txt\n"


def _resolved(folder: Path, *line: str) -> list[str]:
    """Return one text a package: its pin and, in lines of their own, its hashes."""
    out = folder / "lock.txt"
    out.unlink(missing_ok=True)
    options = ("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")
    pins = ("--constraint", str(ROOT / "constraints.txt"))
    _call(str(folder / "bin" / "uv"), "pip", "compile", *options, *pins, "--output-file", str(out), *line)
    return [pin for pin in _PIN.split(out.read_text(encoding="utf-8")) if pin]


def _write(lock: str, before: str, pins: list[str]) -> None:
    text = f"# Made by `make lock`; not to be edited.\n{before}{''.join(pins)}"
    (LOCKS / f"{lock}.txt").write_text(text, encoding="utf-8")


def _call(*line: str) -> None:
    if subprocess.run(line, check=False).returncode != 0:  # noqa: S603 – our own command lines
        sys.exit("the locks were not written, see above")


main()
