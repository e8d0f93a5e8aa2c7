"""Entities over Backstage's catalogue API, whatever they came from."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.dialects.backstage import projection
from catalog.dialects.backstage.projection import ensure_current, uid_of
from catalog.dialects.backstage.queries import conditions
from catalog.dialects.imports import import_files
from catalog.kernel import feed
from catalog.kernel.actors import Role
from catalog.models import (
    Change,
    DocumentRelation,
    Entity,
    EntityDocument,
    EntityQuerySet,
    LocatedEntity,
    Location,
    LocationFile,
    PendingDocument,
)
from catalog.services import entities
from catalog.services.blueprints import rename_property, replace_blueprint
from catalog.services.blueprints.documents import blueprint_document, get_blueprint
from catalog.services.derived import refresh_written
from tests.factories import ACTOR, Caller, make_api, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

ENTITIES = "/api/catalog/entities"
QUERY = f"{ENTITIES}/by-query"

FILES = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: Orders
  namespace: shop
  tags: [java]
  annotations: {backstage.io/view-url: " java\\tscript:alert(1)", x/y: "1"}
spec: {type: service, lifecycle: production, owner: team-a, providesApis: [b, a]}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: a, namespace: shop, etag: mine}
spec: {type: openapi, lifecycle: production, owner: user:default/jane, definition: "x"}
"""


@pytest.fixture
def api() -> Caller:
    return make_api()


def body_of(answer: Any, status: int = 200) -> Any:
    content = b"".join(answer) if answer.streaming else answer.content
    assert answer.status_code == status, content
    return orjson.loads(content) if content else None


def refs(items: list[dict[str, Any]]) -> list[str]:
    return [f"{i['kind']}:{i['metadata']['namespace']}/{i['metadata']['name']}" for i in items]


def names(answer: Any) -> list[str]:
    found = body_of(answer)
    items = found["items"] if isinstance(found, dict) else found
    return [one["metadata"]["name"] for one in items]


@pytest.fixture
def descriptors(tmp_path: Path) -> str:
    """A folder with two entities, read by command; returns the place of their file."""
    path = tmp_path / "catalog-info.yaml"
    path.write_text(FILES)
    import_files([path], actor=ACTOR)
    return f"file:{path}"


# --- documents --------------------------------------------------------------------------------


def test_an_entity_of_a_file_is_shown_as_backstage_does(api: Caller, descriptors: str) -> None:
    pk = Entity.objects.get(identifier="shop/orders").pk
    shown = body_of(api.get(f"{ENTITIES}/by-name/COMPONENT/Shop/orders"))
    etag = shown["metadata"].pop("etag")
    assert len(etag) == 40
    assert shown == {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {
            "name": "Orders",
            "namespace": "shop",
            "tags": ["java"],
            "annotations": {
                "backstage.io/managed-by-location": descriptors,
                "backstage.io/managed-by-origin-location": descriptors,
                "backstage.io/view-url": (
                    "https://backstage.io/annotation-rejected-for-security-reasons"
                ),
                "x/y": "1",
            },
            "uid": str(uid_of(pk)),
        },
        "spec": {
            "type": "service",
            "lifecycle": "production",
            "owner": "team-a",
            "providesApis": ["a", "b"],
        },
        "relations": [
            {"type": "ownedBy", "targetRef": "group:shop/team-a"},
            {"type": "providesApi", "targetRef": "api:shop/a"},
            {"type": "providesApi", "targetRef": "api:shop/b"},
        ],
    }
    provided = body_of(api.get(f"{ENTITIES}/by-name/api/shop/a"))
    assert provided["metadata"]["etag"] == "mine"
    assert {"type": "apiProvidedBy", "targetRef": "component:shop/orders"} in provided["relations"]


