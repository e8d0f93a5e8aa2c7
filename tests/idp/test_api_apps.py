"""/v1/apps: API clients, whose secrets are told once."""

import pytest

from catalog.kernel.actors import Role
from catalog.models import Change
from tests.factories import make_api, make_client

pytestmark = pytest.mark.django_db


def test_clients(db):
    admin = make_api()
    _, secret = make_client(name="ci", client_id="ci")
    [app] = [one for one in admin.get("/v1/apps").json()["apps"] if one["id"] == "ci"]
    assert app == {
        "id": "ci",
        "name": "ci",
        "role": "Member",
        "enabled": True,
        "createdAt": app["createdAt"],
        "updatedAt": app["updatedAt"],
        "lastUsedAt": None,
    }
    login = {"clientId": "ci", "clientSecret": secret}
    assert admin.post("/v1/auth/access_token", login).status_code == 200
    rotated = admin.post("/v1/apps/ci/rotate-secret").json()["app"]
    assert rotated["id"] == "ci"
    assert admin.post("/v1/auth/access_token", login).status_code == 401
    login["clientSecret"] = rotated["secret"]
    assert admin.post("/v1/auth/access_token", login).status_code == 200
    for told in (admin.get("/v1/apps?fields=id,secret").content, str(Change.objects.values())):
        assert rotated["secret"] not in str(told)

    assert admin.put("/v1/apps/ci", {"name": "CI", "enabled": False}).json()["app"]["name"] == "CI"
    assert admin.post("/v1/auth/access_token", login).status_code == 401
    admin.put("/v1/apps/ci", {"enabled": True})
    assert admin.post("/v1/auth/access_token", login).status_code == 200
    assert admin.delete("/v1/apps/ci").json() == {"ok": True}
    assert admin.post("/v1/auth/access_token", login).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"), [({"name": ""}, "name"), ({"name": 3}, "name"), ({"enabled": 1}, "enabled")]
)
def test_bad_changes(db, body, field):
    make_client(client_id="ci")
    answer = make_api().put("/v1/apps/ci", body)
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)


def test_only_admins(db):
    make_client(client_id="ci")
    member = make_api(Role.MEMBER)
    assert member.get("/v1/apps").status_code == 403
    assert member.put("/v1/apps/ci", {"name": "x"}).status_code == 403
    assert member.post("/v1/apps/ci/rotate-secret").status_code == 403
    assert member.delete("/v1/apps/ci").status_code == 403
    assert make_api().get("/v1/apps").status_code == 200
    assert make_api().put("/v1/apps/nope", {"name": "x"}).status_code == 404
