"""What only a browser can show: scripts, keyboard, screen sizes."""

import re
from typing import TYPE_CHECKING

import pytest

from catalog.models import TEAM, USER
from tests.e2e.conftest import Visit
from tests.factories import make_blueprint, make_entity
from tests.scorecards.goals import card, evaluated

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1440, "height": 900}}
DARK = {**PHONE, "color_scheme": "dark"}

PAGES = [
    "/",
    "/catalog",
    "/catalog/service",
    "/catalog/service?f=tier:is:gold&q=pay",
    "/catalog/service/-/new",
    "/catalog/service/pay",
    "/catalog/service/pay?tab=related",
    "/catalog/service/pay?tab=graph&depth=3",
    "/catalog/service/pay?tab=history",
    "/catalog/service/pay?tab=source",
    "/catalog/service/pay?tab=api",
    "/catalog/service/pay/edit",
    "/catalog/_team/core",
    "/teams",
    "/people",
    "/me",
    "/search?q=pay",
    "/self-service",
    "/self-service/scale",
    "/self-service/scale?entity=pay",
    "/runs",
    "/runs?status=FAILURE",
    "/approvals",
    "/catalog/service/pay?tab=scorecards",
    "/scorecards",
    "/scorecards/service/ready",
    "/scorecards/service/ready/-/entities",
    "/scorecards/service/ready/-/heat-map",
    "/scorecards/service/ready/-/teams",
    "/scorecards/service/ready/-/history",
    "/accounts/password/change/",
    "/accounts/2fa/",
]
# What is as wide as the screen, or shows other things on a wide one.
WIDE = [
    "/",
    "/catalog/service",
    "/catalog/service/pay?tab=graph&depth=3",
    "/runs",
    "/scorecards/service/ready",
    "/scorecards/service/ready/-/heat-map",
]


@pytest.fixture(autouse=True)
def organisation(transactional_db: None) -> None:
    from catalog.services.blueprints import ensure_system_blueprints

    ensure_system_blueprints()
    make_entity(TEAM, "core", title="Core team")
    make_entity(
        USER, "ines", properties={"email": "ines@example.com"}, relations={"team": ["core"]}
    )
    make_blueprint(
        "service",
        title="Service",
        properties={
            "tier": {"type": "string", "title": "Tier", "enum": ["gold", "silver"]},
            "readme": {"type": "string", "title": "README", "format": "markdown"},
            "config": {"type": "object", "title": "Config"},
        },
        relations={"needs": {"title": "Needs", "target": "service", "many": True}},
    )
    make_entity(
        "service",
        "pay",
        title="Payments",
        team=["core"],
        properties={"tier": "gold", "readme": "# Hi\n\n" + "word " * 200, "config": {"a": [1, 2]}},
        relations={"needs": ["ledger", "gone"]},
        descriptor={"kind": "Component"},
    )
    make_entity("service", "ledger", title="Ledger", properties={"tier": "silver"})
    make_scaling()
    evaluated(card())


def make_scaling() -> None:
    """An action that an agent elsewhere does the work of."""
    from actions.services.definitions import create_action
    from tests.factories import ACTOR

    replicas = {"type": "number", "title": "Replicas", "minimum": 1}
    create_action(
        {
            "identifier": "scale",
            "title": "Scale",
            "trigger": {
                "type": "self-service",
                "operation": "DAY-2",
                "blueprintIdentifier": "service",
                "userInputs": {"properties": {"replicas": replicas}},
            },
            "invocationMethod": {"type": "WEBHOOK", "url": "https://x.example", "agent": True},
        },
        actor=ACTOR,
    )


@pytest.mark.parametrize(
    ("visit", "pages"),
    [(DARK, PAGES), (DESK, WIDE)],
    indirect=["visit"],
    ids=["phone, dark", "desk"],
)
def test_no_page_complains_or_scrolls_sideways(visit: Visit, pages: list[str]) -> None:
    for path in pages:
        visit.goto(path)
        assert visit.complaints == [], path
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
        assert not visit.page.evaluate(wide), path


