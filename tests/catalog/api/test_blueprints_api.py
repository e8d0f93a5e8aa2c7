"""Blueprints over the wire."""

from urllib.parse import quote

import pytest

from catalog.models import Blueprint, Change, Entity
from tests.factories import make_blueprint, make_entity

DOCUMENT = {
    "identifier": "team/app",
    "title": "App",
    "icon": "Microservice",
    "description": "An app.",
    "schema": {
        "properties": {
            "zeta": {"type": "string", "title": "Z", "unknownKey": [1, {"a": None}]},
            "alpha": {"type": "number", "title": "A"},
        },
        "required": ["zeta"],
    },
    "relations": {"uses": {"title": "Uses", "target": "team/app", "required": False, "many": True}},
    "mirrorProperties": {},
    "calculationProperties": {},
    "aggregationProperties": {},
    "ownership": {"type": "Direct"},
    "includeInGlobalSearch": True,
}


def without_authorship(blueprint):
    return {
        key: value
        for key, value in blueprint.items()
        if key not in ("createdAt", "createdBy", "updatedAt", "updatedBy")
    }


def test_a_blueprint_comes_back_as_it_was_sent(api):
    answer = api.post("/v1/blueprints?create_catalog_page=false", DOCUMENT)
    assert (answer.status_code, answer.json()["ok"]) == (201, True)
    shown = api.get(f"/v1/blueprints/{quote('team/app', safe='')}").json()["blueprint"]
    assert shown == answer.json()["blueprint"]
    assert without_authorship(shown) == DOCUMENT
    assert list(shown["schema"]["properties"]) == ["zeta", "alpha"]
    assert api.post("/v1/blueprints", DOCUMENT).json()["error"] == "already_exists"


def test_the_containers_are_always_there(api):
    shown = api.post("/v1/blueprints", {"identifier": "bare"}).json()["blueprint"]
    assert without_authorship(shown) == {
        "identifier": "bare",
        "title": "bare",
        "description": None,
        "schema": {"properties": {}, "required": []},
        "relations": {},
        "mirrorProperties": {},
        "calculationProperties": {},
        "aggregationProperties": {},
    }
    listed = {one["identifier"]: one for one in api.get("/v1/blueprints").json()["blueprints"]}
    assert listed["bare"] == shown


def test_an_unknown_target_is_404(api):
    relations = {"to": {"target": "nowhere", "many": False, "required": False}}
    answer = api.post("/v1/blueprints", {"identifier": "a", "relations": relations})
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert not Blueprint.objects.filter(identifier="a").exists()


def test_patch_replaces_whole_keys_and_put_all_of_them(api, service):
    patched = api.patch(
        "/v1/blueprints/service",
        {"identifier": "service", "schema": {"properties": {"new": {"type": "boolean"}}}},
    ).json()["blueprint"]
    assert list(patched["schema"]["properties"]) == ["new"]
    assert list(patched["relations"]) == ["domain", "needs"]
    replaced = api.put("/v1/blueprints/service", {"title": "S"}).json()["blueprint"]
    assert (replaced["schema"]["properties"], replaced["relations"]) == ({}, {})
    empty = api.patch("/v1/blueprints/service")
    assert (empty.status_code, empty.json()["blueprint"]) == (200, replaced)


def test_put_can_rename(api, service):
    make_entity("service", "pay")
    answer = api.put("/v1/blueprints/domain", {"identifier": "area", "title": "Area"})
    assert answer.status_code == 200
    relations = api.get("/v1/blueprints/service").json()["blueprint"]["relations"]
    assert relations["domain"]["target"] == "area"
    assert api.get("/v1/blueprints/domain").status_code == 404


def test_a_breaking_change_shows_its_impact_and_can_be_forced(api, service):
    make_entity("service", "pay", properties={"stars": 3})
    change = {"schema": {"properties": {"stars": {"type": "string"}}}}
    preview = api.post("/v1/blueprints/service/preview?partial=true", change).json()["impact"]
    refused = api.patch("/v1/blueprints/service", change)
    assert (refused.status_code, refused.json()["error"]) == (422, "breaking_change")
    assert refused.json()["details"]["impact"] == preview
    assert preview["breaking"]
    assert preview["effects"][0]["examples"] == ["pay"]
    assert api.get("/v1/blueprints/service").json()["blueprint"]["schema"]["properties"]["stars"][
        "type"
    ] == "number"  # fmt: skip
    assert api.patch("/v1/blueprints/service?force=true", change).status_code == 200
    assert Entity.objects.get().properties == {"stars": 3}


