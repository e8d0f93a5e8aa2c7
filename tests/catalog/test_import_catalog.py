from __future__ import annotations

import json
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.dialects.imports import ImportOptions, import_files
from catalog.kernel.actors import Actor
from catalog.models import Blueprint, Change, Entity, Relation
from catalog.services.blueprints import create_blueprint, patch_blueprint
from catalog.services.entities import EntityDraft, Mode, apply

pytestmark = pytest.mark.django_db

ACTOR = Actor.system("test")


def component(name="orders", **spec):
    values = {"type": "service", "lifecycle": "production", "owner": "team-a", **spec}
    return json.dumps(
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": {"name": name},
            "spec": values,
        }
    )


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def run(*paths, **options):
    return import_files(
        [str(path) for path in paths], actor=ACTOR, options=ImportOptions(**options)
    )


def reasons(result):
    return [
        (Path(report.file).name, report.line, report.findings[0].field, report.findings[0].message)
        for report in result.journal.rejected
    ]


def identifiers():
    pairs = Entity.objects.values_list("blueprint__identifier", "identifier")
    return sorted(f"{blueprint}:{identifier}" for blueprint, identifier in pairs)


# --- real catalogues --------------------------------------------------------------------------


def test_real_catalogues_are_taken_as_backstage_takes_them(test_data):
    """Backstage's own validators accept 1,068 of these documents, without four that use `$openapi`.
    Five need a file that was not collected, 113 name an entity of an earlier file; the rest is in
    the catalogue."""
    result = run(test_data / "catalog-info")
    assert (result.journal.files, result.journal.documents) == (873, 1151)
    assert result.totals == {"created": 954, "rejected": 197}
    why = Counter(
        "held by another file"
        if "already registered" in report.findings[0].message
        else "file missing"
        if "$text: " in report.findings[0].message
        else "not valid"
        for report in result.journal.rejected
    )
    assert why == {"held by another file": 113, "file missing": 5, "not valid": 79}
    assert all(report.line and report.findings[0].message for report in result.journal.rejected)
    assert len(result.journal.skipped) == 15
    changes = Change.objects.count()

    again = run(test_data / "catalog-info")
    assert again.totals == {"unchanged": 954, "rejected": 197}
    assert again.journal == result.journal
    assert Change.objects.count() == changes


LOCATIONS = (
    "catalog-model-examples/all.yaml",
    "catalog-model-examples/acme-corp.yaml",
    "create-app-example/template/template.yaml",
    "demo-docs/catalog-info.yaml",
    "edge-cases/location.yaml",
    "software-templates/docs-template/template.yaml",
    "software-templates/springboot-grpc-template/template.yaml",
)
KINDS = {"_team": "group", "_user": "user"}
RELATIONS = {
    "owner": ("ownedBy", "ownerOf"),
    "system": ("partOf", "hasPart"),
    "subcomponentOf": ("partOf", "hasPart"),
    "domain": ("partOf", "hasPart"),
    "subdomainOf": ("partOf", "hasPart"),
    "providesApis": ("providesApi", "apiProvidedBy"),
    "consumesApis": ("consumesApi", "apiConsumedBy"),
    "dependsOn": ("dependsOn", "dependencyOf"),
    "dependencyOf": ("dependencyOf", "dependsOn"),
    "team": ("memberOf", "hasMember"),
    "parent": ("childOf", "parentOf"),
    "children": ("parentOf", "childOf"),
    "members": ("hasMember", "memberOf"),
}


def ref(blueprint, identifier):
    namespace, _, name = identifier.rpartition("/")
    return f"{KINDS.get(blueprint, blueprint)}:{namespace or 'default'}/{name}"


