"""Locations, analysis, validation and refused documents over Backstage's API."""

import json

import pytest

from catalog.ingest.integrations import create_source
from catalog.ingest.locations import registering
from catalog.kernel.actors import Role
from catalog.models import Location
from catalog.services import catalog_settings
from tests.factories import ACTOR, make_api, make_entity

URL = "/api/catalog"
COMPONENT = """apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {{ name: {name} }}
spec: {{ type: service, lifecycle: production, owner: {owner} }}
"""
ENTITY = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "API",
    "metadata": {"name": "orders"},
    "spec": {"type": "openapi", "lifecycle": "a", "owner": "b", "definition": "x"},
}


@pytest.fixture
def site(db, vendor):
    """Two good files and one with a bad document, which the catalogue may read."""
    host = vendor.url.removeprefix("http://")
    catalog_settings.update(actor=ACTOR, reading_allow=[{"host": host}])
    for name in ("one", "two"):
        vendor.text(f"/{name}.yaml", COMPONENT.format(name=name, owner="team-a"))
    bad = COMPONENT.format(name="bad", owner="[]") + "---\n"
    vendor.text("/mixed.yaml", bad + COMPONENT.format(name="good", owner="team-a"))
    return vendor


@pytest.fixture
def api(db):
    return make_api()


def register(api, target, **more):
    made = api.post(f"{URL}/locations", {"type": "url", "target": target, **more})
    assert made.status_code == 201, made.content
    return made.json()["location"]


def message(answer):
    return answer.json()["error"]["message"]


READS = [
    ("GET", "/locations", None),
    ("POST", "/locations/by-query", {}),
    ("GET", "/locations/nope", None),
    ("GET", "/locations/by-entity/component/default/nope", None),
    ("GET", "/entities/unprocessed/failed", None),
    ("GET", "/entities/unprocessed/pending", None),
    ("GET", "/openapi.json", None),
]
TRIALS = [
    ("POST", "/locations?dryRun=true", {"type": "url", "target": "https://x.example/a.yaml"}),
    ("POST", "/refresh", {"entityRef": "component:nope"}),
    ("POST", "/validate-entity", {"entity": {}, "location": "url:https://x.example/a.yaml"}),
    ("POST", "/analyze-location", {"location": {"target": "https://x.example/a/b"}}),
]
WRITES = [
    (
        "POST",
        "/locations?onConflict=refresh",
        {"type": "url", "target": "https://x.example/a.yaml"},
    ),
    ("PUT", "/locations/nope", {"type": "url", "target": "https://x.example/a.yaml"}),
    ("DELETE", "/locations/nope", None),
]
CLEARING = [("DELETE", "/entities/unprocessed/delete/1-a", None)]


@pytest.mark.parametrize(
    ("calls", "allowed"),
    [
        (READS, {Role.ADMIN, Role.MEMBER, Role.VIEWER}),
        (TRIALS, {Role.ADMIN, Role.MEMBER}),
        (WRITES, {Role.ADMIN, Role.MEMBER}),
        (CLEARING, {Role.ADMIN}),
    ],
)
def test_who_may_do_what(db, calls, allowed):
    for role in Role:
        caller = make_api(role)
        for method, path, body in calls:
            text = "" if body is None else json.dumps(body)
            answer = caller.generic(method, URL + path, text, content_type="application/json")
            is_refused = answer.status_code == 403
            assert is_refused is (role not in allowed), (role, method, path, answer.content)
            assert answer.status_code < 500
            if is_refused:
                assert answer.json()["error"]["name"] == "NotAllowedError"
    caller = make_api()
    caller.credentials()
    caller.defaults.pop("HTTP_AUTHORIZATION")
    for method, path, _ in calls:
        assert caller.generic(method, URL + path).status_code == 401


def test_a_member_changes_what_is_its_own(api, site):
    member, other = make_api(Role.MEMBER), make_api(Role.MEMBER)
    made = register(member, f"{site.url}/one.yaml")
    of_admin = register(api, f"{site.url}/two.yaml")
    address = f"{URL}/locations"
    for caller, location in [(other, made), (member, of_admin)]:
        body = {"type": "url", "target": f"{site.url}/mixed.yaml"}
        assert caller.put(f"{address}/{location['id']}", body).status_code == 403
        assert caller.delete(f"{address}/{location['id']}").status_code == 403
    assert member.delete(f"{address}/{made['id']}").status_code == 204
    assert api.delete(f"{address}/{of_admin['id']}").status_code == 204


