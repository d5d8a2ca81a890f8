"""Prove adapter/cli/diagnostics.py and `qqbus doctor`: each prepared fault is found, with what to change."""

import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis.asyncio as redis

from adapter.bus.embedded import run_server
from adapter.cli.diagnostics import Check, Facts, Level, run_checks
from adapter.networks.upstream import Finding
from tests.onebot_server import OneBotServer
from tests.simulator import Simulator
from tests.support.helpers import clean_environment
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

HEALTHY = Facts(
    redis_url="redis://127.0.0.1:6379",
    embedded=False,
    prefix="qq",
    info={"redis_version": "7.2.4", "aof_enabled": 1, "maxmemory": 100, "used_memory": 10},
    server_config={"bind": "127.0.0.1 -::1", "requirepass": "", "protected-mode": "yes"},
    skew_seconds=0.1,
    is_lease_held=True,
    state_dir="/state",
    state_mode=0o700,
    free_bytes=10**11,
    page_address="127.0.0.1:8710",
    page_port="ours",
    upstream="http://127.0.0.1:1",
)


def wrong(facts: Facts) -> list[Check]:
    return [one for one in run_checks(facts) if one.level is not Level.GOOD]


def info(**changes: Any) -> dict[str, Any]:
    return dict(HEALTHY.info) | changes


def test_nothing_is_wrong_with_a_healthy_installation() -> None:
    assert wrong(HEALTHY) == []
    assert len(list(run_checks(HEALTHY))) > 4


def test_what_the_server_may_forget_is_said() -> None:
    texts = [one.what for one in run_checks(replace(HEALTHY, server_config={"appendfsync": "everysec"}))]
    assert any("appendfsync always" in text for text in texts)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"info": info(redis_version="5.0.1")}, "too old"),
        ({"info": info(redis_version="6.2.0")}, "needs Redis 7.0"),
        ({"info": info(role="slave")}, "is a replica"),
        ({"info": info(loading=1)}, "is loading"),
        ({"info": info(cluster_enabled=1)}, "QQBUS_PREFIX={qq}"),
        ({"skew_seconds": -30.0}, "30 s apart"),
        ({"info": info(maxmemory_policy="allkeys-lru")}, "CONFIG SET maxmemory-policy noeviction"),
        ({"info": info(used_memory=97)}, "97% of its maxmemory"),
        ({"info": info(aof_last_write_status="err")}, "cannot write its files (aof_last_write_status)"),
        ({"info": info(aof_enabled=0)}, "CONFIG SET appendonly yes"),
        ({"server_config": {"bind": "*", "requirepass": "", "protected-mode": "no"}}, "without a password"),
        ({"server_config": {"bind": "", "requirepass": "", "protected-mode": "no"}}, "without a password"),
        ({"is_lease_held": False}, "no adapter is running"),
        ({"dead_letters": 3}, "3 dead letters"),
        ({"failing": "page: TypeError"}, "services of the adapter fail: page: TypeError"),
        ({"unwritable": "/state/spool"}, "cannot write /state/spool"),
        ({"state_mode": 0o755}, "chmod 700 /state"),
        ({"exposed_files": ("/state/smartqq.json",)}, "chmod 600 /state/smartqq.json"),
        ({"free_bytes": 10**6}, "977 kB are free"),
        ({"unpublished_bytes": 2048}, "2 kB of events wait on disk"),
        ({"page_port": "taken"}, "another program listens on 127.0.0.1:8710"),
        ({"upstream": ""}, "QQBUS_SMARTQQ_URL is not set"),
        ({"upstream_error": "refused"}, "cannot be reached: refused"),
        ({"redis_error": "no Redis answers"}, "no Redis answers"),
        ({"redis_error": "no Redis answers", "embedded": True}, "`qqbus run` starts the embedded server"),
    ],
)
def test_each_fault_is_found_alone_and_says_what_to_change(facts: dict[str, Any], words: str) -> None:
    (found,) = wrong(replace(HEALTHY, **facts))
    assert words in f"{found.what} {found.change}"
    assert found.change


@pytest.mark.parametrize("settings", [None, {}, {"bind": "*", "requirepass": "x", "protected-mode": "no"}])
def test_unknown_facts_are_no_findings(settings: dict[str, str] | None) -> None:
    unknown = replace(HEALTHY, skew_seconds=None, is_lease_held=None, free_bytes=None, state_mode=None)
    assert wrong(replace(unknown, server_config=settings)) == []


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[tuple[str, "redis.Redis"]]:
    async with run_server(folder, free_port()) as url:
        client = redis.Redis.from_url(url)
        try:
            yield url, client
        finally:
            await client.aclose()


