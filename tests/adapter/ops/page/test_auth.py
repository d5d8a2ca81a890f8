"""Proof of adapter/ops/page/auth.py and middleware.py: names, tokens, cookies, foreign sites, headers."""

import hashlib
import socket
import stat
import time
from pathlib import Path

import pytest
from itsdangerous import TimestampSigner

from adapter.bus.bus import Bus
from adapter.contract.acl import ROLES, hash_password, setuser_line
from adapter.errors import ConfigError
from adapter.ops.metrics import Metrics
from adapter.ops.page import run_page
from adapter.ops.page.auth import (
    COOKIE_SECONDS,
    MAX_ADDRESSES,
    WRONG_TRIES,
    PageAuth,
    TryLimiter,
    is_loopback,
)
from adapter.ops.page.tokens import PageToken, SignInLinks, sign_in_link
from adapter.ops.supervisor import Supervisor
from tests.support.page_client import bearer, bury, config, event, listening, page, token_of

TOKEN = "correct-horse-battery"

# --- the rules ---------------------------------------------------------------------------------


def rules(token: str = TOKEN, port: int = 8710) -> PageAuth:
    return PageAuth(PageToken(token), port)


def cookie(value: str) -> dict[str, str]:
    return {"cookie": f"qqbus-8710={value}"}


class Earlier(TimestampSigner):
    """The page's own signer, of an earlier day."""

    age = 0

    def get_timestamp(self) -> int:
        return int(time.time()) - self.age


def earlier(age: int) -> str:
    """Return a cookie of `age` seconds."""
    signer = Earlier(TOKEN, salt="qqbus.page", key_derivation="hmac", digest_method=hashlib.sha256)
    signer.age = age
    return signer.sign("page").decode()


def test_a_cookie_is_good_until_it_ends_and_for_its_token_alone() -> None:
    page = rules()
    assert page.is_authenticated(cookie(page.cookie()))
    assert page.is_authenticated(cookie(earlier(COOKIE_SECONDS - 60)))
    assert not page.is_authenticated(cookie(earlier(COOKIE_SECONDS + 60)))
    assert not rules(TOKEN + "2").is_authenticated(cookie(page.cookie()))
    assert TOKEN not in page.cookie() + repr(page)


def test_the_cookie_of_one_port_is_none_of_another() -> None:
    assert not rules(port=8711).is_authenticated(cookie(rules().cookie()))


@pytest.mark.parametrize(
    "value", ["", "x", "page", "page.x", "page.x.y", "page.é.y", "page.AAAAAAAAAAAAAAAA.y", "é", "." * 9]
)
def test_an_invented_cookie_opens_nothing(value: str) -> None:
    assert not rules().is_authenticated(cookie(value))


def test_a_cookie_cannot_be_made_to_last_longer() -> None:
    text, _, seal = earlier(60).rpartition(".")
    later = rules().cookie().rpartition(".")[0]
    assert rules().is_authenticated(cookie(f"{text}.{seal}"))
    assert later != text
    assert not rules().is_authenticated(cookie(f"{later}.{seal}"))


def test_a_program_with_the_token_needs_no_origin_and_one_with_a_wrong_one_does() -> None:
    assert rules().foreign_site_error("POST", "/api/send", {"authorization": f"Bearer {TOKEN}"}) == ""
    assert rules().foreign_site_error("POST", "/api/send", {"authorization": "Bearer x"}) != ""
    assert rules().foreign_site_error("POST", "/api/send", {"host": "127.0.0.1:1", "x-qqbus": "1"}) != ""


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_can_link_to_the_page_and_read_nothing(site: str) -> None:
    tab = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert rules().foreign_site_error("GET", "/api/contacts", tab) != ""
    assert rules().foreign_site_error("GET", "/", tab) != ""
    link = tab | {"sec-fetch-mode": "navigate"}
    assert rules().foreign_site_error("GET", "/api/contacts", link) != ""
    assert rules().foreign_site_error("GET", "/login", link) == ""
    assert rules().foreign_site_error("GET", "/api/contacts", {"sec-fetch-site": "same-origin"}) == ""


@pytest.mark.parametrize(
    "host", ["[", "[::1", "evil@localhost", "localhost#.evil", "localhost/x", "a b", "localhost:x", "é"]
)
def test_a_malformed_host_is_refused(host: str) -> None:
    assert rules().host_error({"host": host}) != ""


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:  # noqa: FBT001
    assert is_loopback(host) is loopback


