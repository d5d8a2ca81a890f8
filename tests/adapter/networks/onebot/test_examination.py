"""What `qqbus doctor` finds out about an implementation of OneBot."""

import pytest

from adapter.networks.onebot.examination import examine
from adapter.networks.upstream import Finding
from tests.onebot_server import OneBotServer
from tests.onebot_server.dialects import REFUSALS
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


async def look(url: str, token: str = "") -> tuple[Finding, ...]:
    return await examine(url, token, heartbeat_seconds=1.0)


async def test_an_implementation_that_is_well_is_named_with_its_account() -> None:
    async with OneBotServer("napcat", token="secret", heartbeat_ms=100) as server:
        (found,) = await look(server.url, "secret")
        assert (found.problem, found.change) == ("", "")
        assert "napcat answers as 20001" in found.what.format(**found.values)
        assert {one.action for one in server.record.actions.entries} <= {
            *("get_login_info", "get_version_info", "get_status"),
        }


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refused_token_is_named_in_each_of_its_forms(refusal: str) -> None:
    async with OneBotServer("napcat", token="secret", refusal=refusal) as server:
        (found,) = await look(server.url, "wrong")
        assert (found.problem, "QQBUS_ONEBOT_TOKEN" in found.change) == ("bad", True)
        assert "refuses the token" in found.what


@pytest.mark.parametrize("dialect", ["llbot", "snowluma"])
async def test_a_wrong_path_is_named(dialect: str) -> None:
    async with OneBotServer(dialect) as server:
        (found,) = await look(server.url.rstrip("/") + "/onebot/v11?access_token=secret")
        assert (found.problem, "the path of QQBUS_ONEBOT_URL" in found.change) == ("bad", True)
        assert "secret" not in str(found)


async def test_an_address_where_nothing_listens_is_named() -> None:
    (found,) = await look(f"ws://127.0.0.1:{free_port()}/")
    assert found.problem == "bad"
    assert "cannot be reached" in found.what


async def test_qq_that_is_offline_is_named() -> None:
    async with OneBotServer("llbot", heartbeat_ms=100) as server:
        server.do.offline()
        found = await look(server.url)
        assert found[0].problem == "bad"
        assert "log in with QQ" in found[0].change


async def test_a_heartbeat_that_is_off_is_named() -> None:
    async with OneBotServer("napcat", heartbeat_ms=0) as server:
        missing, well = await look(server.url)
        assert (missing.problem, well.problem) == ("warn", "")
        assert "no heartbeat" in missing.what
