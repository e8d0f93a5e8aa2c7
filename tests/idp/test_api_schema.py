"""The OpenAPI document: kept in the repository, served, and true."""

from pathlib import Path

import pytest
import schemathesis
import yaml
from django.db import transaction
from django.test import Client
from django.test.client import ClientHandler
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from idp.api.schema import document, document_yaml
from tests.factories import PASSWORD, make_api, make_user
from tests.idp.things import NAMES

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
OPERATIONS = [
    operation["operationId"]
    for methods in yaml.safe_load(KEPT.read_text())["paths"].values()
    for operation in methods.values()
]
EXAMPLES = 10  # of each operation
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


def test_the_document_in_the_repository_is_up_to_date():
    """After a change of the API: python manage.py spectacular --file docs/openapi.yaml"""
    assert KEPT.read_bytes() == document_yaml()


def test_every_reference_leads_somewhere():
    schemas = document()["components"]["schemas"]
    missing = {
        target
        for target in _references(document())
        if target.removeprefix("#/components/schemas/") not in schemas
    }
    assert missing == set()


@pytest.mark.django_db
def test_the_document_is_served_to_those_who_may_read():
    api = make_api()
    assert api.get("/schema/").json()["openapi"].startswith("3.1")
    shown = api.get("/schema/?format=yaml")
    assert shown.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(shown.content)["paths"].keys() == document()["paths"].keys()


@pytest.mark.django_db
def test_the_page_sends_strangers_to_the_log_in():
    make_user("ann")
    person = Client()
    assert person.get("/schema/ui/").headers["Location"] == "/accounts/login/?next=/schema/ui/"
    person.login(username="ann", password=PASSWORD)
    page = person.get("/schema/ui/").content.decode()
    assert "swagger-ui-bundle.js" in page
    assert "http" not in page.partition("swagger-ui-bundle.js")[0].rpartition("<script")[2]


def app(environ, start_response):
    """The program as WSGI, on the connection of the test."""
    response = ClientHandler()(environ)
    start_response(f"{response.status_code} {response.reason_phrase}", [*response.items()])
    return [*response]


@pytest.fixture(scope="module")
def schema():
    """The document as schemathesis reads it: once, since each reading goes through all of it."""
    read = schemathesis.openapi.from_dict(document())
    read.app = app
    return read


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_generated_requests_get_documented_answers(things, schema, operation_id):
    headers = {"Authorization": things.token, "Accept-Encoding": "identity"}
    operation = schema.find_operation_by_id(operation_id)

    @given(case=operation.as_strategy(), data=st.data())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case, data):
        for name in case.path_parameters or {}:
            known = data.draw(st.sampled_from([*NAMES.get(name, ["gone"]), None]))
            case.path_parameters[name] = known or case.path_parameters[name]
        with transaction.atomic():
            case.call_and_validate(headers=headers, checks=CHECKS)
            transaction.set_rollback(True)

    ask()


def _references(part):
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for one in part.values():
            yield from _references(one)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)
