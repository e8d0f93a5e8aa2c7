"""Whatever is in a body, the answer is a clear one: each value of a good body is spoilt in turn."""

import json
import random
import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from django.db import transaction

from tests.idp.things import BODIES, NAMES

OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
NAME = "x" * 5000
DEEP = json.loads('{"a":' * 150 + "[]" + "}" * 150)
HOSTILE = [None, True, -1.5, "", "\x00", NAME, [], [[]], [None], {}, {"a": None}, DEEP]

GRANT = {"users": ["ann@example.com"], "roles": ["Member"], "teams": ["core"]}
POLICY = {
    "queries": {
        "q": {
            "combinator": "and",
            "rules": [{"property": "tier", "operator": "=", "value": {"jqQuery": ".inputs.tier"}}],
        }
    },
    "conditions": [".results.q.entities | length > 0"],
}
REPORT = {
    "kind": "repository",
    "kindIdentifier": "repository-0",
    "kindIndex": 0,
    "eventId": "resync-1",
    "syncState": "completed",
    "blueprint": "service",
    "metrics": {"phase": {"load": {"object_count_type": {"loaded": {"object_count": 1.0}}}}},
}
LOCATION = {"type": "url", "target": "https://x.example/b.yaml", "presence": "optional"}
PREDICATE = {
    "$all": [
        {"kind": "service", "spec.tier": {"$exists": False}},
        {"$not": {"metadata.name": {"$in": ["gone", 1, True]}}},
        {"$any": [{"metadata.name": {"$hasPrefix": "p"}}, {"metadata.tags": {"$contains": "x"}}]},
        {"$not": {"relations": {"$contains": {"type": "ownedBy", "targetRef": {"$in": ["x"]}}}}},
    ]
}
INITIATIVE = {
    "name": "x",
    "scorecardTag": "ready",
    "targetDate": "2099-01-01",
    "isDraft": True,
    "emphasizedLevels": [{"rank": 1}],
    "emphasizedRules": [],
    "filter": {"types": {"include": ["service"]}, "query": 'entity.tag() == "pay"'},
    "notificationSchedule": {"isDisabled": False, "timeInterval": 1, "timeUnit": "WEEK"},
}
METRICS = "/v1/integration/exporter/ingest/metrics/syncMetrics"
SEVERAL = {
    "identifier": "several",
    "title": "x",
    "state": "draft",
    "owner": "core",
    "filter": {"types": {"include": ["service"]}, "query": "git != null"},
    "levels": [{"title": ""}, {"title": "Gold", "color": "#ffcc00"}],
    "exemptions": {"enabled": True, "longestDays": 3},
    "evaluation": {"window": 4},
    "rules": [
        {"identifier": "a", "expression": "git != null", "weight": 1.5, "level": "Gold"},
        {"identifier": "b", "jq": ".title", "fixUrl": "/x", "effectiveFrom": "2026-01-01"},
    ],
}
GOOD = {
    **{f"POST {path}": body for path, body in BODIES.items()},
    "PATCH /v1/actions/scaffold/permissions": {
        "execute": {**GRANT, "ownedByTeam": True, "policy": POLICY},
        "approve": GRANT,
    },
    "POST /v1/actions/import": {
        "actions": [{**BODIES["/v1/actions"], "permissions": {"execute": GRANT}}]
    },
    "POST /api/notifications/notifications": {
        "recipients": {
            "type": "entity",
            "entityRef": ["group:default/core"],
            "excludeEntityRef": "user:default/ann",
        },
        "payload": {
            "title": "x",
            "description": "x",
            "link": "/runs",
            "severity": "high",
            "topic": "x",
            "scope": "x",
        },
    },
    "POST /api/notifications/notifications/update": {"ids": ["1"], "read": True},
    "POST /api/scaffolder/v2/tasks": {
        "templateRef": "template:default/gone",
        "values": {"name": "x"},
        "secrets": {"TOKEN": "x"},
    },
    "POST /api/scaffolder/v2/tasks/r_1/retry": {"secrets": {"TOKEN": "x"}},
    "POST /api/scaffolder/v2/autocomplete/github/repositories": {"token": "x", "context": {}},
    "POST /api/scaffolder/v2/dry-run": {
        "template": {
            "apiVersion": "scaffolder.backstage.io/v1beta3",
            "kind": "Template",
            "metadata": {"name": "x"},
            "spec": {"steps": [{"id": "a", "action": "debug:log", "input": {"message": "x"}}]},
        },
        "values": {"name": "x"},
        "secrets": {"TOKEN": "x"},
        "directoryContents": [{"path": "a.txt", "base64Content": "eA=="}],
    },
    "PUT /v1/facts": {
        "facts": [
            {
                "blueprint": "service",
                "entity": "pay",
                "key": "coverage",
                "value": {"lines": 80},
                "description": "x",
                "collectedAt": "2026-01-01T00:00:00Z",
            }
        ]
    },
    "PUT /v1/blueprints/service/entities/pay/facts/coverage": {
        "value": 80,
        "description": "x",
        "collectedAt": "2026-01-01T00:00:00Z",
    },
    "POST /v1/blueprints/service/entities/pay/metrics": {
        "points": [{"key": "requests", "at": "2026-01-01T00:00:00Z", "value": 1}]
    },
    "POST /v1/actions/runs/r_1/cancel": {"reason": "x"},
    "POST /v1/actions/runs/r_1/repeat": {"properties": {"name": "x"}, "idempotencyKey": "k"},
    "PATCH /v1/actions/runs/r_1": {
        "status": "SUCCESS",
        "statusLabel": "x",
        "link": ["https://x.example"],
        "summary": "x",
        "externalRunId": "1",
        "message": {"a": 1},
    },
    "PATCH /v1/actions/runs/r_1/approval": {"status": "APPROVE", "description": "x"},
    "POST /v1/actions/runs/r_1/logs": {"message": "x", "terminationStatus": "FAILURE"},
    "PATCH /v1/actions/runs/r_1/response": {"response": {"a": 1}},
    "PATCH /v1/actions/runs/ack": {"runIds": ["r_1"]},
    "POST /v1/actions/runs/claim-pending": {
        "installationId": "a",
        "limit": 1,
        "visibilityTimeoutMs": 1,
        "invocationMethod": "WEBHOOK",
        "exclude": ["x"],
    },
    "PUT /v1/apps/an-app": {"name": "x", "enabled": True},
    "PATCH /v1/blueprints/service/permissions": {
        "entities": {
            "register": {**GRANT, "ownedByTeam": True},
            "updateProperties": {"stars": GRANT},
            "updateRelations": {"needs": GRANT},
        }
    },
    "PUT /v1/blueprints/service/scorecards": [BODIES["/v1/blueprints/service/scorecards"]],
    "POST /v1/scorecards/validate": SEVERAL,
    "POST /v1/scorecards/preview": {
        "scorecard": BODIES["/v1/blueprints/service/scorecards"],
        "rule": {"identifier": "few", "weight": 1, "expression": "description != null"},
    },
    "POST /v1/scorecards/preview/entity": {
        "scorecard": SEVERAL,
        "entity": "pay",
        "kind": "service",
        "properties": {"stars": 3},
        "facts": {"coverage": 3},
    },
    "PATCH /v1/integration/exporter": {"version": "2", "title": "x", "config": {"resources": []}},
    "PATCH /v1/integration/exporter/config": {"config": {"resources": [{"kind": "repository"}]}},
    "POST /v1/integration/exporter/cursor?kind=repository": {"primary": "2026-01-01"},
    "PUT /v1/integration/exporter/cursor?kind=repository": {"primary": "2026-01-01"},
    "POST /v1/integration/exporter/ingest/logs": {
        "logs": [{"message": "x", "level": "ERROR", "timestamp": "2026-01-01", "extra": {"a": 1}}]
    },
    "POST /v1/integration/exporter/ingest/metrics/heartbeat": {"eventId": "resync-1"},
    f"POST {METRICS}": {"syncMetrics": [REPORT]},
    f"PUT {METRICS}/resync/resync-1/kind/repository": REPORT,
    "POST /v1/integration/exporter/kinds/repository/examples": {"examples": [{"a": 1}]},
    "PATCH /v1/integration/exporter/resync-state": {
        "status": "running",
        "lastResyncStart": "2026-01-01T00:00:00Z",
        "lastResyncEnd": None,
        "nextResync": None,
        "intervalInMinuets": 5,
    },
    "POST /v1/migrations/mig_1/cancel": {"reason": "x"},
    "PATCH /v1/organization/secrets/TOKEN": {"secretValue": "x", "description": "x"},
    "PATCH /v1/pages/home/permissions": {"read": GRANT, "update": GRANT},
    "PATCH /v1/pages/home/widgets/w": {"id": "w", "markdown": "x"},
    "PATCH /v1/users/ann@example.com": {"roles": ["Member"], "teams": ["core"]},
    "POST /v1/users/invite": {
        "invitee": {"email": "bo@example.com", "roles": ["Viewer"], "teams": ["core"]}
    },
    "POST /v1/webhooks/builds/test": {"headers": {"a": "b"}, "body": {"id": 1}, "queryParams": {}},
    "POST /v1/webhooks/ingest/a-key": {"id": "x"},
    "POST /v1/workflows/runs/claim-pending": {"installationId": "a"},
    "POST /api/catalog/locations": LOCATION,
    "POST /api/catalog/locations/by-query": {
        "query": {"$all": [{"type": "URL"}, {"target": {"$hasPrefix": "https:"}}]},
        "limit": 1,
    },
    "POST /api/catalog/locations/by-query?": {"cursor": "eyJsaW1pdCI6MX0="},
    "POST /api/catalog/analyze-location": {
        "location": {"type": "url", "target": "https://x.example/a/b"},
        "catalogFilename": "catalog-info.yaml",
    },
    "POST /api/catalog/refresh": {"entityRef": "service:default/pay", "authorizationToken": "x"},
    "POST /api/catalog/validate-entity": {
        "entity": {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "API",
            "metadata": {
                "name": "x",
                "namespace": "default",
                "labels": {"a": "b"},
                "annotations": {"a": "b"},
                "tags": ["a"],
                "links": [{"url": "https://x.example", "title": "x"}],
            },
            "spec": {
                "type": "a",
                "lifecycle": "b",
                "owner": "c",
                "definition": {"$text": "./a.yaml"},
            },
        },
        "location": "url:https://x.example/a.yaml",
    },
    "POST /api/catalog/entities/by-query": {
        "query": PREDICATE,
        "limit": 1,
        "offset": 0,
        "orderBy": [{"field": "metadata.name", "order": "asc"}],
        "fullTextFilter": {"term": "p", "fields": ["metadata.name"]},
        "fields": ["kind", "metadata.name"],
        "totalItems": "include",
    },
    "POST /api/catalog/entities/by-refs": {
        "entityRefs": ["service:default/pay"],
        "query": {"kind": "service"},
        "fields": ["kind"],
    },
    "POST /api/catalog/entity-facets": {"facets": ["kind"], "query": {"kind": "service"}},
}
# The same bodies at other addresses: what is within their values is read by the same code.
AGAIN = {
    "PUT /v1/actions/scaffold": BODIES["/v1/actions"],
    "POST /v1/blueprints/service/actions": BODIES["/v1/actions"],
    "PUT /v1/blueprints/service/actions/scaffold": BODIES["/v1/actions"],
    "PUT /v1/blueprints/service/scorecards/ready": BODIES["/v1/blueprints/service/scorecards"],
    "POST /v1/scorecards": SEVERAL,
    "PUT /v1/initiatives/gone": {"title": "x", "scorecard": "ready", "targetOn": "2099-01-01"},
    "PUT /v1/scorecards/ready": BODIES["/v1/blueprints/service/scorecards"],
    "PUT /v1/pages/home": BODIES["/v1/pages"],
    "PATCH /v1/pages/home": BODIES["/v1/pages"],
    "PATCH /v1/sidebars/catalog/folders/docs": BODIES["/v1/sidebars/catalog/folders"],
    "PUT /v1/teams/core": BODIES["/v1/teams"],
    "PATCH /v1/teams/core": BODIES["/v1/teams"],
    "PUT /v1/webhooks/builds": BODIES["/v1/webhooks"],
    "PATCH /v1/webhooks/builds": BODIES["/v1/webhooks"],
    f"PUT /api/catalog/locations/{NAMES['location'][0]}": LOCATION,
}
GOOD |= {
    "POST /api/v1/scorecards/descriptor": {
        "tag": "cortex",
        "name": "x",
        "draft": True,
        "notifications": {"enabled": True},
        "exemptions": {"enabled": True, "autoApprove": False},
        "evaluation": {"window": 4},
        "ladder": {"name": "x", "levels": [{"name": "Gold", "rank": 1, "color": "#ffd700"}]},
        "filter": {"kind": "GENERIC", "types": {"include": ["service"]}},
        "rules": [{"title": "x", "expression": "git != null", "weight": 1, "level": "Gold"}],
    },
    "POST /api/v1/scorecards/ready/entity/pay/exemption": {
        "ruleIdentifier": "stars",
        "reason": "x",
        "days": 3,
    },
    **{
        f"PUT /api/v1/scorecards/ready/entity/pay/exemption/{word}": {
            "ruleIdentifier": "stars",
            "reason": "x",
        }
        for word in ("approve", "deny", "revoke")
    },
    "POST /api/v1/catalog/custom-data?tag=pay": {"key": "k", "value": {"a": 1}},
    "PUT /api/v1/catalog/custom-data": {"values": {"pay": [{"key": "k", "value": 1}]}},
    "POST /api/v1/catalog/pay/custom-data": {"key": "k", "value": 1, "description": "x"},
    "POST /api/v1/eng-intel/custom-metrics/spend/entity/pay": {
        "timestamp": "2026-01-01T00:00:00",
        "value": 1.5,
    },
    "POST /api/v1/eng-intel/custom-metrics/spend/entity/pay/bulk": {
        "series": [{"timestamp": "2026-01-01T00:00:00", "value": "1.5"}]
    },
    "POST /api/v1/initiatives": INITIATIVE,
    "PUT /api/v1/initiatives/gone": INITIATIVE,
    "POST /api/v1/queries": {"query": 'entity.tag() == "pay"'},
    "POST /v1/scorecards/ready/exemptions": {
        "rule": "stars",
        "blueprint": "service",
        "entity": "pay",
        "reason": "x",
        "days": 3,
        "ticket": "https://x.example/1",
    },
    **{
        f"POST /v1/exemptions/ex_1/{word}": {"reason": "x"}
        for word in ("approve", "deny", "revoke")
    },
    "POST /v1/initiatives": {
        "title": "x",
        "description": "x",
        "scorecard": "ready",
        "blueprint": "service",
        "rules": ["stars"],
        "level": "Gold",
        "filter": {
            "query": {
                "combinator": "and",
                "rules": [{"property": "stars", "operator": "<", "value": 3}],
            },
            "types": {"include": ["service"], "exclude": ["domain"]},
            "groups": {"include": ["x"], "exclude": ["y"]},
        },
        "isFixed": False,
        "isDraft": True,
        "startsOn": "2098-01-01",
        "targetOn": "2099-01-01",
        "milestones": [{"title": "x", "on": "2098-06-01", "percent": 50}],
        "reminders": {
            "isDisabled": False,
            "timeInterval": 1,
            "timeUnit": "WEEK",
            "replyToEmails": ["ann@example.com"],
        },
        "owner": "core",
    },
}
# Bodies of entities, of blueprints and of what is asked of entities: test_bad_requests.py.
ELSEWHERE = re.compile(
    r"/v1/(blueprints(/{blueprint}(/preview|/bulk/.*|/entities.*|/.*/rename)?|/entities/.*)?"
    r"|entities/.*|auth/access_token|organization)"
)


