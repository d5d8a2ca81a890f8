"""The page and the phones in a real browser, with the adapter as a real process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest

from adapter.bus.bus import Bus
from tests.support.browser import Tabs, browser
from tests.support.helpers import PAGE_TOKEN, wait_until
from tests.support.onebot_system import onebot_system
from tests.support.ports import free_port
from tests.support.system_harness import Program, System, system

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

HOSTILE = "<img src=x onerror=\"document.title='pwned'\"> <script>document.title='pwned'</script>"
OVERRIDE = "abc \u202egnihtyna\u202c def"
# A PNG of one pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
ONLINE = "#pill[data-colour=good]"


@asynccontextmanager
async def both(
    bus: Bus,
    redis_url: str,
    folder: Path,
    profile: str = "e3",
    options: dict[str, Any] | None = None,
    **settings: str,
) -> AsyncIterator[tuple[System, Tabs, str, Program]]:
    """Run a system whose adapter serves its page, and a browser; a page that complains is a failure."""
    async with browser() as tabs, system(bus, redis_url, folder, profile, **(options or {})) as it:
        it.sim.set(auto_scan=False)
        port = free_port()
        adapter = it.start("adapter", "run", **{"QQBUS_HTTP": f"127.0.0.1:{port}"} | settings)
        await wait_until(
            lambda: "status page on" in adapter.text() or adapter.process.poll() is not None,
            "the page is there",
        )
        assert adapter.process.poll() is None, adapter.text()
        url = f"http://127.0.0.1:{port}"
        if "QQBUS_HTTP_TOKEN" not in settings:
            tabs.tokens[url] = PAGE_TOKEN
        yield it, tabs, url, adapter
        assert tabs.complaints == []


async def log_in(page: Any, phone: Any) -> None:
    await page.wait_for_selector("#code-picture")
    await phone.click("[data-do=scan]")
    await page.wait_for_selector("text=Confirm the login on the phone")
    await phone.click("[data-do=confirm]")
    await page.wait_for_selector(ONLINE)


async def say(phone: Any, chat: str, text: str) -> None:
    await phone.click(f'[data-chat="{chat}"]')
    await phone.fill("#text", text)
    await phone.click("#go")


async def test_a_conversation_from_the_scan_to_the_answer(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, adapter):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await log_in(page, phone)
        assert "305419896" in await page.inner_text("#pill-who")
        assert await page.is_hidden("#session")

        await say(phone, "friend:10001", "hello from the phone 😀")
        row = page.locator("#rows .message", has_text="hello from the phone")
        await row.wait_for()
        assert "小林" in await row.inner_text()

        await row.hover()
        await row.locator(".reply").click()
        await page.fill("#text", "hello from the page [微笑]")
        await page.press("#text", "Enter")
        await page.wait_for_selector("#sent[data-colour=good]")
        await page.locator("#rows .request", has_text="hello from the page").get_by_text("✓ sent").wait_for()
        await phone.locator("#talk .left", has_text="hello from the page 🙂").wait_for()
        assert [(one.chat, one.text) for one in it.sim.received] == [
            ("friend:10001", "hello from the page [微笑]")
        ]
        await page.close()  # it would look for an adapter that has ended, and complain
        assert await adapter.stop() == 0


async def test_hostile_texts_are_shown_as_text(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await log_in(page, phone)
        it.sim.say("friend:10001", HOSTILE)
        it.sim.say("friend:10001", OVERRIDE)
        it.sim.say("friend:10001", "长" * 100_000)
        it.sim.say("friend:10001", "the last one")
        for tab in (page, phone):
            await tab.wait_for_selector("text=the last one")
            assert "pwned" not in await tab.title()
            assert await tab.locator("#rows img, #talk img, #rows script, #talk script").count() == 0

        texts = page.locator("#rows .text")
        assert HOSTILE in await texts.all_inner_texts()
        override = page.locator("#rows .text", has_text=OVERRIDE)
        assert await override.evaluate("node => getComputedStyle(node).unicodeBidi") == "isolate"
        assert await override.evaluate("node => node.tagName") == "BDI"

        long = page.locator("#rows .message", has_text="长长长")
        assert (await long.bounding_box())["height"] < 250
        await long.get_by_role("button", name="Show all").click()
        await wait_until(lambda: _length(long), "the whole text is shown")
        assert (await long.bounding_box())["height"] < 900
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def _length(row: Any) -> bool:
    return bool(await row.locator(".text").evaluate("node => node.textContent.length") == 100_000)


@pytest.mark.long
async def test_a_refused_code_is_replaced_and_a_lost_session_is_said(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await page.wait_for_selector("#code-picture")
        first = await page.get_attribute("#code-picture", "src")
        await phone.click("[data-do=scan]")
        await phone.click("[data-do=refuse]")
        await page.wait_for_function(
            "first => document.querySelector('#code-picture').src.endsWith(first) === false", arg=first
        )
        await log_in(page, phone)
        await phone.click("[data-do=kick]")
        await page.wait_for_selector("#session h2:has-text('Logged in somewhere else')")
        await page.click("#session-login")  # the cookies are still good: no code is needed
        await page.wait_for_selector(ONLINE)


async def test_a_captcha_is_typed_on_the_page(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    settings = {"QQBUS_LOGIN": "password", "QQBUS_ACCOUNT": "305419896", "QQBUS_PASSWORD": "secret"}
    options = {"captcha": True}
    async with both(bus, redis_url, tmp_path, "e1", options, **settings) as (it, tabs, url, _):
        page = await tabs.open(url)
        await page.wait_for_selector("#captcha-text")
        assert await page.locator("#code-picture").evaluate(
            "image => image.decode().then(() => image.naturalWidth > 0)"
        )
        await page.fill("#captcha-text", it.sim.captcha)
        await page.press("#captcha-text", "Enter")
        await page.wait_for_selector(ONLINE)


@pytest.mark.long
async def test_groups_dead_letters_contacts_and_filters(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await bus.ensure_group("inbound", "echo")
        await log_in(page, phone)
        it.sim.say("friend:10001", "one apple")
        it.sim.say("group:123456789", "two pears", sender=20002)
        await page.wait_for_selector("text=two pears")
        await page.locator("#group-rows tr", has_text="echo").wait_for()

        await page.fill("#search", "apple")
        assert await page.locator("#rows li:visible").count() == 1
        await page.fill("#search", "")
        await page.locator("#rows .chat").first.click()
        await page.wait_for_selector("#only:visible")
        assert await page.locator("#rows .message:visible").count() == 1
        await page.click("#only")

        letter = {"stream": bus.keys("outbound"), "entry": "1-1", "reason": "test", "detail": "<b>why</b>"}
        fields: dict[Any, Any] = letter | {
            "fields": msgpack.packb({"to": b"friend:1", "text": b"again", "id": b"a/1"})
        }
        await bus.client.xadd(bus.keys("dead"), fields)
        await page.locator("#dead article", has_text="<b>why</b>").get_by_text("Try again").click()
        await (
            page.locator("#rows .request", has_text="again").get_by_text("failed · target.unknown").wait_for()
        )
        await page.wait_for_selector("#dead .hint:has-text('None')")

        await page.fill("#contact-search", "林晓")
        await wait_until(lambda: _found(page, 2), "a friend and a discussion are found")
        await page.locator("#contact-rows .who", has_text="小林").click()
        assert (await page.input_value("#to")).startswith("friend:")


async def _found(page: Any, count: int) -> bool:
    return bool(await page.locator("#contact-rows .who").count() == count)


async def test_contacts_come_though_the_status_never_stands_still(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with both(bus, redis_url, tmp_path, options={"poll_seconds": 0.2}) as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await page.locator("#contact-rows .hint", has_text="No contacts yet").wait_for()
        await log_in(page, phone)
        await page.locator("#contact-rows .who", has_text="小林").wait_for()


async def test_a_deaf_line_is_shown_as_what_it_is_until_something_arrives(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "alerts.json").write_text('{"alarm": "deaf", "disk": false, "undelivered": {}}')
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await page.wait_for_selector("#code-picture")
        it.sim.scan()
        it.sim.confirm()
        await page.wait_for_selector("#pill[data-colour=bad]:has-text('Online, but no events arrive')")
        assert await page.is_visible("#session")
        await say(phone, "friend:10001", "are you there?")
        await page.wait_for_selector(ONLINE)
        assert await page.is_hidden("#session")


async def test_a_full_disk_of_the_other_adapter_is_said_and_what_to_do(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    await bus.client.set(bus.keys("lease"), "host:1:x", ex=60)
    figures = {"state": "online", "account": "305419896", "disk": "No space left <b>on device</b>"}
    await bus.client.hset(bus.keys("status"), mapping=dict[Any, Any](figures))
    async with both(bus, redis_url, tmp_path) as (_, tabs, url, _adapter):
        page = await tabs.open(url)
        await page.wait_for_selector("#pill[data-colour=bad]:has-text('The disk is full')")
        assert "Make room" in await page.inner_text("#session-todo")
        assert figures["disk"] in await page.inner_text("#session-detail")
        await bus.client.hset(bus.keys("status"), "disk", "")
        await page.wait_for_selector(ONLINE)
        assert await page.is_hidden("#session")


async def test_the_send_box_takes_the_chat_that_is_looked_at_and_names(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await log_in(page, phone)
        it.sim.say("group:123456789", "two pears", sender=20002)
        await page.locator("#rows .message", has_text="two pears").locator(".chat").click()
        await page.wait_for_selector("#only:visible")
        await page.fill("#text", "to all of you")
        await page.press("#text", "Enter")
        await page.wait_for_selector("#sent[data-colour=good]")
        await page.click("#only")
        await page.locator("#contact-rows .who", has_text="小林").wait_for()
        await page.fill("#to", "10001")
        await page.fill("#text", "by your number")
        await page.press("#text", "Enter")
        await page.wait_for_selector("#sent[data-colour=good]:has-text('小林')")
        received = [(one.chat, one.text) for one in it.sim.received]
        assert received == [("group:123456789", "to all of you"), ("friend:10001", "by your number")]

        await page.locator("#contact-rows .quiet").first.click()
        await page.wait_for_selector("#contact-rows .heading:has-text('Members of')")


async def test_what_was_sent_is_shown_once_though_it_is_an_event_too(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with both(bus, redis_url, tmp_path, QQBUS_PUBLISH_SENT="1") as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await log_in(page, phone)
        it.sim.say("friend:10001", "two pears")
        await page.locator("#rows .message", has_text="two pears").locator(".reply").click()
        await page.fill("#text", "and an apple")
        await page.press("#text", "Enter")
        row = page.locator("#rows .message", has_text="and an apple")
        await row.get_by_text("✓ sent").wait_for()
        # It comes behind the event about what was sent.
        it.sim.say("friend:10001", "thank you")
        await page.locator("#rows .message", has_text="thank you").wait_for()
        assert await row.count() == 1
        await page.reload()
        await page.locator("#rows .message", has_text="thank you").wait_for()
        assert await row.count() == 1


async def test_a_picture_comes_through_the_adapter(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with both(bus, redis_url, tmp_path, "e1") as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await log_in(page, phone)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        it.sim.say("friend:10001", content=[["picture", "photo.png"]])
        picture = page.locator("#rows .picture")
        await picture.wait_for()
        assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        assert all(one.startswith(url) for one in asked)


async def test_a_friend_request_is_approved_on_the_page(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    port = free_port()
    async with browser() as tabs, onebot_system("napcat", bus, redis_url, tmp_path) as it:
        adapter = it.start("adapter", "run", QQBUS_HTTP=f"127.0.0.1:{port}")
        await wait_until(lambda: "status page on" in adapter.text(), "the page is there", 30.0)
        url = f"http://127.0.0.1:{port}"
        tabs.tokens[url] = PAGE_TOKEN
        page = await tabs.open(url)
        await page.wait_for_selector(ONLINE)
        it.server.say("friend:10001", message=[{"type": "image", "data": {"base64": PIXEL}}])
        picture = page.locator("#rows .picture")
        await picture.wait_for()
        assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        it.server.notice("friend_request", user=10010, comment="hello")
        row = page.locator("#rows .request", has_text="friend request")
        await row.locator("[data-op=approve]").click()
        await row.get_by_text("✓ approved").wait_for()
        await page.reload()
        await row.get_by_text("✓ approved").wait_for()
        await page.close()
        assert tabs.complaints == []


@pytest.mark.long
async def test_a_paused_adapter_keeps_what_is_asked_of_it(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        page, phone = await tabs.open(url), await tabs.open(f"{it.sim.url}/phone")
        await log_in(page, phone)
        it.sim.say("friend:10001", "anybody?")
        row = page.locator("#rows .message", has_text="anybody?")
        await row.hover()
        await row.locator(".reply").click()
        await page.click("#hold")
        await page.wait_for_selector("#hold:has-text('Resume')")
        await page.fill("#text", "later")
        await page.press("#text", "Enter")
        await page.locator("#rows .request", has_text="later").get_by_text("waiting").wait_for()
        await page.click("#hold")
        await page.wait_for_selector("#sent[data-colour=good]")
        assert len(it.sim.received) == 1


async def test_the_door_opens_with_the_token_alone(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    token = "correct-horse-battery"
    async with both(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN=token) as (_, tabs, url, _program):
        page = await tabs.open(url)
        await page.fill("#token", "wrong-horse-battery")
        await page.press("#token", "Enter")
        await page.wait_for_selector("#refused:has-text('not the token')")
        assert tabs.complaints.pop().endswith("403 (Forbidden)")
        await page.fill("#token", token)
        await page.press("#token", "Enter")
        await page.wait_for_selector("#code-picture")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.long
async def test_it_fits_a_phone(bus: Bus, redis_url: str, tmp_path: Path, scheme: str) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        page = await tabs.open(url, width=360, height=740, scheme=scheme)
        phone = await tabs.open(f"{it.sim.url}/phone", width=360, height=740, scheme=scheme)
        for tab in (page, phone):
            assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await log_in(page, phone)
        for tab in ("state", "people", "feed"):
            await page.click(f"#tabs [data-tab={tab}]")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await phone.click('[data-chat="friend:10001"]')
        assert await phone.is_visible("#talk")
        await phone.click("#back")
        assert await phone.is_hidden("#talk")


@pytest.mark.long
async def test_a_page_outlives_its_adapter_and_says_so(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, adapter):
        page = await tabs.open(url)
        await page.wait_for_selector("#code-picture")
        assert await adapter.stop() == 0
        await page.wait_for_selector("#lost:visible")
        it.sim.set(auto_scan=True)
        it.start("adapter", "run", QQBUS_HTTP=url.removeprefix("http://"))
        await page.wait_for_selector(ONLINE, timeout=30_000)
        tabs.complaints.clear()
        await page.wait_for_selector("#lost", state="hidden")
        tabs.complaints.clear()  # the browser complains about each try