def test_the_recorded_catalogue_of_backstage_comes_out_with_its_relations(test_data):
    folder = test_data / "backstage"
    run(*(folder / location for location in LOCATIONS))
    recorded = json.loads((folder / "golden" / "026-entities-all-refs.json").read_text())
    refs = {
        ref(
            one["kind"].lower(), f"{one['metadata']['namespace']}/{one['metadata']['name']}".lower()
        )
        for one in recorded["response"]["body"]
        if not one["metadata"]["name"].startswith("generated-")  # Backstage's own Locations
    }
    stored = {
        ref(blueprint, identifier)
        for blueprint, identifier in Entity.objects.values_list(
            "blueprint__identifier", "identifier"
        )
    }
    # Nothing lacks. What is more: the good parts of Locations that Backstage drops as a whole, and
    # APIs whose definition lies at an address, or comes by $openapi.
    assert refs - stored == set()
    assert stored - refs == {
        "api:default/demo-graphql",
        "api:default/edge-api-url-definition",
        "api:default/edge-openapi-alias",
        "api:default/spotify",
        "api:default/wayback-archive",
        "api:default/wayback-search",
        "component:default/only-via-disallowed",
        "component:default/only-via-missing",
        "component:default/only-via-yaml-error",
        "location:default/edge-disallowed-kind",
        "location:default/edge-missing-target",
        "location:default/edge-yaml-error",
    }

    edges: dict[str, set[tuple[str, str]]] = {}
    rows = Relation.objects.select_related("source__blueprint", "definition")
    for row in rows:
        source = ref(row.source.blueprint.identifier, row.source.identifier)
        target = ref(row.target_blueprint, row.target_identifier)
        forth, back = RELATIONS[row.definition.identifier]
        edges.setdefault(source, set()).add((forth, target))
        edges.setdefault(target, set()).add((back, source))
    compared, missing = 0, set()
    for path in sorted((folder / "golden").glob("0[01]?-by-name-*.json")):
        entity = json.loads(path.read_text())["response"]["body"]
        if "error" in entity:  # a Location that Backstage dropped
            continue
        name = ref(
            entity["kind"].lower(),
            f"{entity['metadata']['namespace']}/{entity['metadata']['name']}".lower(),
        )
        expected = {(one["type"], one["targetRef"]) for one in entity["relations"]}
        missing |= {(name, *edge) for edge in expected - edges.get(name, set())}
        assert edges.get(name, set()) - expected <= {("ownerOf", one) for one in stored - refs}
        compared += 1
    assert compared == 18
    # A relation of ours to APIs leads to no component: two are in the descriptor only. And
    # Backstage shows an edge from an entity that it refused to show itself.
    assert missing == {
        ("group:default/team-a", "ownerOf", "component:default/edge-case-clash"),
        ("component:default/artist-lookup", "apiConsumedBy", "component:default/www-artist"),
        (
            "component:ns-two/edge.case_name-1",
            "consumesApi",
            "component:default/not-an-api",
        ),
    }


def test_the_seed_example(test_data):
    seed = test_data.parent / "seed" / "catalog-info.yaml"
    result = run(seed)
    assert result.totals == {"created": 2}
    service = Entity.objects.get(blueprint__identifier="component", identifier="my-service")
    assert service.relations == {
        "owner": "_team:team-backend",
        "system": "order-system",
        "providesApis": ["order-api"],
        "dependsOn": ["resource:payment-api"],
    }
    assert service.team == ["team-backend"]
    assert service.descriptor["metadata"]["annotations"] == {
        "github.com/project-slug": "my-org/my-service",
        "jira/project-key": "MYPROJ",
    }
    api = Entity.objects.get(blueprint__identifier="api")
    assert api.properties["definition"] == (
        "https://github.com/my-org/my-service/blob/main/openapi.yaml"
    )
    assert service.outgoing.get(definition__identifier="providesApis").target == api


# --- files ------------------------------------------------------------------------------------


