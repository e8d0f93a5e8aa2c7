from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from django.core.management import call_command

from catalog.dialects.backstage.documents import (
    Facts,
    document_of,
    kind_of,
    ref_of_entity,
    statements_of,
)
from catalog.dialects.backstage.exports import descriptor_of, relation_shapes
from catalog.dialects.backstage.mapping import RelationShape
from catalog.dialects.backstage.validate import check_entity, check_envelope
from catalog.dialects.imports import ImportOptions, import_files
from catalog.kernel.actors import Actor
from catalog.kernel.yaml_reader import load_document
from catalog.models import Entity, Relation
from catalog.services.blueprints import create_blueprint
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply

ACTOR = Actor.system("test")
FACTS = ("title", "team", "properties", "relations", "descriptor")


@pytest.mark.parametrize(
    ("blueprint", "kind"),
    [
        ("component", "Component"),
        ("api", "API"),
        ("airesource", "AiResource"),
        ("_team", "Group"),
        ("_user", "User"),
        ("service", "Service"),
        ("k8s_cluster", "K8sCluster"),
        ("3scale", "X3scale"),
        ("---", "Thing"),
    ],
)
def test_kinds(blueprint, kind):
    assert kind_of(blueprint) == kind


@pytest.mark.parametrize(
    ("identifier", "ref"),
    [
        ("orders", "service:default/orders"),
        ("shop/orders", "service:shop/orders"),
        ("Orders.v2", "service:default/orders.v2"),
        ("a/b/c", "service:default/a-b-c-ee2be6da"),
        ("jane@example.com", "service:default/jane-example.com-0850a4cf"),
        ("arn:aws:s3:::x", "service:default/arn-aws-s3-x-dd8e6fbb"),
        ("é", "service:default/bf15be71"),
    ],
)
def test_any_identifier_has_a_reference(identifier, ref):
    assert ref_of_entity("service", identifier) == ref


def test_an_entity_born_here_is_valid_there():
    shapes = {
        "team": RelationShape("_team", False),
        "runs_on": RelationShape("k8s_cluster", True),
        "any": RelationShape(None, False),
    }
    facts = Facts(
        "service",
        "Shop Orders",
        "Orders",
        ["core"],
        {"tier": 1, "tags": ["Bad Tag"], "labels": {"a": "b"}, "description": "x", "none": None},
        {"runs_on": ["eu/one", "two"], "any": "component:web"},
    )
    document = document_of(facts, shapes)
    assert document == {
        "apiVersion": "idp/v1alpha1",
        "kind": "Service",
        "metadata": {
            "name": "Shop-Orders-93524a1b",
            "namespace": "default",
            "title": "Orders",
            "annotations": {"idp/identifier": "Shop Orders"},
            "description": "x",
            "labels": {"a": "b"},
        },
        "spec": {
            "tier": 1,
            "tags": ["Bad Tag"],
            "runs_on": ["k8scluster:eu/one", "k8scluster:two"],
            "any": "component:web",
            "owner": "core",
        },
    }
    assert not check_envelope(document)
    assert not check_entity(document, is_custom_kind=lambda kind: True)
    own = "service:default/shop-orders-93524a1b"
    assert statements_of(document, facts, shapes) == [
        ("component:default/web", "anyOf", own),
        ("group:default/core", "ownerOf", own),
        ("k8scluster:default/two", "runs_onOf", own),
        ("k8scluster:eu/one", "runs_onOf", own),
        (own, "any", "component:default/web"),
        (own, "ownedBy", "group:default/core"),
        (own, "runs_on", "k8scluster:default/two"),
        (own, "runs_on", "k8scluster:eu/one"),
    ]


@pytest.mark.parametrize(
    "blueprint", ["component", "api", "resource", "system", "domain", "_team", "_user", "template"]
)
def test_what_a_kind_requires_is_filled_in_and_states_nothing(blueprint):
    facts = Facts(blueprint, "x")
    document = document_of(facts, {})
    assert not check_envelope(document)
    assert not check_entity(document, is_custom_kind=lambda kind: False)
    assert statements_of(document, facts, {}) == []


