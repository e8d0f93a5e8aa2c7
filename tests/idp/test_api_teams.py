"""/v1/teams: names with blanks, people in the order they were sent, both ends of membership."""

import pytest

from catalog.kernel.actors import Role
from catalog.models import Entity
from catalog.selectors.teams import teams_of
from tests.factories import make_api, make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(db):
    for name in ("ann", "bob", "eve"):
        make_user(name, first_name=name.title(), last_name="X")
    return make_api()


def emails(answer):
    return [one["email"] for one in answer.json()["team"]["users"]]


A, B, E = "ann@example.com", "bob@example.com", "eve@example.com"
URL = "/v1/teams/Core%20%26%20more"


def test_a_team_lives_as_terraform_keeps_it(admin):
    body = {"name": "Core & more", "description": "Deep", "users": [B, A]}
    made = admin.post("/v1/teams", body)
    assert made.status_code == 201
    team = made.json()["team"]
    assert team == {
        "id": team["id"],
        "identifier": "Core___more",
        "name": "Core & more",
        "description": "Deep",
        "provider": "idp",
        "users": [
            {"email": B, "firstName": "Bob", "lastName": "X", "picture": None, "status": "Active"},
            {"email": A, "firstName": "Ann", "lastName": "X", "picture": None, "status": "Active"},
        ],
        "createdAt": team["createdAt"],
        "updatedAt": team["updatedAt"],
    }
    fields = "fields=name&fields=description&fields=provider&fields=users.email"
    assert admin.get(f"{URL}?{fields}").json()["team"] == {
        "name": "Core & more",
        "description": "Deep",
        "provider": "idp",
        "users": [{"email": B}, {"email": A}],
    }
    assert admin.get(URL).json()["team"] == team
    assert admin.post("/v1/teams", body).status_code == 409

    assert admin.put(URL, body).json()["team"] == team
    assert emails(admin.put(URL, {**body, "users": [E, A, B]})) == [E, A, B]
    assert emails(admin.patch(URL, {"users": [A]})) == [A]
    assert emails(admin.put(URL, {"name": "Core & more"})) == [A]
    assert admin.get(URL).json()["team"]["description"] is None
    assert teams_of(A) == ["Core___more"]
    assert teams_of(B) == teams_of(E) == []
    assert Entity.objects.get(identifier=A).relations == {"team": ["Core___more"]}
    assert Entity.objects.get(identifier="Core___more").relations == {"members": [A]}

    assert admin.delete(URL).json() == {"ok": True}
    assert admin.get(URL).json()["error"] == "not_found"
    assert Entity.objects.get(identifier=A).relations == {}
    assert [one["name"] for one in admin.get("/v1/teams").json()["teams"]] == []


def test_a_new_name_takes_along_what_the_team_owns(admin):
    make_blueprint("service")
    admin.post("/v1/teams", {"name": "core", "users": [A]})
    make_entity("service", "pay", team=["core"])
    renamed = admin.put("/v1/teams/core", {"name": "Core team", "users": [A]})
    assert renamed.json()["team"]["name"] == "Core team"
    assert Entity.objects.get(identifier="pay").team == ["Core_team"]
    assert teams_of(A) == ["Core_team"]
    assert admin.get("/v1/teams/core").status_code == 404
    admin.post("/v1/teams", {"name": "other"})
    assert admin.patch("/v1/teams/other", {"name": "Core team"}).status_code == 409


def test_teams_of_the_catalogue(admin):
    make_entity("_team", "sub/team", title="Sub")
    make_entity("_user", "ann", properties={"email": A.upper()}, relations={"team": ["sub/team"]})
    make_entity("_user", "zed@x.io", title="Zed Y")
    make_entity("_team", "both", relations={"members": ["zed@x.io"]})
    by_identifier = admin.get("/v1/teams/sub%2Fteam").json()["team"]
    assert by_identifier == admin.get("/v1/teams/Sub").json()["team"]
    assert by_identifier["users"][0]["email"] == A
    both, sub = admin.get("/v1/teams").json()["teams"]
    assert (both["name"], sub["name"]) == ("both", "Sub")
    assert both["users"] == [
        {"email": "zed@x.io", "firstName": "Zed", "lastName": "Y", "picture": None,
         "status": "Staged"}
    ]  # fmt: skip
    assert emails(admin.patch("/v1/teams/Sub", {"users": ["zed@x.io"]})) == ["zed@x.io"]
    assert teams_of(A) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " core"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "a" * 131}, "name"),
        ({"name": "core", "users": ["no@x.io"]}, "users.0"),
        ({"name": "core", "users": "ann"}, "users"),
        ({"name": "core", "description": 3}, "description"),
    ],
)
def test_bad_teams(admin, body, field):
    answer = admin.post("/v1/teams", body)
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    assert not Entity.objects.exists()


def test_only_admins_change_teams(admin):
    admin.post("/v1/teams", {"name": "core"})
    member = make_api(Role.MEMBER)
    assert member.get("/v1/teams/core").status_code == 200
    assert member.post("/v1/teams", {"name": "x"}).status_code == 403
    assert member.put("/v1/teams/core", {"name": "x"}).status_code == 403
    assert member.patch("/v1/teams/core", {"users": [A]}).status_code == 403
    assert member.delete("/v1/teams/core").status_code == 403
    assert [one["name"] for one in member.get("/v1/teams").json()["teams"]] == ["core"]


def test_the_cost(admin, django_assert_num_queries):
    for number in range(5):
        admin.post("/v1/teams", {"name": f"t{number}", "users": [A, B]})
    with django_assert_num_queries(5):
        assert len(admin.get("/v1/teams").json()["teams"]) == 5