def test_delete_is_refused_while_something_depends_on_it(api, service):
    make_entity("service", "pay")
    assert api.delete("/v1/blueprints/domain").json()["error"] == "has_dependents"
    assert api.delete("/v1/blueprints/service").json()["error"] == "has_dependents"
    assert api.delete("/v1/blueprints/_user").status_code == 409
    assert Blueprint.objects.filter(identifier__in=["domain", "service", "_user"]).count() == 3
    Entity.objects.all().delete()
    assert api.delete("/v1/blueprints/service?delete_actions=true").json() == {"ok": True}
    assert api.get("/v1/blueprints/service").json()["error"] == "not_found"


@pytest.mark.parametrize("too", [False, True])
def test_all_entities_leave_a_receipt(api, service, too):
    for name in ("a", "b", "c"):
        make_entity("service", name)
    query = "?delete_blueprint=true&run_id=r_1" if too else ""
    answer = api.delete(f"/v1/blueprints/service/all-entities{query}")
    assert answer.status_code == 200
    migration = api.get(f"/v1/migrations/{answer.json()['migrationId']}").json()["migration"]
    assert (migration["status"], migration["successCount"]) == ("COMPLETED", 3)
    assert (migration["sourceBlueprint"], migration["deleteBlueprint"]) == ("service", too)
    assert not Entity.objects.exists()
    assert Blueprint.objects.filter(identifier="service").exists() is not too
    assert Change.objects.get(model=Change.MIGRATION).run == ("r_1" if too else "")


@pytest.mark.parametrize("name", ["mig_1", "mig_99999999999999999999", "mig_x", "x", "mig_-1"])
def test_unknown_receipts_are_not_found(api, name):
    assert api.get(f"/v1/migrations/{name}").json()["error"] == "not_found"


def test_renames_take_the_data_along(api, service):
    make_entity("domain", "money")
    make_entity("service", "pay", properties={"stars": 3}, relations={"domain": "money"})
    path = "/v1/blueprints/service"
    api.patch(path, {"mirrorProperties": {"budget": {"title": "B", "path": "domain.budget"}}})
    renamed = [
        api.patch(f"{path}/properties/stars/rename", {"newPropertyName": "likes"}),
        api.patch(f"{path}/relations/domain/rename", {"newRelationIdentifier": "area"}),
        api.patch(f"{path}/mirror/budget/rename", {"newMirrorName": "money"}),
    ]
    assert [answer.status_code for answer in renamed] == [200, 200, 200]
    shown = renamed[-1].json()["blueprint"]
    assert shown == api.get(path).json()["blueprint"]
    assert "likes" in shown["schema"]["properties"]
    assert shown["mirrorProperties"] == {"money": {"title": "B", "path": "area.budget"}}
    entity = Entity.objects.get(identifier="pay")
    assert (entity.properties, entity.relations) == ({"likes": 3}, {"area": "money"})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("properties/nope/rename", {"newPropertyName": "x"}, 404),
        ("properties/stars/rename", {"newPropertyName": "language"}, 409),
        ("properties/stars/rename", {"newPropertyName": "a b"}, 422),
        ("properties/stars/rename", {"newPropertyName": 1}, 422),
        ("properties/stars/rename", {}, 422),
        ("relations/nope/rename", {"newRelationIdentifier": "x"}, 404),
        ("relations/domain/rename", {"newRelationIdentifier": "needs"}, 409),
        ("mirror/nope/rename", {"newMirrorName": "x"}, 404),
    ],
)
def test_renames_that_cannot_be(api, service, path, body, status):
    before = api.get("/v1/blueprints/service").json()
    assert api.patch(f"/v1/blueprints/service/{path}", body).status_code == status
    assert api.get("/v1/blueprints/service").json() == before


def test_the_fixed_part_of_system_blueprints(api):
    shown = api.get("/v1/blueprints/system/_user/structure").json()["blueprint"]
    assert (shown["identifier"], "email" in shown["schema"]["properties"]) == ("_user", True)
    assert api.get("/v1/blueprints/system/service/structure").json()["error"] == "not_found"


def test_blueprints_with_odd_names(api):
    for name in ("system", "entities", "a/entities/b", "a:b@c"):
        make_blueprint(name)
        make_entity(name, "x")
        path = f"/v1/blueprints/{quote(name, safe='')}"
        assert api.get(path).json()["blueprint"]["identifier"] == name
        assert api.get(f"{path}/entities/x").json()["entity"]["blueprint"] == name
