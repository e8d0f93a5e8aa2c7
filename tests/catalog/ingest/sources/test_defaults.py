"""What every kind brings along fits together: blueprints, mapping, samples."""

import pytest

from catalog.ingest.mapping import map_items, parse_mapping
from catalog.registry import source_kinds
from catalog.services.blueprints import ensure_blueprints
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from tests.factories import ACTOR

KINDS = sorted(source_kinds)


@pytest.mark.parametrize("name", KINDS)
def test_samples_become_entities_of_the_default_blueprints(db, name):
    kind = source_kinds[name]
    documents = kind.blueprints()
    ensure_blueprints({one["identifier"]: one for one in documents}, actor=ACTOR)
    mapping = parse_mapping(kind.mapping(), kind=kind)
    assert [one for one in mapping.findings if one.level == "error"] == []
    samples, drafts = kind.samples(), []
    for resource in mapping.resources:
        known = kind.resource(resource.kind)
        assert known, resource.kind
        items = samples.get(known.name, ())
        batch = map_items(resource, items, env=kind.environment(_settings(kind)))
        assert batch.problems == []
        for one in batch.entities:
            body = dict(one.body)
            drafts.append(
                EntityDraft(
                    one.blueprint,
                    body.pop("identifier"),
                    **{
                        key: body[key]
                        for key in ("title", "properties", "relations")
                        if body.get(key)
                    },
                )
            )
    assert drafts or not mapping.resources
    result = apply(drafts, mode=Mode.MERGE, actor=ACTOR, missing_targets=MissingTargets.CREATE)
    assert [one.error for one in result.items if one.error] == []


def _settings(kind):
    """Something for whatever the mapping may ask of the settings."""
    return dict.fromkeys(kind.settings_schema["properties"], "demo")


@pytest.mark.parametrize("name", KINDS)
def test_kinds_name_their_resources_once(name):
    names = [name for one in source_kinds[name].resources for name in (one.name, *one.aliases)]
    assert len(names) == len(set(names))