def test_a_bad_document_stops_nobody(tmp_path):
    folder = write(
        tmp_path,
        {
            "catalog-info.yaml": f"{component('a')}\n---\nkind: [\n---\n{component('b', owner='')}"
            f"\n---\n- list\n---\n---\n{component('c')}\n",
            "openapi.yaml": "openapi: 3.0.0\n",
            "broken.yaml": "a: [",
            "deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n",
            "mixed.yaml": f"apiVersion: apps/v1\nkind: Pod\nmetadata: {{name: x}}\n---\n"
            f"{component('d')}\n",
        },
    )
    result = run(folder)
    assert identifiers() == ["component:a", "component:c", "component:d"]
    assert reasons(result) == [
        ("catalog-info.yaml", 3, "", "did not find expected node content"),
        ("catalog-info.yaml", 5, "spec.owner", 'spec.owner must be non-empty text, not ""'),
        (
            "catalog-info.yaml",
            7,
            "",
            "the document must be a map with apiVersion, kind and metadata, not a list",
        ),
        ("mixed.yaml", 2, "kind", 'kind "Pod" (apiVersion "apps/v1") is not known'),
    ]
    assert {Path(file).name: why for file, why in result.journal.skipped.items()} == {
        "broken.yaml": "no entity in it",
        "deployment.yaml": "no entity in it",
        "openapi.yaml": "no entity in it",
    }
    assert result.counts == {
        "": {"rejected": 2},
        "component": {"created": 3, "rejected": 1},
        "pod": {"rejected": 1},
    }


def test_a_large_file_is_refused_where_it_was_meant_and_left_aside_where_not(tmp_path):
    text = component("a") + " " * 500
    folder = write(tmp_path, {"catalog-info.yaml": text, "data.json": text})
    result = run(folder, max_file_bytes=300)
    assert reasons(result) == [("catalog-info.yaml", 1, "", "it has more than 300 bytes")]
    assert list(result.journal.skipped.values()) == ["it has more than 300 bytes"]


def test_strictly_a_file_with_a_broken_document_is_out(tmp_path):
    location = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {"name": "all"},
        "spec": {"targets": ["./nope.yaml", "./named.yaml"]},
    }
    folder = write(
        tmp_path,
        {
            "one/catalog-info.yaml": f"{component('a')}\n---\nb: [",
            "two/catalog-info.yaml": f"{component('c')}\n---\n{component('d', owner='')}",
            "three/catalog-info.yaml": json.dumps(location),
            "three/named.yaml": component("e"),
        },
    )
    arguments = sorted(folder.glob("*/catalog-info.yaml"))
    result = run(*arguments, strict=True)
    assert identifiers() == ["component:c"]
    assert [message for *_, message in reasons(result)] == [
        "did not find expected node content",
        "spec.targets[0]: ./nope.yaml: there is no such file",
        'spec.owner must be non-empty text, not ""',
    ]
    assert run(*arguments).totals == {"created": 3, "unchanged": 1, "rejected": 2}
    assert identifiers() == ["component:a", "component:c", "component:e", "location:all"]


def test_locations_are_followed_once_each(tmp_path):
    def location(name, *targets):
        return json.dumps(
            {
                "apiVersion": "backstage.io/v1alpha1",
                "kind": "Location",
                "metadata": {"name": name},
                "spec": {"targets": list(targets)},
            }
        )

    folder = write(
        tmp_path,
        {
            "a.yaml": location("a", "./sub/**/*.yaml", "./a.yaml", "./nope.yaml"),
            "sub/b.yaml": location("b", "../a.yaml", "../../x.yaml", "https://example.com/c.yaml"),
            "sub/deep/widget.yaml": "apiVersion: x.io/v1\nkind: Widget\nmetadata: {name: w}\n",
        },
    )
    result = run(folder / "a.yaml")
    assert identifiers() == ["location:a", "location:b"]
    assert reasons(result) == [
        ("widget.yaml", 2, "kind", 'kind "Widget" (apiVersion "x.io/v1") is not known')
    ]
    assert [
        finding.message for report in result.journal.warnings for finding in report.findings
    ] == [
        "spec.targets[2]: ./nope.yaml: there is no such file",
        "spec.targets[1]: ../../x.yaml: it lies outside the folder of the import",
        "https://example.com/c.yaml was not read: this import reads files, not addresses",
    ]
    # in a folder the foreign kind is left aside, until a Location names its file
    assert reasons(run(folder)) == reasons(result)
    assert result.journal.skipped == {}


