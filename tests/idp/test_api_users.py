"""/v1/users: accounts and persons as one; invitations; service accounts."""

import re

import pytest

from catalog.kernel.actors import Role
from catalog.models import Entity
from catalog.selectors.teams import teams_of
from idp.auth import issue_token
from idp.models import ApiClient, User
from tests.factories import Caller, make_api, make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db

A = "ann@example.com"


@pytest.fixture
def admin(db):
    make_user("root", role=Role.ADMIN)
    make_entity("_team", "core", title="Core team")
    return make_api()


def invite(admin, email="Zoë.x@example.com", query="", **more):
    body = {"invitee": {"email": email, **more}}
    return admin.post(f"/v1/users/invite{query}", body)


def test_the_list(admin):
    make_user("ann", first_name="Ann", last_name="A", role=Role.VIEWER)
    make_entity(
        "_user",
        "a-person",
        properties={"email": A.upper(), "picture": "https://x.io/a.png"},
        relations={"team": ["core"]},
    )
    make_entity("_user", "gone@x.io", title="Gone By", properties={"status": "Disabled"})
    make_user("off", is_active=False)
    shown = {one["email"]: one for one in admin.get("/v1/users").json()["users"]}
    assert list(shown) == [A, "gone@x.io", "off@example.com", "root@example.com"]
    ann = shown[A]
    assert ann == {
        "id": ann["id"],
        "email": A,
        "firstName": "Ann",
        "lastName": "A",
        "picture": "https://x.io/a.png",
        "status": "Active",
        "type": "Standard",
        "providers": [],
        "roles": [{"name": "Viewer"}],
        "teams": ["Core team"],
        "orgs": [{"id": "org_1"}],
        "orgMembers": [{"orgId": "org_1", "status": "Active", "lastLoginAt": None}],
        "createdAt": ann["createdAt"],
        "updatedAt": ann["updatedAt"],
    }
    assert [shown[name]["status"] for name in ("gone@x.io", "off@example.com")] == ["Disabled"] * 2
    assert shown["gone@x.io"]["firstName"] == "Gone"
    assert admin.get("/v1/users/ANN%40example.com").json()["user"] == ann
    assert admin.get("/v1/users/a-person").json()["user"] == ann
    only = admin.get("/v1/users?fields=email,status").json()["users"]
    assert only[0] == {"email": A, "status": "Active"}
    assert admin.get("/v1/users/no@x.io").json()["error"] == "not_found"
    assert b"password" not in admin.get("/v1/users").content


def test_invited_people_set_their_own_password(admin, mailoutbox, client):
    answer = invite(admin, A, roles=["Viewer"], teams=["Core team"])
    assert (answer.status_code, answer.json()["notified"]) == (200, True)
    user = answer.json()["user"]
    assert (user["status"], user["roles"], user["teams"]) == (
        "Invited",
        [{"name": "Viewer"}],
        ["Core team"],
    )
    assert teams_of(A) == ["core"]
    [mail] = mailoutbox
    assert mail.to == [A]
    link = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", mail.body).group(1)
    form = client.get(link, follow=True)
    new = {"password1": "a long enough password 1", "password2": "a long enough password 1"}
    client.post(form.request["PATH_INFO"], new)
    assert client.login(username=A, password=new["password1"])
    assert admin.get(f"/v1/users/{A}").json()["user"]["status"] == "Active"
    assert invite(admin, A).status_code == 409


def test_quiet_and_odd_invitations(admin, mailoutbox):
    assert invite(admin, "o'neil@example.com", "?notify=false").json()["notified"] is False
    assert mailoutbox == []
    assert User.objects.get(email="o'neil@example.com").username == "o_neil@example.com"
    person = Entity.objects.get(properties__email="o'neil@example.com")
    assert person.identifier.startswith("e_")
    assert admin.get("/v1/users/o'neil%40example.com").json()["user"]["status"] == "Invited"


@pytest.mark.parametrize(
    ("invitee", "field"),
    [
        (None, "invitee"),
        ({"email": "nobody"}, "invitee.email"),
        ({"email": 3}, "invitee.email"),
        ({"email": "a@x.io", "roles": ["Boss"]}, "roles"),
        ({"email": "a@x.io", "roles": ["service-moderator"]}, "roles"),
        ({"email": "a@x.io", "teams": ["no"]}, "invitee.teams.0"),
    ],
)
def test_bad_invitations(admin, mailoutbox, invitee, field):
    answer = admin.post("/v1/users/invite", {"invitee": invitee})
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    assert User.objects.count() == 1
    assert mailoutbox == []