def test_what_the_location_says_is_added(api: Caller, descriptors: str) -> None:
    pk = Entity.objects.get(identifier="shop/orders").pk
    status = [{"type": "backstage.io/catalog-processing", "level": "error", "message": "bad"}]
    LocatedEntity.objects.create(
        entity_id=pk,
        origin="url:https://x.example/all.yaml",
        annotations={
            "backstage.io/managed-by-location": "url:https://x.example/o.yaml",
            "backstage.io/managed-by-origin-location": "url:https://x.example/all.yaml",
            "backstage.io/view-url": "https://x.example/o.yaml",
            "backstage.io/edit-url": "https://x.example/edit/o.yaml",
        },
        status=status,
        orphaned_at="2026-01-01T00:00:00Z",
    )
    PendingDocument.objects.create(entity_id=pk)
    shown = body_of(api.get(f"{ENTITIES}/by-name/component/shop/orders"))
    assert shown["status"] == {"items": status}
    annotations = shown["metadata"]["annotations"]
    assert annotations["backstage.io/managed-by-location"] == "url:https://x.example/o.yaml"
    assert annotations["backstage.io/orphan"] == "true"
    assert annotations["backstage.io/edit-url"] == "https://x.example/edit/o.yaml"
    assert "rejected" in annotations["backstage.io/view-url"]  # the file's own, which is no good
    assert names(api.get(f"{ENTITIES}?filter=metadata.annotations.backstage.io/orphan")) == [
        "Orders"
    ]


def test_an_entity_born_elsewhere_is_well_formed_and_found(api: Caller) -> None:
    make_blueprint(
        "k8s_cluster",
        properties={"region": {"type": "string"}, "nodes": {"type": "number"}},
        relations={"runs": {"title": "Runs", "target": "k8s_cluster", "many": True}},
    )
    make_entity("k8s_cluster", "west", properties={"region": "EU-West", "nodes": 3})
    make_entity("k8s_cluster", "x=1", title="X", relations={"runs": ["west"]}, team=["core"])
    [west] = body_of(api.get(f"{ENTITIES}?filter=kind=k8scluster,spec.region=eu-west"))
    assert west["kind"] == "K8sCluster"
    [x] = body_of(api.get(f"{ENTITIES}?filter=spec.owner=core"))
    name = x["metadata"]["name"]
    assert name.startswith("x-1-")
    assert x["metadata"]["annotations"] == {"idp/identifier": "x=1"}
    assert x["relations"] == [
        {"type": "ownedBy", "targetRef": "group:default/core"},
        {"type": "runs", "targetRef": "k8scluster:default/west"},
    ]
    assert west["relations"] == [{"type": "runsOf", "targetRef": f"k8scluster:default/{name}"}]
    assert names(api.get(f"{ENTITIES}?filter=relations.runsOf")) == ["west"]


def test_what_differs_in_capitals_alone_has_a_name_of_its_own(api: Caller) -> None:
    make_blueprint("service")
    first, second = make_entity("service", "Pay"), make_entity("service", "pay")
    ensure_current()
    PendingDocument.objects.create(entity_id=second.pk)
    found = dict(EntityDocument.objects.values_list("pk", "ref"))
    ensure_current()
    assert found == dict(EntityDocument.objects.values_list("pk", "ref"))
    assert found[first.pk] == "service:default/pay"
    assert found[second.pk].startswith("service:default/pay-")
    entities.delete([("service", "Pay")], actor=ACTOR)
    PendingDocument.objects.create(entity_id=second.pk)
    assert names(api.get(f"{ENTITIES}?filter=kind=service")) == ["pay"]


def test_nothing_is_written_when_nothing_differs(descriptors: str) -> None:
    ensure_current()
    before = list(EntityDocument.objects.order_by("pk").values_list("pk", "etag"))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_pendingdocument (entity_id) SELECT id FROM catalog_entity"
        )
    with CaptureQueriesContext(connection) as caught:
        ensure_current()
    assert list(EntityDocument.objects.order_by("pk").values_list("pk", "etag")) == before
    written = [q["sql"] for q in caught if "catalog_entitydocument" in q["sql"]]
    assert not any(sql.lstrip().startswith(("INSERT", "DELETE")) for sql in written)
    with CaptureQueriesContext(connection) as caught:
        ensure_current()
    assert len(caught) == 1


