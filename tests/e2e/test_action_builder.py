"""An action is built by keyboard, looked at, tried, and says afterwards what it said before."""

import json
from typing import Any

from playwright.sync_api import expect

from actions.models import Action, Run
from actions.services.definitions import create_action
from tests.actions.actions import day2
from tests.catalog.admin.test_in_a_browser import page, typed
from tests.factories import ACTOR, make_blueprint, make_entity

__all__ = ["page"]

INPUTS = {
    "properties": {
        "zone": {"type": "string", "x-own": [1, 12345678901234567, {"b": 1.0, "a": None}]},
        "size": {"type": "number", "default": {"jqQuery": ".form.zone | length"}},
    },
    "titles": {"more": {"title": "More"}},
    "order": ["size", "more", "zone"],
    "required": ["zone"],
    "x-own": "kept",
}


def row(page: Any, at: int) -> Any:
    return page.locator(".idp-row").nth(at)


def test_an_action_is_built_and_tried(page: Any) -> None:
    make_blueprint("service", title="Service")
    make_entity("service", "pay", title="Payments")
    made = create_action(day2("restart", trigger={"userInputs": INPUTS}, zone=1), actor=ACTOR)
    page.goto(f"/admin/actions/action/{made.pk}/change/")

    # the form of all three, and nothing that the page has changed by itself
    shown = json.loads(page.locator("#id_document").input_value())
    shown.pop("permissions")
    assert json.dumps(shown) == json.dumps({"identifier": "restart", **made.document})
    preview = page.locator("#preview")
    expect(preview.get_by_label("size")).to_have_value("0")
    preview.get_by_label("zone").fill("north")
    expect(preview.get_by_label("size")).to_have_value("5")

    # one more input, first of all, then a step around the rest
    page.get_by_role("button", name="Add an input").press("Enter")
    typed(row(page, 3).get_by_label("Title"), "Why now")
    row(page, 3).get_by_label("Type").select_option("multi-line")
    for _ in range(3):
        page.get_by_role("button", name="Move why_now up").press("Enter")
    expect(page.get_by_role("button", name="Move why_now down")).to_be_focused()
    page.get_by_role("button", name="Step", exact=True).press("Enter")
    typed(row(page, 0).get_by_label("Title"), "What")
    expect(preview.get_by_label("Why now")).to_be_visible()

    page.get_by_role("tab", name="What is sent").press("Enter")
    expect(page.locator("#plan pre")).to_contain_text("{")
    page.get_by_role("tab", name="YAML").press("Enter")
    expect(page.locator("#id_yaml")).not_to_have_value("")
    page.locator("#id_yaml").fill(page.locator("#id_yaml").input_value().replace("What", "Which"))
    page.get_by_role("tab", name="Form", exact=True).press("Enter")
    expect(row(page, 0).get_by_label("Title")).to_have_value("Which")

    # refused at its field, then saved
    page.locator("#m-url").fill("https://ci.example.com/{{ .inputs.zone")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_role("alert").filter(has_text="is not closed").last).to_be_visible()
    page.locator("#m-url").fill("https://ci.example.com/{{ .inputs.zone }}")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was saved as version 2")).to_be_visible()
    made.refresh_from_db()
    asked = made.trigger["userInputs"]
    assert asked["steps"] == [{"title": "Which", "order": ["why_now", "size", "more", "zone"]}]
    assert list(asked["properties"]) == ["why_now", "size", "zone"]
    assert "order" not in asked
    assert (asked["x-own"], made.document["zone"]) == ("kept", 1)

    preview.get_by_label("zone").fill("north")
    page.get_by_role("tab", name="Test run").press("Enter")
    page.get_by_role("button", name="Start a test run").press("Enter")
    expect(page.locator("#test")).to_contain_text("https://ci.example.com/north")
    assert Run.objects.get().is_test
    assert Action.objects.count() == 1