def test_placeholders_of_local_files(tmp_path):
    api = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "API",
        "metadata": {"name": "a"},
        "spec": {
            "type": "openapi",
            "lifecycle": "production",
            "owner": "x",
            "definition": {"$text": "./openapi.txt"},
        },
    }
    remote = json.loads(json.dumps(api).replace("./openapi.txt", "https://x.io/a.yaml"))
    remote["metadata"]["name"] = "b"
    folder = write(
        tmp_path,
        {
            "catalog-info.yaml": f"{json.dumps(api)}\n---\n{json.dumps(remote)}",
            "openapi.txt": "openapi: 3.0.0\n",
        },
    )
    result = run(folder)
    assert result.totals == {"created": 2}
    local, other = Entity.objects.order_by("identifier")
    assert local.properties["definition"] == "openapi: 3.0.0\n"
    assert local.descriptor["spec"]["definition"] == "openapi: 3.0.0\n"
    assert other.properties["definition"] == "https://x.io/a.yaml"
    assert other.descriptor["spec"]["definition"] == {"$text": "https://x.io/a.yaml"}
    assert len(result.journal.warnings) == 1


# --- one entity, several files ----------------------------------------------------------------


def test_the_first_file_of_an_entity_keeps_it_until_it_lets_go(tmp_path):
    folder = write(
        tmp_path,
        {"a.yaml": component("x", tier="a"), "b.yaml": component("X", tier="b")},
    )

    def tier():
        return Entity.objects.get(identifier="x").properties["tier"]

    first = run(folder)
    assert first.totals == {"created": 1, "rejected": 1}
    [(file, line, field, message)] = reasons(first)
    assert (file, line, field) == ("b.yaml", 1, "metadata.name")
    assert message == f"it is already registered from {folder.resolve() / 'a.yaml'}"
    assert tier() == "a"
    assert run(folder).totals == {"unchanged": 1, "rejected": 1}

    # b alone is still a stranger, and so is an earlier file that claims the entity now
    assert run(folder / "b.yaml").totals == {"rejected": 1}
    write(folder, {"0.yaml": component("x", tier="0")})
    assert run(folder).totals == {"unchanged": 1, "rejected": 2}

    (folder / "a.yaml").write_text(component("renamed"))
    (folder / "0.yaml").unlink()
    assert run(folder).totals == {"created": 1, "updated": 1}
    assert tier() == "b"
    assert Entity.objects.get(identifier="x").location == f"file:{folder.resolve() / 'b.yaml'}"

    write(folder, {"0.yaml": component("x", tier="0")})
    assert run(folder / "0.yaml", take_over=True).totals == {"updated": 1}
    assert tier() == "0"


def test_an_entity_from_elsewhere(tmp_path):
    folder = write(tmp_path, {"catalog-info.yaml": component("x", tier=1)})
    run(write(tmp_path / "other", {"catalog-info.yaml": component("other")}))
    drafts = [
        EntityDraft("component", "x", properties={"tier": 9}, location="url:https://x/info.yaml")
    ]
    apply(drafts, mode=Mode.REPLACE, actor=ACTOR)
    assert [message for *_, message in reasons(run(folder / "catalog-info.yaml"))] == [
        "it is already registered from url:https://x/info.yaml"
    ]
    apply([EntityDraft("component", "x", location=None)], mode=Mode.MERGE, actor=ACTOR)
    assert run(folder / "catalog-info.yaml").totals == {"updated": 1}


# --- blueprints -------------------------------------------------------------------------------


def test_blueprints_are_made_when_a_kind_first_comes_and_then_left_alone(tmp_path):
    folder = write(tmp_path, {"catalog-info.yaml": component("a", tier="gold")})
    assert run(folder).created_blueprints == ["component", "api", "system", "domain"]
    schema = Blueprint.objects.get(identifier="component").schema
    schema["properties"]["tier"] = {"type": "string", "enum": ["one", "two"]}
    patch_blueprint("component", {"schema": schema}, actor=ACTOR, force=True)
    (folder / "catalog-info.yaml").write_text(component("a", type="x", tier="gold"))
    result = run(folder)
    assert result.created_blueprints == []
    assert reasons(result) == [
        (
            "catalog-info.yaml",
            1,
            "spec.tier",
            'property "tier": "gold" is not one of "one" or "two"',
        )
    ]
    assert Entity.objects.get().properties["type"] == "service"