def test_everything_is_found_by_keyboard_alone(visit: Visit) -> None:
    for opener in ("Control+k", "/"):
        visit.goto("/catalog")
        visit.page.keyboard.press(opener)
        visit.page.keyboard.type("ledg")
        visit.page.wait_for_selector("#palette [role=option] mark")
        visit.page.keyboard.press("ArrowDown")
        visit.page.keyboard.press("ArrowUp")
        with visit.page.expect_navigation():
            visit.page.keyboard.press("Enter")
        assert visit.page.url == f"{visit.base}/catalog/service/ledger"
    assert visit.complaints == []


def test_what_was_seen_and_starred_is_known(visit: Visit) -> None:
    visit.goto("/catalog/service/pay")
    visit.page.click(".ui-star")
    visit.page.wait_for_selector(".ui-star[aria-pressed=true]")
    visit.goto("/")
    assert "Payments" in visit.page.locator("section:has(h2:text('Starred'))").inner_text()
    visit.page.keyboard.press("Control+k")
    assert "Payments" in visit.page.locator("#palette [role=option]").first.inner_text()
    visit.page.keyboard.type("zzzz")
    visit.page.wait_for_selector("#palette p:has-text('Nothing was found')")
    visit.page.keyboard.press("Escape")
    assert not visit.page.locator("#palette").is_visible()
    assert "Payments" in visit.page.locator("[data-recent-card]").inner_text()


def test_quick_search_narrows_the_table_in_place(visit: Visit) -> None:
    visit.goto("/catalog/service")
    visit.page.focus("#quick-search")
    visit.page.keyboard.type("a/b")  # a slash in a field is a slash
    assert visit.page.input_value("#quick-search") == "a/b"
    assert not visit.page.locator("#palette").is_visible()
    visit.page.fill("#quick-search", "")
    visit.page.keyboard.type("paym")
    visit.page.wait_for_url("**/catalog/service?q=paym")
    _wait_for_rows(visit.page, ["Payments"])
    assert visit.page.evaluate("document.activeElement.id") == "quick-search"
    visit.page.click("summary:has-text('Tier')")
    visit.page.click("#table-region .ui-menu a:has-text('silver')")
    visit.page.wait_for_selector("text=Nothing here fits")
    assert "q=paym" in visit.page.url
    assert "f=tier:is:silver" in visit.page.url
    visit.page.go_back()
    _wait_for_rows(visit.page, ["Payments"])


def test_a_filter_is_built_from_the_values_there_are(visit: Visit) -> None:
    visit.goto("/catalog/service")
    visit.page.click("summary:has-text('Filter')")
    visit.page.select_option("select[name=column]", "relations.needs")
    visit.page.check("#filter-values input[value=ledger]")
    with visit.page.expect_navigation():
        visit.page.click("text=Add filter")
    _wait_for_rows(visit.page, ["Payments"])
    chip = visit.page.locator(".ui-filter")
    assert re.sub(r"\s+", " ", chip.inner_text()).startswith("Needs is Ledger")
    chip.locator("a").click()
    _wait_for_rows(visit.page, ["Ledger", "Payments"])


def test_columns_are_moved_by_keyboard_and_stay(visit: Visit) -> None:
    visit.goto("/catalog/service")
    visit.page.click("summary:has-text('Columns')")
    visit.page.focus("[aria-label='Move Tier up']")
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Enter")
    with visit.page.expect_navigation():
        visit.page.click("text=Apply")
    visit.goto("/catalog/service")
    assert visit.page.locator("thead th").first.inner_text().startswith("Tier")


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True)
def test_tables_work_without_scripts(visit: Visit) -> None:
    visit.goto("/catalog/service")
    assert visit.page.locator("h1").is_visible()
    visit.page.fill("#quick-search", "ledg")
    visit.page.press("#quick-search", "Enter")
    assert visit.page.locator("tbody tr").count() == 1
    visit.goto("/catalog/service")
    visit.page.click("summary:has-text('Filter')")
    visit.page.select_option("select[name=column]", "tier")
    visit.page.select_option("select[name=operator]", "is")
    visit.page.fill("#filter-values input[name=value]", "gold")
    visit.page.click("text=Add filter")
    assert "f=tier:is:gold" in visit.page.url
    assert visit.page.locator("tbody tr").count() == 1