def test_a_member_brings_only_what_every_member_may_write(api, site):
    """Neither users and teams nor what its blueprint's permissions guard."""
    team = {"apiVersion": "backstage.io/v1alpha1", "kind": "Group", "metadata": {"name": "admins"}}
    team["spec"] = {"type": "team", "children": [], "members": ["mallory"]}
    system = {**ENTITY, "kind": "System", "metadata": {"name": "shop"}, "spec": {"owner": "a"}}
    site.text("/people.yaml", "\n---\n".join(map(json.dumps, [team, system, ENTITY])))
    register(api, f"{site.url}/one.yaml")
    grant = {"entities": {"register": {"users": ["ann@example.com"]}}}
    assert api.patch("/v1/blueprints/system/permissions", grant).status_code == 200
    member = make_api(Role.MEMBER)
    body = {"type": "url", "target": f"{site.url}/people.yaml"}
    assert "not allowed" in message(member.post(f"{URL}/locations?dryRun=true", body))
    made = register(member, f"{site.url}/people.yaml")
    refs = ("group/default/admins", "system/default/shop", "api/default/orders")

    def statuses():
        return [api.get(f"{URL}/entities/by-name/{ref}").status_code for ref in refs]

    assert statuses() == [404, 404, 200]
    failed = api.get(f"{URL}/entities/unprocessed/failed").json()["entities"]
    assert [one["entity_ref"] for one in failed] == ["group:default/admins", "system:default/shop"]
    assert api.put(f"{URL}/locations/{made['id']}", body).status_code == 200
    other = {**body, "target": f"{site.url}/people.yaml?v=2"}
    assert api.put(f"{URL}/locations/{made['id']}", other).status_code == 200
    assert statuses() == [200, 200, 200]  # an administrator stands for it now


def test_only_reading(api, site):
    location = register(api, f"{site.url}/one.yaml")
    catalog_settings.update(actor=ACTOR, is_readonly=True)
    body = {"type": "url", "target": f"{site.url}/two.yaml"}
    address = f"{URL}/locations/{location['id']}"
    answers = [
        api.post(f"{URL}/locations", body),
        api.put(address, body),
        api.delete(address),
    ]
    assert [one.status_code for one in answers] == [403, 403, 403]
    assert api.post(f"{URL}/locations?dryRun=true", body).status_code == 201
    assert api.get(address).json() == location


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"type": "url"}, "request/body must have required property 'target'"),
        ({"type": "url", "target": ""}, "request/body/target must NOT have fewer than 1 charac"),
        ({"type": "file", "target": "/etc/passwd"}, "Registered locations must be of an allowed"),
        ({"type": "url", "target": "file:///etc/passwd"}, "target is file:///etc/passwd; expected"),
        (
            {"type": "url", "target": "https://u:secret@x.example/"},
            "target has a user name or pass",
        ),
        ({"type": "url", "target": "https://x.example/", "a": 1, "b": 2}, "Malformed request: [\n"),
        (
            {"type": "url", "target": "https://x.example/", "presence": "maybe"},
            "request/body/presence must be equal to one of the allowed values: required, optional",
        ),
    ],
)
def test_locations_that_are_none(api, body, told):
    answer = api.post(f"{URL}/locations", body)
    assert (answer.status_code, message(answer)[: len(told)]) == (400, told)
    assert "secret" not in message(answer)
    assert not Location.objects.exists()


def test_a_location_that_is_changed_keeps_its_id_and_reference(api, site):
    made = register(api, f"{site.url}/one.yaml")
    address = f"{URL}/locations/{made['id']}"
    other = {"type": "url", "target": f"{site.url}/two.yaml"}
    assert api.put(address, other).json() == {**made, **other}
    named = f"{URL}/entities/by-name/component/default"
    assert [api.get(f"{named}/{one}").status_code for one in ("one", "two")] == [404, 200]
    assert api.get(f"{URL}/locations/by-entity/Component/default/Two").json()["id"] == made["id"]
    assert api.put(f"{URL}/locations/nope", other).status_code == 404
    assert api.delete(address).status_code == 204
    assert api.get(f"{named}/two").status_code == 404


def test_pages_of_locations(api, site, django_assert_num_queries):
    made = [register(api, f"{site.url}/{name}.yaml") for name in ("one", "two", "mixed")]
    for one in (made[0]["target"].upper(), made[0]["id"], made[0]["entityRef"]):
        keys = ("target", "id", "entityRef")
        found = [
            api.post(f"{URL}/locations/by-query", {"query": {key: one}}).json() for key in keys
        ]
        assert [page["items"] for page in found if page["totalItems"]] == [[made[0]]]
    query = {"query": {"$not": {"target": {"$hasPrefix": f"{site.url}/mixed"}}}, "limit": 1}
    first = api.post(f"{URL}/locations/by-query", query).json()
    cursor = first["pageInfo"]["nextCursor"]
    with django_assert_num_queries(3):  # the client, and a count and a page
        second = api.post(f"{URL}/locations/by-query", {"cursor": cursor}).json()
    assert (first["totalItems"], second["totalItems"], second["pageInfo"]) == (2, 2, {})
    ids = [one["id"] for one in first["items"] + second["items"]]
    assert ids == sorted([made[0]["id"], made[1]["id"]])
    for wrong in ("zzz", "e30=", "W10="):
        refused = api.post(f"{URL}/locations/by-query", {"cursor": wrong})
        assert (refused.status_code, message(refused)[:16]) == (400, "Malformed cursor")
    refused = api.post(f"{URL}/locations/by-query", {"query": {"$bad": 1}})
    assert message(refused) == 'Invalid query: Validation error: Invalid at "$bad"'