def test_every_route_that_takes_a_body_is_in_the_table():
    missing = {
        f"{method.upper()} {path}"
        for path, methods in yaml.load(OPENAPI.read_text(), Loader=yaml.CSafeLoader)[
            "paths"
        ].items()
        for method, operation in methods.items()
        if "requestBody" in operation
        and not ELSEWHERE.fullmatch(path)
        and not any(_is_of(path, method, route) for route in {**GOOD, **AGAIN})
    }
    assert missing == set()


def _is_of(path, method, route):
    pattern = re.sub(r"{\w+}", "[^/]+", path)
    return re.fullmatch(rf"{method.upper()} {pattern}(\?.*)?", route)


def spoilt(good, *, is_deep):
    """Hostile bodies, and the good one with one value after the other made hostile, those within
    values if `is_deep`: more of them at the top than below, others in each run
    (`--randomly-seed`)."""
    yield from random.sample(HOSTILE, 8)
    for path in _places(good, is_deep):
        for value in random.sample(HOSTILE, 5 if len(path) == 1 else 1):
            body = deepcopy(good)
            holder = body
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = value
            yield body


def _places(value, is_deep, path=()):
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in steps:
        yield (*path, step)
        if is_deep and isinstance(inner, dict | list):
            yield from _places(inner, is_deep, (*path, step))


@pytest.mark.parametrize("route", [*GOOD, *AGAIN])
def test_no_value_is_too_much(things, route):
    method, url = route.split(" ", 1)
    for body in spoilt({**GOOD, **AGAIN}[route], is_deep=route in GOOD):
        with transaction.atomic():
            answer = things.generic(method, url, json.dumps(body), content_type="application/json")
            transaction.set_rollback(True)
        assert answer.status_code < 500, (body, answer.content)
        if answer.status_code >= 400:
            told = answer.json()
            assert len(answer.content) < 20_000
            if url.startswith("/api/v1/"):
                assert _is_of_cortex(told), (body, told)
                continue
            if url.startswith("/api/"):
                assert _is_of_backstage(told), (body, told)
                continue
            assert {"error", "message", "details"} <= told.keys(), (body, told)
            if answer.status_code == 422:
                assert told["details"], (body, told)


def _is_of_cortex(told):
    wrong = told.get("violations", [{"title": "x", "description": "x"}])
    words = [told["message"], told["details"], *(one["description"] for one in wrong)]
    return all(words) and all(one["title"] for one in wrong)


def _is_of_backstage(told):
    errors = told.get("errors") or [told["error"]]
    return all(one["name"] and one["message"] for one in errors)
