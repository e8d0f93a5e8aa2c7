"""A real browser over a real server. Imports of ours stay inside the fixtures."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from django.conf import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request
    from pytest_django.live_server_helper import LiveServer


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
    page.on("requestfailed", lambda r: _note_failure(opened, r))
    yield opened
    context.close()


def _note_failure(visit: Visit, failed: "Request") -> None:
    # A request that was under way when the next page was asked for is no complaint.
    if failed.failure != "net::ERR_ABORTED":
        visit.complaints.append(f"failed: {failed.url}")


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
