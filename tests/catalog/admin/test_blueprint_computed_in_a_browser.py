"""Computed properties are built by keyboard, with what they give beside them."""

import json
from typing import Any

from playwright.sync_api import expect

from catalog.models import Blueprint
from catalog.services.blueprints import blueprint_document
from tests.catalog.admin.test_in_a_browser import page, typed, typed_document
from tests.factories import make_blueprint, make_entity

__all__ = ["page"]


def row(page: Any, group: str, at: int = -1) -> Any:
    return page.locator(f"[data-rows={group}] > .idp-row").nth(at)


def test_computed_properties_are_built_and_tried(page: Any) -> None:
    make_blueprint("domain", properties={"area": {"type": "string", "title": "Area"}})
    make_blueprint("system", relations={"domain": {"target": "domain", "title": "Domain"}})
    service = make_blueprint(
        "service",
        properties={"stars": {"type": "number"}},
        relations={"system": {"target": "system", "title": "System"}},
    )
    make_blueprint("incident", relations={"service": {"target": "service"}})
    make_entity("domain", "shop", properties={"area": "sales"})
    make_entity("system", "web", relations={"domain": "shop"})
    make_entity("service", "cart", properties={"stars": 4}, relations={"system": "web"})
    make_entity("service", "pay", properties={"stars": 9})
    make_entity("incident", "i1", relations={"service": "cart"})
    page.goto(f"/admin/catalog/blueprint/{service.pk}/change/")

    page.get_by_role("button", name="Add a mirror").press("Enter")
    mirror = row(page, "mirrors")
    typed(mirror.get_by_label("Title"), "Business area")
    mirror.get_by_label("Relation").select_option(label="System")
    mirror.get_by_label("Of system").select_option("r:domain")
    mirror.get_by_label("Of domain").select_option(label="Area")
    expect(mirror.get_by_label("Path")).to_have_value("system.domain.area")
    expect(mirror.locator("pre")).to_have_text('"sales"')
    expect(mirror.locator(".idp-badge-type")).to_have_text("Text")

    page.get_by_role("button", name="Add a calculation").press("Enter")
    calculation = row(page, "calculations")
    typed(calculation.get_by_label("Title"), "Double")
    calculation.get_by_label("Type").select_option("number")
    calculation.get_by_label("jq expression").fill(".properties.stars *")
    expect(calculation.get_by_role("alert")).to_contain_text("syntax error")
    calculation.get_by_label("jq expression").fill(".properties.stars * 2")
    expect(calculation.locator("pre")).to_have_text("8")
    expect(calculation.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Add a calculation").press("Enter")
    typed(row(page, "calculations").get_by_label("Title"), "Stars")
    expect(row(page, "calculations").get_by_role("alert")).to_have_text(
        "Another one has this identifier"
    )
    row(page, "calculations").get_by_label("Identifier").fill("label")
    row(page, "calculations").get_by_label("jq expression").fill(".business_area")
    page.get_by_role("button", name="Move label up").press("Enter")

    page.get_by_role("button", name="Add an aggregation").press("Enter")
    aggregation = row(page, "aggregations")
    typed(aggregation.get_by_label("Title"), "Incidents")
    aggregation.get_by_label("Of the kind").select_option("incident")
    expect(aggregation.locator("pre")).to_have_text("1")
    aggregation.get_by_text("Only some of them").click()
    aggregation.get_by_label("Query").fill('{"combinator": "and", "rules": [')
    expect(aggregation.get_by_role("alert")).to_contain_text("not JSON yet")
    page.get_by_role("button", name="Save", exact=True).click()  # it is held back
    aggregation.get_by_label("Query").fill('{"combinator": "and", "rules": [{"property": "x"}]}')
    expect(aggregation.get_by_role("alert")).to_contain_text("query.rules[0]")
    aggregation.get_by_label("Query").fill("")

    box = page.get_by_label("Try them on")
    box.click()
    box.type("pay")
    expect(page.locator(".idp-picker-list [aria-selected=true]")).to_have_text("pay")
    box.press("Enter")
    expect(row(page, "calculations", 1).locator("pre")).to_have_text("18")
    expect(aggregation.locator("pre")).to_have_text("0")
    expect(mirror).to_contain_text("For pay this gives nothing")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/catalog/blueprint/")

    stored = blueprint_document(Blueprint.objects.get(pk=service.pk))
    computed = {key: one for key, one in stored.items() if key.endswith("Properties")}
    assert json.dumps(computed) == json.dumps(
        {
            "mirrorProperties": {
                "business_area": {"title": "Business area", "path": "system.domain.area"}
            },
            "calculationProperties": {
                "label": {"title": "Stars", "type": "string", "calculation": ".business_area"},
                "double": {
                    "title": "Double",
                    "type": "number",
                    "calculation": ".properties.stars * 2",
                },
            },
            "aggregationProperties": {
                "incidents": {
                    "title": "Incidents",
                    "type": "number",
                    "target": "incident",
                    "calculationSpec": {"calculationBy": "entities", "func": "count"},
                }
            },
        }
    )


def test_computed_rows_and_json_follow_each_other(page: Any) -> None:
    make_blueprint("team", properties={"size": {"type": "number"}})
    spec = {"calculationBy": "property", "func": "average", "property": "size", "x": 1.0}
    blueprint = make_blueprint(
        "service",
        relations={"team": {"target": "team"}},
        mirrorProperties={"size": {"path": "team.size", "zz": [9007199254740993]}},
        calculationProperties={
            "c": {"type": "string", "calculation": "1", "colorized": True, "colors": {"a": "red"}}
        },
        aggregationProperties={
            "a": {
                "target": "team",
                "calculationSpec": spec,
                "pathFilter": [{"path": ["team"], "fromBlueprint": "service"}],
            }
        },
    )
    page.goto(f"/admin/catalog/blueprint/{blueprint.pk}/change/")
    expect(page.get_by_text("nothing to try on")).to_be_visible()
    assert json.dumps(typed_document(page)) == json.dumps(blueprint_document(blueprint))
    for group in ("mirrors", "calculations", "aggregations"):
        row(page, group).locator(".idp-row-open").press("Enter")
    expect(row(page, "mirrors").get_by_label("Relation")).to_have_value("r:team")
    expect(row(page, "mirrors").get_by_label("Of team")).to_have_value("p:size")
    assert json.dumps(typed_document(page)) == json.dumps(blueprint_document(blueprint))
    page.get_by_role("button", name="Remove c").press("Enter")
    assert typed_document(page)["calculationProperties"] == {}
    page.get_by_role("button", name="Bring back c").press("Enter")
    assert json.dumps(typed_document(page)) == json.dumps(blueprint_document(blueprint))
    aggregation = row(page, "aggregations")
    aggregation.get_by_label("Average of").select_option("day")
    aggregation.get_by_label("Time is").select_option("$updatedAt")
    aggregation.get_by_label("They begin at").select_option("")
    [told] = typed_document(page)["aggregationProperties"].values()
    assert told["calculationSpec"] == {**spec, "averageOf": "day", "measureTimeBy": "$updatedAt"}
    assert told["pathFilter"] == [{"path": ["team"]}]
    aggregation.get_by_label("What").select_option("entities:count")
    [told] = typed_document(page)["aggregationProperties"].values()
    assert told["calculationSpec"] == {"calculationBy": "entities", "func": "count", "x": 1.0}

    page.get_by_role("tab", name="JSON").click()
    text = page.input_value("#id_document")
    page.fill("#id_document", text.replace('"path": "team.size"', '"path": "gone.size"'))
    page.get_by_role("tab", name="Form").click()
    expect(row(page, "mirrors").get_by_role("alert")).to_contain_text('"gone" is a relation')
    expect(row(page, "mirrors").get_by_label("Relation")).to_have_value("r:gone")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing was saved.")).to_be_visible()
    expect(row(page, "mirrors").get_by_role("alert")).to_contain_text("path is gone.size")
