"""Make tests/data/upgrade/ with the code of commit 0dcdfc0, from a checkout of that commit.

    cd CHECKOUT && python3 .ci/venv.py dev
    PYTHONPATH=. .venv/bin/python -P THIS_FILE tests/data/upgrade

Real adapters of that commit run against its simulator and an embedded server, and are killed in the middle:

holder/    state folder of the lease holder: session, habits, spool with published and unpublished records,
           and one record in the staging file beside the spool
former/    state folder of a former lease holder with one record that no server has seen
redis.json the server's data as commands, without times to live
manifest.json  what the present code has to make of it

The imports below are names of that commit and exist in its checkout alone.
"""
# ruff: noqa: I001 – the order of imports depends on which of them exist

import json
import shutil
import signal
import socket
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio

from adapter.bus.embedded import free_port, served
from adapter.bus.hold import Hold
from adapter.bus.late import LATE, names
from adapter.bus.spool import Spool
from adapter.bus.streams import Bus, ids_of
from tests.chaos.line import Line
from tests.helpers import wait_until
from tests.simulator import Answer
from tests.system import Program, System, system

COMMIT = "0dcdfc0"
BUDDY, GROUP = "/channel/send_buddy_msg2", "/channel/send_qun_msg2"
LIN, CHEN, TOM, READERS, NEIGHBOURS = (
    "friend:10001",
    "friend:20002",
    "friend:30003",
    "group:123456789",
    "group:223344556",
)
STRANGER = 111
# Longer than the making takes: what hangs is cut by a kill.
HANGS = 600.0
# Two messages of SmartQQ, not three.
LONG = " ".join(f"{number}中文" for number in range(120))
# Upstream's cookies end in a few years; the fixture is to be good for longer. Seconds since 1970.
NEVER = 4_000_000_000
# Commands of a rewritten append-only file that say nothing of the data.
SILENT = {"SELECT", "PEXPIREAT"}


async def main(out: Path) -> None:
    """Make the folder anew."""
    with tempfile.TemporaryDirectory(prefix="qqbus-upgrade-") as name:
        folder, port = Path(name), free_port()
        plain = ("--aof-use-rdb-preamble", "no")
        async with (
            served(folder / "redis", port, options=plain) as url,
            Line(port) as line,
            Bus.open(url, "qq") as bus,
            system(bus, f"redis://127.0.0.1:{line.port}", folder) as it,
        ):
            manifest = await play(it, line)
            manifest["simulator"] = session(it)
            commands, expiring = await data(bus, folder / "redis")
            manifest |= {"commit": COMMIT, "expiring": expiring}
        pack(folder, out, commands, manifest)


async def play(it: System, line: Line) -> dict[str, Any]:
    """Let three adapters leave their traces; returns the manifest."""
    chats = await begin(it)
    await leave(it, line, "former", ["left on a former holder's disk"])
    await leave(it, line, "given", ["given to the holder", "given to the holder, too"])
    holder = await hold(it, chats)
    hanging = await ask(it, chats)
    staged, spooled = await kill(it, line, holder)
    unread = [
        await it.ask(chats[LIN], "sent before the upgrade", id="app/sent"),
        await it.ask(chats[TOM], "not read before the upgrade", id="app/unread"),
    ]
    await give(it)
    return await write(it, chats, hanging, unread, {"staged": staged, "spooled": spooled})


async def begin(it: System) -> dict[str, str]:
    """Run a first term that ends well: events, results, a dead letter, habits; return the chats by name."""
    program = await it.adapter(state="holder", QQBUS_LEASE="1")
    for chat in (LIN, CHEN, TOM, READERS, NEIGHBOURS):
        it.sim.say(chat, f"hello from {chat}")
    rows = await it.events(5)
    chats = {row["text"].removeprefix("hello from "): row["chat"] for row in rows}
    await it.ask(chats[LIN], "sent before the upgrade", id="app/sent")
    await it.ask("friend:999", "nobody is there", id="app/unreachable")
    await it.ask("", "no address", id="app/rejected")
    await it.results(3)
    client, key = it.bus.client, it.bus.keys("inbound")
    await client.xgroup_create(key, "echo", id="0")
    await client.xgroup_create(key, "archive", id="0")
    read: Any = await client.xreadgroup("echo", "worker", {key: ">"}, count=5)
    await client.xack(key, "echo", *[entry for entry, _ in read[0][1]][:3])
    await program.stop()
    return chats