async def doctor(**settings: str) -> tuple[int, list[dict[str, str]]]:
    with anyio.fail_after(30):
        done = await anyio.run_process(
            [sys.executable, "-m", "adapter", "doctor", "--json"],
            env=clean_environment(**settings),
            check=False,
        )
    assert done.stderr == b""
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [one for one in findings if one["level"] != "ok"]


def has(found: list[dict[str, str]], words: str) -> bool:
    return any(words in f"{one['what']} {one['change']}" for one in found)


async def test_faults_that_were_prepared_on_a_real_server_and_disk_are_found(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    async with server(tmp_path / "redis") as (url, client), Simulator("e3") as sim:
        settings = {
            "REDIS_URL": url,
            "QQBUS_STATE_DIR": str(state),
            "QQBUS_SMARTQQ_URL": sim.url,
            "QQBUS_HTTP": f"127.0.0.1:{free_port()}",
        }
        await client.set("qq:lease", "x", ex=60)
        assert await doctor(**settings) == (0, [])

        await client.config_set("appendonly", "no")
        for number in range(200):  # small ones: what a large one leaves in buffers is not there for long
            await client.set(f"ballast:{number}", b"x" * 100_000)
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", str(int(used * 1.15)))
        await client.config_set("maxmemory-policy", "allkeys-lru")
        await client.xadd("qq:dead", {"reason": "x"})
        state.chmod(0o755)
        (state / "smartqq.json").write_text("{}", encoding="utf-8")
        (state / "smartqq.json").chmod(0o644)
        with socket.create_server(("127.0.0.1", 0)) as foreign:
            await client.delete("qq:lease")
            settings |= {
                "QQBUS_HTTP": f"127.0.0.1:{foreign.getsockname()[1]}",
                "QQBUS_SMARTQQ_URL": f"http://127.0.0.1:{free_port()}",
            }
            code, found = await doctor(**settings)
        assert code == 1
        for words in (
            "maxmemory-policy noeviction",
            "of its maxmemory",
            "appendonly yes",
            "no adapter is running",
            "1 dead letters",
            "chmod 700",
            "chmod 600",
            "another program listens",
            "cannot be reached",
        ):
            assert has(found, words), (words, found)
        assert len(found) == 9

        await client.config_set("maxmemory", "0")
        await client.replicaof("127.0.0.1", str(free_port()))
        assert has((await doctor(**settings))[1], "is a replica")


async def test_no_redis_is_a_finding_and_the_rest_is_looked_at_all_the_same(tmp_path: Path) -> None:
    code, found = await doctor(
        REDIS_URL=f"redis://127.0.0.1:{free_port()}", QQBUS_STATE_DIR=str(tmp_path), QQBUS_HTTP="off"
    )
    assert code == 3
    assert has(found, "no Redis answers at")
    assert has(found, "QQBUS_SMARTQQ_URL is not set")


def test_another_network_has_its_own_findings() -> None:
    facts = replace(HEALTHY, upstream="", network="onebot", findings=(Finding("", "it answers"),))
    assert wrong(facts) == []
    assert "it answers" in [one.what for one in run_checks(facts)]
    facts = replace(
        facts,
        findings=(Finding("bad", "refused", "change it"), Finding("warn", "no heartbeat", "switch it on")),
        lacks_own_messages=True,
        ignored_settings=("QQBUS_SMARTQQ_URL",),
    )
    assert [one.level for one in wrong(facts)] == [Level.BAD, *[Level.WARN] * 3]
    assert all(one.change for one in wrong(facts))


async def test_doctor_looks_at_the_implementation_of_onebot(tmp_path: Path) -> None:
    async with (
        server(tmp_path) as (url, client),
        OneBotServer("napcat", token="secret", heartbeat_ms=100) as implementation,
    ):
        settings = {
            "REDIS_URL": url,
            "QQBUS_STATE_DIR": str(tmp_path / "state"),
            "QQBUS_HTTP": "off",
            "QQBUS_NETWORK": "onebot",
            "QQBUS_ONEBOT_URL": implementation.url,
            "QQBUS_SMARTQQ_URL": "http://127.0.0.1:1",
        }
        code, found = await doctor(**settings, QQBUS_ONEBOT_TOKEN="wrong")
        assert code == 1
        assert has(found, "refuses the token")
        assert has(found, "QQBUS_SMARTQQ_URL")
        await client.xadd("qq:results", {"status": "sent", "message_id": "-77"})
        code, found = await doctor(**settings, QQBUS_ONEBOT_TOKEN="secret")
        assert code == 0
        assert has(found, "does not report own messages")
        await client.xadd("qq:inbound", {"id": "20001.g5.20001.-77.1700000000.0a0b"})
        _, found = await doctor(**settings, QQBUS_ONEBOT_TOKEN="secret")
        assert not has(found, "does not report own messages")
