"""Page, login form and phones in Chinese and in English: by the browser's language, and by the switch."""

from pathlib import Path

import pytest

from adapter.bus.bus import Bus
from adapter.i18n import catalogue
from tests.adapter.ops.page.test_browser import ONLINE, both

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not catalogue("zh_CN"), reason="the catalogues are compiled when qqbus is installed"),
]

# Controls that a person sees and a screen reader has no name for.
NAMELESS = """() => [...document.querySelectorAll("input, select, textarea, button, a")].filter((one) =>
  one.offsetParent && !one.labels?.length && !one.getAttribute("aria-label") && !one.title && !one.textContent.trim()
).map((one) => one.outerHTML)"""
WORDS = ("Events", "Contacts", "Pause sends", "Consumer groups", "Send", "Members", "Online")


async def test_page_and_phones_speak_the_language_of_the_browser_until_it_is_switched(
    bus: Bus, redis_url: str, tmp_path: Path
) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        page = await tabs.open(url, locale="zh-CN")
        phone = await tabs.open(f"{it.sim.url}/phone", locale="zh-CN")
        await phone.get_by_role("button", name="扫码").click()
        await page.wait_for_selector("text=请在手机上确认登录")
        await phone.get_by_role("button", name="登录", exact=True).click()
        await page.wait_for_selector(ONLINE)
        it.sim.say("friend:10001", "你好")
        await page.wait_for_selector("#rows .message:has-text('你好')")
        shown = await page.inner_text("body")
        assert "在线" in shown
        assert [word for word in WORDS if word in shown] == []
        assert await page.get_attribute("html", "lang") == "zh-CN"
        await page.fill("#to", "nobody")
        await page.fill("#text", "你好")
        await page.click("#go")
        await page.wait_for_selector("text=地址 'nobody' 不属于")
        await page.wait_for_selector("text=也没有联系人叫这个名字")
        tabs.complaints.clear()  # the browser complains about the 400

        await page.click("#language")
        await page.wait_for_selector(f"{ONLINE}:has-text('Online')")
        await page.reload()
        await page.wait_for_selector(f"{ONLINE}:has-text('Online')")
        await phone.click("#language")
        await phone.wait_for_selector("#state:has-text('online')")


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
async def test_both_fit_a_phone_and_name_their_controls(
    bus: Bus, redis_url: str, tmp_path: Path, locale: str
) -> None:
    async with both(bus, redis_url, tmp_path) as (it, tabs, url, _):
        for address in (url, f"{it.sim.url}/phone"):
            tab = await tabs.open(address, width=360, height=740, locale=locale)
            await tab.wait_for_selector("#language:visible")
            assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await tab.evaluate(NAMELESS) == []
            assert await tab.locator("h1").count() == 1


async def test_the_login_form_speaks_it_too(bus: Bus, redis_url: str, tmp_path: Path) -> None:
    token = "correct-horse-battery"
    async with both(bus, redis_url, tmp_path, QQBUS_HTTP_TOKEN=token) as (_, tabs, url, _program):
        page = await tabs.open(url, locale="zh-CN")
        await page.fill("#token", "wrong-horse-battery")
        await page.press("#token", "Enter")
        await page.wait_for_selector("#refused:has-text('令牌不对')")
        tabs.complaints.clear()  # the browser complains about the 403
