from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.ingest import pushes
from catalog.ingest.locations import due, orphans, refresh, registering, writing
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from catalog.kernel.source import Event
from catalog.models import Change, Entity, LocatedEntity, Location, PendingDocument
from catalog.services import catalog_settings
from catalog.services.entities import delete
from tests.catalog.following import as_row
from tests.factories import make_entity

pytestmark = pytest.mark.django_db

ACTOR = Actor.system("test")
OLD = 1_700_000_000  # a moment long ago, so that a file's times tell whether it changed


def document(kind="Component", name="orders", **spec):
    usual = {
        "Component": {"type": "service", "lifecycle": "production", "owner": "team-a"},
        "Group": {"type": "team", "children": []},
        "User": {"memberOf": []},
        "System": {"owner": "team-a"},
    }.get(kind, {})
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**usual, **spec},
    }


def text(*documents):
    return "\n---\n".join(one if isinstance(one, str) else json.dumps(one) for one in documents)


class Files:
    """A folder that may be read; each writing is as good as a later one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def write(self, name: str, *documents) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(*documents))
        self.count += 1
        os.utime(path, (OLD + self.count, OLD + self.count))
        return str(path)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def place(self, name: str) -> str:
        return f"file:{self.folder / name}"


@pytest.fixture
def files(tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    return Files(tmp_path)


def register(target, **options):
    return registering.register("file", str(target), actor=ACTOR, **options)


def again(location):
    result = refresh.refresh(location)
    location.refresh_from_db()
    return result


def held(blueprint="component"):
    """Identifiers, with a star behind those that are orphans."""
    rows = LocatedEntity.objects.filter(entity__blueprint__identifier=blueprint)
    found = rows.values_list("entity__identifier", "orphaned_at")
    return sorted(f"{name}*" if at else name for name, at in found)


def problems(location):
    return [
        (Path(file.place.partition(":")[2]).name, one["line"], one["field"], one["message"])
        for file in location.files.order_by("place")
        for one in file.problems
    ]


def located(name, blueprint="component"):
    return LocatedEntity.objects.get(
        entity__blueprint__identifier=blueprint, entity__identifier=name
    )


def keep_orphans():
    catalog_settings.update(actor=ACTOR, orphan_strategy="keep")


# --- registering ------------------------------------------------------------------------------


def test_a_registered_file_is_there_at_once_with_its_location_entity(files):
    target = files.write("all.yaml", document(), document("Group", "team-a"))
    location = register(target)
    assert location.state == Location.State.READY
    assert location.entity_ref == registering.entity_ref_of("file", target)
    assert held() == ["orders"]
    entity = Entity.objects.get(blueprint__identifier="component", identifier="orders")
    assert entity.location == f"file:{target}"
    name = location.entity_ref.rpartition("/")[2]
    own = Entity.objects.get(blueprint__identifier="location", identifier=name)
    assert own.descriptor["spec"] == {"type": "file", "target": target}
    assert located(name, "location").annotations == {
        "backstage.io/managed-by-location": f"file:{target}",
        "backstage.io/managed-by-origin-location": f"file:{target}",
    }
    assert Change.objects.get(model=Change.LOCATION).action == feed.CREATE


def test_a_place_is_registered_once(files):
    target = files.write("a.yaml", document())
    first = register(target)
    with pytest.raises(AlreadyExists, match=f"Location file:{target} already exists"):
        register(target)
    files.write("a.yaml", document(name="payments"))
    assert register(target, on_conflict="refresh").pk == first.pk
    assert held() == ["payments"]


@pytest.mark.parametrize(
    ("type", "target", "field"),
    [
        ("ftp", "x", "type"),
        ("url", "", "target"),
        ("url", "x", "target"),
        ("url", "https://u:p@example.com/x", "target"),
        ("url", "https://example.com/x?private_token=u:p", "target"),
        ("url", "https://[", "target"),
        ("url", 1, "target"),
        ("url", "https://example.com/\x00", "target"),
        ("url", f"https://example.com/{'x' * 2000}", "target"),
        ("file", "x.yaml", "target"),
        ("file", "/a/../b.yaml", "target"),
        ("file", "/a/", "target"),
    ],
)
def test_what_can_be_no_target_is_refused(type, target, field):
    with pytest.raises(InvalidInput) as error:
        registering.register(type, target, actor=ACTOR)
    assert error.value.details["field"] == field
    assert not Location.objects.exists()
    assert "u:p" not in str(error.value)


def test_a_missing_target_is_told_by_the_location(files):
    location = register(files.folder / "no.yaml")
    assert (location.state, location.problem) == ("failed", "there is no such file")
    [item] = located(location.entity_ref.rpartition("/")[2], "location").status
    assert item["error"] == {
        "name": "NotFoundError",
        "message": f"file {files.folder / 'no.yaml'} does not exist",
    }
    files.write("no.yaml", document())
    assert again(location).created == 1
    assert (location.state, location.problem, held()) == ("ready", "", ["orders"])
    assert located(location.entity_ref.rpartition("/")[2], "location").status == []


def test_what_lies_outside_the_opened_folders_is_not_read(files, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere") / "x.yaml"
    other.write_text(text(document()))
    location = register(other)
    assert location.state == "failed"
    assert "outside the folders that may be read" in location.problem
    assert held() == []


# --- the tree ---------------------------------------------------------------------------------


def test_locations_lead_to_further_files_and_patterns(files):
    root = files.write(
        "all.yaml",
        document("Location", "more", targets=["./teams/*.yaml", "./one.yaml"]),
        document("Location", "maybe", target="./none.yaml", presence="optional"),
    )
    files.write("one.yaml", document(name="one"))
    files.write("teams/a.yaml", document("Group", "team-a"))
    files.write("teams/b.yaml", document("Group", "team-b"))
    location = register(root)
    assert (location.state, held(), held("_team")) == ("ready", ["one"], ["team-a", "team-b"])
    assert sorted(location.files.values_list("place", flat=True)) == [
        files.place(one) for one in ("all.yaml", "one.yaml", "teams/a.yaml", "teams/b.yaml")
    ]
    assert located("one").origin == f"file:{root}"
    files.write("teams/c.yaml", document("Group", "team-c"))
    files.remove("teams/a.yaml")
    keep_orphans()
    assert again(location).created == 1
    assert held("_team") == ["team-a*", "team-b", "team-c"]


def test_a_pattern_may_be_the_root_itself(files):
    files.write("a/catalog-info.yaml", document(name="a"))
    location = register(files.folder / "*/catalog-info.yaml")
    assert (location.state, held()) == ("ready", ["a"])
    files.write("b/catalog-info.yaml", document(name="b"))
    assert again(location).created == 1
    files.remove("a/catalog-info.yaml")
    again(location)
    assert held() == ["b"]
    files.remove("b/catalog-info.yaml")
    again(location)
    assert (location.state, held()) == ("failed", ["b"])
    assert again(location).unchanged


def test_a_missing_target_orphans_nobody(files):
    root = files.write("all.yaml", document("Location", "more", targets=["./one.yaml"]))
    files.write("one.yaml", document(name="one"))
    location = register(root)
    files.remove("one.yaml")
    again(location)
    assert (location.state, held()) == ("partial", ["one"])
    assert problems(location) == [
        ("all.yaml", 1, "spec.targets[0]", "./one.yaml: there is no such file"),
    ]
    [item] = located("more", "location").status
    assert item["message"] == f"NotFoundError: file {files.folder / 'one.yaml'} does not exist"
    files.write("one.yaml", document(name="one"))
    again(location)
    assert (location.state, problems(location)) == ("ready", [])
    assert located("more", "location").status == []


def test_locations_that_lead_to_each_other_end(files):
    root = files.write("a.yaml", document("Location", "a", target="./b.yaml"), document())
    files.write("b.yaml", document("Location", "b", target="./a.yaml"))
    assert register(root).state == "ready"
    assert held("location")[:2] == ["a", "b"]


# --- what changed -----------------------------------------------------------------------------


def test_nothing_is_parsed_or_written_when_nothing_changed(files):
    root = files.write("all.yaml", document("Location", "more", targets=["./*/one.yaml"]))
    for name in "abc":
        files.write(f"{name}/one.yaml", document(name=name))
    location = register(root)
    before = location.changed_at
    PendingDocument.objects.all().delete()
    assert again(location).unchanged
    assert location.changed_at == before
    assert not PendingDocument.objects.exists()


def test_what_a_placeholder_reads_is_watched(files):
    api = document("API", "pets", type="openapi", lifecycle="x", owner="o")
    api["spec"]["definition"] = {"$text": "./spec.txt"}
    (files.folder / "spec.txt").write_text("one")
    location = register(files.write("a.yaml", api))
    entity = Entity.objects.get(blueprint__identifier="api")
    assert entity.properties["definition"] == "one"
    assert again(location).unchanged
    (files.folder / "spec.txt").write_text("two")
    assert again(location).updated == 1
    entity.refresh_from_db()
    assert entity.properties["definition"] == "two"


def test_the_last_good_data_of_an_invalid_document_stays_with_its_error(files):
    good, bad = document(name="tmp-one"), document(name="tmp-one")
    del bad["spec"]["owner"]
    location = register(files.write("a.yaml", good, document(name="two")))
    files.write("a.yaml", bad, document(name="two", lifecycle="experimental"))
    assert again(location).updated == 1
    assert problems(location) == [
        ("a.yaml", 1, "spec.owner", "spec.owner is missing; expected non-empty text")
    ]
    entity = Entity.objects.get(identifier="tmp-one")
    assert entity.descriptor == good
    fault = "/spec must have required property 'owner' - missingProperty: owner"
    doing = (
        "Processor BuiltinKindsEntityProcessor threw an error while validating the entity "
        f"component:default/tmp-one; caused by TypeError: {fault}"
    )
    assert located("tmp-one").status == [
        {
            "type": "backstage.io/catalog-processing",
            "level": "error",
            "message": f"InputError: {doing}",
            "error": {
                "name": "InputError",
                "message": doing,
                "cause": {"name": "TypeError", "message": fault},
            },
        }
    ]
    assert PendingDocument.objects.filter(entity_id=entity.pk).exists()
    files.write("a.yaml", good, document(name="two"))
    again(location)
    assert (located("tmp-one").status, problems(location)) == ([], [])


def test_what_cannot_be_made_out_orphans_nobody(files):
    location = register(files.write("a.yaml", document(name="one"), document(name="two")))
    files.write("a.yaml", document(name="one"), "kind: Component\nmetadata: {name: [")
    again(location)
    assert held() == ["one", "two"]
    assert located("one").status == []
    assert located("two").status[0]["level"] == "error"


# --- rules ------------------------------------------------------------------------------------


def test_rules_of_all_and_of_the_location_add_up(files):
    target = files.write(
        "org.yaml",
        document("Group", "team-a"),
        document("System", "shop"),
        document(name="site", type="Website"),
        document(name="job", type="service"),
    )
    rules = [
        {"allow": ["location", "GROUP"]},
        {"allow": [{"kind": "component", "spec.type": "website"}]},
        {"allow": ["System"], "locations": [{"type": "url", "pattern": "**"}]},
    ]
    catalog_settings.update(actor=ACTOR, rules=rules)
    location = register(target)
    assert (held("_team"), held(), held("system")) == (["team-a"], ["site"], [])
    assert [one[3] for one in problems(location)] == [
        "entities of kind System are not allowed from this location",
        "entities of kind Component are not allowed from this location",
    ]
    registering.set_rules(location, [{"allow": ["System"]}], actor=ACTOR)
    again(location)
    assert held("system") == ["shop"]
    catalog_settings.update(
        actor=ACTOR,
        rules=[
            {
                "allow": ["Component"],
                "locations": [{"type": "file", "pattern": f"{files.folder}/**".upper()}],
            },
            {"allow": ["Group"], "locations": [{"type": "file", "exact": target}]},
        ],
    )
    again(location)
    assert problems(location) == []
    assert held() == ["job", "site"]


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ("x", "rules"),
        ([1], "rules[0]"),
        ([{}], "rules[0].allow"),
        ([{"allow": [1]}], "rules[0].allow[0]"),
        ([{"allow": [{"kind": "A", "x": 1}]}], "rules[0].allow[0]"),
        ([{"allow": ["A"], "deny": 1}], "rules[0]"),
        ([{"allow": ["A"], "locations": [{"type": "url", "exact": "a", "pattern": "b"}]}],
         "rules[0].locations[0]"),
    ],
)  # fmt: skip
def test_rules_that_say_nothing_are_refused(rules, field):
    with pytest.raises(InvalidInput) as error:
        catalog_settings.update(actor=ACTOR, rules=rules)
    assert error.value.details["field"] == field


# --- conflicts --------------------------------------------------------------------------------


def test_the_first_file_has_an_entity_until_it_lets_it_go(files):
    first = register(files.write("a.yaml", document(lifecycle="first")))
    second = register(files.write("b.yaml", document(lifecycle="second"), document(name="own")))
    assert located("orders").file.place == files.place("a.yaml")
    [(_, line, field, message)] = problems(second)
    assert (line, field) == (1, "metadata.name")
    assert message == f"it is already registered from {files.place('a.yaml')}"
    assert located("orders").status == []
    files.write("a.yaml", document(name="other"))
    again(first)
    assert refresh.refresh_due() == 1  # the second was told
    second.refresh_from_db()
    assert (second.state, problems(second)) == ("ready", [])
    assert located("orders").origin == second.place
    assert Entity.objects.get(identifier="orders").properties["lifecycle"] == "second"


def test_an_entity_may_move_within_a_location(files):
    root = files.write("all.yaml", document("Location", "more", targets=["./a.yaml", "./b.yaml"]))
    files.write("a.yaml", document(name="a"))
    files.write("b.yaml", document(name="b"), document())
    location = register(root)
    pk = Entity.objects.get(identifier="orders").pk
    files.write("a.yaml", document(name="a"), document())
    files.write("b.yaml", document(name="b"))
    again(location)
    assert (problems(location), held()) == ([], ["a", "b", "orders"])
    assert located("orders").file.place == files.place("a.yaml")
    assert Entity.objects.get(identifier="orders").pk == pk


def test_what_nobody_holds_is_taken_over_and_what_an_import_holds_is_not(files):
    register(files.write("first.yaml", document(name="first")))
    make_entity("component", "native")
    make_entity("component", "theirs", location="file:/elsewhere.yaml")
    location = register(
        files.write("a.yaml", document(name="native"), document(name="theirs")),
    )
    assert held() == ["first", "native"]
    [(_, _, _, message)] = problems(location)
    assert message == "it is already registered from file:/elsewhere.yaml"


def test_a_file_of_two_locations_is_handed_over(files):
    shared = files.write("shared.yaml", document(name="shared"))
    one = register(files.write("one.yaml", document("Location", "one", target=shared)))
    two = register(files.write("two.yaml", document("Location", "two", target=shared)))
    assert (problems(one), problems(two)) == ([], [])
    assert located("shared").origin == one.place
    assert registering.remove(one, ACTOR) == 2  # its Location entities
    assert held() == ["shared"]
    assert located("shared").origin == two.place
    assert located("shared").annotations["backstage.io/managed-by-origin-location"] == two.place
    files.write("two.yaml", document(name="two"))
    again(two)
    assert held() == ["two"]


# --- orphans ----------------------------------------------------------------------------------


def test_orphans_are_deleted_with_their_history(files):
    location = register(files.write("a.yaml", document(name="one"), document(name="two")))
    files.write("a.yaml", document(name="one"))
    assert again(location).orphaned == 1
    assert held() == ["one"]
    deleted = Change.objects.get(action=feed.DELETE, model=Change.ENTITY)
    assert (deleted.identifier, deleted.actor) == ("two", "locations")


def test_orphans_that_are_kept_are_mended_or_removed(files):
    keep_orphans()
    location = register(files.write("a.yaml", document(name="one"), document(name="two")))
    files.write("a.yaml", document(name="one"))
    again(location)
    assert (held(), orphans.sweep_orphans()) == (["one", "two*"], 0)
    files.write("a.yaml", document(name="one"), document(name="two"))
    again(location)
    assert held() == ["one", "two"]
    two = Entity.objects.get(identifier="two")
    with pytest.raises(Conflict, match="a file still holds this entity"):
        orphans.remove_orphan(two, ACTOR)
    files.write("a.yaml", document(name="one"))
    again(location)
    orphans.remove_orphan(two, ACTOR)
    assert held() == ["one"]


def test_people_who_were_there_before_stay_when_their_file_lets_them_go(files):
    make_entity("_user", "ada", properties={"status": "Active"})
    location = register(files.write("org.yaml", document("User", "ada"), document("User", "bob")))
    assert held("_user") == ["ada", "bob"]
    files.write("org.yaml", document("Group", "team-a"))
    again(location)
    assert held("_user") == []
    ada = Entity.objects.get(blueprint__identifier="_user")
    assert (ada.identifier, ada.location) == ("ada", None)
    assert ada.properties["status"] == "Active"
    register(files.write("other.yaml", document("User", "ada")))
    assert held("_user") == ["ada"]


def test_a_mass_deletion_waits_for_somebody_to_confirm_it(files):
    every = [document(name=f"c{number}") for number in range(30)]
    location = register(files.write("a.yaml", *every))
    files.write("a.yaml", *every[:10])
    assert again(location).orphaned == 20
    assert orphans.sweep_orphans() == 0
    [origin] = orphans.origins()
    assert (origin.place, origin.entities, origin.orphans) == (location.place, 31, 20)
    assert origin.is_held
    assert orphans.confirm(location.place, ACTOR) == 20
    assert len(held()) == 10


def test_what_is_deleted_by_hand_comes_back_with_its_file(files):
    location = register(files.write("a.yaml", document()))
    delete([("component", "orders")], actor=ACTOR)
    assert again(location).unchanged
    due.follow([as_row(one) for one in Change.objects.filter(action=feed.DELETE)])
    assert refresh.refresh_due() == 1
    assert held() == ["orders"]


def test_a_location_that_is_removed_takes_along_what_only_it_held(files):
    root = files.write("all.yaml", document("Location", "more", targets=["./one.yaml"]))
    files.write("one.yaml", document(name="one"))
    location = register(root)
    assert registering.remove(location, ACTOR) == 3
    assert not LocatedEntity.objects.exists()
    assert not Entity.objects.exclude(blueprint__identifier__startswith="_").exists()
    with pytest.raises(NotFound):
        registering.remove(location, ACTOR)


def test_the_target_changes_and_the_reference_stays(files):
    location = register(files.write("a.yaml", document(name="a"), document(name="both")))
    ref = location.entity_ref
    new = files.write("b.yaml", document(name="b"), document(name="both"))
    location = registering.update(location, type="file", target=new, actor=ACTOR)
    assert (location.entity_ref, location.state, held()) == (ref, "ready", ["b", "both"])
    own = Entity.objects.get(blueprint__identifier="location")
    assert own.descriptor["spec"]["target"] == new
    assert {row.origin for row in LocatedEntity.objects.all()} == {f"file:{new}"}


# --- strictly ---------------------------------------------------------------------------------


def test_strictly_one_broken_file_keeps_out_all_that_its_location_names(files):
    catalog_settings.update(actor=ACTOR, is_strict=True)
    root = files.write(
        "all.yaml",
        document("Location", "bad", targets=["./good.yaml", "./broken.yaml"]),
        document("Location", "fine", targets=["./fine.yaml"]),
    )
    files.write("good.yaml", document(name="good"))
    files.write("broken.yaml", "kind: [")
    files.write("fine.yaml", document(name="fine"))
    location = register(root)
    assert (location.state, held()) == ("partial", ["fine"])
    assert "bad" not in held("location")
    files.write("broken.yaml", document(name="mended"))
    again(location)
    assert held() == ["fine", "good", "mended"]
    files.write("good.yaml", document(name="good", lifecycle="new"))
    files.remove("broken.yaml")
    again(location)
    assert held() == ["fine", "good", "mended"]
    good = Entity.objects.get(identifier="good")
    assert good.properties["lifecycle"] == "production"
    assert located("bad", "location").status[0]["level"] == "error"


# --- by address -------------------------------------------------------------------------------


@pytest.fixture
def served(vendor):
    vendor.etags = True
    host = vendor.url.partition("//")[2]
    catalog_settings.update(actor=ACTOR, reading_allow=[{"host": host}])
    return vendor


def test_what_could_not_be_read_is_tried_again_once_the_settings_allow_it(served):
    served.text("/c.yaml", text(document()))
    allowed = catalog_settings.current().reading_allow
    catalog_settings.update(actor=ACTOR, reading_allow=[])
    location = registering.register("url", f"{served.url}/c.yaml", actor=ACTOR)
    location.refresh_from_db()
    assert location.state == Location.State.FAILED
    catalog_settings.update(actor=ACTOR, reading_allow=allowed)
    due.follow([as_row(one) for one in Change.objects.filter(model=Change.SETTINGS)])
    refresh.refresh_due()
    location.refresh_from_db()
    assert location.state == Location.State.READY


def test_an_address_is_read_again_only_if_it_changed(served):
    served.text("/all.yaml", text(document("Location", "more", targets=["./one.yaml"])))
    served.text("/one.yaml", text(document(name="one")))
    target = f"{served.url}/all.yaml"
    location = registering.register("url", target, actor=ACTOR)
    assert (location.state, held()) == ("ready", ["one"])
    assert located("one").annotations == {
        "backstage.io/managed-by-location": f"url:{served.url}/one.yaml",
        "backstage.io/managed-by-origin-location": f"url:{target}",
        "backstage.io/view-url": f"{served.url}/one.yaml",
    }
    served.calls.clear()
    assert again(location).unchanged
    assert [call.status for call in served.calls] == [304, 304]
    served.text("/one.yaml", text(document(name="one"), document(name="two")))
    assert again(location).created == 1


def test_a_server_that_is_away_orphans_nobody(served):
    served.text("/one.yaml", text(document(name="one")))
    location = registering.register("url", f"{served.url}/one.yaml", actor=ACTOR)
    served.json("/one.yaml", {}, status=500)
    again(location)
    assert (location.state, held()) == ("failed", ["one"])
    assert again(location).unchanged
    served.json("/one.yaml", {}, status=404)
    again(location)
    own = located(location.entity_ref.rpartition("/")[2], "location")
    assert own.status[0]["message"] == (
        f"NotFoundError: Unable to read url, no matching files found for {served.url}/one.yaml"
    )
    assert held() == ["one"]


def test_a_host_that_is_away_is_asked_three_times_in_a_round(served):
    for number in range(6):
        served.text(f"/{number}.yaml", text(document(name=f"c{number}")))
        registering.register("url", f"{served.url}/{number}.yaml", actor=ACTOR)
    for number in range(6):
        served.json(f"/{number}.yaml", {}, status=503)
    served.calls.clear()
    Location.objects.update(next_refresh_at=timezone.now())
    assert refresh.refresh_due() == 6
    assert len(served.calls) == 3 * 2  # each with one further try
    assert set(Location.objects.values_list("state", flat=True)) == {"failed"}
    assert len(held()) == 6


def test_what_lost_its_file_with_its_location_is_an_orphan(files):
    location = register(files.write("a.yaml", document()))
    location.delete()
    assert held() == ["orders"]
    orphans.sweep_orphans()
    assert held() == []


def test_a_trial_tells_what_would_come_and_every_problem(served):
    served.text("/one.yaml", text(document(name="one")))
    target = f"{served.url}/one.yaml"
    found = registering.dry_run("url", target, actor=ACTOR)
    assert not found.exists
    assert found.location.entity_ref == registering.entity_ref_of("url", target)
    annotations = {
        "backstage.io/managed-by-location": f"url:{target}",
        "backstage.io/managed-by-origin-location": f"url:{target}",
        "backstage.io/view-url": target,
    }
    assert [one["metadata"] for one in found.entities] == [
        {
            "name": found.location.entity_ref.rpartition("/")[2],
            "namespace": "default",
            "annotations": annotations,
        },
        {"namespace": "default", "name": "one", "annotations": annotations},
    ]
    served.text("/one.yaml", text(document(name="one", owner=""), document(name="bad name")))
    with pytest.raises(InvalidInput) as error:
        registering.dry_run("url", target, actor=ACTOR)
    assert [one["field"] for one in error.value.details["problems"]] == [
        "spec.owner",
        "metadata.name",
    ]
    assert not Location.objects.exists()
    assert not LocatedEntity.objects.exists()


# --- the schedule -----------------------------------------------------------------------------


def test_a_round_costs_the_same_however_many_locations_did_not_change(files):
    for number in range(12):
        register(files.write(f"{number}.yaml", document(name=f"c{number}")))

    def statements():
        Location.objects.update(next_refresh_at=timezone.now())
        with CaptureQueriesContext(connection) as queries:
            assert refresh.refresh_due() == 12
        return [one["sql"].split()[0] for one in queries]

    assert statements() == ["SELECT", "UPDATE", "SELECT"]
    files.write("7.yaml", document(name="c7", lifecycle="new"))
    assert len(statements()) > 3
    assert Entity.objects.get(identifier="c7").properties["lifecycle"] == "new"
    assert refresh.refresh_due() == 0


def test_one_that_fails_is_asked_less_and_less_often_and_stops_nobody(files):
    register(files.folder / "no.yaml")
    good = register(files.write("a.yaml", document()))
    now = timezone.now()
    Location.objects.filter(state="failed").update(
        changed_at=now - refresh.LONGEST_BACK_OFF, next_refresh_at=now
    )
    Location.objects.filter(pk=good.pk).update(next_refresh_at=now)
    assert refresh.refresh_due() == 2
    waits = {one.state: one.next_refresh_at - now for one in Location.objects.all()}
    assert waits["failed"] >= refresh.LONGEST_BACK_OFF
    assert waits["ready"].total_seconds() < 200


def test_a_push_makes_those_due_that_it_concerns(files):
    api = document("API", "pets", type="openapi", lifecycle="x", owner="o")
    api["spec"]["definition"] = {"$text": "./spec.txt"}
    (files.folder / "spec.txt").write_text("one")
    register(files.write("api.yaml", api))
    register(files.write("more.yaml", document("Location", "m", targets=["./sub/*.yaml"])))
    register(files.write("other.yaml", document()))

    def made_due(*names):
        due.refresh_places([files.place(name) for name in names])
        rows = Location.objects.filter(next_refresh_at__lte=timezone.now())
        found = sorted(Path(one.target).name for one in rows)
        Location.objects.update(next_refresh_at=None)
        return found

    Location.objects.update(next_refresh_at=None)
    assert made_due("spec.txt") == ["api.yaml"]
    assert made_due("sub/new.yaml") == ["more.yaml"]
    assert made_due("other.yaml", "nothing.yaml") == ["other.yaml"]
    assert made_due("nothing.yaml") == []


def test_whoever_comes_second_walks_again(files, monkeypatch):
    location = register(files.write("a.yaml", document(name="a")))
    files.write("a.yaml", document(name="b"))
    claim, calls = writing._Refresh._claim, []

    def claimed(self, now):
        calls.append(now)
        if len(calls) == 1:  # somebody else is quicker
            refresh.refresh(location)
        claim(self, now)

    monkeypatch.setattr(writing._Refresh, "_claim", claimed)
    again(location)
    assert held() == ["b"]


# --- pushes -----------------------------------------------------------------------------------


def github_push(**body):
    repository = {"html_url": "https://github.com/acme/shop", "default_branch": "main"}
    return Event(
        {"x-github-event": "push"},
        {},
        json.dumps({"ref": "refs/heads/main", "repository": repository, **body}).encode(),
    )


def test_a_push_names_places_in_every_form():
    commits = [{"added": ["a b.yaml"], "removed": [], "modified": []}]
    push = pushes.read("github", github_push(commits=commits))
    assert push.below == ()
    for place in (
        "url:https://github.com/acme/shop/blob/main/a%20b.yaml",
        "url:https://github.com/acme/shop/tree/main/a b.yaml",
        "url:https://github.com/acme/shop/raw/HEAD/a%20b.yaml",
        "url:https://raw.githubusercontent.com/acme/shop/main/a%20b.yaml",
    ):
        assert place in push.places
    project = {"web_url": "https://gitlab.example/g/s/p", "default_branch": "main"}
    body = {"ref": "refs/heads/fix/a", "project": project, "total_commits_count": 1}
    event = Event(
        {"x-gitlab-event": "Push Hook"}, {}, json.dumps({**body, "commits": commits}).encode()
    )
    assert "url:https://gitlab.example/g/s/p/-/blob/fix/a/a b.yaml" in (
        pushes.read("gitlab", event).places
    )


@pytest.mark.parametrize(
    "event",
    [
        Event({"x-github-event": "issues"}, {}, b"{}"),
        Event({"x-github-event": "push"}, {}, b"[]"),
        Event({"x-github-event": "push"}, {}, b"no"),
        github_push(repository=None),
        github_push(commits=[1]),
        github_push(commits=1),
        github_push(ref=1),
    ],
)
def test_what_is_no_push_names_nothing(event):
    push = pushes.read("github", event)
    assert push is None or push.places == ()


def test_a_forced_push_concerns_the_whole_branch():
    place = "https://github.com/acme/shop/blob/main/deep/catalog-info.yaml"
    other = "https://github.com/acme/shop2/blob/main/catalog-info.yaml"
    for target in (place, other):
        registering.register("url", target, actor=ACTOR)
    Location.objects.update(next_refresh_at=None)
    assert pushes.heed("github", github_push(forced=True)) == 1
    assert Location.objects.get(next_refresh_at__isnull=False).target == place
