"""What a user might take instead, each in an environment of its own: pinned, and made when it is needed."""

import os
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".bench" / "peers"


@dataclass(frozen=True)
class Peer:
    """What is installed, and how many events it gets: about a second's worth."""

    version: str
    packages: tuple[str, ...]
    events: int


PEERS = {
    "FastStream": Peer("0.7.8", ("faststream[redis]==0.7.8", "redis==8.1.0", "hiredis==3.5.0"), 1_000),
    "taskiq-redis": Peer(
        "1.2.4", ("taskiq-redis==1.2.4", "taskiq==0.13.0", "redis==8.1.0", "hiredis==3.5.0"), 1_000
    ),
    "arq": Peer("0.28.0", ("arq==0.28.0", "redis==5.3.1", "hiredis==3.5.0"), 1_000),
    "docket": Peer("0.27.0", ("pydocket==0.27.0", "redis==8.1.0", "hiredis==3.5.0"), 250),
}


def script(name: str) -> Path:
    """Return the program that measures this peer."""
    return Path(__file__).with_name(f"{name.lower().replace('-', '_')}_peer.py")


def environment() -> dict[str, str]:
    """Nothing of ours is to be seen there."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}


def prepared() -> dict[str, Path | str]:
    """Return the interpreter of each peer, or why there is none."""
    with ThreadPoolExecutor(len(PEERS)) as pool:
        return dict(zip(PEERS, pool.map(_prepare, PEERS), strict=True))


def _prepare(name: str) -> Path | str:
    peer, place = PEERS[name], FOLDER / name.lower()
    python, done = place / "bin" / "python", place / "installed"
    wanted = "\n".join(peer.packages)
    if done.exists() and done.read_text() == wanted:
        return python
    print(f"installing {name} {peer.version} …", file=sys.stderr, flush=True)
    venv.create(place, clear=True)
    line = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    ended = subprocess.run(
        [*line, "install", "--quiet", *peer.packages], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        return "cannot be installed here"
    done.write_text(wanted)
    return python