def test_wrong_tries_are_limited_by_address_for_a_minute() -> None:
    now = 0.0
    tries = TryLimiter(lambda: now)
    for number in range(MAX_ADDRESSES + 10):
        tries.record(f"10.0.0.{number}")
    for _ in range(WRONG_TRIES):
        assert not tries.is_blocked("10.1.1.1")
        tries.record("10.1.1.1")
    assert tries.is_blocked("10.1.1.1")
    assert not tries.is_blocked("10.1.1.2")
    now = 61.0
    assert not tries.is_blocked("10.1.1.1")


# --- over HTTP ---------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_every_answer_carries_the_strict_headers(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        for path in ("/", "/page.js", "/healthz", "/api/contacts", "/nothing", "/api/picture"):
            headers = (await http.get(path)).headers
            policy = headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] in {"no-store", "no-cache"}


@pytest.mark.anyio
async def test_the_page_holds_no_foreign_address_and_no_inline_code(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        for path in ("/", "/login"):
            text = (await http.get(path)).text
            assert "http:" not in text
            assert "https:" not in text
            assert " style=" not in text
            assert "onclick" not in text
            assert "<script>" not in text
        etag = (await http.get("/page.js")).headers["etag"]
        assert (await http.get("/page.js", headers={"If-None-Match": etag})).status_code == 304


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8710", "127.0.0.1.evil.example", ""])
@pytest.mark.anyio
async def test_a_rebound_name_is_refused(bus: Bus, redis_url: str, tmp_path: Path, host: str) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        for path in ("/", "/api/stream", "/api/picture", "/metrics"):
            refused = await http.get(path, headers={"Host": host})
            assert refused.status_code == 403
            assert "QQBUS_HTTP_TOKEN" in refused.json()["error"]


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8710"])
@pytest.mark.anyio
async def test_loopback_names_are_served_also_through_a_tunnel(
    bus: Bus, redis_url: str, tmp_path: Path, host: str
) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        assert (await http.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "["},
        {"Origin": "http://["},
        {"Origin": "é"},
        {"Cookie": "a=b; \x01=\x02; é"},
        {"Cookie": "qqbus-1=" + "a" * 4000},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic é"},
        {"Sec-Fetch-Site": "é"},
        {"If-None-Match": "é"},
        {"X-Forwarded-Proto": "é"},
        {"Accept": "[" * 4000},
    ],
)
@pytest.mark.anyio
async def test_no_header_is_answered_500(
    bus: Bus, redis_url: str, tmp_path: Path, headers: dict[str, str]
) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    async with page(bus, redis_url, tmp_path) as http:
        for path in ("/", "/login", "/login?code=x", "/api/contacts", "/page.js"):
            answer = await http.get(path, headers=raw)
            assert answer.status_code < 500
            assert "content-security-policy" in answer.headers
        answer = await http.post("/login", json={"token": "x"}, headers=raw)
        assert answer.status_code < 500
        assert "content-security-policy" in answer.headers


