"""Port's exporter for Kubernetes: its calls in their order, as its source has them.

It is a program in Go, which is not run here: the calls are sent as it would, and of the answers
exactly that is read which it reads.
"""

from catalog.models import Entity, Integration, SyncMessage
from tests.factories import Caller, make_api, make_client, make_entity

KEY = "my-cluster"
AGENT = f"port-k8s-exporter/^0.3.4 (statekey/{KEY})"
ONE = f"/v1/integration/{KEY}"


def test_the_exporter_sets_up_writes_cleans_up_and_polls(db):
    client, secret = make_client(role="Admin")
    anonymous = Caller(HTTP_USER_AGENT=AGENT)
    credentials = {"clientId": client.client_id, "clientSecret": secret}
    token = anonymous.post("/v1/auth/access_token", credentials)
    assert token.status_code == 200
    assert {"accessToken", "expiresIn", "tokenType"} <= token.json().keys()
    exporter = Caller(
        HTTP_USER_AGENT=AGENT, HTTP_AUTHORIZATION=f"Bearer {token.json()['accessToken']}"
    )
    assert exporter.get("/v1/organization").json()["organization"]["featureFlags"] == []

    # Set-up.
    assert exporter.get(f"{ONE}?isPolling=false").json()["ok"] is False
    registration = {
        "installationId": KEY,
        "installationAppType": "K8S EXPORTER",
        "version": "0.3.4",
        "config": {"resources": [{"kind": "apps/v1/deployments", "selector": {"query": "true"}}]},
        "changelogDestination": None,
    }
    made = exporter.post("/v1/integration", registration).json()
    assert made["ok"]
    assert made["integration"]["logAttributes"]["ingestUrl"].startswith("http")
    for name in ("namespace", "workload"):
        blueprint = {"identifier": name, "title": name, "schema": {"properties": {}}}
        path = "/v1/blueprints?create_catalog_page=false"
        assert exporter.post(path, blueprint).status_code == 201
    relations = {"Namespace": {"target": "namespace", "many": False, "required": False}}
    patched = exporter.patch("/v1/blueprints/workload", {"relations": relations})
    assert patched.status_code == 200

    # A resource: many at once, one alone, and an example.
    query = "upsert=true&merge=true&run_id=&create_missing_related_entities=true"
    names = ["web", "api", "gone"]
    bodies = [
        {"identifier": f"{one}-Deployment", "title": one, "relations": {"Namespace": "shop"}}
        for one in names
    ]
    bulk = exporter.post(f"/v1/blueprints/workload/entities/bulk?{query}", {"entities": bodies})
    assert (bulk.status_code, len(bulk.json()["entities"])) == (200, 3)
    single = exporter.post(f"/v1/blueprints/workload/entities?{query}", bodies[0])
    assert single.json()["entity"]["identifier"] == "web-Deployment"
    examples = {"examples": [{"kind": "Deployment", "metadata": {"name": "web"}}]}
    path = f"{ONE}/kinds/apps%2Fv1%2Fdeployments/examples"
    assert exporter.post(path, examples).status_code == 200
    assert list(exporter.get(f"{ONE}/kinds").json()["data"]) == ["apps/v1/deployments"]

    # What is stale: all it wrote, without pages, then one by one.
    make_entity("workload", "by-hand")
    before = exporter.get(f"{ONE}?isPolling=true").json()["integration"]["updatedAt"]
    path = (
        "/v1/blueprints/entities/datasource-entities?exclude_calculated_properties=true"
        "&include=blueprint&include=identifier"
    )
    asked = {"datasource_prefix": "port-k8s-exporter", "datasource_suffix": f"(statekey/{KEY})"}
    own = exporter.post(path, asked).json()["entities"]
    assert sorted(one["identifier"] for one in own) == [
        "api-Deployment",
        "gone-Deployment",
        "shop",
        "web-Deployment",
    ]
    for expected in (200, 404):
        path = "/v1/blueprints/workload/entities/gone-Deployment?delete_dependents=true"
        assert exporter.delete(path).status_code == expected
    assert sorted(Entity.objects.values_list("identifier", flat=True)) == [
        "api-Deployment",
        "by-hand",
        "shop",
        "web-Deployment",
    ]

    # Logs, a refusal, and polling: nothing of that moved `updatedAt`, a request for a resync does.
    line = {"level": "info", "message": "synced", "timestamp": "2026-03-03T10:00:00Z"}
    assert exporter.post(f"{ONE}/ingest/logs", {"logs": [line]}).status_code == 200
    bad = {"entities": [{"identifier": "?"}]}
    refused = exporter.post(f"/v1/blueprints/workload/entities/bulk?{query}", bad)
    assert refused.status_code == 207
    assert list(SyncMessage.objects.values_list("stage", "identifier")) == [
        ("log", ""),
        ("apply", "?"),
    ]
    shown = exporter.get(f"{ONE}?isPolling=true").json()["integration"]
    assert shown["updatedAt"] == before
    assert exporter.get(f"{ONE}/resync-request").json()["request"] is None
    make_api().patch(ONE, {})
    assert exporter.get(f"{ONE}?isPolling=true").json()["integration"]["updatedAt"] > before
    assert exporter.get(f"{ONE}/resync-request").json()["request"]["updatedAt"] > before
    assert Integration.objects.get().kind == "K8S EXPORTER"