def test_a_mail_server_that_is_away_stops_no_invitation(admin, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answer = invite(admin, A)
    assert (answer.status_code, answer.json()["notified"]) == (200, False)


def test_roles_and_teams(admin):
    make_user("ann")
    make_entity("_team", "web", relations={})
    make_entity("_user", A, relations={"team": ["core"]})
    changed = admin.patch(f"/v1/users/{A}", {"roles": ["Member", "Admin"], "teams": ["web"]})
    assert changed.json()["user"]["roles"] == [{"name": "Admin"}]
    assert changed.json()["user"]["teams"] == ["web"]
    assert teams_of(A) == ["web"]
    assert admin.patch(f"/v1/users/{A}", {"teams": ["web", "Core team"]}).json()["user"][
        "teams"
    ] == ["Core team", "web"]
    assert admin.patch(f"/v1/users/{A}", {"roles": []}).status_code == 422
    assert admin.patch(f"/v1/users/{A}", {"roles": ["Boss"]}).status_code == 422
    assert User.objects.get(email=A).role == "Admin"
    assert admin.patch(f"/v1/users/{A}", {"roles": ["Viewer"]}).status_code == 200
    last = admin.patch("/v1/users/root@example.com", {"roles": ["Member"]})
    assert (last.status_code, last.json()["error"]) == (409, "conflict")
    make_entity("_user", "x@x.io")
    assert admin.patch("/v1/users/x@x.io", {"roles": ["Admin"]}).status_code == 409


def test_who_is_removed_is_switched_off(admin):
    make_user("ann")
    make_entity("_user", A, relations={"team": ["core"]})
    make_entity("_team", "web", relations={"members": [A]})
    assert admin.delete(f"/v1/users/{A}").json() == {"ok": True}
    assert User.objects.get(email=A).is_active is False
    assert not Entity.objects.filter(identifier=A).exists()
    assert Entity.objects.get(identifier="web").relations == {}
    assert admin.get(f"/v1/users/{A}").json()["user"]["status"] == "Disabled"
    assert admin.delete("/v1/users/root@example.com").status_code == 409
    back = invite(admin, A, "?notify=false", roles=["Viewer"])
    assert back.json()["user"]["roles"] == [{"name": "Viewer"}]
    assert User.objects.get(email=A).is_active is True


def test_only_admins(admin):
    make_user("ann")
    member = make_api(Role.MEMBER)
    assert member.get("/v1/users").status_code == 200
    assert invite(member, "a@x.io").status_code == 403
    assert member.patch(f"/v1/users/{A}", {"roles": ["Admin"]}).status_code == 403
    assert member.delete(f"/v1/users/{A}").status_code == 403
    assert member.post(f"/v1/rotate-credentials/{A}").status_code == 403
    user = User.objects.get(email=A)
    assert (user.role, user.is_active) == ("Member", True)
    assert [one["name"] for one in member.get("/v1/roles").json()["roles"]] == [
        "Admin",
        "Member",
        "Viewer",
    ]


ROBOT = {
    "identifier": "robot@bots.example.com",
    "title": "Robot",
    "properties": {"port_type": "Service Account", "status": "Active", "port_role": "Viewer"},
    "relations": {"team": ["core"]},
}
BOTS = "/v1/blueprints/_user/entities"


def token(credentials):
    return issue_token(
        client_id=credentials["clientId"], client_secret=credentials["clientSecret"]
    ).access_token


def status(credentials):
    from catalog.kernel.errors import NotAuthenticated

    try:
        return token(credentials) and 200
    except NotAuthenticated:
        return 401


def test_a_service_account(admin):
    make_blueprint("service")
    answer = admin.post(BOTS, ROBOT)
    credentials = answer.json()["additionalData"]["credentials"]
    api = Caller(HTTP_AUTHORIZATION=f"Bearer {token(credentials)}")
    assert api.get("/v1/users").status_code == 200
    url = "/v1/blueprints/service/entities"
    assert api.post(url, {"identifier": "a"}).status_code == 403
    grants = {"register": {"roles": [], "teams": ["Core team"]}}
    admin.patch("/v1/blueprints/service/permissions", {"entities": grants})
    assert api.post(url, {"identifier": "a"}).status_code == 201
    assert Entity.objects.get(identifier="a").created_by == credentials["clientId"]

    robot = f"{BOTS}/robot%40bots.example.com"
    assert "additionalData" not in admin.post(f"{BOTS}?upsert=true&merge=true", ROBOT).json()
    assert ApiClient.objects.filter(account=ROBOT["identifier"]).count() == 1
    assert credentials["clientSecret"].encode() not in admin.get(robot).content
    admin.patch("/v1/users/robot@bots.example.com", {"roles": ["Admin"]})
    assert api.get("/v1/apps").status_code == 200
    admin.patch(robot, {"properties": {"port_role": "nonsense"}})
    assert api.get("/v1/apps").status_code == 403

    admin.patch(robot, {"properties": {"status": "Disabled"}})
    assert (api.get("/v1/users").status_code, status(credentials)) == (401, 401)
    admin.patch(robot, {"properties": {"status": "Active"}})
    assert (api.get("/v1/users").status_code, status(credentials)) == (200, 200)
    new = admin.post("/v1/rotate-credentials/robot@bots.example.com").json()
    assert (api.get("/v1/users").status_code, status(credentials)) == (401, 401)
    assert status(new) == 200
    assert admin.delete(robot).status_code == 200
    assert status(new) == 401
    assert admin.post("/v1/rotate-credentials/root@example.com").status_code == 422


def test_service_accounts_in_bulk_and_only_tried(admin):
    tried = admin.post(f"{BOTS}?validation_only=true", ROBOT)
    assert tried.status_code == 201
    assert "additionalData" not in tried.json()
    person = {"identifier": "p@x.io", "properties": {"port_type": "Standard"}}
    staged = {**ROBOT, "identifier": "s@x.io", "properties": {"port_type": "Service Account"}}
    bulk = admin.post(f"{BOTS}/bulk", {"entities": [person, ROBOT, staged]}).json()
    told = [one["additionalData"] for one in bulk["entities"]]
    assert (told[0], told[2]) == ({}, {})
    assert status(told[1]["credentials"]) == 200
    assert ApiClient.objects.exclude(account="").count() == 1
