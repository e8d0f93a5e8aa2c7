"""One of everything that the API knows, for requests that are made up."""

from actions.models import Run
from catalog.ingest.locations import registering
from catalog.models import DataMigration, Integration, Location, SyncRun
from tests.factories import ACTOR, make_api, make_blueprint, make_client, make_entity, make_user

# Parts of addresses that exist, so that made-up requests get past the first look-up.
NAMES = {
    "blueprint": ["service", "domain", "_team"],
    "entity": ["pay", "a/b", "gone"],
    "property": ["stars", "nope"],
    "fact": ["coverage"],
    "metric": ["requests"],
    "relation": ["needs", "nope"],
    "mirror": ["nope"],
    "migration": ["mig_1"],
    "syncRun": ["sync_1"],
    "page": ["home"],
    "widget": ["w"],
    "sidebar": ["catalog"],
    "folder": ["docs"],
    "action": ["scaffold"],
    "run": ["r_1"],
    "scorecard": ["ready"],
    "exemption": ["ex_1"],
    "initiative": ["in0123456789abcdef"],
    "integration": ["exporter"],
    "kind": ["repository", "service"],
    "event": ["resync-1"],
    "webhook": ["builds"],
    "key": ["a-key"],
    "secret": ["TOKEN"],
    "team": ["core"],
    "user": ["ann@example.com"],
    "app": ["an-app"],
    "namespace": ["default"],
    "name": ["pay", "gone"],
    "location": ["00000000-0000-4000-8000-000000000001"],
}

BODIES = {
    "/v1/pages": {
        "identifier": "home",
        "type": "dashboard",
        "title": "Home",
        "widgets": [{"id": "w", "type": "markdown"}],
    },
    "/v1/sidebars/catalog/folders": {"identifier": "docs", "title": "Docs", "parent": ""},
    "/v1/actions": {
        "identifier": "scaffold",
        "title": "Scaffold",
        "trigger": {
            "type": "self-service",
            "operation": "CREATE",
            "blueprintIdentifier": "service",
            "userInputs": {"properties": {"name": {"type": "string"}}, "required": []},
        },
        "invocationMethod": {"type": "WEBHOOK", "url": "https://ci.example.com"},
        "requiredApproval": {"type": "ANY"},
    },
    "/v1/blueprints/service/scorecards": {
        "identifier": "ready",
        "title": "Ready",
        "levels": [{"title": "Start", "color": "blue"}, {"title": "Gold", "color": "gold"}],
        "rules": [
            {
                "identifier": "stars",
                "level": "Gold",
                "query": {
                    "combinator": "and",
                    "conditions": [{"property": "stars", "operator": ">", "value": 3}],
                },
            }
        ],
    },
    "/v1/integration": {
        "installationId": "exporter",
        "installationAppType": "github",
        "version": "1",
        "changelogDestination": {},
        "config": {"resources": [{"kind": "repository", "selector": {}, "port": {}}]},
    },
    "/v1/webhooks": {
        "identifier": "builds",
        "title": "Builds",
        "enabled": True,
        "mappings": [{"blueprint": "service", "entity": {"identifier": ".body.id"}}],
    },
    "/v1/organization/secrets": {"secretName": "TOKEN", "secretValue": "v", "description": "d"},
    "/v1/teams": {"name": "core", "description": "d", "users": ["ann@example.com"]},
    "/v1/actions/scaffold/runs": {"properties": {"name": "x"}},
    "/v1/migrations": {
        "sourceBlueprint": "service",
        "mapping": {"blueprint": "domain", "entity": {"identifier": ".identifier"}},
    },
}


def make_things():
    """The things of `NAMES`, made by an admin; returns the admin."""
    make_blueprint("domain")
    make_blueprint(
        "service",
        properties={"stars": {"type": "number"}, "language": {"type": "string"}},
        relations={"needs": {"target": "service", "many": True}, "domain": {"target": "domain"}},
    )
    for name in ("pay", "a/b"):
        make_entity("service", name, properties={"stars": 1})
    make_user("ann")
    client, _ = make_client()
    type(client).objects.filter(pk=client.pk).update(client_id="an-app")
    admin = make_api()
    for path, body in BODIES.items():
        answer = admin.post(path, body)
        assert answer.status_code < 300, (path, answer.content)
    Run.objects.update(identifier="r_1")
    DataMigration.objects.update(id=1)
    registering.register("url", "https://x.example/a.yaml", actor=ACTOR, refresh_now=False)
    Location.objects.update(id=NAMES["location"][0])
    SyncRun.objects.create(
        integration=Integration.objects.get(identifier="exporter"), external_id="resync-1"
    )
    SyncRun.objects.update(id=1)
    Integration.objects.filter(kind="webhook").update(webhook_key="a-key")
    return admin


def make_more(admin, *, count):
    """Others like the things of `make_things`."""
    for number in range(count):
        make_user(f"user{number}")
        make_client()
        make_entity("_user", f"p{number}@example.com", relations={"team": ["core"]})
        make_entity("service", f"more{number}")
        exporter = "/v1/integration/exporter"
        calls = [(path, _renamed(body, number)) for path, body in BODIES.items()]
        calls += [
            ("/v1/actions/runs/r_1/logs", {"message": "said"}),
            (f"{exporter}/ingest/logs", {"logs": [{"message": "said", "level": "ERROR"}]}),
            ("/v1/webhooks/ingest/a-key", {"id": str(number)}),
        ]
        for path, body in calls:
            answer = admin.post(path, body)
            assert answer.status_code < 300, (path, answer.content)
        for status in ("running", "completed"):
            admin.patch(f"{exporter}/resync-state", {"status": status})
    for scorecard in ["ready", *(f"ready{number}" for number in range(count))]:
        admin.post(f"/v1/scorecards/{scorecard}/evaluate")


def _renamed(body, number):
    names = ("identifier", "installationId", "secretName", "name")
    return {key: f"{one}{number}" if key in names else one for key, one in body.items()}