def test_statements_do_not_grow_with_the_marks() -> None:
    make_blueprint("service")

    def statements(count: int) -> int:
        for _ in range(count):
            make_entity("service")
        with CaptureQueriesContext(connection) as caught:
            ensure_current()
        return len(caught)

    assert statements(2) == statements(12)


def test_marks_of_a_long_queue_are_worked_off_in_batches(
    monkeypatch: pytest.MonkeyPatch, api: Caller
) -> None:
    monkeypatch.setattr(projection, "BATCH", 3)
    make_blueprint("service")
    for index in range(8):
        make_entity("service", f"s{index}")
    assert projection.refresh_documents(batches=1)
    assert EntityDocument.objects.count() == 3
    assert len(names(api.get(f"{ENTITIES}?filter=kind=service"))) == 8
    assert not projection.refresh_documents(batches=1)


def test_a_reference_that_no_index_holds_stops_nobody(api: Caller) -> None:
    make_blueprint("thing", relations={"owner": {"title": "Owner", "target": "*", "many": False}})
    make_entity("thing", "one", properties={"note": "x"})
    Entity.objects.filter(identifier="one").update(
        descriptor={
            "apiVersion": "x/v1",
            "kind": "thing",
            "metadata": {"name": "one"},
            "spec": {"owner": "n" * 5000},
        }
    )
    make_entity("thing", "two")
    assert sorted(names(api.get(f"{ENTITIES}?filter=kind=thing"))) == ["one", "two"]


def test_an_odd_descriptor_stops_nobody(api: Caller) -> None:
    make_blueprint("thing")
    make_entity("thing", "one")
    Entity.objects.filter(identifier="one").update(
        descriptor={"kind": "Component", "metadata": {"name": 7}, "spec": []}
    )
    make_entity("thing", "two")
    assert sorted(names(api.get(f"{ENTITIES}?filter=kind=thing"))) == ["one", "two"]


# --- who writes, marks ------------------------------------------------------------------------


def test_what_is_written_is_seen_by_the_next_read(api: Caller) -> None:
    make_blueprint("service", properties={"tier": {"type": "string"}})
    target = {"up": {"title": "Up", "target": "service", "many": False}}
    make_blueprint("app", relations=target)
    make_entity("service", "pay", properties={"tier": "gold"})
    make_entity("app", "shop", relations={"up": "pay"})
    ensure_current()

    rename_property("service", "tier", "class", actor=ACTOR)
    assert names(api.get(f"{ENTITIES}?filter=spec.class=gold")) == ["pay"]

    entities.rename("service", "pay", "payments", actor=ACTOR)
    assert names(api.get(f"{ENTITIES}?filter=relations.up=service:default/payments")) == ["shop"]

    document = blueprint_document(get_blueprint("service"))
    replace_blueprint("service", {**document, "identifier": "api"}, actor=ACTOR)
    assert names(api.get(f"{ENTITIES}?filter=relations.up=api:default/payments")) == ["shop"]
    assert names(api.get(f"{ENTITIES}?filter=kind=service")) == []

    entities.delete([("api", "payments")], actor=ACTOR)
    assert names(api.get(f"{ENTITIES}?filter=kind=api")) == []
    deleted = Change.objects.get(action=feed.DELETE)
    entities.restore([("api", "payments", deleted.before)], actor=ACTOR)
    assert names(api.get(f"{ENTITIES}?filter=kind=api")) == ["payments"]


def test_an_inherited_team_owns(api: Caller) -> None:
    make_blueprint("system")
    make_blueprint(
        "part",
        relations={"of": {"title": "Of", "target": "system", "many": False}},
        ownership={"type": "Inherited", "path": "of"},
    )
    make_entity("system", "core", team=["a-team"])
    part = make_entity("part", "one", relations={"of": "core"})
    ensure_current()
    refresh_written("part", [part.pk])
    found = api.get(f"{ENTITIES}?filter=relations.ownedBy=group:default/a-team,kind=part")
    assert names(found) == ["one"]


