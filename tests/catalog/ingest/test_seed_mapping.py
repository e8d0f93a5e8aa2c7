"""The simple dialect, whole: the mapping people were given, on a cluster and on GitHub."""

import json
from pathlib import Path

import pytest
import yaml

from catalog.ingest.integrations import create_source
from catalog.ingest.runner import run_sync
from catalog.ingest.runs import request_sync
from catalog.kernel.actors import Actor
from catalog.models import Entity, SyncRun

pytestmark = pytest.mark.django_db

ACTOR = Actor.system("test")

# The mapping as it was given to us, word for word.
MAPPING = """
resources:
  - kind: service
    selector:
      query: .metadata.annotations."port.io/derive" == "true"
    port:
      entity:
        apiVersion: port.io/v1alpha
        kind: Service
        metadata:
          title: .metadata.name
        spec:
          owner: .spec.owner
          tier: .metadata.labels.tier
          type: .spec.type
  - kind: github-workflow
    selector:
      query: .type == "workflow"
    port:
      entity:
        apiVersion: port.io/v1alpha
        kind: GithubWorkflow
        metadata:
          title: .name
        spec:
          repository: .repo.name
          path: .path
"""


def only(kind):
    resources = yaml.safe_load(MAPPING)["resources"]
    return {"resources": [one for one in resources if one["kind"] == kind]}


def synced(**source):
    integration = create_source(actor=ACTOR, with_blueprints=True, **source)
    run = request_sync(integration, trigger=SyncRun.Trigger.MANUAL, requested_by="test")
    run_sync(run.pk)
    run.refresh_from_db()
    return run


def test_the_mapping_is_the_one_that_was_given(test_data):
    given = Path(test_data).parent / "seed" / "port-config.yaml"
    if not given.exists():
        pytest.skip("the examples are not there")
    assert yaml.safe_load(given.read_text()) == yaml.safe_load(MAPPING)


def test_services_of_a_cluster_that_ask_for_it(vendor, test_data):
    """Real manifests in list form; two of them carry the annotation."""
    manifests = test_data / "kubernetes" / "microservices-demo" / "release"
    services = [
        one
        for one in yaml.safe_load_all((manifests / "kubernetes-manifests.yaml").read_text())
        if one and one["kind"] == "Service"
    ]
    assert len(services) > 10
    for service in services:
        if service["metadata"]["name"] in ("frontend", "cartservice"):
            metadata = service["metadata"]
            metadata["annotations"] = {"port.io/derive": "true"}
            metadata["labels"] = {"tier": "gold"}
    vendor.json("/api/v1/services", {"kind": "ServiceList", "apiVersion": "v1", "items": services})
    run = synced(
        identifier="cluster",
        kind="kubernetes",
        settings={"clusterName": "demo", "server": vendor.url, "token": "t1"},
        mapping=only("service"),
    )
    assert run.state == SyncRun.State.SUCCEEDED, run.error
    assert run.totals["filtered"] == len(services) - 2
    entities = Entity.objects.filter(blueprint__identifier="service").order_by("identifier")
    assert [(one.identifier, one.title) for one in entities] == [
        ("cartservice", "cartservice"),
        ("frontend", "frontend"),
    ]
    assert entities[1].properties["tier"] == "gold"
    assert entities[1].properties["type"] == "ClusterIP"


def test_workflows_of_github(vendor, test_data):
    exchanges = json.loads((test_data / "github/rest/get-repository.normalized.json").read_text())
    repository = exchanges[0]["response"]
    name = repository["full_name"]
    workflow = {
        "id": 7,
        "name": "CI",
        "path": ".github/workflows/ci.yml",
        "state": "active",
        "url": f"{vendor.url}/repos/{name}/actions/workflows/7",
    }
    vendor.json(f"/repos/{name}", repository)
    vendor.pages(f"/repos/{name}/actions/workflows", [workflow], key="workflows")
    run = synced(
        identifier="acme-github",
        kind="github",
        settings={"apiUrl": vendor.url, "repositories": [name], "token": "t1"},
        mapping=only("github-workflow"),
    )
    assert run.state == SyncRun.State.SUCCEEDED, (run.error, vendor.unknown)
    [entity] = Entity.objects.filter(blueprint__identifier="githubWorkflow")
    assert entity.title == "CI"
    assert entity.properties["path"] == ".github/workflows/ci.yml"
    assert entity.properties["repository"] == repository["name"]
