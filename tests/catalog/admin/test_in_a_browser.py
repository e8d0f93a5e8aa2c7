"""The parts that only a browser runs: the builder's two faces, and the picker by keyboard."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import expect

from catalog.ingest.integrations import create_source
from catalog.kernel.actors import Role
from catalog.models import Blueprint, Entity, KindExample
from catalog.services.blueprints import blueprint_document, ensure_system_blueprints
from tests.factories import ACTOR, make_blueprint, make_entity, make_user

# What HTMX says of a preview that was still under way when the page was left.
LEFT = ("htmx:afterRequest", "htmx:sendAbort")


@pytest.fixture
def page(transactional_db: None, live_server: Any, browser: Any) -> Iterator[Any]:
    """A page in which an admin is logged in; the test fails if the page logs an error."""
    ensure_system_blueprints()
    client = Client()
    client.force_login(make_user("ada", role=Role.ADMIN))
    session = client.cookies["sessionid"].value
    context = browser.new_context(base_url=live_server.url, reduced_motion="reduce")
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    yield opened
    opened.wait_for_load_state("networkidle")
    context.close()
    assert [one for one in errors if one not in LEFT] == []


def typed(field: Any, text: str) -> None:
    """Type into a field that has got the focus by itself."""
    expect(field).to_be_focused()
    field.page.keyboard.type(text)


def typed_document(page: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(page.input_value("#id_document"))
    return document


def test_a_blueprint_is_built_with_keyboard_and_json(page: Any) -> None:
    page.goto("/admin/catalog/blueprint/add/")
    page.get_by_label("Title").first.fill("Service")
    page.get_by_label("Identifier").first.fill("service")
    page.get_by_role("button", name="Add a property").press("Enter")
    row = page.locator(".idp-row").first
    typed(row.get_by_label("Title"), "Service tier")
    page.get_by_role("button", name="Add a value").press("Enter")
    typed(row.get_by_label("Value", exact=True), "gold")
    row.get_by_label("Colour").select_option("gold")
    row.get_by_label("Required").check()
    page.get_by_role("button", name="Add a property").press("Enter")
    typed(page.locator(".idp-row").nth(1).get_by_label("Title"), "Stars")
    page.locator(".idp-row").nth(1).get_by_label("Type", exact=True).select_option("number")
    page.get_by_role("button", name="Move stars up").press("Enter")
    expect(page.get_by_role("button", name="Move stars down")).to_be_focused()
    page.get_by_role("button", name="Add a relation").press("Enter")
    typed(page.locator(".idp-row").nth(2).get_by_label("Title"), "Next")
    page.locator(".idp-row").nth(2).get_by_label("Leads to").select_option("*")

    # Without scripts for large and fractional numbers this would come back rounded.
    page.get_by_role("tab", name="JSON").press("Enter")
    text = page.input_value("#id_document")
    page.fill(
        "#id_document",
        text.replace('"title": "Stars"', '"title": "Stars", "x": 1.0, "y": 9007199254740993'),
    )
    page.get_by_role("tab", name="Form").press("Enter")
    page.locator(".idp-row").first.get_by_label("Title").fill("Stars on the hub")
    page.locator("#preview [name='p-service_tier']").wait_for()
    page.get_by_role("button", name="Create").press("Enter")
    page.wait_for_url("**/admin/catalog/blueprint/")

    stored = blueprint_document(Blueprint.objects.get(identifier="service"))
    assert json.dumps(stored["schema"]) == json.dumps(
        {
            "properties": {
                "stars": {
                    "type": "number",
                    "title": "Stars on the hub",
                    "x": 1.0,
                    "y": 9007199254740993,
                },
                "service_tier": {
                    "type": "string",
                    "title": "Service tier",
                    "enum": ["gold"],
                    "enumColors": {"gold": "gold"},
                },
            },
            "required": ["service_tier"],
        }
    )
    assert stored["relations"] == {
        "next": {"title": "Next", "target": "*", "required": False, "many": False}
    }


def test_the_builder_changes_nothing_by_itself_and_says_what_is_missing(page: Any) -> None:
    blueprint = make_blueprint(
        "service",
        properties={"b": {"type": "string", "zz": {"k": [1.50]}}, "a": {"type": "object"}},
        required=["a", "b"],
        mirrorProperties={},
        changelogDestination={"type": "WEBHOOK"},
    )
    page.goto(f"/admin/catalog/blueprint/{blueprint.pk}/change/")
    page.locator(".idp-row").nth(1).wait_for()
    assert json.dumps(typed_document(page)) == json.dumps(blueprint_document(blueprint))
    page.get_by_role("button", name="Remove b").click()
    assert list(typed_document(page)["schema"]["properties"]) == ["a"]
    page.get_by_role("button", name="Bring back b").click()
    assert json.dumps(typed_document(page)) == json.dumps(blueprint_document(blueprint))
    page.get_by_role("button", name="Add a property").click()
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.get_by_text("It needs an identifier").is_visible()
    page.get_by_role("tab", name="JSON").click()
    page.fill("#id_document", "{")
    assert page.get_by_role("tab", name="Form").is_disabled()


def test_the_picker_works_by_keyboard(page: Any) -> None:
    target = make_blueprint("target")
    for name in ("alpha", "beta", "gamma"):
        make_entity(target, name, title=f"The {name}")
    blueprint = make_blueprint("service", relations={"to": {"target": "target", "many": True}})
    entity = make_entity(blueprint, "a", relations={"to": ["gamma", "gone"]})
    page.goto(f"/admin/catalog/entity/{entity.pk}/change/")
    box = page.get_by_label("To", exact=True)
    assert page.locator(".idp-chip").all_inner_texts() == ["The gamma\n×", "gone\n×"]
    assert page.locator(".idp-chip-missing").count() == 1
    box.press("Backspace")  # takes the missing one off
    box.type("alp")
    expect(page.get_by_role("option", selected=True)).to_have_text("The alphaalpha")
    box.press("Enter")
    box.press("ArrowDown")
    expect(page.get_by_role("option")).to_have_text(["The betabeta"])  # not those picked
    box.press("Escape")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/catalog/entity/?kind=service")
    entity.refresh_from_db()
    assert entity.relations == {"to": ["gamma", "alpha"]}
    assert Entity.objects.get(pk=entity.pk).updated_by == "ada@example.com"


def test_a_mapping_is_tried_while_it_is_typed(page: Any) -> None:
    make_blueprint("app")
    source = create_source(
        identifier="cmdb",
        kind="http",
        actor=ACTOR,
        settings={"baseUrl": "http://cmdb.example"},
        mapping={
            "resources": [
                {
                    "kind": kind,
                    "selector": {"path": f"/{kind}"},
                    "port": {"entity": {"mappings": {"identifier": ".id", "blueprint": '"app"'}}},
                }
                for kind in ("apps", "teams")
            ]
        },
    )
    KindExample.objects.create(integration=source, kind="apps", data={"id": "cart"})
    KindExample.objects.create(integration=source, kind="teams", data={"id": "shop"})
    page.goto(f"/admin/catalog/integration/{source.pk}/mapping/")
    result, mapping = page.locator("#bench_result"), page.get_by_label("Mapping", exact=True)
    expect(result).to_contain_text('"identifier": "cart"')

    page.get_by_label("Resource").select_option("1")
    expect(result).to_contain_text('"identifier": "shop"')
    expect(page.get_by_label("JSON of the object")).to_have_value('{\n  "id": "shop"\n}')

    page.get_by_label("JSON of the object").fill('{"id": "typed"}')
    expect(result).to_contain_text('"identifier": "typed"')
    whole = mapping.input_value()
    mapping.fill(whole.replace("identifier: .id", "identifier: .id |"))
    expect(page.locator("#mapping_problems")).to_contain_text("does not compile")
    expect(page.get_by_label("JSON of the object")).to_have_value('{"id": "typed"}')
    mapping.fill(whole.replace("identifier: .id", 'identifier: .id + "-x"'))
    expect(result).to_contain_text('"identifier": "typed-x"')
    expect(mapping).to_be_focused()
    expect(page.get_by_label("Resource")).to_have_value("1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The mapping was saved.")).to_be_visible()
