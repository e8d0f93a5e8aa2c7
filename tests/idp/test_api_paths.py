"""Routing on what the client sent, through the parser of the real server."""

import io

import pytest
from django.test import RequestFactory
from django.test.client import ClientHandler
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create

from idp.api.paths import encoded_path
from tests.factories import make_api, make_blueprint, make_entity


class _Socket:
    def getsockname(self):
        return ("127.0.0.1", 80)


def environ_of(target, token, method="GET"):
    """The WSGI environment that gunicorn makes of a request for `target`, sent as it stands."""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n"
    config = Config()
    request = next(RequestParser(config, iter([head.encode("latin-1")]), ("127.0.0.1", 1)))
    _, environ = create(request, _Socket(), ("127.0.0.1", 1), ("127.0.0.1", 80), config)
    return {**environ, "wsgi.input": io.BytesIO()}


def status_of(target, token):
    answer = ClientHandler()(environ_of(target, token))
    return answer.status_code, b"".join(answer)


@pytest.mark.parametrize(
    ("blueprint", "entity", "target"),
    [
        ("service", "a/b", "/v1/blueprints/service/entities/a%2Fb"),
        ("service", "a/b", "/v1/blueprints/service/entities/a%2fb?include=title"),
        ("service", "a/b", "http://localhost/v1/blueprints/service/entities/a%2Fb"),
        ("team/app", "a/b", "/v1/blueprints/team%2Fapp/entities/a%2Fb"),
        # blueprint identifiers come unquoted from some exporters
        ("team/app", "a/b", "/v1/blueprints/team/app/entities/a%2Fb"),
        ("team/app", "x", "/v1/blueprints/team/app/entities/x"),
        ("team/app", "a/b", "/v1/blueprints/team/app/entities/a/b"),
        ("team/app", "a/b", "/v1/blueprints/team/app/entities/a/b/history"),
        ("entities", "entities", "/v1/blueprints/entities/entities/entities"),
        ("a/entities", "b", "/v1/blueprints/a%2Fentities/entities/b"),
        ("service", "Größe", "/v1/blueprints/service/entities/Gr%C3%B6%C3%9Fe"),
        ("service", "x:y@z=1", "/v1/blueprints/service/entities/x:y@z=1"),
        ("service", "a+b", "/v1/blueprints/service/entities/a+b"),
        ("service", "a\\b", "/v1/blueprints/service/entities/a%5Cb"),
    ],
)
def test_identifiers_with_slashes_find_their_entity(db, blueprint, entity, target):
    make_blueprint(blueprint)
    make_entity(blueprint, entity)
    token = make_api().token
    status, body = status_of(target, token)
    assert (status, b'"ok":true' in body) == (200, True), body


@pytest.mark.parametrize("route", ["", "/preview", "/entities", "/entities-count", "/all-entities"])
def test_routes_of_a_blueprint_with_bare_slashes(db, route):
    make_blueprint("team/app")
    token = make_api().token
    status, _ = status_of(f"/v1/blueprints/team/app{route}", token)
    assert status == (405 if route in ("/preview", "/all-entities") else 200)


@pytest.mark.parametrize(
    ("path_info", "raw", "expected"),
    [
        ("/v1/a/b", "/v1/a%2Fb?x=1", "/v1/a%2Fb"),
        ("/v1/a/b", None, "/v1/a/b"),
        ("/v1/a%b", None, "/v1/a%25b"),
        ("/v1/ü", None, "/v1/%C3%BC"),
        ("/v1/ü", "/v1/%C3%BC", "/v1/%C3%BC"),
        # something in between rewrote the path: what it says counts
        ("/v1/a/b", "/old/a%2Fb", "/v1/a/b"),
        ("/v1/a/b", "http://[bad/v1/a%2Fb", "/v1/a/b"),
        ("/v1/a/b", "https://host/v1/a%2Fb", "/v1/a%2Fb"),
    ],
)
def test_the_raw_target_counts_when_it_says_the_same(path_info, raw, expected):
    request = RequestFactory().get("/", **({"RAW_URI": raw} if raw else {}))
    request.path_info = path_info
    assert encoded_path(request) == expected


def test_a_prefix_of_the_server_is_taken_off():
    request = RequestFactory().get("/", RAW_URI="/portal/v1/a%2Fb", SCRIPT_NAME="/portal")
    request.path_info = "/v1/a/b"
    assert encoded_path(request) == "/v1/a%2Fb"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_route_that_is_not_there_is_no_blueprint(db, method):
    make_blueprint("service")
    answer = make_api().generic(method, "/v1/blueprints/service/nothing")
    assert (answer.status_code, answer.json()["error"]) == (404, "route_not_found")


def test_a_path_of_many_parts_is_answered_soon(db):
    target = "/v1/blueprints/" + "/".join(["entities"] * 400)
    assert status_of(target, make_api().token)[0] == 404