# --- lists ------------------------------------------------------------------------------------


@pytest.fixture
def services() -> None:
    make_blueprint("service", properties={"tier": {"type": "string"}})
    for name, tier in (("c", "b"), ("a", "B"), ("B", "a"), ("d", None)):
        make_entity("service", name, properties={"tier": tier} if tier else {})


@pytest.mark.usefixtures("services")
def test_lists_and_their_orders(api: Caller) -> None:
    kind = f"{ENTITIES}?filter=kind=service"
    assert sorted(names(api.get(kind))) == ["B", "a", "c", "d"]
    assert names(api.get(f"{kind}&limit=3")) == ["a", "B", "c"]
    assert names(api.get(f"{kind}&offset=3")) == ["d"]
    assert names(api.get(f"{kind}&order=desc:metadata.name")) == ["d", "c", "B", "a"]
    assert set(names(api.get(f"{kind}&order=asc:spec.tier&order=asc:metadata.name"))) == {
        "a",
        "B",
        "c",
    }
    both = f"{kind}&order=desc:spec.tier&order=asc:metadata.name&limit=9"
    assert names(api.get(both)) == ["a", "c", "B", "d"]


@pytest.mark.usefixtures("services")
def test_the_link_header_leads_through_the_pages(api: Caller) -> None:
    answer = api.get(f"{ENTITIES}?filter=kind=service&limit=3&offset=0&fields=metadata.name")
    token = base64.b64encode(b'{"limit":3,"offset":3}').decode().replace("=", "%3D")
    expected = f"/entities?filter=kind%3Dservice&limit=3&fields=metadata.name&after={token}"
    assert answer.headers["Link"] == f'<{expected}>; rel="next"'
    answer = api.get(f"/api/catalog{expected}")
    assert body_of(answer) == [{"metadata": {"name": "d"}}]
    assert "Link" not in answer.headers


@pytest.mark.usefixtures("services")
def test_pages_by_cursor(api: Caller) -> None:
    first = body_of(api.get(f"{QUERY}?filter=kind=service&orderField=metadata.name&limit=2"))
    assert (refs(first["items"]), first["totalItems"]) == (
        ["Service:default/a", "Service:default/B"],
        4,
    )
    assert set(first["pageInfo"]) == {"nextCursor"}
    cursor = first["pageInfo"]["nextCursor"]
    assert orjson.loads(base64.b64decode(cursor))["query"] == {"kind": {"$in": ["service"]}}
    make_entity("service", "aa")
    second = body_of(api.post(QUERY, {"cursor": cursor, "limit": 2}))
    assert (refs(second["items"]), second["totalItems"]) == (
        ["Service:default/c", "Service:default/d"],
        4,  # as counted for the first page
    )
    assert set(second["pageInfo"]) == {"prevCursor"}
    back = body_of(api.get(QUERY, {"cursor": second["pageInfo"]["prevCursor"], "limit": 2}))
    assert refs(back["items"]) == ["Service:default/aa", "Service:default/B"]
    assert body_of(api.get(f"{QUERY}?limit=0&filter=kind=service")) == {
        "items": [],
        "totalItems": 5,
        "pageInfo": {},
    }


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ("fullTextFilterTerm=q", []),  # in no uid
        ("fullTextFilterTerm=B&orderField=metadata.name,asc", ["B"]),
        (
            "fullTextFilterTerm=%20b%20&fullTextFilterFields=metadata.name,spec.tier",
            ["B", "a", "c"],
        ),
        ("fullTextFilterTerm=_&fullTextFilterFields=spec.tier", ["B", "a", "c"]),
        ("fullTextFilterTerm=%25&fullTextFilterFields=spec.tier", ["B", "a", "c"]),
        ("fullTextFilterTerm=x%5C&fullTextFilterFields=spec.tier", []),
    ],
)
def test_text_in_values(api: Caller, parameters: str, found: list[str]) -> None:
    assert sorted(names(api.get(f"{QUERY}?filter=kind=service&{parameters}"))) == found


