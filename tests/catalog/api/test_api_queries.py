"""How many statements each read costs; the first is always the check of the token."""

import pytest

from catalog.models import Entity
from tests.factories import make_entity

READS = [
    ("GET", "/v1/organization", None, 2),
    ("GET", "/v1/blueprints/service", None, 4),
    ("GET", "/v1/blueprints", None, 4),
    ("GET", "/v1/blueprints/service/entities/s1", None, 2),
    ("GET", "/v1/blueprints/service/entities/s1?include=properties.stars", None, 2),
    ("GET", "/v1/blueprints/service/entities/s1?attach_title_to_relation=true", None, 3),
    ("GET", "/v1/blueprints/service/entities/nope", None, 3),
    ("GET", "/v1/blueprints/service/entities", None, 4),
    ("GET", "/v1/blueprints/service/entities?attach_title_to_relation=true", None, 5),
    ("GET", "/v1/blueprints/service/entities-count", None, 3),
    ("GET", "/v1/blueprints/service/entities/s1/history", None, 3),
    ("POST", "/v1/entities/search", "{}", 3),
    ("POST", "/v1/blueprints/service/entities/search", "{}", 4),
    (
        "POST",
        "/v1/blueprints/entities/datasource-entities",
        '{"datasource_prefix": "x"}',
        2,
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "count"), READS)
def test_statements(api, service, django_assert_num_queries, method, path, body, count):
    make_entity("domain", "money", title="Money")
    for n in range(30):
        make_entity("service", f"s{n}", relations={"domain": "money", "needs": [f"s{n + 1}", "s0"]})
    Entity.objects.update(datasource="x/1")
    with django_assert_num_queries(count):
        answer = api.generic(method, path, body or "", content_type="application/json")
        assert answer.status_code in (200, 404)