def test_entities_that_come_from_no_location(api):
    api.get(f"{URL}/entities")
    make_entity("_team", "core")
    missing = api.get(f"{URL}/locations/by-entity/group/default/core")
    assert (missing.status_code, message(missing)) == (
        404,
        "Found no entity group:default/core that comes from a location",
    )
    assert api.post(f"{URL}/refresh", {"entityRef": "group:core"}).status_code == 200
    wrong = api.post(f"{URL}/refresh", {"entityRef": "core"})
    assert message(wrong).startswith("entityRef: ")


def test_what_was_refused(api, site):
    register(api, f"{site.url}/mixed.yaml")
    told = api.get(f"{URL}/entities/unprocessed/failed").json()
    [one] = told["entities"]
    assert (told["type"], one["entity_ref"]) == ("failed", "component:default/bad")
    assert one["unprocessed_entity"]["spec"]["owner"] == []
    assert (one["processed_entity"], one["location_key"]) == (None, f"url:{site.url}/mixed.yaml")
    [error] = one["errors"]
    assert (error["name"], error["field"], error["line"]) == ("InputError", "spec.owner", 4)
    assert error["cause"]["message"] == "/spec/owner must be string - type: string"
    nobody = api.get(f"{URL}/entities/unprocessed/failed?owner=team-b").json()
    assert nobody["entities"] == []

    address = f"{URL}/entities/unprocessed/delete"
    for gone in ("nope", "1-", f"{one['entity_id']}0", "9" * 30):
        assert api.delete(f"{address}/{gone}").status_code == 404
    assert api.delete(f"{address}/{one['entity_id']}").status_code == 204
    assert api.get(f"{URL}/entities/unprocessed/failed").json()["entities"] == []


def test_what_cannot_be_read(api, site):
    site.json("/gone.yaml", {}, status=404)
    register(api, f"{site.url}/gone.yaml")
    [one] = api.get(f"{URL}/entities/unprocessed/failed").json()["entities"]
    assert one["unprocessed_entity"]["spec"] == {"type": "url", "target": f"{site.url}/gone.yaml"}
    Location.objects.update(state=Location.State.PENDING)
    [waiting] = api.get(f"{URL}/entities/unprocessed/pending").json()["entities"]
    assert waiting["entity_ref"] == one["entity_ref"]


def test_entities_are_checked_with_their_placeholders(api, site):
    place = f"url:{site.url}/catalog-info.yaml"
    site.text("/api.yaml", "openapi: 3.1.0")

    def check(definition, location=place):
        entity = {**ENTITY, "spec": {**ENTITY["spec"], "definition": definition}}
        return api.post(f"{URL}/validate-entity", {"entity": entity, "location": location})

    good = check({"$text": "./api.yaml"})
    assert (good.status_code, good.content, "Content-Type" in good.headers) == (200, b"", False)
    site.json("/missing.yaml", {}, status=404)
    [missing] = check({"$text": "./missing.yaml"}).json()["errors"]
    assert (missing["name"], "./missing.yaml" in missing["message"]) == ("InputError", True)
    # what nobody allowed to be read is left alone, as it is in a file
    assert check({"$text": "http://169.254.169.254/latest"}).status_code == 200
    for wrong in ("file:/etc/passwd", "url:", "url:x", "https://x.example"):
        [told] = check("x", wrong).json()["errors"]
        assert told == {
            "name": "TypeError",
            "message": f"Invalid location ref {wrong}, only 'url:<target>' is supported, "
            "e.g. url:https://host/path",
        }


