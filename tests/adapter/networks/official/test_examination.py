"""What `qqbus doctor` finds out about a bot."""

import json
from pathlib import Path

import pytest

from adapter.networks.official.credentials_file import NAME
from adapter.networks.official.examination import examine
from adapter.networks.official.hosts import Hosts
from tests.official_server import OfficialServer
from tests.support.official_harness import credentials, hosts
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio


async def test_a_bot_that_is_taken_is_named_with_what_the_network_cannot_do(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        found = await examine(hosts(server), credentials(server), tmp_path)
        assert [one.problem for one in found] == ["", "", ""]
        assert server.appid in found[0].what.format(**found[0].values)
        assert "lists of members" in found[1].what
        assert "WebSocket" in found[2].what
        assert server.record.count("connections") == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ip_allowed": False}, "IP white list"),
        ({"token_code": 100016}, "QQBUS_OFFICIAL_APPID"),
        ({"banned": True}, "QQBUS_OFFICIAL_APPID"),
    ],
)
async def test_a_refusal_says_what_to_change(options: dict[str, object], words: str, tmp_path: Path) -> None:
    async with OfficialServer(**options) as server:
        (found,) = await examine(hosts(server), credentials(server), tmp_path)
        assert (found.problem, words in found.change) == ("bad", True)
        assert server.secret not in str(found)


async def test_an_api_that_is_away_is_named(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        url = f"http://127.0.0.1:{free_port()}"
        (found,) = await examine(Hosts(url, f"{url}/t", url), credentials(server), tmp_path)
        assert found.problem == "bad"
        assert url in found.what.format(**found.values)


async def test_a_bot_that_is_not_bound_yet_is_scanned(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        assert (await examine(hosts(server), None, tmp_path))[0].problem == "warn"
        (tmp_path / NAME).write_text(json.dumps({"appid": server.appid, "secret": server.secret}))
        assert (await examine(hosts(server), None, tmp_path))[0].problem == ""
