"""A list costs as many statements with many rows as with few; the first checks the token."""

import pytest

from tests.idp.things import make_more

LISTS = {
    "/v1/users": ("users", 5),
    "/v1/teams": ("teams", 5),
    "/v1/apps": ("apps", 2),
    "/v1/auth/permissions": ("permissions", 2),
    "/v1/pages": ("pages", 2),
    "/v1/sidebars/catalog": ("sidebar", 3),
    "/v1/actions": ("actions", 2),
    "/v1/blueprints/service/actions": ("actions", 3),
    "/v1/actions/runs": ("runs", 3),  # whether the blueprint is still there
    "/v1/actions/runs/r_1/logs": ("runLogs", 3),
    "/v1/scorecards": ("scorecards", 2),
    "/v1/blueprints/service/scorecards": ("scorecards", 3),
    "/v1/scorecards/ready/results": ("results", 4),
    "/v1/blueprints/service/entities/pay/scorecards": ("scorecards", 7),
    "/v1/integration": ("integrations", 2),
    "/v1/integration/exporter/kinds": ("data", 3),
    "/v1/integration/exporter/logs": ("data", 3),
    "/v1/integration/exporter/syncsMetadata": ("data", 4),
    "/v1/sync-runs": ("syncRuns", 2),
    "/v1/webhooks": ("integrations", 2),
    "/v1/webhooks/builds/events": ("events", 3),
    "/v1/migrations": ("migrations", 3),
    "/v1/organization/secrets": ("secrets", 2),
    "/v1/audit-log": ("audits", 3),
}


@pytest.mark.parametrize("count", [1, 6])
def test_statements_of_lists(things, django_assert_num_queries, count):
    make_more(things, count=count)
    for path, (key, statements) in LISTS.items():
        with django_assert_num_queries(statements, info=path):
            answer = things.get(path)
        rows = answer.json()[key]
        assert not isinstance(rows, list) or len(rows) >= count, (path, rows)
