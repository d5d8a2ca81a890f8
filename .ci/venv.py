"""Makes .venv with the named extra of pyproject.toml; at once where that has been done.

`python3 .ci/venv.py sim|dev`. Two calls at the same time wait for each other, and a call that was cut
short is made good by the next one.
"""

import fcntl
import hashlib
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
INCLUDED = {"sim": ("sim", "dev"), "dev": ("dev",)}  # what satisfies a wish
OLDEST = (3, 11)


def main(extra: str) -> None:
    """Install what is missing."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12 …"
        )
    stamp = _stamp()
    if not _ready(extra, stamp):
        with (ROOT / ".venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _ready(extra, stamp):
                _install(extra, stamp)


def _ready(extra: str, stamp: str) -> bool:
    done = (VENV / f".{one}" for one in INCLUDED[extra])
    return any(file.exists() and file.read_text() == stamp for file in done)


def _stamp() -> str:
    digest = hashlib.sha256(sys.version.encode())
    # The installation compiles the catalogues of translations.
    catalogues = sorted((ROOT / "adapter" / "locale").rglob("*.po"))
    for file in (ROOT / "pyproject.toml", *sorted((ROOT / "locks").glob("*.txt")), *catalogues):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _install(extra: str, stamp: str) -> None:
    began = time.monotonic()
    print(f"setting up .venv ({extra}) …", flush=True)
    if not (VENV / "bin" / "python").exists():
        _call(sys.executable, "-m", "venv", str(VENV))
    pip = (str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    # An editable package has no hash: all else first and by its hash, then the package without an index.
    locks = [word for name in ("build", extra) for word in ("-r", str(ROOT / "locks" / f"{name}.txt"))]
    _call(*pip, "--require-hashes", *locks)
    _call(*pip, "--no-index", "--no-build-isolation", "--editable", f"{ROOT}[{extra}]")
    (VENV / f".{extra}").write_text(stamp)
    print(f"… done in {time.monotonic() - began:.0f} s", flush=True)


def _call(*line: str) -> None:
    if subprocess.run(line, check=False).returncode != 0:  # noqa: S603 – our own command lines
        sys.exit(
            "setting up .venv failed, see above. No matching distribution: locks/ is behind pyproject.toml, "
            "`make lock` writes it anew. Else `make clean` starts anew"
        )


main(sys.argv[1])
