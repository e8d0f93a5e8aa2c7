"""Refusals below /api/catalog and its neighbours have Backstage's shape, whoever raises them."""

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.test import Client, RequestFactory

from catalog.api.backstage.base import BackstageView, answer, call, short_answer
from catalog.api.backstage.checks import Parameter
from catalog.api.backstage.errors import url_below
from catalog.kernel.errors import AlreadyExists, InvalidInput, NotFound, UpstreamUnavailable
from idp import errors
from tests.factories import make_api, make_browser

METADATA = "/api/catalog/.well-known/backstage/permissions/metadata"


class Thing(BackstageView):
    """Says what the checks made of a request."""

    params = (
        Parameter("limit", "How many.", "integer", minimum=0),
        Parameter("dryRun", "Whether to try only.", "boolean"),
        Parameter("filter", "Which.", is_many=True),
        Parameter("fields", "Parts.", is_many=True, is_split=True),
        Parameter("total", "Count?", choices=("include", "exclude")),
    )
    body_schema = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "minLength": 1},
            "refs": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
            "limit": {"type": "integer", "minimum": 1},
        },
        "required": ["type"],
        "additionalProperties": False,
    }

    @call("get_thing", "Get", params=params, answers={})
    def get(self, request):
        return short_answer(request, self.query)

    @call("make_thing", "Make", body=body_schema, answers={})
    def post(self, request):
        return answer(self.body, 201)


@pytest.fixture
def ask(db, monkeypatch):
    """Sends a request to `Thing`, below /api/catalog."""
    from django.urls import path

    from idp import urls

    monkeypatch.setattr(
        urls, "urlpatterns", [path("api/catalog/things", Thing.as_view()), *urls.urlpatterns]
    )
    from django.urls import clear_url_caches

    clear_url_caches()
    yield make_api()
    clear_url_caches()


def test_parameters_arrive_checked(ask):
    query = "limit=3&dryRun=false&filter=a=1,b=2&filter=c&fields=kind,metadata.name&fields=spec"
    found = ask.get(f"/api/catalog/things?{query}")
    assert found.json() == {
        "limit": 3,
        "dryRun": False,
        "filter": ["a=1,b=2", "c"],
        "fields": ["kind", "metadata.name", "spec"],
        "total": None,
    }
    assert found.headers["Content-Type"] == "application/json; charset=utf-8"
    etag = found.headers["ETag"]
    again = ask.get(f"/api/catalog/things?{query}", HTTP_IF_NONE_MATCH=etag)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("foo=bar", "Unknown query parameter 'foo'"),
        ("filter=", "Empty value found for query parameter 'filter'"),
        ("limit=abc", "request/query/limit must be integer"),
        ("limit=1&limit=2", "request/query/limit must be integer"),
        ("limit=9999999999999999", "request/query/limit must be integer"),
        ("limit=-1", "request/query/limit must be >= 0"),
        ("dryRun=yes", "request/query/dryRun must be boolean"),
        ("filter=a%00", "request/query/filter must be text without NUL characters"),
        (
            "total=all",
            "request/query/total must be equal to one of the allowed values: include, exclude",
        ),
    ],
)
def test_wrong_parameters_are_refused(ask, query, message):
    refused = ask.get(f"/api/catalog/things?{query}")
    assert refused.status_code == 400
    assert refused.json() == {
        "error": {"name": "InputError", "message": message},
        "request": {"method": "GET", "url": f"/things?{query}"},
        "response": {"statusCode": 400},
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "request/body must have required property 'type'"),
        ([], "request/body must be object"),
        ({"type": 1}, "request/body/type must be string"),
        ({"type": ""}, "request/body/type must NOT have fewer than 1 characters"),
        ({"type": "a", "x": 1}, "request/body must NOT have additional properties"),
        ({"type": "a", "refs": [1]}, "request/body/refs/0 must be string"),
        ({"type": "a", "refs": ["a"] * 3}, "request/body/refs must NOT have more than 2 items"),
        ({"type": "a", "limit": 0}, "request/body/limit must be >= 1"),
    ],
)
def test_wrong_bodies_are_refused(ask, body, message):
    refused = ask.post("/api/catalog/things", body)
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, message)


