"""Permissions of blueprints: stored as sent, and kept by every way in."""

import pytest

from catalog.kernel.actors import Role
from catalog.models import Blueprint, Change, Entity
from catalog.services import entities
from catalog.services.blueprints import rename_property, rename_relation
from tests.factories import (
    ACTOR,
    make_api,
    make_blueprint,
    make_browser,
    make_client,
    make_entity,
)

pytestmark = pytest.mark.django_db

URL = "/v1/blueprints/service/permissions"
NOBODY = {"users": [], "roles": [], "teams": [], "ownedByTeam": False}
WRITERS = {**NOBODY, "roles": ["Admin", "Member"]}


@pytest.fixture
def service(db):
    make_blueprint("domain")
    return make_blueprint(
        "service",
        properties={"tier": {"type": "string"}, "notes": {"type": "string"}},
        relations={"domain": {"target": "domain", "many": False, "required": False}},
    )


@pytest.fixture
def admin(db):
    return make_api()


def grant(admin, **grants):
    answer = admin.patch(URL, {"entities": grants})
    assert answer.status_code == 200, answer.content
    return answer.json()["permissions"]


def test_default_and_change(admin, service):
    assert admin.get(URL).json()["permissions"] == {
        "entities": {
            "register": WRITERS,
            "update": WRITERS,
            "unregister": WRITERS,
            "updateProperties": {},
            "updateRelations": {},
        }
    }
    sent = {
        "register": {"users": ["b@x.io", "a@x.io"], "roles": ["service-moderator"], "teams": ["z"]},
        "update": {"roles": ["Admin"], "users": None, "teams": [], "ownedByTeam": True},
        "updateProperties": {"tier": {"roles": ["Admin"]}, "$title": {"users": ["a@x.io"]}},
        "read": {"roles": ["Admin", "Member"], "policy": None},
    }
    wanted = {
        "register": {**NOBODY, **sent["register"]},
        "update": {**NOBODY, "roles": ["Admin"], "ownedByTeam": True},
        "unregister": WRITERS,
        "updateProperties": {
            "tier": {**NOBODY, "roles": ["Admin"]},
            "$title": {**NOBODY, "users": ["a@x.io"]},
        },
        "updateRelations": {},
        "read": {**NOBODY, "roles": ["Admin", "Member"]},
    }
    assert grant(admin, **sent) == {"entities": wanted}
    assert admin.get(URL).json()["permissions"] == {"entities": wanted}
    assert grant(admin, updateProperties={"tier": None})["entities"]["updateProperties"] == {
        "$title": {**NOBODY, "users": ["a@x.io"]}
    }
    assert Change.objects.filter(model="blueprint", after__has_key="permissions").count() == 2
    stamp = Blueprint.objects.get(identifier="service").updated_at
    grant(admin, register=sent["register"])
    assert Blueprint.objects.get(identifier="service").updated_at == stamp
    assert Change.objects.filter(model="blueprint", after__has_key="permissions").count() == 2


@pytest.mark.parametrize(
    ("body", "field", "status"),
    [
        ({"entities": []}, "entities", 422),
        ({"entities": {"register": []}}, "entities.register", 422),
        ({"entities": {"register": {"users": "ann"}}}, "entities.register.users", 422),
        ({"entities": {"register": {"roles": ["Boss"]}}}, "entities.register.roles", 422),
        ({"entities": {"update": {"ownedByTeam": 1}}}, "entities.update.ownedByTeam", 422),
        ({"entities": {"update": {"policy": {"rules": []}}}}, "entities.update.policy", 422),
        ({"entities": {"read": {"roles": ["Admin"]}}}, "entities.read.roles", 422),
        ({"entities": {"read": {"roles": ["Member"], "policy": {}}}}, "entities.read", 422),
        ({"entities": {"updateProperties": {"no": {}}}}, "entities.updateProperties", 422),
        ({"entities": {"updateRelations": {"tier": {}}}}, "entities.updateRelations", 422),
    ],
)
def test_what_would_have_no_effect_is_refused(admin, service, body, field, status):
    answer = admin.patch(URL, body)
    assert (answer.status_code, answer.json()["details"]["field"]) == (status, field)
    assert Blueprint.objects.get(identifier="service").permissions is None


def test_users_and_teams_stay_with_admins(admin, service):
    refused = admin.patch(
        "/v1/blueprints/_user/permissions", {"entities": {"update": {"roles": ["Member"]}}}
    )
    assert refused.status_code == 422
    assert make_api(Role.MEMBER).patch(URL, {"entities": {}}).status_code == 403
    assert admin.patch("/v1/blueprints/nope/permissions", {}).status_code == 404
    assert admin.get("/v1/blueprints/nope/permissions").status_code == 404