def test_what_placeholders_read_is_not_told_to_who_only_checks(api, site):
    site.text("/secret.txt", "hush hush")
    site.text("/secret.yaml", "DB PASSWORD: hush")
    place = f"url:{site.url}/catalog-info.yaml"

    def check(**changes):
        metadata = {**ENTITY["metadata"], **changes.pop("metadata", {})}
        entity = {**ENTITY, "metadata": metadata, "spec": {**ENTITY["spec"], **changes}}
        answer = api.post(f"{URL}/validate-entity", {"entity": entity, "location": place})
        return answer.json()["errors"][0]["message"]

    for field, target in (("tags", "./secret.txt"), ("labels", "./secret.yaml")):
        token = "$yaml" if target.endswith("yaml") else "$text"
        value = [{token: target}] if field == "tags" else {token: target}
        told = check(metadata={field: value})
        assert told.startswith(f"metadata.{field}")
        assert "took in is not valid" in told
    # what the caller wrote is told as ever
    told = check(definition={"$text": "./secret.txt"}, lifecycle=7)
    assert "/spec/lifecycle must be string" in told


def test_a_repository_is_searched(api, vendor):
    source = {"apiUrl": vendor.url, "token": "t1"}
    create_source(identifier="forge", kind="github", settings=source, mapping={}, actor=ACTOR)
    vendor.json("/repos/acme/shop", {"default_branch": "main"})
    paths = ("catalog-info.yaml", "docs/catalog-info.yaml", "docs/index.md")
    tree = [{"path": path, "type": "blob", "size": 10} for path in paths]
    vendor.json("/repos/acme/shop/git/trees/main", {"truncated": False, "tree": tree})
    root = "/repos/acme/shop/contents"
    vendor.text(f"{root}/catalog-info.yaml", COMPONENT.format(name="shop", owner="team-a"))
    vendor.text(f"{root}/docs/catalog-info.yaml", "nothing: here")
    target = f"{vendor.url}/acme/shop"
    found = api.post(f"{URL}/analyze-location", {"location": {"type": "url", "target": target}})
    [one] = found.json()["existingEntityFiles"]
    assert found.json()["generateEntities"] == []
    assert one["location"] == {"type": "url", "target": f"{target}/blob/main/catalog-info.yaml"}
    assert (one["isRegistered"], one["entity"]["metadata"]["name"]) == (False, "shop")
    body = {"location": {"target": target}, "catalogFilename": "backstage.yaml"}
    proposed = api.post(f"{URL}/analyze-location", body).json()["generateEntities"]
    assert proposed[0]["entity"]["metadata"]["name"] == "shop"


@pytest.mark.parametrize(
    ("target", "name", "annotations"),
    [
        (
            "https://github.com/acme/shop/tree/main",
            "shop",
            {"github.com/project-slug": "acme/shop"},
        ),
        ("https://gitlab.com/a/b/c.git", "c", {"gitlab.com/project-slug": "a/b/c"}),
        ("https://git.example.com/a/My repo!", "My-repo", None),
    ],
)
def test_a_repository_that_cannot_be_searched(api, target, name, annotations):
    body = {"location": {"type": "url", "target": target}}
    found = api.post(f"{URL}/analyze-location", body).json()
    [made] = found["generateEntities"]
    assert made["entity"]["metadata"].get("annotations") == annotations
    assert made["entity"]["metadata"]["name"] == name


def test_the_document_of_the_catalogue(api):
    document = api.get(f"{URL}/openapi.json").json()
    assert document["servers"] == [{"url": "/api/catalog"}]
    assert {"/locations", "/validate-entity", "/refresh"} <= document["paths"].keys()
    assert not any(path.startswith(("/v1", "/api")) for path in document["paths"])


def test_rules_that_an_admin_gave_do_not_move_along_with_a_member(site):
    api = make_api(Role.MEMBER)
    made = register(api, f"{site.url}/one.yaml")
    rules = [{"allow": ["User", "Group"]}]
    registering.set_rules(Location.objects.get(), rules, actor=ACTOR)
    place, body = f"{URL}/locations/{made['id']}", {"type": "url", "target": f"{site.url}/two.yaml"}
    assert api.put(place, {**body, "target": f"{site.url}/one.yaml"}).status_code == 200
    assert Location.objects.get().rules == rules  # nothing was changed
    assert api.put(place, body).status_code == 200
    assert Location.objects.get().rules == []
    registering.set_rules(Location.objects.get(), rules, actor=ACTOR)
    admin = make_api(Role.ADMIN)
    assert admin.put(place, {**body, "target": f"{site.url}/one.yaml"}).status_code == 200
    assert Location.objects.get().rules == rules


@pytest.mark.parametrize(
    "text",
    [
        "password: hush hush",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {password: hush hush}",
    ],
)
def test_a_file_that_is_no_descriptor_is_not_shown_to_who_registers_it(api, site, text):
    site.text("/values.yaml", text)
    register(api, f"{site.url}/values.yaml")
    answer = api.get(f"{URL}/entities/unprocessed/failed")
    told = answer.json()["entities"]
    assert told
    assert {one["unprocessed_entity"] for one in told} == {None}
    assert b"hush" not in answer.content
