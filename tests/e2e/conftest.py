"""A real browser over a real server. Imports of ours stay inside the fixtures."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from django.conf import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page
    from pytest_django.live_server_helper import LiveServer

CHROMIUM = os.environ.get("IDP_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")

# A sandbox needs rights that containers do not give; the pages are our own.
_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    if not CHROMIUM:
        pytest.skip("no Chromium is installed: apt-get install chromium, or IDP_TEST_CHROMIUM=path")
    sync_api = pytest.importorskip("playwright.sync_api")
    # Playwright runs an event loop in this thread, in which Django would refuse the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield chromium
        chromium.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Visit:
    """A person in front of a screen; `complaints` are console errors and failed requests."""

    page: "Page"
    base: str
    complaints: list[str] = field(default_factory=list)

    def goto(self, path: str) -> None:
        self.page.goto(self.base + path)
        self.page.evaluate("document.fonts.ready")


@pytest.fixture
def visit(
    live_server: "LiveServer", browser: "Browser", request: pytest.FixtureRequest
) -> Iterator[Visit]:
    """Ines, a Member, logged in. Parametrise indirectly with options of the browser's context."""
    context = _context(browser, live_server, getattr(request, "param", {}))
    page = context.new_page()
    opened = Visit(page, live_server.url)
    page.on("console", lambda m: opened.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("requestfailed", lambda r: opened.complaints.append(f"failed: {r.url}"))
    yield opened
    context.close()


def _context(
    browser: "Browser", live_server: "LiveServer", options: dict[str, object]
) -> "BrowserContext":
    from tests.factories import make_browser

    context = browser.new_context(**{"reduced_motion": "reduce", **options})  # type: ignore[arg-type]
    session = make_browser("ines").cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
    )
    return context