def statuses(api, identifier="pay"):
    """Register, update, unregister."""
    url = "/v1/blueprints/service/entities"
    make_entity("service", identifier, team=["core"])
    return [
        api.post(url, {"identifier": "new"}).status_code,
        api.patch(f"{url}/{identifier}", {"properties": {"tier": "1"}}).status_code,
        api.delete(f"{url}/{identifier}").status_code,
    ]


ROLE = {"roles": ["Viewer"]}


@pytest.mark.parametrize(
    ("role", "grants", "expected"),
    [
        (Role.MEMBER, {}, [201, 200, 200]),
        (Role.VIEWER, {}, [403, 403, 403]),
        (Role.VIEWER, {"register": ROLE, "update": ROLE, "unregister": ROLE}, [201, 200, 200]),
        (Role.MEMBER, {"register": {"roles": ["Admin"]}}, [403, 200, 200]),
        (Role.MEMBER, {"update": {"roles": []}}, [201, 403, 200]),
        (Role.MEMBER, {"unregister": {"roles": []}}, [201, 200, 403]),
        (Role.ADMIN, {"register": {"roles": []}, "update": {"roles": []}}, [201, 200, 200]),
    ],
)
def test_roles(admin, service, role, grants, expected):
    grant(admin, **grants)
    assert statuses(make_api(role)) == expected
    exists = Entity.objects.filter(identifier="pay").exists()
    assert exists is (expected[2] == 403)


@pytest.mark.parametrize("mode", ["upsert=true", "upsert=true&merge=true"])
def test_each_item_of_a_batch_is_asked_about(admin, service, mode):
    grant(admin, register={"roles": []}, updateProperties={"tier": {"roles": []}})
    make_entity("service", "old", properties={"tier": "1", "notes": "a"})
    make_entity("service", "same", properties={"tier": "1", "notes": "a"})
    make_entity("service", "free", properties={"tier": "1", "notes": "a"})
    bodies = [
        {"identifier": "old", "properties": {"tier": "2", "notes": "a"}},
        {"identifier": "new"},
        {"identifier": "same", "properties": {"tier": "1", "notes": "a"}},
        {"identifier": "free", "properties": {"tier": "1", "notes": "b"}},
    ]
    answer = make_api(Role.MEMBER).post(
        f"/v1/blueprints/service/entities/bulk?{mode}", {"entities": bodies}
    )
    assert answer.status_code == 207
    assert [(e["index"], e["statusCode"], e["error"]) for e in answer.json()["errors"]] == [
        (0, 403, "forbidden"),
        (1, 403, "forbidden"),
    ]
    assert "properties.tier" in answer.json()["errors"][0]["message"]
    stored = dict(Entity.objects.values_list("identifier", "properties"))
    assert stored == {
        "old": {"tier": "1", "notes": "a"},
        "same": {"tier": "1", "notes": "a"},
        "free": {"tier": "1", "notes": "b"},
    }


def test_who_may_not_change_a_thing_is_not_its_last_writer_either(admin, service):
    make_entity("service", "pay", properties={"tier": "1"})
    grant(admin, update={"roles": []})
    url = "/v1/blueprints/service/entities?upsert=true&merge=true"
    body = {"identifier": "pay", "properties": {"tier": "1"}}
    assert make_api(Role.MEMBER, agent="other/1").post(url, body).status_code == 403
    assert Entity.objects.get(identifier="pay").datasource == ""
    assert make_api(Role.ADMIN, agent="other/1").post(url, body).status_code == 201
    assert Entity.objects.get(identifier="pay").datasource == "other/1"
    assert make_api(Role.MEMBER, agent="other/1").post(url, body).status_code == 201


def test_owners_users_and_teams(admin, service):
    """By e-mail, by a team's name, and by owning the thing; in the portal as in the API."""
    browser = make_browser(role=Role.VIEWER)
    make_entity("_team", "core", title="Core team")
    make_entity("_user", browser.user.email, relations={"team": ["core"]})
    make_entity("service", "theirs", team=["core"])
    make_entity("service", "others", team=["web"])
    owners = {"roles": [], "ownedByTeam": True}
    grant(admin, register={"users": ["x@x.io"]}, update=owners, unregister=owners)

    urls = {i: f"/v1/blueprints/service/entities/{i}" for i in ("theirs", "others")}

    def patch(identifier, **body):
        return browser.patch(urls[identifier], body, content_type="application/json").status_code

    assert patch("theirs", title="Ours") == 200
    assert patch("others", title="Ours") == 403
    assert patch("others", team=["core"]) == 403
    assert Entity.objects.get(identifier="others").team == ["web"]
    assert browser.post("/catalog/service/others/delete").status_code == 403
    assert Entity.objects.filter(identifier="others").exists()
    grant(admin, register={"teams": ["Core team"], "roles": []})
    new = browser.post(
        "/v1/blueprints/service/entities", {"identifier": "n"}, content_type="application/json"
    )
    assert new.status_code == 201
    grant(admin, register={"teams": [], "users": [browser.user.email.upper()]})
    new = browser.post(
        "/v1/blueprints/service/entities", {"identifier": "n2"}, content_type="application/json"
    )
    assert new.status_code == 201


