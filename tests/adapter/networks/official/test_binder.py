"""QR binding against the portal of the official server."""

import json
import stat
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from adapter.events import SessionState
from adapter.networks.official.credentials_file import NAME
from tests.official_server import Answer, OfficialServer
from tests.official_server.portal import EXPIRED, PENDING
from tests.support.helpers import wait_until
from tests.support.official_harness import Listener, limits, listening

pytestmark = pytest.mark.anyio


async def codes(heard: Listener, count: int) -> list[str]:
    """Wait for so many codes; return what they hold."""

    def found() -> list[str]:
        challenges = [
            one.challenge for event in heard.batches for one in event if getattr(one, "challenge", None)
        ]
        texts = [one.text for one in challenges if one is not None]
        return texts if len(texts) >= count else []

    return await wait_until(found, f"{count} codes", 20.0)  # type: ignore[no-any-return]


async def test_a_scan_binds_the_bot_and_is_never_asked_for_again(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        async with listening(server, tmp_path, bound=False) as heard:
            change = await heard.state(SessionState.QR)
            assert change.challenge is not None
            (tmp_path / "code.png").write_bytes(change.challenge.picture)
            with Image.open(tmp_path / "code.png") as picture:
                (read,) = zxingcpp.read_barcodes(picture)
            assert read.text == change.challenge.text
            assert read.text.startswith(f"{server.url}/qqbot/openclaw/connect.html?task_id=")
            assert read.text not in repr(change)
            server.scan(status=PENDING)
            await heard.state(SessionState.SCANNED)
            server.scan()
            await heard.online()
            server.say("friend:ann", "hi")
            await heard.heard(1)
        kept = tmp_path / NAME
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert json.loads(kept.read_text()) == {"appid": server.appid, "secret": server.secret}
        async with listening(server, tmp_path, bound=False) as heard:
            await heard.online()
            assert "qr" not in heard.states


async def test_an_expired_code_is_replaced_until_login_is_asked_for(tmp_path: Path) -> None:
    two = limits(bind_codes=2)
    async with OfficialServer() as server, listening(server, tmp_path, bound=False, limits=two) as heard:
        await codes(heard, 1)
        server.scan(status=EXPIRED)
        first, second = await codes(heard, 2)
        assert first != second
        server.scan(status=EXPIRED)
        change = await heard.state(SessionState.OFFLINE)
        assert change.reason == "qr.unscanned"
        await heard.upstream.login()
        await codes(heard, 3)
        server.scan()
        await heard.online()


async def test_a_portal_that_is_away_or_refuses_is_asked_again(tmp_path: Path) -> None:
    async with OfficialServer() as server:
        server.next_answer("bind", Answer(status=502), Answer(json={"retcode": 1, "msg": "busy"}))
        server.next_answer(
            "bind_poll", Answer(cut="before"), Answer(json={"retcode": 0, "data": {"status": 9}})
        )
        async with listening(server, tmp_path, bound=False) as heard:
            change = await heard.state(SessionState.OFFLINE)
            assert change.reason == "network"
            await codes(heard, 2)
            server.scan()
            await heard.online()


async def test_a_binding_that_is_refused_is_made_anew_by_login(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"appid": "102000001", "secret": "old"}))
    async with OfficialServer() as server, listening(server, tmp_path, bound=False) as heard:
        change = await heard.state(SessionState.OFFLINE)
        assert change.reason == "credentials"
        await heard.upstream.login()
        await codes(heard, 1)
        server.scan()
        await heard.online()


async def test_a_spoilt_file_shows_a_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / NAME).write_text('{"appid": "102000001", "secret": "se')
    async with OfficialServer() as server, listening(server, tmp_path, bound=False) as heard:
        await codes(heard, 1)
    assert "unusable" in caplog.text
    assert '"se' not in caplog.text
