"""The blueprint builder: what is sent is what is stored, and nothing breaks without a word."""

import json
import re

import pytest
from django.test import Client
from django.urls import reverse

from catalog.kernel.actors import Role
from catalog.models import Blueprint, Change, Entity
from catalog.services.blueprints import blueprint_document
from tests.factories import make_blueprint, make_entity, make_user

ADD = "/admin/catalog/blueprint/add/"

DOCUMENT = {
    "identifier": "service",
    "title": "Service",
    "icon": "Microservice",
    "description": "Something that runs.",
    "schema": {
        "properties": {
            "tier": {
                "title": "Tier",
                "type": "string",
                "enum": ["gold", "silver"],
                "enumColors": {"gold": "gold"},
                "default": "silver",
                "x-unknown": {"kept": [1, 1.0, None]},
            },
            "stars": {"type": "number", "minimum": 0, "maximum": 1234567890123456789},
            "languages": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        },
        "required": ["tier"],
    },
    "relations": {
        "system": {"title": "System", "target": "system", "required": True, "many": False},
        "near": {"title": None, "target": "*", "required": False, "many": True},
    },
    "mirrorProperties": {"systemName": {"title": "System", "path": "system.$title"}},
    "calculationProperties": {},
    "aggregationProperties": {},
    "changelogDestination": {"type": "WEBHOOK", "url": "https://example.com"},
}


def change_url(blueprint: Blueprint, page: str = "change") -> str:
    return reverse(f"admin:catalog_blueprint_{page}", args=[blueprint.pk])


def sent(document: object, **fields: object) -> dict[str, object]:
    return {"document": json.dumps(document), **fields}


def test_a_built_blueprint_is_stored_to_the_letter(admin_client: Client) -> None:
    make_blueprint("system")
    answer = admin_client.post(ADD, sent(DOCUMENT))
    assert answer.status_code == 302
    stored = blueprint_document(Blueprint.objects.get(identifier="service"))
    assert json.dumps(stored) == json.dumps(DOCUMENT)
    change = Change.objects.get(model="blueprint", identifier="service", action="create")
    assert (change.actor, change.datasource) == ("ada@example.com", "idp/admin")


def test_the_builder_page_has_the_blueprint_and_the_types(admin_client: Client) -> None:
    make_blueprint("system")
    admin_client.post(ADD, sent(DOCUMENT))
    page = admin_client.get(change_url(Blueprint.objects.get(identifier="service")))
    assert json.loads(page.context["form"]["document"].value()) == DOCUMENT
    assert page.context["builder"]["storedProperties"] == ["tier", "stars", "languages"]
    assert [one["key"] for one in page.context["builder"]["types"]][:3] == [
        "string",
        "markdown",
        "url",
    ]


@pytest.mark.parametrize(
    ("_case", "text", "message"),
    [
        ("not JSON", '{"identifier": }', "Line 1, column 16: Expecting value"),
        ("a key twice", '{"title": "a", "title": "b"}', 'The key "title" is given twice'),
        ("no object", "[]", "A blueprint is a JSON object: {…}"),
        ("NaN", '{"identifier": NaN}', "NaN is not JSON"),
        ("bad identifier", '{"identifier": "a b"}', "character that is not allowed"),
        (
            "bad type",
            '{"identifier": "x", "schema": {"properties": {"p": {"type": "text"}}}}',
            "schema.properties.p.type is text; expected one of string, number",
        ),
        (
            "bad regular expression",
            '{"identifier": "x", "schema": {"properties": {"p": {"type": "string",'
            ' "pattern": "(?=a)"}}}}',
            "without look-around",
        ),
        (
            "unknown target",
            '{"identifier": "x", "relations": {"r": {"target": "nothing"}}}',
            "target blueprint &quot;nothing&quot; was not found",
        ),
    ],
)
def test_a_bad_document_is_refused_with_the_reason(
    _case: str, text: str, message: str, admin_client: Client
) -> None:
    count = Blueprint.objects.count()
    page = admin_client.post(ADD, {"document": text})
    assert page.status_code == 200
    assert message in page.content.decode().replace("&quot;title&quot;", '"title"')
    assert Blueprint.objects.count() == count
    assert page.context["form"]["document"].value() == text  # nothing typed is lost