async def leave(it: System, line: Line, state: str, texts: list[str]) -> None:
    """Run an adapter that holds the lease, has no Redis any more, and dies with events on its disk."""
    program = it.start("adapter", "run", state=state, QQBUS_LEASE="1")
    await it.online(program)
    await line.cut()
    for text in texts:
        it.sim.say(LIN, text)
        await wait_until(lambda: it.sim.queued == 0, "it was polled")
        await it.sim.wait_poll()  # the poll behind it: what came before is on disk by then
    await end(program)
    await line.mend()


async def hold(it: System, chats: dict[str, str]) -> Program:
    """Run the last lease holder, whose lease outlives it; armed, it dies when a record has been staged."""
    program = it.start("tests.chaos.crash", "held", "1", "run", state="holder", QQBUS_LEASE="3600")
    await it.online(program)
    it.sim.say(READERS, "published by the last holder")
    await it.events(len(chats) + 1)
    return program


async def ask(it: System, chats: dict[str, str]) -> dict[str, str]:
    """Leave requests that hang in the middle, and some behind them; return their entries by id."""
    it.sim.next_answer(BUDDY, Answer(delay=HANGS), Answer(delay=HANGS))
    it.sim.next_answer(GROUP, Answer(), Answer(delay=HANGS))
    again = {"delivery": "at-least-once"}
    entries = {
        "app/begun": await it.ask(chats[LIN], "begun, at most once", id="app/begun"),
        "app/again": await it.ask(chats[CHEN], "begun, at least once", id="app/again", **again),
        "app/half": await it.ask(chats[READERS], LONG, id="app/half", results="qq:results:app", **again),
    }
    keys = [it.bus.keys.ledger(name) for name in entries]

    async def begun() -> bool:
        found = [await it.bus.hash(key) for key in keys]
        return all("token" in one for one in found) and found[-1]["sent"] == b"1"

    await wait_until(begun, "three are begun, and one of them is half sent", 20)
    entries |= {
        "app/behind": await it.ask(chats[LIN], "behind one that was begun", id="app/behind"),
        "app/urgent": await it.ask(chats[READERS], "behind a half", id="app/urgent", priority="high"),
    }

    async def read() -> bool:
        return await it.bus.pending_count("outbound") == len(entries)

    await wait_until(read, "all are read")
    return entries


async def kill(it: System, line: Line, holder: Program) -> tuple[list[str], list[str]]:
    """End the holder without Redis while a stranger is looked up; returns the ids of what is on its disk."""
    await line.cut()
    it.sim.say(LIN, "on the holder's disk")
    await wait_until(lambda: it.sim.queued == 0, "it was polled")
    await it.sim.wait_poll()
    holder.process.send_signal(signal.SIGUSR1)
    await wait_until(lambda: "armed" in holder.text(), "the hook is armed")
    it.sim.say(READERS, "who am I?", sender=STRANGER)
    await holder.ended()
    await line.mend()
    spool = it.folder / "holder" / "spool"
    staged = [one for frame in Hold(spool / "held").kept() for one in names(frame)]
    return staged, [one for one in unpublished(spool) if one not in staged]


async def give(it: System) -> None:
    """Let a former holder stand by and hand over what it has: the key is full and stays so."""
    program = it.start("adapter", "run", state="given", QQBUS_LEASE="1")

    async def given() -> bool:
        return bool(await it.bus.client.llen(it.bus.keys(LATE)) == 2)

    await wait_until(given, "both are handed over", 20)
    await program.stop()


