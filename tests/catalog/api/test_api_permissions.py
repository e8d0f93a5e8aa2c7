"""Who may call what. A refusal changes nothing."""

import pytest

from catalog.kernel.actors import Role
from catalog.models import Blueprint, Change, Entity
from idp.models import Organization
from tests.factories import Caller, make_api, make_blueprint, make_entity

ANYONE, MEMBER, ADMIN = "anyone", "member", "admin"

ROUTES = [
    ("GET", "/v1/organization", ANYONE),
    ("PUT", "/v1/organization", ADMIN),
    ("PATCH", "/v1/organization", ADMIN),
    ("GET", "/v1/blueprints", ANYONE),
    ("POST", "/v1/blueprints", ADMIN),
    ("GET", "/v1/blueprints/service", ANYONE),
    ("PUT", "/v1/blueprints/service", ADMIN),
    ("PATCH", "/v1/blueprints/service", ADMIN),
    ("DELETE", "/v1/blueprints/service", ADMIN),
    ("POST", "/v1/blueprints/service/preview", ADMIN),
    ("DELETE", "/v1/blueprints/service/all-entities", ADMIN),
    ("PATCH", "/v1/blueprints/service/properties/stars/rename", ADMIN),
    ("PATCH", "/v1/blueprints/service/relations/domain/rename", ADMIN),
    ("PATCH", "/v1/blueprints/service/mirror/m/rename", ADMIN),
    ("GET", "/v1/blueprints/system/_user/structure", ANYONE),
    ("GET", "/v1/migrations/mig_1", ANYONE),
    ("GET", "/v1/blueprints/service/entities", ANYONE),
    ("POST", "/v1/blueprints/service/entities", MEMBER),
    ("POST", "/v1/blueprints/service/entities/bulk", MEMBER),
    ("POST", "/v1/blueprints/service/bulk/entities/delete", MEMBER),
    ("GET", "/v1/blueprints/service/entities/pay", ANYONE),
    ("GET", "/v1/blueprints/service/entities/pay/history", ANYONE),
    ("PUT", "/v1/blueprints/service/entities/pay", MEMBER),
    ("PATCH", "/v1/blueprints/service/entities/pay", MEMBER),
    ("DELETE", "/v1/blueprints/service/entities/pay", MEMBER),
    ("GET", "/v1/blueprints/service/entities-count", ANYONE),
    ("POST", "/v1/blueprints/service/entities/search", ANYONE),
    ("POST", "/v1/entities/search", ANYONE),
    ("POST", "/v1/blueprints/entities/datasource-entities", ANYONE),
    ("POST", "/v1/entities/aggregate", ANYONE),
    ("POST", "/v1/entities/aggregate-over-time", ANYONE),
    ("POST", "/v1/entities/properties-history", ANYONE),
    ("POST", "/v1/blueprints/_team/entities", ADMIN),
    ("PATCH", "/v1/blueprints/_team/entities/core", ADMIN),
    ("DELETE", "/v1/blueprints/_team/entities/core", ADMIN),
    ("POST", "/v1/blueprints/_user/entities/bulk", ADMIN),
    ("POST", "/v1/blueprints/_user/bulk/entities/delete", ADMIN),
    ("GET", "/schema/", ANYONE),
]
MAY = {
    Role.VIEWER: {ANYONE},
    Role.MEMBER: {ANYONE, MEMBER},
    Role.ADMIN: {ANYONE, MEMBER, ADMIN},
}


def state():
    return (
        list(Entity.objects.order_by("pk").values()),
        list(Blueprint.objects.order_by("pk").values()),
        list(Organization.objects.values()),
        Change.objects.count(),
    )


@pytest.fixture
def stored(service):
    make_entity("service", "pay")
    make_entity("_team", "core")
    return state()


@pytest.mark.parametrize(("method", "path", "needed"), ROUTES)
def test_without_credentials_all_is_401(stored, method, path, needed):
    for caller in (Caller(), Caller(HTTP_AUTHORIZATION="Bearer a.b.c")):
        answer = caller.generic(method, path, '{"title": "x"}', content_type="application/json")
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="idp"'
    assert state() == stored


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
def test_each_role_may_do_its_own(stored, role):
    """What is allowed may still fail for its body, but never with 401 or 403."""
    caller = make_api(role)
    for method, path, needed in ROUTES:
        if needed in MAY[role] and needed is not ANYONE:
            continue
        answer = caller.generic(method, path, '{"title": "x"}', content_type="application/json")
        if needed in MAY[role]:
            assert answer.status_code not in (401, 403), (method, path)
        else:
            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
            assert f"Role {role.value} may not" in answer.json()["message"]
    assert state()[:3] == stored[:3]
    for method, path, needed in ROUTES:
        if needed in MAY[role] and needed is not ANYONE:
            answer = caller.generic(method, path, "{}", content_type="application/json")
            assert answer.status_code not in (401, 403), (method, path)


def test_a_member_cannot_delete_a_team_by_way_of_what_it_needs(stored, service):
    admin, member = make_api(Role.ADMIN), make_api(Role.MEMBER)
    relations = {"of": {"target": "service", "required": True}}
    before = admin.get("/v1/blueprints/_team").json()["blueprint"]["relations"]
    changed = admin.patch("/v1/blueprints/_team?force=true", {"relations": {**before, **relations}})
    assert changed.status_code == 200
    admin.patch("/v1/blueprints/_team/entities/core", {"relations": {"of": "pay"}})
    kept = state()
    path = "/v1/blueprints/service/entities/pay?delete_dependents=true"
    assert member.delete(path).status_code == 403
    assert state() == kept
    assert admin.delete(path).status_code == 200
    assert not Entity.objects.exists()


def test_missing_targets_never_become_users_or_teams(db):
    make_blueprint("repo", relations={"owner": {"target": "_team"}})
    answer = make_api(Role.ADMIN).post(
        "/v1/blueprints/repo/entities?create_missing_related_entities=true",
        {"identifier": "r", "relations": {"owner": "new"}},
    )
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert not Entity.objects.exists()