def test_custom_kinds_are_data(tmp_path):
    text = (
        "apiVersion: build.example/v1\nkind: Pipeline\nmetadata: {name: Nightly}\n"
        "spec: {owner: team-a, runs: component:orders, every: 1h}\n"
    )
    folder = write(tmp_path, {"catalog-info.yaml": text})
    assert run(folder).totals == {"rejected": 1}
    assert run(folder, create_kinds=True, dry_run=True).created_blueprints[0] == "pipeline"
    assert not Blueprint.objects.filter(identifier="pipeline").exists()

    create_blueprint(
        {
            "identifier": "pipeline",
            "title": "Pipeline",
            "relations": {"runs": {"target": "*", "many": True}},
        },
        actor=ACTOR,
    )
    assert run(folder).totals == {"created": 1}
    pipeline = Entity.objects.get(identifier="nightly")
    assert pipeline.relations == {"runs": ["component:orders"]}
    assert pipeline.team == ["team-a"]
    assert pipeline.properties["every"] == "1h"

    other = write(tmp_path / "b", {"catalog-info.yaml": text.replace("Pipeline", "BuildAgent")})
    assert run(other, create_kinds=True).created_blueprints == ["buildagent", "domain", "system"]
    assert Blueprint.objects.get(identifier="buildagent").title == "Build Agent"


def test_users_and_teams_get_the_usual_properties_once(tmp_path):
    group = component("a").replace("Component", "Group").replace("}}", ', "children": []}}')
    folder = write(tmp_path, {"catalog-info.yaml": group})
    run(folder)
    blueprint = Blueprint.objects.get(identifier="_team")
    assert list(blueprint.properties)[-5:] == [
        "tags",
        "links",
        "labels",
        "annotations",
        "namespace",
    ]
    schema = blueprint.schema
    del schema["properties"]["labels"]
    patch_blueprint("_team", {"schema": schema}, actor=ACTOR)
    assert run(folder).totals == {"unchanged": 1}
    assert "labels" not in Blueprint.objects.get(identifier="_team").properties


def test_what_others_say_of_a_user_stays(tmp_path):
    user = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "User",
        "metadata": {"name": "jane", "description": "Likes cheese."},
        "spec": {"memberOf": ["a", "b"], "profile": {"email": "jane@example.com"}},
    }
    folder = write(tmp_path, {"catalog-info.yaml": json.dumps(user)})
    run(folder)
    status = EntityDraft("_user", "jane", properties={"status": "Disabled"})
    apply([status], mode=Mode.MERGE, actor=ACTOR)
    assert run(folder).totals == {"unchanged": 1}

    del user["metadata"]["description"]
    user["spec"]["memberOf"] = []
    write(tmp_path, {"catalog-info.yaml": json.dumps(user)})
    assert run(folder).totals == {"updated": 1}
    jane = Entity.objects.get()
    assert jane.relations == {}
    assert jane.properties == {
        "namespace": "default",
        "email": "jane@example.com",
        "status": "Disabled",
    }


# --- the run as a whole -----------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_and_stores_nothing(tmp_path):
    folder = write(tmp_path, {f"{n}.yaml": component(f"c{n}") for n in range(5)})
    seen = []
    options = ImportOptions(dry_run=True, batch_size=2)
    result = import_files(
        [str(folder)],
        actor=ACTOR,
        options=options,
        progress=lambda r: seen.append(r.totals["created"]),
    )
    assert result.totals == {"created": 5}
    assert seen == [2, 4, 5]
    assert not Entity.objects.exists()
    assert not Blueprint.objects.filter(identifier="component").exists()


def test_the_statements_of_a_batch_do_not_grow_with_it(tmp_path, django_assert_max_num_queries):
    folder = write(tmp_path, {f"{n}.yaml": component(f"c{n}") for n in range(60)})
    run(folder)
    write(folder, {f"{n}.yaml": component(f"c{n}", tier=n) for n in range(60)})
    with django_assert_max_num_queries(25):
        assert run(folder).totals == {"updated": 60}


