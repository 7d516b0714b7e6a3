"""The system's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Literal

from playwright.async_api import async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

DESKTOP_WIDTH = 1280
PHONE_WIDTH = 390
# A container has no user namespaces for Chromium's sandbox and no GPU; the rest keeps it from calling home.
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


class BrowserUnavailableError(Exception):
    """There is no Chromium on this machine; the message says what to install."""


def find_chromium() -> str:
    """The browser to drive: `$CHROMIUM`, or the first of the usual names on PATH."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    message = "Chromium was not found. On Debian: apt-get install chromium; elsewhere name one in CHROMIUM"
    raise BrowserUnavailableError(message)


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """A headless browser with a profile of its own; it starts in under a second."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


async def open_page(
    browser: Browser,
    *,
    javascript: bool = True,
    color_scheme: Literal["light", "dark"] = "light",
    width: int = DESKTOP_WIDTH,
) -> Page:
    """A page of a new visitor, without cookies, closed with its browser. `width` is in CSS pixels."""
    context = await browser.new_context(
        java_script_enabled=javascript,
        color_scheme=color_scheme,
        viewport={"width": width, "height": 844},
        timezone_id="Europe/Berlin",
        locale="en-GB",
    )
    context.set_default_timeout(10_000)
    return await context.new_page()
