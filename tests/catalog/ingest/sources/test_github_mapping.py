"""Mappings at GitHub's objects: the defaults, Port's own file, real ones of other people."""

import json
from pathlib import Path

import pytest
import yaml

from catalog.ingest.mapping import map_items, parse_mapping
from catalog.ingest.sources.github import GitHub
from catalog.kernel.errors import InvalidMapping
from catalog.kernel.http import Client
from catalog.kernel.source import Connection, Event

kind = GitHub()
SEED = Path(__file__).resolve().parents[5] / "shared" / "seed"


def mapped(document, name, items):
    mapping = parse_mapping(document, kind=kind)
    return [
        map_items(resource, items)
        for resource in mapping.resources
        if kind.resource(resource.kind).name == name
    ]


def mapped_by_default(items):
    """items: by the name of their kind; of others than the mapping's nothing is made."""
    return {
        one.kind: map_items(one, items[one.kind])
        for one in parse_mapping(kind.mapping(), kind=kind).resources
        if one.kind in items
    }


@pytest.mark.parametrize("vector", ["pull-request.a", "pull-request.b", "repository.a"])
def test_vectors_become_their_entities(test_data, vector):
    case = json.loads((test_data / f"port/mapping-vectors/github.{vector}.json").read_text())
    (batch,) = mapped({"resources": [case["mapping"]]}, case["kind"], [case["raw"]])
    (one,) = batch.entities
    assert batch.problems == []
    assert {"blueprint": one.blueprint, **one.body} == case["expected_entity"]


def test_ports_own_mapping_finds_all_it_asks_for(test_data):
    document = yaml.safe_load((test_data / "port/ocean/github/port-app-config.yml").read_text())
    samples = kind.samples()
    for resource in parse_mapping(document, kind=kind).resources:
        batch = map_items(resource, samples[resource.kind])
        assert batch.problems == []
        assert len(batch.entities) == 1
    repository = mapped(document, "repository", samples["repository"])[0].entities[0]
    assert repository.body["properties"]["codeowners"] == "* @acme/payments\n"
    pull_request = mapped(document, "pull-request", samples["pull-request"])[0].entities[0]
    assert pull_request.body["relations"] == {"repository": "checkout"}


def test_every_recorded_example_of_ports_goes_through_the_default_mapping(test_data):
    """Objects as Ocean gives them: whatever they lack is null, and no error."""
    items = {}
    for path in sorted((test_data / "port/ocean/github/examples").glob("*/*.json")):
        items.setdefault(path.parent.name, []).append(json.loads(path.read_text()))
    found = mapped_by_default(items)
    for name, batch in found.items():
        assert [(one.field, one.message) for one in batch.problems if _counts(name, one)] == []
    assert len(found) == 7
    assert len(found["repository"].entities) == len(found["pull-request"].entities) == 2


def _counts(name, problem):
    # These examples were taken by an older release, which did not say whose they are.
    return (name, problem.field) not in {
        ("workflow", "identifier"),
        ("workflow", "relations.repository"),
        ("team", "identifier"),
    }


def test_real_deliveries_go_through_the_default_mapping(test_data):
    connection = Connection({}, Client(), lambda level, message: None)
    kinds = ("pull-request", "issue", "release", "workflow-run", "workflow")
    wanted = {name: [{}] for name in kinds}
    items = {}
    for path in sorted((test_data / "github/webhooks").glob("*/*.json")):
        event = Event({"x-github-event": path.parent.name}, {}, path.read_bytes())
        for change in kind.changes(connection, event, wanted):
            items.setdefault(change.kind, []).append(change.item)
    found = mapped_by_default(items)
    assert [one.problems for one in found.values()] == [[]] * 5
    assert [len(one.entities) for one in found.values()] == [2] * 5


def test_the_simple_dialect_reads_workflows_as_written(db):
    if not SEED.exists():
        pytest.skip("the seed's files are not here")
    document = yaml.safe_load((SEED / "port-config.yaml").read_text())
    document["resources"] = [one for one in document["resources"] if "github" in one["kind"]]
    (batch,) = mapped(document, "workflow", kind.samples()["workflow"])
    (one,) = batch.entities
    assert batch.problems == []
    assert one.body["title"] == "Build and test"
    assert one.body["properties"]["repository"] == "checkout"
    assert one.body["properties"]["path"] == ".github/workflows/build.yml"


def test_real_mappings_of_other_people_are_read(test_data):
    """Those for GitHub; what is refused is said why."""
    read, refused = {}, {}
    for path in sorted((test_data / "port/users").glob("*port-app-config*")):
        try:
            document = yaml.safe_load(path.read_text())
            mapping = parse_mapping(document, kind=kind)
        except (InvalidMapping, yaml.YAMLError) as error:
            refused[path.name] = str(error)
            continue
        for resource in mapping.resources:
            known = kind.resource(resource.kind)
            if known is None:
                refused[path.name] = f"no kind {resource.kind}"
                continue
            batch = map_items(resource, kind.samples()[known.name])
            read[path.name] = len(batch.entities)
    assert len(read) >= 12
    assert len(read) + len(refused) >= 18, refused
