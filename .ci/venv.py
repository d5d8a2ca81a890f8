"""Makes .venv with the named extra of pyproject.toml; at once where that has been done.

`python3 .ci/venv.py sim|dev`. Two calls at the same time wait for each other, and a call that was cut
short is made good by the next one.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
INCLUDED = {"sim": ("sim", "dev"), "dev": ("dev",)}  # what satisfies a wish
OLDEST = (3, 11)
# No catalogue is compiled yet: what a Chinese terminal gets instead of these texts.
CHINESE = {
    "Python 3.11 or newer is needed, this is {}: make PYTHON=python3.12 …": (
        "需要 Python 3.11 以上，现在是 {}：make PYTHON=python3.12 …"
    ),
    "setting up .venv ({}) …": "正在准备 .venv（{}）…",
    "… done in {:.0f} s": "… 完成，用时 {:.0f} 秒",
    "setting up .venv failed, see above. No matching distribution: locks/ is behind pyproject.toml, "
    "`make lock` writes it anew. Else `make clean` starts anew": (
        "准备 .venv 失败，见上文。如果是 No matching distribution：locks/ 落后于 pyproject.toml，"
        "`make lock` 会重新写它；否则用 `make clean` 从头再来"
    ),
}


def main(extra: str) -> None:
    """Install what is missing."""
    if sys.version_info < OLDEST:
        text = "Python 3.11 or newer is needed, this is {}: make PYTHON=python3.12 …"
        sys.exit(_translate(text).format(sys.version.split()[0]))
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
    print(_translate("setting up .venv ({}) …").format(extra), flush=True)
    if not (VENV / "bin" / "python").exists():
        _call(sys.executable, "-m", "venv", str(VENV))
    pip = (str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    # An editable package has no hash: all else first and by its hash, then the package without an index.
    locks = [word for name in ("build", extra) for word in ("-r", str(ROOT / "locks" / f"{name}.txt"))]
    _call(*pip, "--require-hashes", *locks)
    _call(*pip, "--no-index", "--no-build-isolation", "--editable", f"{ROOT}[{extra}]")
    (VENV / f".{extra}").write_text(stamp)
    print(_translate("… done in {:.0f} s").format(time.monotonic() - began), flush=True)


def _call(*line: str) -> None:
    if subprocess.run(line, check=False).returncode != 0:  # noqa: S603 – our own command lines
        sys.exit(
            _translate(
                "setting up .venv failed, see above. No matching distribution: locks/ is behind "
                "pyproject.toml, `make lock` writes it anew. Else `make clean` starts anew"
            )
        )


def _translate(text: str) -> str:
    """Return the text in Chinese, if the language of the terminal is that."""
    names = ("QQBUS_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    language = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return CHINESE[text] if language.lower().startswith("zh") else text


main(sys.argv[1])