def test_a_client_is_named_by_its_id(admin, service):
    from idp.auth import issue_token
    from tests.factories import Caller

    client, secret = make_client(role=Role.VIEWER)
    token = issue_token(client_id=client.client_id, client_secret=secret).access_token
    api = Caller(HTTP_AUTHORIZATION=f"Bearer {token}")
    grant(admin, register={"users": [client.client_id]})
    assert statuses(api) == [201, 403, 403]


def test_ways_around(admin, service):
    """Renaming, relations, entities made by the way, restoring, dependents."""
    make_blueprint(
        "deploy",
        relations={"service": {"target": "service", "many": False, "required": True}},
    )
    member = make_api(Role.MEMBER)
    make_entity("service", "pay", team=["core"])
    make_entity("deploy", "d1", relations={"service": "pay"})
    grant(
        admin,
        register={"roles": []},
        updateProperties={"$identifier": {"roles": []}},
        updateRelations={"domain": {"roles": []}},
    )
    url = "/v1/blueprints/service/entities"
    assert member.patch(f"{url}/pay", {"identifier": "paid"}).status_code == 403
    assert member.patch(f"{url}/pay", {"relations": {"domain": None}}).status_code == 200
    make_entity("domain", "shop")
    assert member.patch(f"{url}/pay", {"relations": {"domain": "shop"}}).status_code == 403
    stub = member.post(
        "/v1/blueprints/deploy/entities?create_missing_related_entities=true",
        {"identifier": "d2", "relations": {"service": "unheard"}},
    )
    assert stub.status_code == 403
    assert not Entity.objects.filter(identifier__in=["d2", "unheard", "paid"]).exists()
    grant(admin, unregister={"roles": []})
    make_entity("domain", "d")
    assert (
        member.post(
            "/v1/blueprints/service/bulk/entities/delete?delete_dependents=true",
            {"entities": ["pay"]},
        ).status_code
        == 403
    )
    assert Entity.objects.filter(identifier__in=["pay", "d1"]).count() == 2


def test_followers_of_a_rename_need_no_permission(admin, service):
    """Edges follow a rename, also those of entities that the one who renames may not write."""
    make_blueprint("free")
    make_blueprint("locked", relations={"to": {"target": "free", "many": False, "required": False}})
    make_entity("free", "a")
    make_entity("locked", "b", relations={"to": "a"})
    admin.patch("/v1/blueprints/locked/permissions", {"entities": {"update": {"roles": []}}})
    renamed = make_api(Role.MEMBER).patch("/v1/blueprints/free/entities/a", {"identifier": "z"})
    assert renamed.status_code == 200
    assert Entity.objects.get(identifier="b").relations == {"to": "z"}


def test_grants_follow_renamed_parts(admin, service):
    grant(
        admin,
        updateProperties={"tier": {"roles": []}},
        updateRelations={"domain": {"roles": []}},
    )
    rename_property("service", "tier", "level", actor=ACTOR)
    rename_relation("service", "domain", "area", actor=ACTOR)
    stored = admin.get(URL).json()["permissions"]["entities"]
    assert stored["updateProperties"] == {"level": NOBODY}
    assert stored["updateRelations"] == {"area": NOBODY}
    make_entity("service", "pay")
    member = make_api(Role.MEMBER)
    url = "/v1/blueprints/service/entities/pay"
    assert member.patch(url, {"properties": {"level": "1"}}).status_code == 403


def test_a_deleted_entity_comes_back_by_those_who_may_register(admin, service):
    browser = make_browser(role=Role.MEMBER)
    make_entity("service", "pay")
    entities.delete([("service", "pay")], actor=ACTOR)
    grant(admin, register={"roles": []})
    change = Change.objects.get(action="delete", identifier="pay")
    browser.post("/catalog/service/pay/restore", {"change": change.pk})
    assert not Entity.objects.filter(identifier="pay").exists()
