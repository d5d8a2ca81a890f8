"""A real browser for tests: the Chromium that is installed, driven by Playwright, which downloads none."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapter.ops.page.tokens import PageToken, SignInLinks, sign_in_link

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_MS = 30_000
# A page that does not do within this what it should will not do it at all.
WAIT_MS = 15_000


class Tabs:
    """Pages of one browser, and everything they complained about."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.complaints: list[str] = []
        # Of pages that need to be signed in to: their tokens by address.
        self.tokens: dict[str, str] = {}

    async def open(
        self,
        url: str,
        *,
        width: int = 1440,
        height: int = 900,
        scheme: str = "light",
        locale: str = "en-US",
    ) -> Any:
        """Open a page of its own, with cookies of its own."""
        size = {"width": width, "height": height}
        context = await self._browser.new_context(viewport=size, color_scheme=scheme, locale=locale)
        page = await context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._heard)
        token = self.tokens.get(url)
        await page.goto(sign_in_link(url, SignInLinks(PageToken(token))) if token else url)
        return page

    def _heard(self, told: Any) -> None:
        if told.type in {"error", "warning"}:
            self.complaints.append(f"{told.type}: {told.text}")


@asynccontextmanager
async def browser() -> AsyncIterator[Tabs]:
    """Start a browser with a fresh profile; skips the test, in words, where there is none."""
    playwright = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser is installed: install one of {', '.join(NAMES)}")
    async with playwright.async_playwright() as driver:
        started = await driver.chromium.launch(executable_path=path, args=list(FLAGS), timeout=START_MS)
        try:
            yield Tabs(started)
        finally:
            await started.close()