@pytest.mark.anyio
async def test_a_post_from_another_site_is_refused(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        own = str(http.headers["Origin"])
        for wrong in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": own.replace("http://", "http://evil.")},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            answer = await http.post("/api/control", json={"cmd": "logout"}, headers=wrong)
            assert answer.status_code == 403
        del http.headers["X-QQBus"]
        assert (await http.post("/api/control", json={"cmd": "logout"})).status_code == 403
        http.headers["X-QQBus"] = "1"
        del http.headers["Origin"]
        assert (await http.post("/api/control", json={"cmd": "logout"})).status_code == 403
        assert await bus.client.xlen(bus.keys("control")) == 0
        asked = await http.options("/api/control", headers={"Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in asked.headers


@pytest.mark.anyio
async def test_with_a_token_nothing_but_health_and_the_door_is_open(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN=TOKEN) as http:
        assert (await http.get("/")).headers["location"] == "/login"
        for path in ("/api/stream", "/api/picture", "/api/contacts", "/metrics", "/page.js", "/api/text"):
            assert (await http.get(path)).status_code == 401
        assert (await http.post("/api/send", json={"to": "friend:1", "text": "x"})).status_code == 401
        for path in ("/healthz", "/login", "/page.css", "/login.js", "/net.js"):
            assert (await http.get(path)).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
        assert await bus.client.xlen(bus.keys("outbound")) == 0


@pytest.mark.anyio
async def test_the_token_is_a_cookie_that_scripts_cannot_read_or_a_bearer(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN=TOKEN) as http:
        for wrong in ("", "wrong", TOKEN[:-1], TOKEN + "x", "é"):
            assert (await http.post("/login", json={"token": wrong})).status_code == 403
        given = await http.post("/login", json={"token": TOKEN})
        cookie = given.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/", headers={"Host": "bot.example"})).status_code == 200
        http.cookies.clear()
        assert (await http.get("/")).status_code == 303
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.get("/metrics", headers=bearer)).status_code == 200
        assert (await http.get("/metrics", headers={"Authorization": "Bearer wrong"})).status_code == 401


@pytest.mark.parametrize("address", ["0.0.0.0:0", "127.0.0.1:0"])
@pytest.mark.anyio
async def test_it_makes_a_token_only_the_owner_can_read(
    bus: Bus, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    caplog.set_level("INFO")
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP=address) as http:
        for path in ("/api/contacts", "/metrics", "/page.js"):
            assert (await http.get(path)).status_code == 401
        file = tmp_path / "http-token"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert (await http.get("/metrics", headers=bearer(tmp_path))).status_code == 200
        assert str(file) in caplog.text
        assert token_of(tmp_path) not in caplog.text
    token = token_of(tmp_path)
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP=address):
        assert token_of(tmp_path) == token


@pytest.mark.anyio
async def test_a_link_opens_the_page_once(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP="127.0.0.1:0") as http:
        token = PageToken.load(config(bus.keys.prefix, tmp_path))
        link = sign_in_link(str(http.base_url).rstrip("/"), SignInLinks(token))
        ahead = await http.get(link, headers={"Sec-Purpose": "prefetch"})
        assert (ahead.status_code, "set-cookie" in ahead.headers) == (200, False)
        opened = await http.get(link)
        assert (opened.status_code, opened.headers["location"]) == (303, "/")
        assert (await http.get("/")).status_code == 200
        assert (await http.get(link)).status_code == 303  # this browser is signed in
        http.cookies.clear()
        again = await http.get(link)
        assert "set-cookie" not in again.headers
        assert "Access token" in again.text
        assert (await http.get("/api/contacts")).status_code == 401


@pytest.mark.anyio
async def test_a_revoked_token_ends_its_sessions_and_links(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path) as http:
        former, address = bearer(tmp_path), str(http.base_url)
        token = PageToken.load(config(bus.keys.prefix, tmp_path))
        link = sign_in_link(address, SignInLinks(token))
        assert (await http.get("/api/contacts")).status_code == 200
        token.revoke()
        assert (await http.get("/api/contacts")).status_code == 401
        assert (await http.get("/api/contacts", headers=former)).status_code == 401
        assert "set-cookie" not in (await http.get(link)).headers
        assert (await http.get("/api/contacts", headers=bearer(tmp_path))).status_code == 200


@pytest.mark.anyio
async def test_tries_at_the_login_are_limited(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with page(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN=TOKEN) as http:
        for _ in range(WRONG_TRIES):
            assert (await http.post("/login", json={"token": "wrong"})).status_code == 403
        blocked = await http.post("/login", json={"token": TOKEN})
        assert (blocked.status_code, blocked.headers["retry-after"]) == (429, "60")
        assert (await http.get("/login?code=x")).status_code == 429
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await http.get("/metrics", headers=bearer)).status_code == 200


@pytest.mark.anyio
async def test_a_weak_token_and_a_taken_port_are_named(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="QQBUS_HTTP_TOKEN"):
        async with page(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN="short"):
            pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"QQBUS_HTTP={address}"):
            async with page(bus, redis_url, tmp_path, QQBUS_HTTP=address):
                pass


@pytest.mark.anyio
async def test_the_adapters_own_rights_are_enough(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    prefix = bus.keys.prefix
    granted = setuser_line(ROLES["adapter"], prefix, user=prefix, secret=hash_password("pw"))
    await bus.client.execute_command("ACL", "SETUSER", *granted.split())  # type: ignore[no-untyped-call]
    await bus.ensure_group("inbound", "echo")
    await event(bus, "hello")
    try:
        url = redis_url.replace("redis://", f"redis://{prefix}:pw@")
        async with page(bus, url, tmp_path) as http:
            async with listening(http) as stream:
                picture = await stream.next("all")
                assert (picture["bus"], len(picture["events"]), len(picture["groups"])) == ("", 1, 1)
            sent = await http.post("/api/send", json={"to": "friend:1", "text": "x"})
            told = await http.post("/api/control", json={"cmd": "refresh"})
            again = await http.post("/api/dead", json={"entry": await bury(bus, "1-1"), "action": "redrive"})
            assert [answer.status_code for answer in (sent, told, again)] == [200, 200, 200]
            assert "qqbus_redis_up 1.0" in (await http.get("/metrics")).text
    finally:
        await bus.client.execute_command("ACL", "DELUSER", prefix)  # type: ignore[no-untyped-call]


@pytest.mark.anyio
async def test_off_means_off(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with run_page(
        config(bus.keys.prefix, tmp_path, QQBUS_HTTP="off"), redis_url, Metrics(), Supervisor(Metrics())
    ) as url:
        assert url == ""
