"""Mappings and raw objects of the real world."""

import json
import re
from collections import Counter
from pathlib import Path

from catalog.ingest.mapping import map_items, parse_mapping
from catalog.kernel.errors import InvalidMapping
from catalog.kernel.yaml_errors import YamlError
from catalog.kernel.yaml_reader import load_document


def test_every_vector_maps_to_its_entity(test_data):
    vectors = sorted((test_data / "port" / "mapping-vectors").glob("*.json"))
    assert len(vectors) == 22
    wrong = []
    for path in vectors:
        vector = json.loads(path.read_text())
        [resource] = parse_mapping({"resources": [vector["mapping"]]}).resources
        batch = map_items(resource, [vector["raw"]], env=vector.get("env"))
        given = [{**one.body, "blueprint": one.blueprint} for one in batch.entities]
        expected = vector.get("expected_entities") or [vector["expected_entity"]]
        if given != (expected if vector["selected"] else []):
            wrong.append(path.name)
    assert wrong == []


def test_the_examples_of_the_documentation_are_right():
    text = (Path(__file__).resolve().parents[3] / "docs" / "mapping.md").read_text()
    seen = 0
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        document = load_document(block, name="docs/mapping.md")
        if "port" in document:
            document = {"resources": [{"kind": "image", **document}]}
        if "resources" in document or "mappings" in document:
            mapping = parse_mapping(document, shapes=lambda name: None)
            assert mapping.resources
            assert list(mapping.findings) == []
            seen += 1
    assert seen == 4


def documents(folder):
    """The files that are, or were meant as, mappings; {name: text}."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for pattern in (
            "ocean/*/port-app-config.y*ml",
            "ocean/*/published-examples/mappings.yaml",
            "k8s-exporter/appConfig.yaml",
            "template-assets/aws/*/config.json",
            "template-assets/integrations/*/port-app-config.yml",
            "template-assets/kubernetes/kubernetes_config.yaml",
            "template-assets/kubernetes/full-configs/*.yaml",
            "users/*",
        )
        for path in sorted(folder.glob(pattern))
    }


def test_the_mappings_of_the_world_load_or_are_refused_with_a_reason(test_data):
    refused: Counter[str] = Counter()
    loaded: Counter[str] = Counter()
    resources = 0
    for name, text in documents(test_data / "port").items():
        try:
            mapping = parse_mapping(load_document(text, name=name))
        except (InvalidMapping, YamlError) as error:
            message = str(error) if isinstance(error, InvalidMapping) else "not YAML"
            refused[message] += 1
        else:
            loaded[name.split("/")[0]] += 1
            resources += len(mapping.resources)
    assert loaded == {"ocean": 13, "k8s-exporter": 1, "template-assets": 6, "users": 21}
    assert resources == 124
    assert refused == {
        "not YAML": 2,
        # Files for other purposes: entities in Git (port.yml), a blueprint, a remark.
        "This describes an entity; a mapping is an object with resources": 8,
        "This describes a blueprint; a mapping is an object with resources": 1,
        "mappings[0]: describes an entity; expected a mapping with blueprint and entity": 8,
        'A mapping is an object with resources, not text ("README")': 1,
        'A mapping is an object with resources, not text ("nonvalid file")': 1,
        "resources: is missing; expected a list": 1,
        # Mistakes of their writers, which an exporter meets item by item.
        "resources[0].port.entity.mappings.blueprint: is missing; every entity needs one": 1,
        'resources[0].port.entity.mappings.properties.link: the JQ expression "abc" does not '
        "compile: abc/0 is not defined (line 1, column 1)": 1,
        'resources[0].port.entity.mappings.properties.link: the JQ expression "abcd" does not '
        "compile: abcd/0 is not defined (line 1, column 1)": 1,
    }


def test_recorded_objects_of_every_kind_come_out(test_data):
    """Each resource of Ocean's own mappings, on the raw examples beside it."""
    seen = 0
    for folder in sorted((test_data / "port" / "ocean").iterdir()):
        [config] = folder.glob("port-app-config.y*ml")
        for resource in parse_mapping(
            load_document(config.read_text(), name=config.name)
        ).resources:
            items = [
                json.loads(path.read_text())
                for path in sorted(folder.glob(f"examples/{resource.kind}/*.json"))
            ]
            items = [one for item in items for one in (item if isinstance(item, list) else [item])]
            batch = map_items(resource, items)
            assert [one for one in batch.problems if one.field == ""] == []
            seen += len(batch.entities)
    assert seen == 22