@pytest.mark.usefixtures("services")
def test_entities_by_reference(api: Caller) -> None:
    wanted = ["service:default/a", "service:default/x", "Service:default/a", "service:default/b"]
    answer = api.post(
        f"{ENTITIES}/by-refs?filter=kind=service",
        {
            "entityRefs": [*wanted, wanted[0], ""],
            "fields": ["metadata.name"],
            "query": {"$not": {"spec.tier": "a"}},
        },
    )
    a = {"metadata": {"name": "a"}}
    assert body_of(answer) == {"items": [a, None, None, None, a, None]}


@pytest.mark.usefixtures("services")
def test_facets(api: Caller) -> None:
    answer = api.get("/api/catalog/entity-facets?facet=spec.tier&facet=no&filter=kind=service")
    assert body_of(answer) == {
        "facets": {
            "spec.tier": [
                {"value": "B", "count": 1},
                {"value": "a", "count": 1},
                {"value": "b", "count": 1},
            ],
            "no": [],
        }
    }
    again = api.get(
        "/api/catalog/entity-facets?facet=spec.tier&facet=no&filter=kind=service",
        headers={"If-None-Match": answer.headers["ETag"]},
    )
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/entities?filter=", "Empty value found for query parameter 'filter'"),
        ("/entities?filter==x", "Invalid filter, '=x' is not a valid statement"),
        ("/entities?limit=0", "Invalid limit, must be greater than zero"),
        ("/entities?offset=-1", "Invalid offset, must be zero or greater"),
        ("/entities?order=asc:", 'Invalid order parameter "asc:"'),
        ("/entities?after=zzz", "Malformed after cursor, could not be parsed"),
        ("/entities?after=eyJsaW1pdCI6IngifQ==", "Malformed after cursor, limit was not an number"),
        ("/entities/by-query?orderField=,asc", 'Invalid order field ",asc"'),
        ("/entities/by-query?cursor=e30=", "Malformed cursor: "),
        ("/entities/by-query?totalItems=no", "request/query/totalItems must be equal to one of"),
    ],
)
def test_refusals(api: Caller, path: str, message: str) -> None:
    error = body_of(api.get(f"/api/catalog{path}"), 400)["error"]
    assert error["name"] == "InputError"
    assert error["message"].startswith(message)


# --- who may read -----------------------------------------------------------------------------


