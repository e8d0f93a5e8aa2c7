"""Requests made up from the OpenAPI document get the answers that it tells of."""

import re
from pathlib import Path

import pytest
import schemathesis
from django.db import transaction
from django.test.client import ClientHandler
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from idp.api.schema import document
from tests.idp.things import NAMES

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
OPERATIONS = re.findall(r"^      operationId: (\S+)$", KEPT.read_text(), re.MULTILINE)
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


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


def test_every_operation_is_asked():
    paths = document()["paths"].values()
    known = [operation["operationId"] for methods in paths for operation in methods.values()]
    assert sorted(OPERATIONS) == sorted(known)


def examples_of(operation):
    """How many requests to make: one where all would be the same, few where only names vary."""
    if operation.body.items or operation.query.items:
        return 4
    return 2 if operation.path_parameters.items else 1


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_generated_requests_get_documented_answers(things, schema, operation_id):
    headers = {"Authorization": things.token, "Accept-Encoding": "identity"}
    operation = schema.find_operation_by_id(operation_id)

    @given(case=operation.as_strategy(), data=st.data())
    @settings(
        max_examples=examples_of(operation),
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
