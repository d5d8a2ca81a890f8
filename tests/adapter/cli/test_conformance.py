"""Prove `qqbus check --worker`: a sound worker passes, and each fault of another is found.

`python -m tests.adapter.cli.test_conformance FAULT` is that other worker: synchronous, small, wrong in one way.
"""

import os
import re
import sys
import uuid
from typing import Any

import anyio
import pytest
import redis

from adapter.bus.bus import Bus
from tests.support.helpers import clean_environment

GROUP = "trial"
NEW_ID, NO_ID, SILENT_PEERS, DEAF = "new-id", "no-id", "no-claim", "no-ack"
FRAGILE, HELPLESS, ECHOING, BARE = "fragile", "helpless", "answers-self", "none"

READS = "reads events and acknowledges them"
IDS = "its replies carry an id"
AGAIN = "the same event again"
CLAIMS = "claims what a dead peer left"
OWN = "does not answer self=1"
STRANGE = "passes over fields"
GROUPS = "makes its group again"


class Worker:
    """Reads, claims, replies, acknowledges; but for its fault."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.client = redis.Redis.from_url(os.environ["REDIS_URL"], retry=None)
        self.inbound, self.outbound = (
            f"{os.environ['QQBUS_PREFIX']}:{name}" for name in ("inbound", "outbound")
        )

    def make(self) -> None:
        try:
            self.client.xgroup_create(self.inbound, GROUP, id="0", mkstream=True)
        except redis.ResponseError as exc:
            if "BUSYGROUP" not in str(exc):
                raise

    def handle(self, entry: bytes, event: dict[bytes, bytes]) -> None:
        message = event[b"type"].startswith(b"message.")
        if self.fault == FRAGILE and not message:
            raise SystemExit("never heard of it")
        if message and (event[b"self"] == b"0" or self.fault == ECHOING):
            self.reply(event)
        if self.fault != DEAF:
            self.client.xack(self.inbound, GROUP, entry)

    def reply(self, event: dict[bytes, bytes]) -> None:
        fields: dict[Any, Any] = {b"to": event[b"chat"], b"text": event[b"text"]}
        if self.fault != NO_ID:
            fields[b"id"] = str(uuid.uuid4()).encode() if self.fault == NEW_ID else b"w/" + event[b"id"]
        self.client.xadd(self.outbound, fields)

    def turn(self) -> None:
        if self.fault != SILENT_PEERS:
            claimed: Any = self.client.xautoclaim(self.inbound, GROUP, "me", 30_000)
            for entry, event in claimed[1]:
                self.handle(entry, event)
        answer: Any = self.client.xreadgroup(GROUP, "me", {self.inbound: ">"}, block=50)
        for entry, event in answer[0][1] if answer else ():
            self.handle(entry, event)


def main(fault: str) -> None:
    """Work until killed."""
    worker = Worker(fault)
    worker.make()
    while True:
        try:
            worker.turn()
        except redis.ResponseError:
            if fault == HELPLESS:
                raise
            worker.make()


async def tried(bus: Bus, redis_url: str, *arguments: str, prefix: str = "") -> tuple[int, dict[str, str]]:
    """Return the exit code of a trial, and its verdicts by their first words."""
    environment = clean_environment(REDIS_URL=redis_url, QQBUS_PREFIX=prefix or bus.keys.prefix)
    line = [sys.executable, "-m", "adapter", "check", "--worker", GROUP, "--timeout", "10", *arguments]
    with anyio.fail_after(55):
        done = await anyio.run_process(line, env=environment, check=False)
    found = re.findall(r"^(pass|FAIL)  (.*)$", done.stdout.decode(), re.MULTILINE)
    verdicts = {what: verdict for verdict, what in found}
    assert b"Traceback" not in done.stderr or arguments[-1] == HELPLESS, done.stderr.decode()
    return done.returncode, verdicts


def failed(verdicts: dict[str, str]) -> list[str]:
    return [what for what, verdict in verdicts.items() if verdict == "FAIL"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (BARE, []),
        (NEW_ID, [AGAIN, CLAIMS]),
        (NO_ID, [IDS, AGAIN, CLAIMS]),
        (SILENT_PEERS, [CLAIMS]),
        (DEAF, [READS]),
        (FRAGILE, [STRANGE, GROUPS]),
        (HELPLESS, [GROUPS]),
        (ECHOING, [OWN]),
    ],
)
async def test_the_fault_of_a_worker_is_found_and_no_other(
    bus: Bus, redis_url: str, fault: str, found: list[str]
) -> None:
    program = ["--", sys.executable, "-m", "tests.adapter.cli.test_conformance", fault]
    code, verdicts = await tried(bus, redis_url, *program)
    wrong = failed(verdicts)
    assert [any(what.startswith(words) for what in wrong) for words in found] == [True] * len(found), verdicts
    assert len(wrong) == len(found), verdicts
    assert code == (1 if found else 0)
    # Nothing is left of the keys on which it was tried.
    assert not [key async for key in bus.client.scan_iter(match=f"{bus.keys.prefix}*")]


@pytest.mark.anyio
@pytest.mark.long
async def test_our_own_worker_passes(bus: Bus, redis_url: str) -> None:
    environment = clean_environment(REDIS_URL=redis_url, QQBUS_PREFIX=bus.keys.prefix)
    line = [
        sys.executable,
        "-m",
        "adapter",
        "check",
        "--worker",
        "echo",
        "--",
        sys.executable,
        "-m",
        "consumers.echo",
    ]
    with anyio.fail_after(55):
        done = await anyio.run_process(line, env=environment, check=False)
    assert (done.returncode, done.stdout.count(b"pass  ")) == (0, 7), done.stdout.decode()


@pytest.mark.anyio
async def test_a_program_that_ends_at_once_is_named(bus: Bus, redis_url: str) -> None:
    code, verdicts = await tried(bus, redis_url, "--", sys.executable, "-c", "pass")
    assert (code, list(verdicts)) == (1, [f"{READS}: the program has ended"])


@pytest.mark.anyio
async def test_a_worker_is_not_tried_where_an_adapter_would_send_what_it_says(
    bus: Bus, redis_url: str
) -> None:
    await bus.client.set(bus.keys("lease"), "x", ex=30)
    assert await tried(bus, redis_url) == (2, {})


if __name__ == "__main__":
    main(sys.argv[1])
