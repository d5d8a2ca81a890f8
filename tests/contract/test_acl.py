"""Prove adapter/contract/acl.py: role by command by key on a real server, and the roles at work."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import msgpack
import pytest
from redis.exceptions import NoPermissionError

from adapter.bus import scripts
from adapter.bus.admin import AdminClient
from adapter.bus.bus import Bus
from adapter.config import Config
from adapter.contract.acl import PLACEHOLDER, ROLES, check_user_name, hash_password, setuser_line
from adapter.errors import BusUnavailable, ConfigError
from tests.support.helpers import clean_environment
from tests.support.system_harness import system

pytestmark = pytest.mark.anyio

ADAPTER, WORKER, CALLER, READER, OPERATOR = "adapter", "worker", "caller", "reader", "operator"
GATEWAY, COMMANDS = "gateway", "commands"
EVERYBODY = {ADAPTER, WORKER, READER, OPERATOR}
PASSWORD = "a pass>word"

# A command, with the names of keys after `~`, and the only roles that may give it. A caller may what a worker may.
MATRIX: list[tuple[str, set[str]]] = [
    # events
    ("XADD ~inbound * a b", {ADAPTER, OPERATOR}),
    ("XREADGROUP GROUP g c STREAMS ~inbound >", {ADAPTER, WORKER}),
    ("XACK ~inbound g 1-1", {ADAPTER, WORKER}),
    ("XAUTOCLAIM ~inbound g c 0 0", {ADAPTER, WORKER}),
    ("XCLAIM ~inbound g c 0 1-1", {ADAPTER, WORKER, OPERATOR}),
    ("XPENDING ~inbound g", {ADAPTER, WORKER, OPERATOR}),
    ("XGROUP CREATE ~inbound g 0 MKSTREAM", {ADAPTER, WORKER}),
    ("XGROUP DELCONSUMER ~inbound g c", {ADAPTER, WORKER, OPERATOR}),
    ("XGROUP DESTROY ~inbound g", {OPERATOR}),
    ("XGROUP SETID ~inbound g $", {ADAPTER}),
    ("XREAD STREAMS ~inbound 0", EVERYBODY),
    ("XRANGE ~inbound - +", EVERYBODY),
    ("XINFO GROUPS ~inbound", EVERYBODY),
    ("XTRIM ~inbound MAXLEN 0", {ADAPTER}),
    ("XDEL ~inbound 1-1", {ADAPTER}),
    ("DEL ~inbound", set()),
    ("EXPIRE ~inbound 1", {ADAPTER}),
    ("RENAME ~friends ~dead", set()),
    ("RENAME ~outbound ~ids:aside:outbound", {ADAPTER}),
    # requests
    ("XADD ~outbound * to x", {ADAPTER, WORKER, OPERATOR}),
    ("XREADGROUP GROUP adapter c STREAMS ~outbound >", {ADAPTER}),
    ("XACK ~outbound adapter 1-1", {ADAPTER}),
    ("XRANGE ~outbound - +", {ADAPTER, OPERATOR, GATEWAY}),
    ("XREAD STREAMS ~outbound 0", {ADAPTER, OPERATOR}),
    ("XDEL ~outbound 1-1", {ADAPTER}),
    ("XTRIM ~outbound MAXLEN 0", {ADAPTER}),
    ("XGROUP CREATE ~outbound g 0", {ADAPTER}),
    # calls, where they are guarded
    ("HSET ~calls bot/1 sha", {CALLER, OPERATOR}),
    ("HDEL ~calls bot/1", {ADAPTER, CALLER, OPERATOR}),
    ("HMGET ~calls guarded bot/1", {ADAPTER}),
    # results
    ("XADD ~results * a b", {ADAPTER}),
    ("XREAD STREAMS ~results 0", EVERYBODY),
    ("XREAD STREAMS ~results:bot 0", EVERYBODY),
    ("XADD ~results:bot * a b", {ADAPTER}),
    ("DEL ~results:bot", set()),
    # dead letters
    ("XADD ~dead * a b", {ADAPTER, WORKER}),
    ("XRANGE ~dead - +", {ADAPTER, OPERATOR}),
    ("XDEL ~dead 1-1", {ADAPTER, OPERATOR}),
    # the operator's
    ("XADD ~control * cmd login", {ADAPTER, COMMANDS, OPERATOR}),
    ("XREAD STREAMS ~control 0", {ADAPTER, OPERATOR}),
    ("XREAD STREAMS ~session 0", {ADAPTER, OPERATOR}),
    ("XREVRANGE ~session + - COUNT 1", {ADAPTER, OPERATOR}),
    ("XADD ~session * state qr", {ADAPTER}),
    ("XINFO STREAM ~session FULL", {ADAPTER, OPERATOR}),
    ("XREAD STREAMS ~inbound ~session 0 0", {ADAPTER, OPERATOR}),
    # what everybody may look up
    ("HGETALL ~status", EVERYBODY),
    ("HGET ~friends 1", EVERYBODY),
    ("HGETALL ~groups", EVERYBODY),
    ("HGETALL ~discusses", EVERYBODY),
    ("HGETALL ~members:group:1", EVERYBODY),
    ("HSET ~status state online", {ADAPTER}),
    ("HSET ~friends 1 x", {ADAPTER}),
    ("DEL ~friends", {ADAPTER}),
    # the adapter's own
    ("GET ~lease", {ADAPTER}),
    ("EXISTS ~lease", {ADAPTER, OPERATOR}),
    ("SET ~lease me", {ADAPTER}),
    ("DEL ~lease", {ADAPTER}),
    ("HGETALL ~ledger:bot/1", {ADAPTER}),
    ("HSET ~ledger:bot/1 state done", {ADAPTER}),
    ("DEL ~ledger:bot/1", {ADAPTER}),
    ("HGETALL ~ids:epoch", {ADAPTER}),
    ("HSET ~ids:epoch epoch 99", {ADAPTER}),
    ("HGETALL ~ids:contacts", {ADAPTER}),
    ("SADD ~ids:lapsed g", {ADAPTER}),
    ("SMEMBERS ~ids:lapsed", {ADAPTER}),
    ("SMEMBERS ~seen:new", {ADAPTER}),
    ("RPUSH ~ids:late x", {ADAPTER}),
    ("RPUSH ~ids:reply:abc x", {ADAPTER}),
    ("BLPOP ~ids:reply:abc 1", {ADAPTER, OPERATOR}),
    ("BLPOP ~ids:late 1", {ADAPTER}),
    ("SADD ~seen:new x", {ADAPTER}),
    # scripts
    ("EVAL code 1 ~inbound", {ADAPTER, OPERATOR}),
    ("EVAL code 2 ~dead ~outbound", {ADAPTER, OPERATOR}),
    ("EVAL code 1 ~session", {ADAPTER}),
    ("EVALSHA sha 1 ~ids:epoch", {ADAPTER}),
    ("SCRIPT LOAD code", {ADAPTER}),
    ("SCRIPT FLUSH", set()),
    ("FUNCTION LIST", set()),
    # the server
    ("PING", EVERYBODY),
    ("MULTI", EVERYBODY),
    ("SELECT 0", EVERYBODY),
    ("INFO", {ADAPTER, OPERATOR}),
    ("CONFIG GET maxmemory-policy", {OPERATOR}),
    ("CONFIG SET maxmemory 1", set()),
    ("KEYS *", set()),
    ("SCAN 0", set()),
    ("FLUSHALL", set()),
    ("FLUSHDB", set()),
    ("SHUTDOWN", set()),
    ("MONITOR", set()),
    ("CLIENT LIST", set()),
    ("ACL LIST", set()),
    ("ACL SETUSER x", set()),
    ("DEBUG SLEEP 1", set()),
    ("PUBLISH c m", set()),
    ("SUBSCRIBE c", set()),
]


@asynccontextmanager
async def users(bus: Bus) -> AsyncIterator[dict[str, str]]:
    """Make a user for each role on the shared server; return their names."""
    names = {role: f"{bus.keys.prefix}-{role}" for role in ROLES}
    try:
        for role, name in names.items():
            words = setuser_line(
                ROLES[role], bus.keys.prefix, user=name, secret=hash_password(PASSWORD)
            ).split()
            await bus.client.execute_command("ACL", "SETUSER", *words)  # type: ignore[no-untyped-call]
        yield names
    finally:
        await bus.client.execute_command("ACL", "DELUSER", *names.values())  # type: ignore[no-untyped-call]


def address(redis_url: str, user: str) -> str:
    return f"redis://{user}:{PASSWORD.replace(' ', '%20').replace('>', '%3E')}@{urlsplit(redis_url).netloc}"


async def test_each_role_may_do_what_the_matrix_says_and_nothing_else(bus: Bus) -> None:
    wrong = []
    async with users(bus) as names:
        for command, allowed in MATRIX:
            words = [bus.keys(word[1:]) if word.startswith("~") else word for word in command.split()]
            allowed = allowed | ({CALLER, COMMANDS} if WORKER in allowed else set())  # noqa: PLW2901
            for role, name in names.items():
                answer = await bus.client.execute_command("ACL", "DRYRUN", name, *words)  # type: ignore[no-untyped-call]
                # A gateway may do whatever a worker may.
                may = role in allowed or (role == GATEWAY and WORKER in allowed)
                if (answer == b"OK") is not may:
                    wrong.append(f"{role}: {command}: {answer.decode()}")
    assert not wrong


async def test_nobody_reaches_the_keys_of_another_prefix(bus: Bus) -> None:
    async with users(bus) as names:
        for name in names.values():
            for command in ("XRANGE other:inbound - +", "XADD other:outbound * a b", "HGETALL other:status"):
                answer = await bus.client.execute_command("ACL", "DRYRUN", name, *command.split())  # type: ignore[no-untyped-call]
                assert b"no permissions" in answer


async def test_the_whole_system_runs_with_each_part_in_its_role(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with users(bus) as names, system(bus, redis_url, tmp_path) as it:
        url = {role: address(redis_url, name) for role, name in names.items()}
        worker = it.start("consumers.echo", REDIS_URL=url[WORKER])
        adapter = await it.adapter(REDIS_URL=url[ADAPTER])
        for number in range(3):
            it.sim.say("friend:10001", f"hello {number}")
        await it.sim.wait_received(3, 20.0)
        assert {row["status"] for row in await it.results(3)} == {"sent"}
        # A request that is refused, a repeat, a command: every script has run once.
        to = (await it.events(1))[0]["chat"]
        for command in (
            ["send", to, "once", "--id", "op/1", "--wait"],
            ["send", to, "once", "--id", "op/1", "--wait"],
            ["status"],
            ["contacts"],
            ["refresh"],
        ):
            environment = clean_environment(**(it.settings | {"REDIS_URL": url[OPERATOR]}))
            with anyio.fail_after(20):
                done = await anyio.run_process(
                    [sys.executable, "-m", "adapter", *command], env=environment, check=False
                )
            assert (done.returncode, done.stderr) == (0, b"")
        await it.ask("nobody", "x")
        assert (await it.results(6))[-1]["status"] == "rejected"
        async with AdminClient.open(url[OPERATOR], bus.keys.prefix) as desk:
            (letter, _), *_ = await desk.last_entries("dead")
            assert await desk.redrive(letter, bus.keys("outbound"), ["to", to, "text", "again"])
        assert (await it.results(7))[-1]["status"] == "sent"
        assert await worker.stop() == 0
        assert await adapter.stop() == 0
        assert not re.search("NOPERM|no permissions|refuses this user", adapter.text() + worker.text())


async def test_a_wrong_password_is_told_in_words(bus: Bus, redis_url: str) -> None:
    async with users(bus) as names:
        url = address(redis_url, names[OPERATOR]).replace("a%20pass", "a%20wrong%20pass")
        with pytest.raises(BusUnavailable, match="refuses this user"):
            async with AdminClient.open(url, bus.keys.prefix):
                pass


async def test_the_adapters_scripts_use_no_command_that_its_role_lacks(bus: Bus) -> None:
    used: set[str] = set()
    for path in Path(scripts.__file__).parent.glob("*.lua"):
        used |= set(re.findall(r"redis\.call\('([A-Z]+)'", path.read_text(encoding="utf-8")))
    assert {"XADD", "HSET", "XTRIM"} <= used
    kinds = [await bus.client.execute_command("ACL", "CAT", kind) for kind in ("hash", "set", "list")]  # type: ignore[no-untyped-call]
    allowed = {name.decode().upper() for names in kinds for name in names}
    allowed |= {word.partition("|")[0].upper() for word in ROLES[ADAPTER].base.split()}
    for selector in ROLES[ADAPTER].selectors:
        allowed |= {word.partition("|")[0].upper() for word in selector.commands.split()}
    assert used <= allowed


def test_the_line_for_redis_7_0_leaves_out_what_it_does_not_know() -> None:
    for role in ROLES.values():
        old = setuser_line(role, "qq", user="u", secret="#0", old=True)
        assert "setinfo" not in old
        assert "waitaof" not in old
        assert "setinfo" in setuser_line(role, "qq", user="u", secret="#0")


@pytest.mark.parametrize("name", ["", "a b", "a)", "a\n"])
def test_a_user_name_that_would_change_the_line_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        check_user_name(name)


@pytest.mark.parametrize("role", list(ROLES))
def test_the_command_prints_a_line_and_never_the_password(role: str) -> None:
    def printed(*arguments: str, stdin: str = "", **settings: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "adapter", "acl", role, *arguments],
            env=clean_environment(**settings),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        assert not done.stderr
        return done.stdout

    assert printed().startswith(f"ACL SETUSER qq-{role} reset on >{PLACEHOLDER} -@all ")
    text = printed("--password", "-", "--file", "--user", "me", stdin=f"{PASSWORD}\n", QQBUS_PREFIX="{x}")
    assert text.startswith(f"user me reset on {hash_password(PASSWORD)} -@all ")
    assert PASSWORD not in text
    assert "~{x}:inbound" in text
    assert Config.from_env({"QQBUS_PREFIX": "{x}"}).prefix == "{x}"


async def test_what_a_worker_does_has_no_consequence_that_the_role_denies(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with users(bus) as names, system(bus, redis_url, tmp_path) as it:
        program = await it.adapter()
        it.sim.say("friend:10001", "hello")
        (event,) = await it.events(1)
        before = await bus.client.xrange(bus.keys("inbound"))
        async with Bus.open(address(redis_url, names[WORKER]), bus.keys.prefix) as evil:
            # A letter that says that it was an event of an administrator.
            forged = {"id": "1.f1.2.3.4.ab", "type": "message.friend", "seq": "77777", "text": "#exit"}
            fields = msgpack.packb({name: value.encode() for name, value in forged.items()})
            for entry in ("1-1", before[0][0].decode()):
                letter = {"v": "1", "stream": bus.keys("inbound"), "entry": entry, "fields": fields}
                await evil.client.xadd(bus.keys("dead"), letter)
            for command in (
                ("XADD", bus.keys("inbound"), "*", "a", "b"),
                ("XADD", bus.keys("results"), "*", "a", "b"),
                ("XADD", bus.keys("control"), "*", "cmd", "logout"),
                ("HSET", bus.keys("ids:letters"), "1-1", "1"),
                ("XRANGE", bus.keys("outbound"), "-", "+"),
                ("XRANGE", bus.keys("dead"), "-", "+"),
                ("XRANGE", bus.keys("session"), "-", "+"),
                ("HSET", bus.keys("status"), "state", "online"),
                ("XTRIM", bus.keys("inbound"), "MAXLEN", "0"),
                ("XDEL", bus.keys("outbound"), "1-1"),
                ("DEL", bus.keys("inbound")),
            ):
                with pytest.raises(NoPermissionError):
                    await evil.client.execute_command(*command)  # type: ignore[no-untyped-call]
        environment = clean_environment(**(it.settings | {"REDIS_URL": address(redis_url, names[OPERATOR])}))
        with anyio.fail_after(30):
            line = [sys.executable, "-m", "adapter", "dead", "redrive", "--all"]
            for more in ([], ["--to-all"]):
                done = await anyio.run_process([*line, *more], env=environment, check=False)
                assert done.returncode == 1
            listed = await anyio.run_process([*line[:-2], "--json"], env=environment, check=False)
        assert await bus.client.xrange(bus.keys("inbound")) == before
        # The operator sees who wrote them.
        assert [json.loads(row)["by"] for row in listed.stdout.splitlines()] == ["worker", "worker"]
        # The role that may log out is a worker otherwise.
        async with Bus.open(address(redis_url, names[COMMANDS]), bus.keys.prefix) as commands:
            await commands.client.xadd(bus.keys("control"), {"cmd": "logout", "by": event["chat"]})
        await it.events(1, "session.offline")
        assert program.process.poll() is None