def test_hostile_files_are_refused_one_by_one(tmp_path):
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
    )
    deep = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: " + "[" * 5000
    long = component("x" * 1000)
    nul = component("a").replace("service", "\\u0000")
    folder = write(
        tmp_path,
        {
            "1/catalog-info.yaml": bomb,
            "2/catalog-info.yaml": deep,
            "3/catalog-info.yaml": "x" * 5_000_000,
            "4/catalog-info.yaml": long,
            "5/catalog-info.yaml": nul,
            "6/catalog-info.yaml": component("ok"),
            "7/catalog-info.yaml": component("emoji", owner="🦀 team", system="a/b/c"),
        },
    )
    many = json.loads(component("many"))
    many["metadata"]["tags"] = ["Not A Tag"] * 5000
    many["metadata"]["labels"] = {"k" * 5000: "x"}
    write(folder, {"7b/catalog-info.yaml": json.dumps(many, indent=1)})
    (folder / "8").mkdir()
    (folder / "8" / "catalog-info.yaml").write_bytes(b"a: \xff\n")
    result = run(folder)
    assert identifiers() == ["component:emoji", "component:ok"]
    assert [message[:60] for *_, message in reasons(result)] == [
        "more than 250,000 values, aliases expanded",
        "nested too deep",
        "the document must be a map with apiVersion, kind and metadat",
        "metadata.name must be 1 to 63 letters, digits and - _ . with",
        "text must not hold the character U+0000",
        f'the key "{"k" * 51}',
        "byte 3 is not UTF-8",
    ]
    findings = result.journal.rejected[-2].findings
    assert len(findings) == 21
    assert (findings[2].line, findings[2].field) == (8, "metadata.tags[1]")
    assert findings[-1].message == "and 4,981 more problems"
    assert max(len(finding.message) for finding in findings) < 400


# --- the command ------------------------------------------------------------------------------


def command(*arguments):
    out, err = StringIO(), StringIO()
    call_command("import_catalog", *map(str, arguments), stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_the_command_reports_counts_and_reasons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path,
        {
            "catalog-info.yaml": f"{component('a')}\n---\n{component('b', owner=1)}",
            "openapi.yaml": "openapi: 3",
        },
    )
    out, err = command(".")
    *lines, last = out.splitlines()
    assert lines == [
        "Rejected: 1",
        "  catalog-info.yaml:3 Component b",
        "      spec.owner must be non-empty text, not the number 1. Put quotes around the value.",
        "",
        "Skipped files: 1",
        "  openapi.yaml: no entity in it",
        "",
        "             created    updated  unchanged   rejected",
        "component          1          0          0          1",
        "all                1          0          0          1",
        "New blueprints: component, api, system, domain",
    ]
    assert last.startswith("2 documents in 1 files, ")
    assert err == "1 files: 1 created, 1 rejected\n"

    answer = json.loads(command(".", "--format", "json", "--dry-run")[0])
    assert answer["totals"] == {"unchanged": 1, "rejected": 1}
    assert answer["dry_run"] is True
    assert answer["rejected"][0]["findings"][0]["field"] == "spec.owner"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-folder"], "No catalogue file was read."),
        (["empty"], "No catalogue file was read."),
        (["bad.yaml", "--fail-on-rejected"], "1 documents were rejected."),
        (["bad.yaml", "--root", "nowhere"], "--root nowhere: there is no such folder."),
    ],
)
def test_when_the_command_fails(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"bad.yaml": component("a", owner=""), "empty/x.yaml": "a: 1"})
    with pytest.raises(CommandError) as caught:
        command(*arguments)
    assert str(caught.value) == message


def test_a_file_without_an_address_leaves_a_person_theirs(tmp_path):
    user = json.dumps(
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "User",
            "metadata": {"name": "jane"},
            "spec": {"memberOf": [], "profile": {"displayName": "Jane", "email": "a@example.com"}},
        }
    )
    run(write(tmp_path, {"people.yaml": user}))
    run(write(tmp_path, {"people.yaml": user.replace('"email": "a@example.com"', '"x": "y"')}))
    jane = Entity.objects.get(identifier="jane")
    assert jane.properties["email"] == "a@example.com"
    run(write(tmp_path, {"people.yaml": user.replace('"displayName": "Jane", ', "")}))
    assert "displayName" not in Entity.objects.get(identifier="jane").properties
