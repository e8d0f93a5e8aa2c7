"""The playground of a mapping: the text in the editor, an object beside it, what comes out."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from catalog.ingest.integrations import create_source
from catalog.models import Blueprint, Entity, Integration, KindExample
from tests.factories import ACTOR, make_blueprint, make_entity

HTMX = {"HX-Request": "true"}

MAPPING = """
resources:
  - kind: apps
    selector: {query: .state != "old", path: /apps}
    port:
      entity:
        mappings:
          identifier: .name
          blueprint: '"app"'
          properties: {size: .size, wrong: .name.nothing}
  - kind: teams
    selector: {query: "true", path: /teams}
    port:
      entity:
        mappings: {identifier: .slug, blueprint: '"squad"'}
"""


@pytest.fixture
def source(db, vendor) -> Integration:
    vendor.json("/apps", [{"name": n, "size": 1, "password": "hush"} for n in "abcdefg"])
    vendor.json("/teams", [])
    return create_source(
        identifier="cmdb",
        kind="http",
        actor=ACTOR,
        settings={"baseUrl": vendor.url},
        mapping={"resources": []},
    )


def tried(client: Client, source: Integration, **sent):
    """The bench after a try, as the page would send it."""
    given = {
        "mapping": MAPPING,
        "_try": "1",
        "resource": "0",
        "sample": "own",
        "shown_sample": "own",
    }
    given |= {"shown_kind": "apps", **sent}
    address = reverse("admin:catalog_integration_mapping", args=[source.pk])
    answer = client.post(address, given, headers=HTMX)
    assert answer.status_code == 200
    return answer.context["bench"]


def test_an_object_becomes_an_entity_field_by_field(admin_client: Client, source) -> None:
    make_blueprint("app", properties={"size": {"type": "number"}, "wrong": {"type": "string"}})
    make_entity("app", "b")
    bench = tried(admin_client, source, payload='{"name": "a", "size": 3}')
    [row] = bench.trial.preview.rows
    assert {one.field: one.value for one in row.fields if not one.error} == {
        "query": True,
        "identifier": "a",
        "blueprint": "app",
        "properties.size": 3,
    }
    [problem] = bench.trial.preview.problems
    assert problem.field == "properties.wrong"
    assert "Cannot index string" in problem.message
    [made] = bench.trial.entities
    assert (made.status, made.document["properties"]["size"]) == ("created", 3)
    [made] = tried(admin_client, source, payload='{"name": "b", "size": 3}').trial.entities
    assert made.status == "updated"
    [made] = tried(admin_client, source, payload='{"name": "c", "size": "big"}').trial.entities
    assert made.status == "rejected"
    assert "size" in str(made.error)
    assert list(Entity.objects.values_list("identifier", "properties")) == [("b", {})]


def test_an_object_that_the_query_leaves_out(admin_client: Client, source) -> None:
    bench = tried(admin_client, source, payload='{"name": "a", "state": "old"}')
    assert bench.trial.preview.selected is False
    assert bench.trial.entities == []


@pytest.mark.parametrize(
    ("mapping", "path"),
    [
        ("resources: [", ""),
        ("resources: 3", "resources"),
        (MAPPING.replace(".name\n", ".name |\n"), "resources[0].port.entity.mappings.identifier"),
        ("just words", ""),
    ],
)
def test_what_is_wrong_with_a_mapping_is_said_with_its_place(
    admin_client: Client, source, mapping: str, path: str
) -> None:
    bench = tried(admin_client, source, mapping=mapping, payload="{}")
    assert bench.errors[0][0] == path
    assert bench.trial is None
    # What the page shows of the last good one stays.
    assert (bench.swaps_plan, bench.swaps_resources, bench.swaps_payload) == (False, False, False)
    address = reverse("admin:catalog_integration_mapping", args=[source.pk])
    saved = admin_client.post(address, {"mapping": mapping})
    assert saved.context["bench"].text == mapping
    assert Integration.objects.get().mapping == {"resources": []}


def test_remarks_name_what_blueprints_lack(admin_client: Client, source) -> None:
    make_blueprint("app")
    found = [one.message for one in tried(admin_client, source).findings]
    assert 'The blueprint "app" has no property "size"' in found
    assert 'There is no blueprint "squad"' in found


def test_live_samples_are_asked_for_masked_and_kept(admin_client: Client, source, vendor) -> None:
    before = len(vendor.calls)
    tried(admin_client, source)
    assert len(vendor.calls) == before  # nobody is asked without the button
    bench = tried(admin_client, source, _fetch="1")
    assert bench.fetched == 5
    assert json.loads(bench.payload)["name"] == "a"
    assert "hush" not in bench.payload
    assert bench.swaps_payload
    assert KindExample.objects.filter(kind="apps").count() == 5
    other = bench.samples[1].ref
    shown = {"payload": bench.payload, "shown_sample": bench.ref}
    bench = tried(admin_client, source, sample=other, **shown)
    assert json.loads(bench.payload)["name"] == "b"
    bench = tried(admin_client, source, resource="1", sample=other, shown_sample=other)
    assert (bench.ref, bench.payload) == ("own", "")  # another resource, of which nothing is kept
    bench = tried(admin_client, source, resource="1", shown_kind="teams", _fetch="1")
    assert bench.fetched == 0


def test_trouble_of_the_vendor_is_told_in_its_words(admin_client: Client, source, vendor) -> None:
    vendor.json("/apps", {"message": "No such list"}, status=404)
    bench = tried(admin_client, source, _fetch="1", payload='{"name": "x"}')
    assert "No such list" in str(bench.problem)
    assert bench.payload == '{"name": "x"}'  # what was there stays


def test_bad_json_of_an_object_is_told(admin_client: Client, source) -> None:
    bench = tried(admin_client, source, payload="{")
    assert bench.problem is not None
    assert "Line 1" in bench.problem.message


def test_blueprints_are_made_with_the_mapping_as_far_as_they_were_chosen(
    admin_client: Client, db
) -> None:
    source = create_source(
        identifier="gh", kind="github", actor=ACTOR, settings={"token": "x"}, is_enabled=False
    )
    address = reverse("admin:catalog_integration_mapping", args=[source.pk])
    bench = admin_client.get(address).context["bench"]
    assert "githubRepository" in bench.picked
    assert bench.trial is not None  # an example of the kind is tried at once
    sent = {"mapping": bench.text, "shown_plan": bench.plan, "blueprint": "githubOrganization"}
    assert admin_client.post(address, sent).status_code == 302
    assert list(Blueprint.objects.filter(is_system=False).values_list("identifier", flat=True)) == [
        "githubOrganization"
    ]
    source.refresh_from_db()
    assert source.mapping == create_source(identifier="two", kind="github", actor=ACTOR).mapping


def test_without_scripts_the_whole_page_comes_back(admin_client: Client, source) -> None:
    address = reverse("admin:catalog_integration_mapping", args=[source.pk])
    sent = {"mapping": MAPPING, "_try": "1", "payload": '{"name": "zed"}', "shown_kind": "apps"}
    page = admin_client.post(address, sent | {"sample": "own", "shown_sample": "own"})
    body = page.content.decode()
    assert "<html" in body
    assert "What comes out" in body
    assert Integration.objects.get().mapping == {"resources": []}