def test_the_refusal_names_the_property(admin_client: Client) -> None:
    document = {
        "identifier": "x",
        "schema": {"properties": {"tier": {"type": "string", "enum": []}}},
    }
    page = admin_client.post(ADD, sent(document))
    [problem] = page.context["builder"]["problems"]
    assert problem["field"] == "schema.properties.tier.enum"


def test_a_breaking_change_asks_first_and_is_saved_once_confirmed(admin_client: Client) -> None:
    blueprint = make_blueprint("service", properties={"tier": {"type": "string"}})
    for number in range(7):
        make_entity(blueprint, f"s{number}", properties={"tier": "tin"})
    document = blueprint_document(blueprint)
    document["schema"]["properties"]["tier"]["enum"] = ["gold"]
    url, version = change_url(blueprint), blueprint.version

    page = admin_client.post(url, sent(document, version=version))
    [effect] = page.context["form"].effects
    assert (effect.path, effect.count, effect.examples) == (
        "tier",
        7,
        ("s0", "s1", "s2", "s3", "s4"),
    )
    assert "Not saved yet" in page.content.decode()
    assert "enum" not in Blueprint.objects.get(pk=blueprint.pk).properties["tier"]

    force = page.context["form"].confirmation
    other = {**document, "title": "Another"}
    page = admin_client.post(url, sent(other, version=version, force=force))
    assert page.context["form"].effects  # the tick was for another document
    assert Blueprint.objects.get(pk=blueprint.pk).title == "service"

    assert admin_client.post(url, sent(document, version=version, force=force)).status_code == 302
    assert Blueprint.objects.get(pk=blueprint.pk).properties["tier"]["enum"] == ["gold"]
    assert Entity.objects.filter(properties__tier="tin").count() == 7


def test_values_of_a_removed_property_are_never_hidden_silently(admin_client: Client) -> None:
    blueprint = make_blueprint("service", properties={"tier": {"type": "string"}})
    make_entity(blueprint, "a", properties={"tier": "gold"})
    document = blueprint_document(blueprint)
    document["schema"]["properties"] = {}
    page = admin_client.post(change_url(blueprint), sent(document))
    assert [e.kind for e in page.context["form"].effects] == ["hidden_values"]
    assert "tier" in Blueprint.objects.get(pk=blueprint.pk).properties


def test_another_order_of_properties_is_saved(admin_client: Client) -> None:
    names = ("a", "b", "c")
    blueprint = make_blueprint("service", properties={n: {"type": "string"} for n in names})
    document = blueprint_document(blueprint)
    document["schema"]["properties"] = {n: {"type": "string"} for n in reversed(names)}
    admin_client.post(change_url(blueprint), sent(document))
    assert list(Blueprint.objects.get(pk=blueprint.pk).properties) == ["c", "b", "a"]


def test_a_stale_builder_does_not_write_over_a_newer_blueprint(admin_client: Client) -> None:
    blueprint = make_blueprint("service")
    document, version = blueprint_document(blueprint), blueprint.version
    admin_client.post(change_url(blueprint), sent({**document, "title": "First"}, version=version))
    page = admin_client.post(
        change_url(blueprint), sent({**document, "title": "Second"}, version=version)
    )
    assert "was changed by ada@example.com meanwhile" in page.content.decode()
    assert Blueprint.objects.get(pk=blueprint.pk).title == "First"


def test_the_preview_is_the_form_of_the_unsaved_blueprint(admin_client: Client) -> None:
    before = Blueprint.objects.count()
    url = reverse("admin:catalog_blueprint_preview")
    document = {**DOCUMENT, "relations": {}, "mirrorProperties": {}}
    html = admin_client.post(url, sent(document)).content.decode()
    assert re.findall(r'name="(p-[^"]+)"', html) == ["p-tier", "p-stars", "p-languages"]
    assert (
        "expected an object"
        in admin_client.post(url, sent({"identifier": "x", "schema": 3})).content.decode()
    )
    assert admin_client.get(url).status_code == 405
    assert Blueprint.objects.count() == before