def test_a_body_that_is_none(ask):
    said = {"content_type": "application/json"}
    assert ask.generic("GET", METADATA, "", **said).status_code == 200
    for text, message in [("", "request/body must have"), ("{", "The body is not valid JSON")]:
        refused = ask.generic("POST", "/api/catalog/things", text, **said)
        assert refused.status_code == 400
        assert refused.json()["error"]["message"].startswith(message)
    assert ask.post("/api/catalog/things", {"type": "\x00"}).status_code == 400


def test_who_may_ask(db):
    def told(caller, **headers):
        refused = caller.get("/api/catalog/.well-known/backstage/permissions/metadata", **headers)
        return refused.status_code, refused.json().get("error")

    assert told(Client()) == (
        401,
        {"name": "AuthenticationError", "message": "Missing credentials"},
    )
    illegal = {"name": "AuthenticationError", "message": "Illegal token"}
    assert told(Client(), HTTP_AUTHORIZATION="Bearer nonsense") == (401, illegal)
    assert told(make_api())[0] == 200
    assert told(make_browser())[0] == 200


def test_addresses_and_methods_that_are_not_there(db):
    api = make_api()
    for address in ("/api/catalog/nope?a=b", "/api/search/nope", "/api/techdocs/x", "/api/proxy/x"):
        missing = api.get(address)
        assert (missing.status_code, missing.json()["error"]["name"]) == (404, "NotFoundError")
    assert api.get("/api/catalog/nope?").json()["request"]["url"] == "/nope?"
    wrong = api.put(METADATA, {})
    assert (wrong.status_code, wrong.json()["error"]["name"]) == (405, "MethodNotAllowedError")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"RAW_URI": "/api/catalog/entities?filter=a%20b&x"}, "/entities?filter=a%20b&x"),
        ({"RAW_URI": "http://h.example/api/search/query?term=a"}, "/query?term=a"),
        ({"RAW_URI": "/idp/api/proxy/a%2Fb", "SCRIPT_NAME": "/idp"}, "/a%2Fb"),
        ({"REQUEST_URI": "/api/catalog/x?"}, "/x?"),
        ({}, "/y?z=1"),
    ],
)
def test_requests_are_named_as_they_were_sent(sent, told):
    request = RequestFactory().get("/api/catalog/y?z=1")
    request.META |= sent
    assert url_below(request) == told


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (NotFound("No entity"), 404, "NotFoundError"),
        (InvalidInput("A value"), 400, "InputError"),
        (AlreadyExists("Twice"), 409, "ConflictError"),
        (UpstreamUnavailable("Away"), 502, "UpstreamError"),
        (OperationalError("gone"), 503, "ServiceUnavailableError"),
        (KeyError("secret"), 500, "InternalServerError"),
    ],
)
def test_errors_of_ours_have_their_names(error, status, name):
    request = RequestFactory().get("/api/catalog/entities?a=b")
    response = errors.exception_handler(error, {"request": request, "view": None})
    assert (response.status_code, f'"name":"{name}"'.encode() in response.content) == (status, True)
    assert b"secret" not in response.content


@pytest.mark.parametrize(
    ("handler", "arguments", "status"),
    [
        (errors.bad_request, [SuspiciousOperation()], 400),
        (errors.permission_denied, [PermissionDenied()], 403),
        (errors.server_error, [], 500),
    ],
)
def test_errors_outside_of_views(handler, arguments, status):
    response = handler(RequestFactory().get("/api/proxy/x?y=z"), *arguments)
    assert (response.status_code, b'"url":"/x?y=z"' in response.content) == (status, True)
