"""A real Redis Cluster of three masters: the bus follows its slot wherever that goes."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest
import redis.asyncio as redis

from adapter.bus.bus import Bus
from adapter.bus.connection import connect, map_redis_errors
from adapter.bus.embedded import find_server
from adapter.config import Config
from adapter.contract.acl import ROLES, hash_password, setuser_line
from adapter.errors import BusUnavailable, ConfigError
from consumers.runtime.worker import Event, Settings, Worker, WorkerOptions
from tests.support.helpers import wait_until
from tests.support.ports import free_port
from tests.support.system_harness import System, system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

SLOTS = 16_384
MASTERS = 3


class Nodes:
    """The nodes of a Cluster under test; the first MASTERS own the slots."""

    def __init__(self, ports: Sequence[int], processes: Mapping[int, "subprocess.Popen[bytes]"]) -> None:
        self.ports = ports
        self.processes = processes

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports[:2])

    async def ask(self, port: int, *words: str | int) -> Any:
        """One command to one node."""
        client = redis.Redis(port=port, retry=None, protocol=2)
        try:
            return await client.execute_command(*words)
        finally:
            await client.aclose()

    async def answer(self) -> bool:
        try:
            return all([await self.ask(port, "PING") for port in self.ports])
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    async def agreed(self) -> bool:
        """Whether every node sees the whole Cluster."""
        for port in self.ports:
            info = await self.ask(port, "CLUSTER", "INFO")
            if (
                f"cluster_known_nodes:{len(self.ports)}".encode() not in info
                or b"cluster_state:ok" not in info
            ):
                return False
        return True

    async def owner(self, prefix: str) -> int:
        """Return the port of the node that owns the slot of a prefix, as the last node names it."""
        slot = await self.ask(self.ports[-1], "CLUSTER", "KEYSLOT", prefix)
        for first, last, master, *_ in await self.ask(self.ports[-1], "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return int(master[1])
        raise AssertionError(f"nobody owns slot {slot}")

    async def move(self, prefix: str, source: int, target: int) -> None:
        """Hand a slot with its keys to another node, as `redis-cli --cluster reshard` does."""
        slot = await self.ask(source, "CLUSTER", "KEYSLOT", prefix)
        names = {port: (await self.ask(port, "CLUSTER", "MYID")).decode() for port in self.ports}
        await self.ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
        await self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
        while keys := await self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 10):
            for key in keys:
                await self.ask(source, "MIGRATE", "127.0.0.1", target, key.decode(), 0, 5000)
        for port in (target, source):
            await self.ask(port, "CLUSTER", "SETSLOT", slot, "NODE", names[target])


def start(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    """Run a node that stays down when it dies."""
    folder.mkdir(parents=True)
    server = os.environ.get("QQBUS_TEST_SERVER") or str(find_server())
    line = [server, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    line += ["--appendonly", "yes", "--save", "", "--logfile", "server.log"]
    # By itself it takes a port that is 10,000 higher, where somebody may listen already.
    line += ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    line += ["--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0", "--shutdown-timeout", "0"]
    return subprocess.Popen(line, stdin=subprocess.DEVNULL)


@asynccontextmanager
async def cluster(folder: Path, replicas: int = 0) -> AsyncIterator[Nodes]:
    """Three masters that share the slots; `replicas` more nodes, without a master yet."""
    processes = {}
    try:
        for number in range(MASTERS + replicas):
            port = free_port()
            processes[port] = start(folder / f"node{number}", port)
        nodes = Nodes(list(processes), processes)
        await wait_until(nodes.answer, "all nodes answer", 20.0)
        for number, port in enumerate(nodes.ports[:MASTERS]):
            first, last = number * SLOTS // MASTERS, (number + 1) * SLOTS // MASTERS - 1
            await nodes.ask(port, "CLUSTER", "ADDSLOTSRANGE", first, last)
            await nodes.ask(port, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for port in nodes.ports[1:]:
            other = (await nodes.ask(port, "CONFIG", "GET", "cluster-port"))[1].decode()
            await nodes.ask(nodes.ports[0], "CLUSTER", "MEET", "127.0.0.1", port, other)
        await wait_until(nodes.agreed, "the nodes have met", 20.0)
        yield nodes
    finally:
        for process in processes.values():
            process.kill()
        for process in processes.values():
            process.wait()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with anyio.from_thread.start_blocking_portal() as portal:
        made = cluster(tmp_path_factory.mktemp("cluster"))
        with portal.wrap_async_context_manager(made) as opened:
            yield opened


@pytest.fixture
def tag(prefix: str) -> str:
    """Return a hash tag that no other test uses; it decides which node has the keys."""
    return f"{{{prefix}}}"


async def contiguous(it: System) -> bool:
    """Whether no number is missing and none there twice."""
    rows = await it.rows("inbound")
    return [int(row["seq"]) for row in rows] == list(range(1, 1 + len(rows)))


async def test_adapter_and_workers_do_all_their_work_on_a_cluster(
    nodes: Nodes, tag: str, tmp_path: Path
) -> None:
    worker = Worker(
        "lanes",
        options=WorkerOptions(partitioned=True, session_timeout=1.0),
        settings=Settings(nodes.url, tag),
    )

    @worker.on("message")
    async def answer(event: Event) -> None:
        await event.reply(f"lanes: {event.text}")

    async with Bus.open(nodes.url, tag) as bus, system(bus, nodes.url, tmp_path) as it:
        it.start("consumers.echo")
        adapter = await it.adapter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            for number in range(10):
                it.sim.say("friend:10001", f"m{number}")
            received = await it.sim.wait_received(20, 20.0)
            worker.stop()
        texts = [message.text for message in received]
        assert [text for text in texts if ":" not in text] == [f"m{number}" for number in range(10)]
        assert [text for text in texts if ":" in text] == [f"lanes: m{number}" for number in range(10)]
        assert {row["status"] for row in await it.results(20)} == {"sent"}
        assert await contiguous(it)
        told = it.start("adapter", "status", "--json")
        assert await told.ended() == 0
        assert '"online"' in told.text()
        assert await adapter.stop() == 0


async def test_a_slot_that_moves_takes_the_bus_along(nodes: Nodes, tag: str, tmp_path: Path) -> None:
    async with Bus.open(nodes.url, tag) as bus, system(bus, nodes.url, tmp_path) as it:
        it.start("consumers.echo")
        adapter = await it.adapter()
        source = await nodes.owner(tag)
        target = next(port for port in nodes.ports if port != source)
        for number in range(30):
            it.sim.say("friend:10001", f"m{number}")
            if number == 10:
                await nodes.move(tag, source, target)
        received = await it.sim.wait_received(30, 30.0)
        assert [message.text for message in received] == [f"m{number}" for number in range(30)]
        rows = await ready(lambda: it.rows("inbound"))
        assert [row["text"] for row in rows if row["type"] == "message.friend"] == [
            f"m{number}" for number in range(30)
        ]
        assert await ready(lambda: contiguous(it))
        assert await nodes.owner(tag) == target
        # Found again means: nothing waits for the next look any more.
        await wait_until(lambda: adapter.text().count("is back") == adapter.text().count("on disk"), "back")


@pytest.mark.long
async def test_a_replica_that_is_promoted_is_followed(tmp_path: Path, tag: str) -> None:
    async with cluster(tmp_path, replicas=1) as nodes, Bus.open(nodes.url, tag) as bus:
        master, replica = await nodes.owner(tag), nodes.ports[-1]
        name = (await nodes.ask(master, "CLUSTER", "MYID")).decode()

        await nodes.ask(replica, "CLUSTER", "REPLICATE", name)

        async def replicates() -> bool:
            return (await nodes.ask(replica, "INFO", "replication"))["master_link_status"] == "up"

        await wait_until(replicates, "the replica has its copy", 20.0)
        async with system(bus, nodes.url, tmp_path) as it:
            it.settings["QQBUS_REPLICAS"] = "0"
            it.start("consumers.echo")
            adapter = await it.adapter()
            it.sim.say("friend:10001", "before")
            await it.sim.wait_received(1, 10.0)
            nodes.processes[master].kill()
            it.sim.say("friend:10001", "meanwhile")
            received = await it.sim.wait_received(2, 30.0)
            assert [message.text for message in received] == ["before", "meanwhile"]
            assert (await nodes.ask(replica, "ROLE"))[0] == b"master"
            assert await ready(lambda: contiguous(it))
            assert await adapter.stop() == 0


async def ready(question: Any) -> Any:
    """Return an answer, asked again while the bus follows its slot."""

    async def asked() -> Any:
        try:
            return await question()
        except (redis.ConnectionError, redis.TimeoutError):
            return None

    return await wait_until(asked, "an answer")


async def test_what_a_cut_connection_asked_is_told_and_not_repeated(nodes: Nodes, tag: str) -> None:
    async with Bus.open(nodes.url, tag) as bus:
        await bus.ensure_group("outbound")
        owner = await nodes.owner(tag)
        async with anyio.create_task_group() as tasks:

            async def cut() -> None:
                await wait_until(lambda: blocked(nodes, owner), "the reader waits")
                await nodes.ask(owner, "CLIENT", "KILL", "TYPE", "normal")

            async def read() -> None:
                while True:
                    await bus.read_new("outbound", 1)

            tasks.start_soon(cut)
            with pytest.raises(BusUnavailable), anyio.fail_after(10):
                await read()


async def blocked(nodes: Nodes, port: int) -> bool:
    return (await nodes.ask(port, "INFO", "clients"))["blocked_clients"] > 0


async def test_a_node_that_is_away_is_passed_over(nodes: Nodes, tag: str) -> None:
    url = f"redis+cluster://127.0.0.1:{free_port()},localhost:{nodes.ports[0]}"
    async with Bus.open(url, tag) as bus:
        assert (await bus.check_server()).startswith(("Valkey", "Redis"))
        assert await bus.seqs() == {}
    async with Bus.open(f"redis+cluster://127.0.0.1:{free_port()}", tag) as bus:
        with pytest.raises(BusUnavailable, match="no node of the Cluster knows"):
            await bus.check_server()


async def test_the_roles_hold_on_a_cluster(nodes: Nodes, tag: str, tmp_path: Path) -> None:
    users = {name: f"{tag[1:-1]}-{name}" for name in ("adapter", "worker")}
    for port in nodes.ports:
        old = (await nodes.ask(port, "INFO", "server"))["redis_version"].startswith("7.0")
        for name, user in users.items():
            rule = setuser_line(ROLES[name], tag, user=user, secret=hash_password("secret"), old=old)
            await nodes.ask(port, f"ACL SETUSER {rule}")
    urls = {name: nodes.url.replace("//", f"//{user}:secret@") for name, user in users.items()}
    async with Bus.open(nodes.url, tag) as bus, system(bus, urls["adapter"], tmp_path) as it:
        it.start("consumers.echo", REDIS_URL=urls["worker"])
        await it.adapter()
        it.sim.say("friend:10001", "hello")
        assert (await it.sim.wait_received(1, 10.0))[0].text == "hello"
        wrong = it.start(
            "adapter", "run", state="other", REDIS_URL=urls["adapter"].replace("secret", "guess")
        )
        assert await wrong.ended() == 3
        assert "refuses this user" in wrong.text()
        assert "guess" not in wrong.text()


async def test_a_prefix_without_a_tag_is_refused_in_words(nodes: Nodes, prefix: str, tmp_path: Path) -> None:
    async with Bus.open(nodes.url, "{unused}") as bus, system(bus, nodes.url, tmp_path) as it:
        for module, words in (("adapter", ["run"]), ("adapter", ["status"]), ("consumers.echo", [])):
            program = it.start(module, *words, QQBUS_PREFIX=prefix)
            assert await program.ended() == 2
            assert f"set QQBUS_PREFIX={{{prefix}}}" in program.text()
            assert "Traceback" not in program.text()


async def test_a_plain_address_of_a_node_is_refused_in_words(nodes: Nodes, tag: str, prefix: str) -> None:
    for port in nodes.ports:
        for keys in (tag, prefix):
            async with Bus.open(f"redis://127.0.0.1:{port}", keys) as bus:
                with pytest.raises(ConfigError, match=r"redis\+cluster://"):
                    await bus.check_server()
    owner = await nodes.owner(tag)
    stranger = next(port for port in nodes.ports if port != owner)
    client = connect(f"redis://127.0.0.1:{stranger}")
    with pytest.raises(ConfigError, match=r"redis\+cluster://"), map_redis_errors():
        await client.get(f"{tag}:status")
    with pytest.raises(ConfigError, match="hash tag"), map_redis_errors():
        await client.unlink("one", "two")
    await client.aclose()


async def test_a_plain_server_is_no_cluster(redis_url: str, tag: str) -> None:
    async with Bus.open(redis_url.replace("redis://", "redis+cluster://"), tag) as bus:
        with pytest.raises(ConfigError, match="this Redis is no Cluster"):
            await bus.check_server()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+cluster://:hunter2@one:banana", "port that is not a number"),
        ("redis+cluster://:hunter2@one:7000/3", "names a database"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_without_its_password(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        connect(url, "{qq}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "nodes"),
    [
        ("redis+cluster://one", [("one", 6379)]),
        ("redis+cluster://one:7000,two", [("one", 7000), ("two", 6379)]),
        ("rediss+cluster://[::1]:7000,[fe80::1]", [("::1", 7000), ("fe80::1", 6379)]),
        ("redis+cluster://user:p%40ss@one:1,two:2", [("one", 1), ("two", 2)]),
    ],
)
def test_addresses_of_several_nodes_are_read(url: str, nodes: list[tuple[str, int]]) -> None:
    assert Config.from_env({"REDIS_URL": url, "QQBUS_PREFIX": "{qq}"}).redis_url == url
    client = connect(url, "{qq}")
    options = client.connection_pool.connection_kwargs
    assert list(options["resolver"].nodes) == nodes
    assert options.get("password") == ("p@ss" if "@" in url else None)
    assert client.connection_pool.connection_class.__name__.startswith(
        "SecureSlotConnection" if url.startswith("rediss") else "SlotConnection"
    )