@pytest.mark.parametrize("visit", [PHONE], indirect=True)
def test_the_menu_opens_on_a_phone(visit: Visit) -> None:
    visit.goto("/")
    assert not visit.page.locator("#nav-sidebar").is_visible()
    visit.page.click("[aria-label='Open the menu']")
    visit.page.locator("#nav-sidebar a[href='/catalog/service']").click()
    visit.page.wait_for_url("**/catalog/service")
    assert visit.complaints == []


def _wait_for_rows(page: "Page", titles: list[str]) -> None:
    """Until the table shows exactly these."""
    page.wait_for_function(
        "titles => JSON.stringify([...document.querySelectorAll('tbody a.ui-strong')]"
        ".map(link => link.textContent)) === JSON.stringify(titles)",
        arg=titles,
    )


@pytest.mark.parametrize("visit", [PHONE], indirect=True, ids=["phone"])
def test_a_run_is_started_and_watched(visit: Visit) -> None:
    from actions.models import Run
    from actions.services import reporting
    from actions.services.states import changing, move
    from tests.factories import ACTOR

    visit.goto("/catalog/service/pay")
    visit.page.click("#actions .ui-button")
    visit.page.fill("[name='input.replicas']", "3")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/runs/r_*")
    run = Run.objects.get()
    visit.page.click("#run-cancel summary")
    visit.page.fill("#cancel-reason", "not no")
    for number in range(60):
        reporting.log(run, f"\x1b[32mline {number}\x1b[0m\n<b>of it</b>")
    visit.page.wait_for_selector("#run-log-lines li:has-text('line 59')")
    at_end = "e => e.scrollHeight - e.scrollTop - e.clientHeight < 2"
    assert visit.page.locator("[data-log]").evaluate(at_end)
    # what somebody is typing stays when the page around it changes
    Run.objects.filter(pk=run.pk).update(status_label="Half way")
    visit.page.wait_for_selector("#run-head .ui-badge:has-text('Half way')")
    visit.page.keyboard.type("w")
    assert visit.page.input_value("#cancel-reason") == "not now"
    # whoever scrolls up is left there
    visit.page.evaluate("document.querySelector('[data-log]').scrollTop = 0")
    visit.page.wait_for_function("!document.querySelector('[data-follow]').checked")
    reporting.log(run, "the last one")
    with changing(run.pk, ACTOR) as held:
        move(held, "SUCCESS", summary="All is new")
    visit.page.wait_for_selector("#run-state:has-text('All is new')")
    visit.page.wait_for_selector("#run-log-lines li:has-text('the last one')")
    assert visit.page.evaluate("document.querySelector('[data-log]').scrollTop") == 0
    visit.page.wait_for_selector("#run-live:not([hx-get])", state="attached")
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
    assert not visit.page.evaluate(wide)
    assert visit.complaints == []


@pytest.mark.parametrize("visit", [{"java_script_enabled": False}], indirect=True, ids=["plain"])
def test_self_service_works_without_scripts(visit: Visit) -> None:
    visit.page.goto(f"{visit.base}/self-service?q=scal")
    visit.page.click("text=Scale")
    visit.page.click("#choices a:has-text('Payments')")
    visit.page.fill("[name='input.replicas']", "0")
    visit.page.click(".ui-form-bar [type=submit]")
    visit.page.wait_for_selector(".idp-errors, .errors")
    visit.page.fill("[name='input.replicas']", "3")
    visit.page.click(".ui-form-bar [type=submit]")
    visit.page.wait_for_url("**/runs/r_*")
    visit.page.click("summary:has-text('Cancel')")
    visit.page.click("text=Cancel the run")
    assert visit.page.locator("#run-head .ui-badge").inner_text().endswith("Cancelled")
    visit.page.goto(f"{visit.base}/runs?status=CANCELLED&mine=1")
    assert visit.page.locator("tbody tr").count() == 1
