"""Every error under an API path is JSON of one shape, also those that no view raised."""

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from django.test import RequestFactory
from rest_framework import exceptions as drf

from catalog.kernel.errors import InvalidRequest, NotAuthenticated, NotFound
from idp import errors
from tests.factories import make_api


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound.of("Entity", "x"), 404, "not_found"),
        (InvalidRequest("Bad"), 400, "invalid_request"),
        (NotAuthenticated("Who?"), 401, "unauthorized"),
        (drf.NotAuthenticated(), 401, "unauthorized"),
        (drf.AuthenticationFailed(), 401, "unauthorized"),
        (drf.PermissionDenied(), 403, "forbidden"),
        (drf.MethodNotAllowed("GET"), 405, "method_not_allowed"),
        (drf.UnsupportedMediaType("text/plain"), 415, "unsupported_media_type"),
        (drf.Throttled(wait=3), 429, "too_many_requests"),
        (drf.ParseError(), 400, "invalid_request"),
        (drf.ValidationError({"a": ["b"]}), 400, "invalid_request"),
        (Http404(), 404, "route_not_found"),
        (PermissionDenied(), 403, "forbidden"),
        (RequestDataTooBig("Too big"), 413, "payload_too_large"),
        (SuspiciousOperation("Bad host"), 400, "invalid_request"),
        (OperationalError("gone"), 503, "service_unavailable"),
    ],
)
def test_each_error_has_its_status_and_code(error, status, code):
    answer = errors.answer_to(error)
    assert (answer.status, answer.code) == (status, code)
    assert answer.message


def test_an_error_nobody_foresaw_tells_nothing_about_itself():
    assert errors.answer_to(KeyError("secret")) is None
    request = RequestFactory().get("/v1/x")
    response = errors.exception_handler(KeyError("secret"), {"request": request, "view": None})
    assert (response.status_code, b"internal_error" in response.content) == (500, True)
    assert b"secret" not in response.content


def test_the_next_step_is_part_of_the_message():
    response = errors.answer_to(InvalidRequest("No body.", hint="Send one.")).response()
    assert b'"message":"No body. Send one."' in response.content


def test_waiting_time_goes_into_a_header():
    assert errors.answer_to(drf.Throttled(wait=3)).headers == {"Retry-After": "3"}


@pytest.mark.parametrize(
    ("handler", "arguments", "status"),
    [
        (errors.bad_request, [SuspiciousOperation()], 400),
        (errors.permission_denied, [PermissionDenied()], 403),
        (errors.page_not_found, [Http404()], 404),
        (errors.server_error, [], 500),
    ],
)
def test_errors_outside_of_views_are_json_for_programs_only(handler, arguments, status):
    factory = RequestFactory()
    program = handler(factory.get("/v1/x"), *arguments)
    assert (program.status_code, program.headers["Content-Type"]) == (status, "application/json")


@pytest.mark.django_db
def test_a_wrong_host_is_told_in_json():
    answer = make_api().get("/v1/organization", HTTP_HOST="evil.example")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.django_db
def test_a_failing_view_answers_and_is_logged(monkeypatch, caplog):
    def fail(*_args, **_kwargs):
        raise RuntimeError("a secret reason")

    monkeypatch.setattr("catalog.api.entities.document", fail)
    api = make_api()
    api.raise_request_exception = False
    answer = api.get("/v1/blueprints/a/entities/b")
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "a secret reason" not in answer.content.decode()
    logged = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [line["exc_info"] for line in logged if line["event"] == "request_failed"] == [True]