@pytest.mark.django_db
def test_a_change_made_here_is_written_into_the_descriptor(tmp_path):
    file = tmp_path / "catalog-info.yaml"
    file.write_text(
        "apiVersion: backstage.io/v1alpha1\nkind: Component\n"
        "metadata: {name: Orders, tags: [java], custom: {kept: true}}\n"
        "spec: {type: service, lifecycle: production, owner: core, providesApis: [v1], x: {y: 1}}\n"
    )
    import_files([str(file)], actor=ACTOR)
    draft = EntityDraft(
        "component",
        "orders",
        title="Order service",
        properties={"tags": None, "description": "new", "lifecycle": "deprecated"},
        relations={"providesApis": ["v2", "public/v3"], "owner": "_user:jane"},
    )
    dangling = MissingTargets.DANGLE
    result = apply([draft], mode=Mode.MERGE, actor=ACTOR, missing_targets=dangling)
    assert result.rejected == []
    entity = Entity.objects.select_related("blueprint").get(blueprint__identifier="component")
    assert load_document(descriptor_of(entity), name="x") == {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {
            "name": "Orders",
            "custom": {"kept": True},
            "title": "Order service",
            "description": "new",
        },
        "spec": {
            "type": "service",
            "lifecycle": "deprecated",
            "owner": "user:jane",
            "providesApis": ["v2", "public/v3"],
            "x": {"y": 1},
        },
    }


@pytest.mark.django_db
def test_import_export_import_is_identical(test_data, tmp_path):
    """All real descriptors: what was stored from the files is stored again from the export."""
    options = ImportOptions(create_kinds=True)
    sources = [str(test_data / "catalog-info"), str(test_data / "backstage")]
    import_files(sources, actor=ACTOR, options=options)
    before = _stored()
    assert len(before) > 900
    for layout in ("entity", "system", "single"):
        folder = tmp_path / layout
        call_command("export_catalog", str(folder), layout=layout, stdout=io.StringIO())
        for model in (Relation, Entity):  # as on another, empty server
            model.objects.all()._raw_delete("default")
        result = import_files([str(folder)], actor=ACTOR, options=options)
        assert result.journal.rejected == []
        after = _stored()
        assert after.keys() == before.keys()
        assert [key for key in before if before[key] != after[key]] == []


def _stored():
    rows = Entity.objects.exclude(blueprint__identifier="location").values_list(
        "blueprint__identifier", "identifier", *FACTS
    )
    return {(blueprint, identifier): json.dumps(rest) for blueprint, identifier, *rest in rows}


@pytest.mark.django_db
def test_export_over_the_portal(client, django_user_model, tmp_path):
    create_blueprint(
        {
            "identifier": "service",
            "schema": {"properties": {"tier": {"type": "number"}}},
            "relations": {},
        },
        actor=ACTOR,
    )
    apply([EntityDraft("service", "a/b", properties={"tier": 2})], mode=Mode.CREATE, actor=ACTOR)
    assert client.get("/catalog/-/export").status_code == 302
    client.force_login(django_user_model.objects.create_user("jane", password="x"))
    answer = client.get("/catalog/service/a~b/catalog-info.yaml")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="catalog-info.yaml"'
    text = answer.content.decode()
    assert load_document(text, name="x")["metadata"] == {"name": "b", "namespace": "a"}
    archive = zipfile.ZipFile(
        io.BytesIO(b"".join(client.get("/catalog/-/export").streaming_content))
    )
    assert archive.namelist() == ["service/a/b.yaml", "catalog-info.yaml"]
    assert archive.read("service/a/b.yaml").decode() == "---\n" + text


def test_relations_of_blueprints_as_the_dialect_sees_them(db):
    assert relation_shapes()["_user"] == {"team": RelationShape("_team", True)}


def test_an_export_needs_an_empty_folder(db, tmp_path: Path):
    (tmp_path / "x").touch()
    with pytest.raises(Exception, match="is not an empty folder"):
        call_command("export_catalog", str(tmp_path))