@pytest.mark.usefixtures("services")
def test_what_may_not_be_read_is_nowhere(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = Entity.objects.get(identifier="a")
    monkeypatch.setattr(
        EntityQuerySet, "visible_to", lambda self, principal: self.exclude(identifier="a")
    )
    assert sorted(names(api.get(f"{ENTITIES}?filter=kind=service"))) == ["B", "c", "d"]
    assert names(api.get(f"{ENTITIES}?filter=kind=service&limit=9")) == ["B", "c", "d"]
    for order in ("", "&orderField=spec.tier,asc", "&orderField=metadata.name,asc"):
        page = body_of(api.get(f"{QUERY}?filter=kind=service{order}"))
        assert "Service:default/a" not in refs(page["items"])
        assert page["totalItems"] == len(page["items"])
    facets = body_of(api.get("/api/catalog/entity-facets?facet=kind&facet=spec.tier"))["facets"]
    assert {"value": "Service", "count": 3} in facets["kind"]
    assert "B" not in [one["value"] for one in facets["spec.tier"]]
    asked = {"entityRefs": ["service:default/a"]}
    assert body_of(api.post(f"{ENTITIES}/by-refs", asked)) == {"items": [None]}
    body_of(api.get(f"{ENTITIES}/by-name/service/default/a"), 404)
    body_of(api.get(f"{ENTITIES}/by-name/service/default/a/ancestry"), 404)
    body_of(api.get(f"{ENTITIES}/by-uid/{uid_of(hidden.pk)}"), 404)
    assert api.delete(f"{ENTITIES}/by-uid/{uid_of(hidden.pk)}").status_code == 204
    assert Entity.objects.filter(pk=hidden.pk).exists()


def test_nobody_sees_nothing() -> None:
    class Nobody:
        is_authenticated = is_active = False

    assert conditions.visible(Nobody()) == conditions.NONE  # type: ignore[arg-type]


# --- one of them ------------------------------------------------------------------------------


@pytest.mark.usefixtures("services")
def test_deleting_by_uid(api: Caller) -> None:
    one = Entity.objects.get(identifier="a")
    path = f"{ENTITIES}/by-uid/{uid_of(one.pk)}"
    assert body_of(api.get(path))["metadata"]["name"] == "a"
    refused = make_api(Role.VIEWER).delete(path)
    assert body_of(refused, 403)["error"]["name"] == "NotAllowedError"
    assert Entity.objects.filter(pk=one.pk).exists()
    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 204
    assert api.delete(f"{ENTITIES}/by-uid/nope").status_code == 204
    assert body_of(api.get(path), 404)["error"]["message"] == f"No entity with uid {uid_of(one.pk)}"
    assert not DocumentRelation.objects.filter(entity_id=one.pk).exists()
    assert not EntityDocument.objects.filter(pk=one.pk).exists()


def test_ancestry(api: Caller) -> None:
    at = "url:https://x.example"
    make_blueprint("location")
    make_blueprint("component")

    root = Location.objects.create(
        type="url",
        target="https://x.example/all.yaml",
        entity_ref="location:default/generated-1",
        created_at="2026-01-01T00:00:00Z",
        updated_at="2026-01-01T00:00:00Z",
    )
    files = {
        name: LocationFile.objects.create(
            location=root, place=f"{at}/{name}", targets=[{"place": t} for t in targets]
        )
        for name, targets in {
            "all.yaml": [f"{at}/parts/*.yaml", f"{at}/other.yaml"],
            "parts/one.yaml": [],
        }.items()
    }
    for entity, name in (
        (make_entity("location", "generated-1", properties={"target": root.target}), "all.yaml"),
        (make_entity("location", "all", properties={"targets": ["./parts/*.yaml"]}), "all.yaml"),
        (make_entity("location", "others", properties={"target": "./other.yaml"}), "all.yaml"),
        (make_entity("component", "one"), "parts/one.yaml"),
    ):
        LocatedEntity.objects.create(entity=entity, file=files[name], origin=root.place)
    found = body_of(api.get(f"{ENTITIES}/by-name/component/default/one/ancestry"))
    assert found["rootEntityRef"] == "component:default/one"
    assert [
        (one["entity"]["metadata"]["name"], one["parentEntityRefs"]) for one in found["items"]
    ] == [
        ("one", ["location:default/all"]),
        ("all", ["location:default/generated-1"]),
        ("generated-1", []),
    ]
    make_entity("component", "two")
    alone = body_of(api.get(f"{ENTITIES}/by-name/component/default/two/ancestry"))
    assert [one["parentEntityRefs"] for one in alone["items"]] == [[]]


# --- statements -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "count"),
    [
        (ENTITIES, 2),
        (f"{ENTITIES}?filter=kind=service&limit=2&order=asc:spec.tier", 2),
        (QUERY, 3),
        (f"{QUERY}?orderField=spec.tier,asc", 2),
        (f"{ENTITIES}/by-name/service/default/a", 2),
        ("/api/catalog/entity-facets?facet=kind&facet=spec.tier&facet=relations.ownedBy", 3),
    ],
)
@pytest.mark.usefixtures("services")
def test_statements_of_each_answer(api: Caller, path: str, count: int) -> None:
    body_of(api.get(path))  # all marks are worked off
    with CaptureQueriesContext(connection) as caught:
        body_of(api.get(path))
    ours = [q["sql"] for q in caught if "catalog_entitydocument" in q["sql"]]
    assert len(ours) == count, ours
    make_entity("service", "more")
    body_of(api.get(path))
    with CaptureQueriesContext(connection) as caught:
        body_of(api.get(path))
    assert len([q for q in caught if "catalog_entitydocument" in q["sql"]]) == count
