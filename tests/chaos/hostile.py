"""The hostile neighbour of a chaos run: a process with the role `worker` that writes what no worker should.

`python -m tests.chaos.hostile REDIS_URL SEED [PREFIX]` attacks until it is ended; `beside` runs it in a chaos run.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import msgpack
import redis

from adapter.bus.connection import connect
from adapter.contract.acl import ROLES, hash_password, setuser_line
from tests.chaos.cluster import Stage

USER, PASSWORD = "hostile", "hostile"
LAST = f"{2**64 - 1}-{2**64 - 1}"
# Megabytes that one run writes in large entries: the checker reads them.
MAX_MB = 200
MB = 1024 * 1024
# Groups that it makes: each is looked at in every run of the retention.
MAX_GROUPS = 50
# Times that it uses up the ids of a stream: each begins the stream again, and a checker reads it.
MAX_LAST_IDS = 6
# Seconds between two looks at the memory of the adapters, and megabytes that they may take.
LOOK_SECONDS = 0.3
MOST_MB = 200
# The name of that figure.
RSS = "adapter RSS, highest in MB"

Fields = dict[Any, Any]


class Neighbour:
    """Attack after attack, at random."""

    def __init__(self, client: "redis.Redis", chance: random.Random, prefix: str = "qq") -> None:
        self._client = client
        self._prefix = prefix
        self._chance = chance
        self._number = 0
        self._megabytes = 0
        self._groups = 0
        self._last_ids = 0

    def attack(self) -> None:
        """Carry out one attack."""
        self._number += 1
        attacks: list[Callable[[], None]] = [
            *([self.malformed] * 8),
            *([self.deep] * 3),
            *([self.letter] * 3),
            *([self.flood] * 2),
            *(self.large, self.group, self.last_id),
        ]
        self._chance.choice(attacks)()

    def _add(self, stream: str, fields: Fields, entry: str = "*") -> None:
        self._client.xadd(f"{self._prefix}:{stream}", fields, id=entry)

    def _bytes(self, most: int = 40) -> bytes:
        return self._chance.randbytes(self._chance.randrange(most))

    def malformed(self) -> None:
        """Give any field any bytes."""
        names = ("to", "text", "body", "id", "expires", "delivery", "priority", "results", "op", "__data__")
        self._add(
            "outbound", {name: self._bytes() for name in self._chance.sample(names, 4)} | {b"\xff": b""}
        )

    def deep(self) -> None:
        """Nest msgpack and JSON, and give a few bytes for each of very many values."""
        deep = b"\x81\xa8segments" + b"\x91" * 1000 + b"\xc0"
        wide = b"\x81\xa8segments\xdd\x00\x03\xd0\x90" + b"\x80" * 250_000
        body = self._chance.choice([deep, wide, b'{"segments":' + b"[" * 100_000, b"{" + b'"a":{' * 900])
        self._add("outbound", {"to": "friend:1", "id": f"hostile/{self._number}", "body": body})

    def letter(self) -> None:
        """Forge a dead letter: nested, with a reason of a megabyte, of an event that never was."""
        fields = self._chance.choice(
            [b"\x81\xa1x" + b"\x91" * 1000 + b"\xc0", b"\xdf\xff\xff\xff\xff", self._bytes(), b""]
        )
        long = "x" * self._chance.choice([10, MB // 4])
        self._add(
            "dead",
            {"v": "1", "stream": f"{self._prefix}:inbound", "entry": "1-1", "detail": long, "fields": fields},
        )

    def flood(self) -> None:
        """Ask for nonsense with a result stream for each entry."""
        with self._client.pipeline(transaction=False) as pipe:
            for number in range(200):
                name = f"{self._prefix}:results:h{self._number}-{number}"
                fields: Fields = {"to": "x", "results": name, "id": f"hostile/{self._number}.{number}"}
                pipe.xadd(f"{self._prefix}:outbound", fields)
            pipe.execute()

    def large(self) -> None:
        """Write entries of megabytes."""
        size = self._chance.choice([1, 3, 20])
        if self._megabytes + size <= MAX_MB:
            self._megabytes += size
            stream = self._chance.choice(["outbound", "outbound", "dead"])
            body = msgpack.packb({"segments": [b"x" * size * MB]})
            self._add(
                stream, {"to": "friend:1", "id": f"hostile/{self._number}", "body": body, "fields": body}
            )

    def group(self) -> None:
        """Make a group with any name at an odd id, and read as it without an acknowledgement."""
        self._groups += 1
        if self._groups > MAX_GROUPS:
            return
        name: Any = self._chance.choice([b"\xff\xfe", "\u673a".encode("gbk"), b"g" * 1000]) + self._bytes(8)
        start = self._chance.choice(["0", "$", f"{int(time.time() * 1000)}-{2**64 - 1}", LAST, "0-1"])
        inbound = f"{self._prefix}:inbound"
        self._client.xgroup_create(inbound, name, id=start)
        self._client.xreadgroup(name, name, {inbound: ">"}, count=3)

    def last_id(self) -> None:
        """Use up the ids of a stream."""
        self._last_ids += 1
        if self._last_ids <= MAX_LAST_IDS:
            year_ms = int(time.time() * 1000) + 365 * 86_400_000
            late = self._chance.choice([LAST, f"{2**63}-7", f"{year_ms}-0"])
            self._add(self._chance.choice(["outbound", "dead"]), {"to": "x", "id": "hostile/last"}, late)


def main(url: str, seed: int, prefix: str = "qq") -> None:
    """Attack until ended; Redis may be away, and refuses much."""
    chance = random.Random(seed)
    neighbour = Neighbour(redis.Redis.from_url(url, protocol=2), chance, prefix)
    while True:
        with suppress(redis.RedisError, OSError):
            neighbour.attack()
        time.sleep(chance.uniform(0, 0.1))


async def beside(stage: Stage, seed: int, figures: dict[str, object]) -> None:
    """Run the neighbour until cancelled; keep its user, which a killed server forgets, and watch the memory."""
    process = _start(stage, seed)
    try:
        while True:
            await _ensure_user(stage.url)
            note_memory(stage, figures)
            await anyio.sleep(LOOK_SECONDS)
    finally:
        process.kill()
        process.wait()


def note_memory(stage: Stage, figures: dict[str, object]) -> None:
    """Keep the most memory that an adapter has had so far, in megabytes."""
    highest = int(str(figures.get(RSS, 0)))
    for role in stage.adapters:
        with suppress(OSError, IndexError, AssertionError):  # it has just ended
            highest = max(highest, peak_mb(role.pid))
    figures[RSS] = highest


def _start(stage: Stage, seed: int) -> "subprocess.Popen[bytes]":
    address = urlsplit(stage.url)
    url = f"redis://{USER}:{PASSWORD}@{address.hostname}:{address.port}"
    line = [sys.executable, "-m", "tests.chaos.hostile", url, str(seed)]
    with (stage.folder / "hostile.log").open("wb") as log:
        return subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


async def _ensure_user(url: str) -> None:
    client = connect(url)
    try:
        with suppress(redis.RedisError, OSError):
            words = setuser_line(ROLES["worker"], "qq", user=USER, secret=hash_password(PASSWORD)).split()
            await client.execute_command("ACL", "SETUSER", *words)  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()


def peak_mb(pid: int) -> int:
    """Return the most memory that a process has had, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:4])
