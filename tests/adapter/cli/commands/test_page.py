"""Prove `qqbus page`: links that open the status page once."""

import stat
from pathlib import Path

import httpx
import pytest

from adapter.bus.bus import Bus
from tests.support.cli import command_line
from tests.support.page_client import page

pytestmark = pytest.mark.anyio


async def test_a_printed_link_opens_the_page_once_and_revoking_ends_it(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP="127.0.0.1:0") as http:
        settings = {"QQBUS_STATE_DIR": str(tmp_path), "PORT": str(http.base_url.port)}
        with command_line(bus, redis_url) as cli:
            done = await cli("page", **settings)
            assert (done.code, done.err) == (0, "")
            opened = await http.get(done.out.strip())
            assert opened.headers["location"] == "/"
            assert (await http.get("/api/contacts")).status_code == 200
            async with httpx.AsyncClient(trust_env=False) as other:
                assert "set-cookie" not in (await other.get(done.out.strip())).headers
            anew = await cli("page", "--revoke", **settings)
            assert (await http.get("/api/contacts")).status_code == 401
            assert (await http.get(anew.out.strip())).headers["location"] == "/"
            assert stat.S_IMODE((tmp_path / "http-token").stat().st_mode) == 0o600


async def test_what_cannot_be_linked_to_is_named(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    with command_line(bus, redis_url) as cli:
        off = await cli("page", QQBUS_HTTP="off", QQBUS_STATE_DIR=str(tmp_path))
        assert (off.code, "QQBUS_HTTP" in off.err) == (2, True)
        away = await cli("page", QQBUS_STATE_DIR=str(tmp_path / "none"))
        assert (away.code, "QQBUS_STATE_DIR" in away.err) == (2, True)
        fixed = await cli("page", "--revoke", QQBUS_HTTP_TOKEN="x" * 16, QQBUS_STATE_DIR=str(tmp_path))
        assert (fixed.code, "QQBUS_HTTP_TOKEN" in fixed.err) == (2, True)
