"""A scorecard is built by keyboard, shows who would pass meanwhile, and asks before it lowers."""

import json
import re
from typing import Any

from playwright.sync_api import expect

from scorecards.models import Scorecard
from scorecards.services.definitions import create_scorecard
from scorecards.services.evaluating import evaluate
from tests.catalog.admin.test_in_a_browser import page, typed
from tests.factories import ACTOR, make_blueprint, make_entity

__all__ = ["page"]

CONDITION = {"property": "stars", "operator": ">", "value": 3, "x-own": [1, 12345678901234567]}
DOCUMENT = {
    "identifier": "ready",
    "title": "Ready",
    "zone": {"b": 1.0, "a": None},
    "levels": [{"title": "Basic", "x-own": True}, {"title": "Gold", "color": "gold"}],
    "rules": [
        {
            "identifier": "stars",
            "level": "Gold",
            "query": {"combinator": "and", "conditions": [CONDITION]},
            "x-own": "kept",
        }
    ],
}


def row(page: Any, at: int) -> Any:
    return page.locator(".idp-row:has(.idp-row-open)").nth(at)


def document(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.locator("#id_document").input_value())
    return found


def test_a_scorecard_is_built(page: Any) -> None:
    schema = {"properties": {"stars": {"type": "number"}, "live": {"type": "boolean"}}}
    make_blueprint("service", title="Service", schema=schema)
    for name, stars in {"pay": 5, "mail": 4, "old": 1}.items():
        make_entity("service", name, title=name.title(), properties={"stars": stars, "live": True})
    made = create_scorecard("service", DOCUMENT, actor=ACTOR)
    evaluate(made.pk, cause="data")
    page.goto(f"/admin/scorecards/scorecard/{made.pk}/change/")

    # what is stored, and nothing that the page has changed by itself; who passes beside it
    what_if = page.locator("#what-if")
    expect(what_if).to_contain_text("2 of 3")
    shown = document(page)
    assert json.dumps(shown) == json.dumps(
        {"identifier": "ready", "blueprint": "service", **made.document, "state": "active"}
    )
    expect(row(page, 0)).to_contain_text("2 of 3 pass")

    # a level gets another name, and its rules follow; a rule is added, asked by pickers
    page.get_by_label("Title of the level").nth(1).fill("Best")
    page.get_by_role("button", name="Add a rule").press("Enter")
    typed(row(page, 1).get_by_label("Title"), "Live")
    row(page, 1).get_by_label("What", exact=True).select_option("live")
    row(page, 1).get_by_label("How", exact=True).select_option("=")
    row(page, 1).get_by_label("Value", exact=True).select_option("false")
    expect(row(page, 1)).to_contain_text("0 of 3 pass")
    expect(what_if).to_contain_text("2 drop to a lower level")
    page.get_by_role("button", name="Move Live up").press("Enter")
    expect(page.get_by_role("button", name="Move Live down")).to_be_focused()

    # in CQL, with what is wrong at its row
    row(page, 0).get_by_label("CQL", exact=True).first.check()
    row(page, 0).get_by_role("textbox", name="CQL").fill('custom("stars") >\n> 3')
    expect(row(page, 0).get_by_role("alert")).to_contain_text("Line 2, column 1")
    row(page, 0).get_by_role("textbox", name="CQL").fill('custom("stars") >= 1')
    expect(row(page, 0)).to_contain_text("3 of 3 pass")
    page.get_by_role("tab", name="YAML").press("Enter")
    expect(page.locator("#id_yaml")).to_have_value(re.compile(r'custom\("stars"\) >= 1'))

    # one entity, with another value
    page.get_by_role("tab", name="One entity").press("Enter")
    expect(page.locator("#one")).to_contain_text("Mail")
    page.locator("#id_edits").fill('{"stars": 1}')
    expect(page.locator("#one")).to_contain_text("Basic")

    # what lowers many asks first; back at the builder nothing is lost
    row(page, 1).get_by_role("button", expanded=False).press("Enter")
    row(page, 1).get_by_label("Value", exact=True).fill("9")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator("#confirm_form")).to_contain_text("2 of 3 entities would drop")
    page.get_by_role("button", name="Back to the builder").press("Enter")
    expect(page.get_by_label("Title of the level").nth(1)).to_have_value("Best")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("button", name="Save, counting at once").press("Enter")
    expect(page.get_by_text("was saved as version 2")).to_be_visible()

    saved = Scorecard.objects.get()
    live, stars = saved.document["rules"]
    assert live == {
        "title": "Live",
        "identifier": "live",
        "level": "Best",
        "expression": ('custom("stars") >= 1'),
    }
    assert stars["query"]["conditions"] == [{**CONDITION, "value": 9}]
    assert (stars["level"], stars["x-own"], saved.document["zone"]) == (
        "Best",
        "kept",
        {"b": 1.0, "a": None},
    )
    assert saved.document["levels"][0] == {"title": "Basic", "x-own": True}