def test_rename_of_a_property_moves_the_values(admin_client: Client) -> None:
    blueprint = make_blueprint("service", properties={"tier": {"type": "string"}})
    make_entity(blueprint, "a", properties={"tier": "gold"})
    url = f"{change_url(blueprint, 'rename')}?part=property&name=tier"
    assert "The values of all entities move" in admin_client.get(url).content.decode()
    refused = admin_client.post(url, {"identifier": "a b"})
    assert (refused.status_code, "not allowed" in refused.content.decode()) == (422, True)
    admin_client.post(url, {"identifier": "level"})
    assert Entity.objects.get().properties == {"level": "gold"}


def test_rename_of_the_blueprint_and_of_a_relation(admin_client: Client) -> None:
    blueprint = make_blueprint("service", relations={"next": {"target": "service", "many": True}})
    make_entity(blueprint, "a")
    make_entity(blueprint, "b", relations={"next": ["a"]})
    url = change_url(blueprint, "rename")
    admin_client.post(f"{url}?part=relation&name=next", {"identifier": "after"})
    admin_client.post(url, {"identifier": "workload"})
    assert Entity.objects.get(identifier="b").relations == {"after": ["a"]}
    stored = blueprint_document(Blueprint.objects.get(pk=blueprint.pk))
    assert (stored["identifier"], stored["relations"]["after"]["target"]) == ("workload",) * 2


def test_deletion_of_a_blueprint_takes_its_entities_only_if_told(admin_client: Client) -> None:
    blueprint = make_blueprint("service")
    make_entity(blueprint, "a")
    url = change_url(blueprint, "delete")
    assert "It has 1 entity." in admin_client.get(url).content.decode()
    assert admin_client.post(url).status_code == 409
    assert Entity.objects.filter(blueprint=blueprint).count() == 1
    assert admin_client.post(url, {"with_entities": "on"}).status_code == 302
    assert not Blueprint.objects.filter(identifier="service").exists()
    assert Change.objects.filter(action="delete", identifier="a").count() == 1


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_others_may_not_build(role: Role, db: None) -> None:
    blueprint = make_blueprint("service")
    client = Client()
    client.force_login(make_user(role=role))
    document = {**blueprint_document(blueprint), "title": "Mine"}
    for url, data in [
        (ADD, sent(DOCUMENT)),
        (change_url(blueprint), sent(document)),
        (change_url(blueprint, "rename"), {"identifier": "mine"}),
        (change_url(blueprint, "delete"), {}),
        (reverse("admin:catalog_blueprint_preview"), sent(document)),
    ]:
        assert client.post(url, data, follow=True).status_code == 403
    assert Blueprint.objects.get(pk=blueprint.pk).title == "service"


def test_reading_pages_changes_nothing(admin_client: Client) -> None:
    blueprint = make_blueprint("service", properties={"tier": {"type": "string"}})
    make_entity(blueprint, "a", properties={"tier": "gold"})
    changes = Change.objects.count()
    for url in (
        change_url(blueprint),
        change_url(blueprint, "delete") + "?with_entities=on",
        change_url(blueprint, "rename") + "?part=property&name=tier&identifier=level",
        "/admin/catalog/blueprint/",
    ):
        assert admin_client.get(url).status_code == 200
    assert Change.objects.count() == changes
    assert Entity.objects.get().properties == {"tier": "gold"}


def test_the_list_costs_the_same_for_any_number(
    admin_client: Client, django_assert_num_queries: object
) -> None:
    make_entity(make_blueprint("one"), "a")
    admin_client.get("/admin/catalog/blueprint/")
    for number in range(5):
        make_entity(make_blueprint(f"more{number}"), "a")
    with django_assert_num_queries(7):  # user, sidebar (2), bell, list, relations, their targets
        page = admin_client.get("/admin/catalog/blueprint/")
    assert [b.entity_total for b in page.context["cl"].result_list if b.identifier == "one"] == [1]
