"""Tokens for programs, sessions for people, and the organisation they belong to."""

import jwt
import pytest
from django.test import Client

from catalog.kernel.actors import Role
from catalog.models import Change, Entity
from idp.models import ApiClient, Organization
from tests.factories import PASSWORD, Caller, make_api, make_blueprint, make_client, make_user

TOKEN = "/v1/auth/access_token"
pytestmark = pytest.mark.django_db


def test_a_token_has_what_exporters_read():
    client, secret = make_client()
    answer = Caller().post(TOKEN, {"clientId": client.client_id, "clientSecret": secret})
    body = answer.json()
    assert (answer.status_code, body["ok"], body["tokenType"]) == (200, True, "Bearer")
    claims = jwt.decode(body["accessToken"], options={"verify_signature": False})
    assert (claims["isMachine"], claims["orgId"]) == (True, "org_1")
    assert claims["exp"] - claims["iat"] == body["expiresIn"] == 10_800


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"clientSecret": "wrong"}, 401),
        ({"clientId": "nobody"}, 401),
        ({"clientId": None}, 401),
        ({"clientId": 5}, 401),
        ({"clientId": "\x00"}, 401),
        ({"clientSecret": ["x"]}, 401),
        ({"clientSecret": "\x00"}, 401),
    ],
)
def test_wrong_credentials(change, status):
    client, secret = make_client()
    body = {"clientId": client.client_id, "clientSecret": secret, **change}
    answer = Caller().post(TOKEN, body)
    assert (answer.status_code, answer.json()["error"]) == (status, "unauthorized")


@pytest.mark.parametrize("body", ["", "[]", "{"])
def test_a_request_for_a_token_must_be_an_object(body):
    answer = Caller().generic("POST", TOKEN, body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_an_expired_token_does_not_hinder_asking_for_a_new_one():
    client, secret = make_client()
    caller = Caller(HTTP_AUTHORIZATION="Bearer expired")
    body = {"clientId": client.client_id, "clientSecret": secret}
    assert caller.post(TOKEN, body).status_code == 200


def test_a_client_that_was_switched_off_is_out_at_once():
    api = make_api()
    assert api.get("/v1/organization").status_code == 200
    ApiClient.objects.update(is_active=False)
    assert api.get("/v1/organization").status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Token x", "Bearer a b c", "bearer é"]
)
def test_headers_that_are_no_token(header):
    answer = Caller(HTTP_AUTHORIZATION=header).get("/v1/organization")
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


def test_people_who_are_logged_in_may_call_the_api_with_csrf_protection():
    make_blueprint("service")
    make_user("ann", role=Role.MEMBER)
    person = Client(enforce_csrf_checks=True, HTTP_USER_AGENT="Mozilla/5.0")
    person.login(username="ann", password=PASSWORD)
    assert person.get("/v1/organization").json()["ok"]
    path, body = "/v1/blueprints/service/entities", '{"identifier": "a"}'
    refused = person.post(path, body, content_type="application/json")
    assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    assert not Entity.objects.exists()
    person.cookies["csrftoken"] = "t" * 32
    made = person.post(path, body, content_type="application/json", HTTP_X_CSRFTOKEN="t" * 32)
    assert made.status_code == 201
    assert Entity.objects.get().datasource == "Mozilla/5.0"
    change = Change.objects.get(model=Change.ENTITY)
    assert (change.actor_kind, change.actor) == ("user", "ann@example.com")


def test_history_and_answer_share_the_id_of_the_request():
    make_blueprint("service")
    answer = make_api().post("/v1/blueprints/service/entities", {"identifier": "a"})
    assert len(answer.headers["X-Trace-Id"]) == 36
    change = Change.objects.get(model=Change.ENTITY)
    assert change.request_id == answer.headers["X-Trace-Id"]


def test_the_organisation():
    api = make_api()
    assert api.get("/v1/organization").json()["organization"] | {
        "createdAt": "",
        "updatedAt": "",
    } == {
        "id": "org_1",
        "name": "My organisation",
        "isBlocked": False,
        "featureFlags": [],
        "settings": {
            "hiddenBlueprints": [],
            "portalTitle": None,
            "portalIcon": None,
            "federatedLogout": False,
        },
        "announcement": None,
        "createdAt": "",
        "updatedAt": "",
    }
    # an agent tells only this at its start
    api.patch("/v1/organization", {"settings": {"portAgentStreamerName": "POLLING"}})
    api.patch("/v1/organization", {"settings": {"portalTitle": "Acme"}, "name": "Acme"})
    shown = api.get("/v1/organization").json()["organization"]
    assert (shown["name"], shown["settings"]["portalTitle"]) == ("Acme", "Acme")
    assert shown["settings"]["portAgentStreamerName"] == "POLLING"
    api.patch("/v1/organization", {"settings": {"portalTitle": None}})
    assert api.get("/v1/organization").json()["organization"]["settings"]["portalTitle"] is None
    replaced = api.put("/v1/organization", {"announcement": {"enabled": True, "color": "red"}})
    shown = replaced.json()["organization"]
    assert (shown["name"], shown["announcement"]["color"]) == ("Acme", "red")
    assert "portAgentStreamerName" not in shown["settings"]
    assert api.patch("/v1/organization").json()["organization"] == shown


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": None},
        {"name": "n" * 101},
        {"name": "a\x00"},
        {"settings": []},
        {"settings": {"portalTitle": "t" * 31}},
        {"settings": {"hiddenBlueprints": "service"}},
        {"settings": {"big": "x" * 70_000}},
        {"announcement": "text"},
        {"announcement": {"color": "green"}},
        {"announcement": {"content": "c" * 301}},
    ],
)
def test_settings_that_cannot_be(body):
    before = list(Organization.objects.values())
    answer = make_api().patch("/v1/organization", body)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")
    assert list(Organization.objects.values()) == before