async def write(
    it: System, chats: dict[str, str], hanging: dict[str, str], unread: list[str], disk: dict[str, list[str]]
) -> dict[str, Any]:
    client, keys = it.bus.client, it.bus.keys
    rows: Any = await client.xrange(keys("inbound"))
    late: Any = await client.lrange(keys(LATE), 0, -1)
    pending: Any = await client.xpending_range(keys("inbound"), "echo", "-", "+", 10)
    # What a request that was begun has to come to: at most once it may have been sent already.
    sent = {name: ["sent", "ok"] for name in (*hanging, "app/sent", "app/unread")}
    results = {entry: [name, *sent[name]] for name, entry in hanging.items()}
    results |= dict(zip(unread, (["app/sent", "sent", "ok"], ["app/unread", "sent", "ok"]), strict=True))
    results[hanging["app/begun"]] = ["app/begun", "unknown", "crash"]
    (half,) = [message.text for message in it.sim.received if message.text[:10] == LONG[:10]]
    return {
        "published": [[fields[b"id"].decode(), fields[b"text"].decode()] for _, fields in rows],
        "spooled": disk["spooled"],
        "staged": disk["staged"],
        "former": unpublished(it.folder / "former" / "spool"),
        "late": [one for frame in late for one in ids_of(frame.partition(b"\n")[2])],
        # Those of people, each said once.
        "texts": [fields[b"text"].decode() for _, fields in rows if fields[b"type"].startswith(b"message.")]
        + ["on the holder's disk", "who am I?", "left on a former holder's disk"]
        + ["given to the holder", "given to the holder, too"],
        "chats": chats,
        "results": results,
        "settled": len(await it.rows("results")),
        "utterances": [
            "begun, at least once",
            LONG.removeprefix(half).strip(),
            "behind one that was begun",
            "behind a half",
            "not read before the upgrade",
        ],
        "pending": [row["message_id"].decode() for row in pending],
    }


def unpublished(spool: Path) -> list[str]:
    """Return the ids of all records that the adapter of this folder has yet to publish."""
    with tempfile.TemporaryDirectory() as name:
        copy = shutil.copytree(spool, Path(name) / "spool")
        with Spool(copy) as opened:
            return [one for _, frame in opened.remaining() for one in names(frame)]


def session(it: System) -> dict[str, Any]:
    """Return what the simulator knows of the present login."""
    network = it.sim.network
    assert network.sessions.current
    ids = [
        [kind.value, number, momentary]
        for (kind, number), momentary in network.ids._momentary.items()  # noqa: SLF001 – of another commit
    ]
    current = network.sessions.current
    return {"psessionid": current.psessionid, "grant": vars(current.grant), "ids": ids}


async def data(bus: Bus, folder: Path) -> tuple[list[list[str]], list[str]]:
    """All data of the server as commands, and the keys that are to get a time to live."""
    await bus.client.delete(bus.keys("lease"))
    await bus.client.execute_command("BGREWRITEAOF")

    async def rewritten() -> bool:
        info: dict[str, Any] = await bus.client.info("persistence")
        return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]

    await wait_until(rewritten, "the data is written anew", 20)
    files = sorted(
        (folder / "appendonlydir").glob("*.base.aof"), key=lambda file: int(file.name.split(".")[2])
    )
    commands = [[text(word) for word in words] for words in parse(files[-1].read_bytes())]
    expiring = [words[1] for words in commands if words[0] == "PEXPIREAT"]
    return [words for words in commands if words[0] not in SILENT], expiring


def parse(aof: bytes) -> Iterator[list[bytes]]:
    """Return the commands of an append-only file without its comments."""
    at = 0

    def line() -> bytes:
        nonlocal at
        end = aof.index(b"\r\n", at)
        found, at = aof[at:end], end + 2
        return found

    while at < len(aof):
        if (head := line())[:1] == b"*":
            words = []
            for _ in range(int(head[1:])):
                size = int(line()[1:])
                words.append(aof[at : at + size])
                at += size + 2
            yield words


def text(word: bytes) -> str:
    """As JSON can hold it; `encode(errors="surrogateescape")` gives the bytes again."""
    # Holders are named after the machine: its name is no part of the fixture.
    return word.decode(errors="surrogateescape").replace(f"{socket.gethostname()}:", "host:")


async def end(program: Program) -> None:
    """SIGKILL."""
    program.process.kill()
    await program.ended()


def pack(folder: Path, out: Path, commands: list[list[str]], manifest: dict[str, Any]) -> None:
    """Write archive and manifest, without what differs from one machine to the next."""
    for state in ("holder", "former"):
        file = folder / state / "smartqq.json"
        tokens = json.loads(file.read_text(encoding="utf-8"))
        for cookie in tokens["cookies"]:
            cookie["expires"] = cookie["expires"] and NEVER
        file.write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")
        file.chmod(0o600)
    (folder / "redis.json").write_text(
        "[\n" + ",\n".join(json.dumps(words) for words in commands) + "\n]\n", encoding="ascii"
    )
    out.mkdir(parents=True, exist_ok=True)
    with tarfile.open(out / "state.tar.gz", "w:gz") as archive:
        for name in ("holder", "former", "redis.json"):
            archive.add(folder / name, name, filter=anonymous)
    lines = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    (out / "manifest.json").write_text(lines, encoding="utf-8")


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names of whoever made it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
