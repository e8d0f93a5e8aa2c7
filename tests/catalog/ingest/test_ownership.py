"""What a source no longer has: deleted with care, held, brought back; and never anybody else's."""

import pytest

from catalog.ingest import ownership
from catalog.ingest.integrations import delete_source
from catalog.ingest.ownership import delete_held, ignore_held, undo_deletions
from catalog.ingest.writing import note_seen
from catalog.kernel.errors import Conflict
from catalog.models import Change, Entity, Integration, Owned, SyncRun
from catalog.services import entities
from catalog.services.entities import ItemResult, Status
from tests.catalog.ingest import toy as toys
from tests.catalog.ingest.test_runner import identifiers
from tests.catalog.ingest.toy import make_source, named, now_has, resource, sync, toy_mapping
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]

State = SyncRun.State


def names(count):
    return [f"r{n}" for n in range(count)]


def test_what_is_gone_from_the_source_is_deleted():
    make_blueprint("repo")
    source = make_source(repo=named("a", "b", "c", "d"))
    make_entity("repo", "of-somebody-else")
    sync(source)
    now_has(source, repo=named("a", "b", "c"))
    run = sync(source)
    assert identifiers() == ["a", "b", "c", "of-somebody-else"]
    assert (run.state, run.stale["state"], run.stale["deleted"]) == (State.SUCCEEDED, "deleted", 1)
    assert run.stale["reason"] == "1 of 4 entities of repo are gone from the source."
    deleted = Change.objects.get(model=Change.ENTITY, action="delete")
    assert (deleted.actor, deleted.run, deleted.identifier) == ("toys", run.name, "d")


@pytest.mark.parametrize(
    ("known", "gone", "threshold", "is_held"),
    [
        (1, 1, 0.5, False),
        (2, 1, 0.5, False),
        (2, 2, 0.5, True),
        (3, 1, 0.1, False),
        (3, 2, 0.5, True),
        (4, 2, 0.5, False),
        (13, 12, 0.9, True),
        (13, 13, 1, False),
        (3, 1, 0, True),
    ],
)
def test_more_than_the_threshold_is_held(known, gone, threshold, is_held):
    make_blueprint("repo")
    mapping = toy_mapping("repo", entityDeletionThreshold=threshold)
    source = make_source(mapping=mapping, repo=named(*names(known)))
    sync(source)
    # what is new is no measure of what was there
    now_has(source, repo=named(*names(known)[gone:], *(f"new{n}" for n in range(30))))
    run = sync(source)
    left = set(names(known)) & set(identifiers())
    assert run.stale["state"] == ("held" if is_held else "deleted")
    assert len(left) == (known if is_held else known - gone)


def test_what_is_held_waits_for_a_person():
    make_blueprint("repo")
    source = make_source(repo=named(*names(13)))
    sync(source)
    now_has(source, repo=named("r0"))
    run = sync(source)
    assert run.state == State.SUCCEEDED
    assert run.stale["reason"] == (
        "12 of 13 entities of repo are gone from the source, more than the 50% that are deleted "
        "without asking."
    )
    assert (run.stale["found"], len(run.stale["sample"])) == (12, 12)
    # one of them comes back before anybody decides
    now_has(source, repo=named("r0", "r5"))
    sync(source)
    assert delete_held(run, actor=ACTOR) == 11
    assert identifiers() == ["r0", "r5"]
    assert run.stale["state"] == "deleted"
    assert "tester@example.com had 11 of them deleted." in run.stale["reason"]
    with pytest.raises(Conflict, match="holds nothing back"):
        delete_held(run, actor=ACTOR)


def test_what_is_held_can_be_left():
    make_blueprint("repo")
    source = make_source(repo=named(*names(4)))
    sync(source)
    now_has(source, repo=named())
    run = sync(source)
    ignore_held(run, actor=ACTOR)
    assert (run.stale["state"], len(identifiers())) == ("ignored", 4)
    # it is still gone, so the next run says so again
    assert sync(source).stale["state"] == "held"


def test_a_deletion_can_be_undone():
    make_blueprint("repo", properties={"tier": {"type": "string"}})
    source = make_source(repo=named("a", "b", "c"))
    sync(source)
    entities.apply(
        [entities.EntityDraft("repo", "c", properties={"tier": "gold"})], mode="merge", actor=ACTOR
    )
    now_has(source, repo=named("a", "b"))
    run = sync(source)
    assert identifiers() == ["a", "b"]
    assert undo_deletions(run, actor=ACTOR) == 1
    assert Entity.objects.get(identifier="c").properties == {"tier": "gold"}
    assert run.stale["restored"] == 1
    # It stays while the source says nothing of it …
    assert sync(source).stale["deleted"] == 0
    assert identifiers() == ["a", "b", "c"]
    # … and is the source's own again once it was seen.
    now_has(source, repo=named("a", "b", "c"))
    sync(source)
    now_has(source, repo=named("a", "b"))
    assert sync(source).stale["deleted"] == 1
    with pytest.raises(Conflict, match="Nothing was deleted"):
        undo_deletions(sync(source), actor=ACTOR)


def test_what_a_source_found_is_not_its_to_delete():
    make_blueprint("repo")
    make_entity("repo", "mine", title="Mine")
    source = make_source(repo=named("mine", "its"))
    sync(source)
    assert dict(Owned.objects.values_list("entity__identifier", "is_creator")) == {
        "mine": False,
        "its": True,
    }
    now_has(source, repo=named())
    run = sync(source)
    assert identifiers() == ["mine"]
    assert (run.stale["deleted"], run.stale["released"]) == (1, 1)
    assert "Not deleted since others made them or have them too: 1." in run.stale["reason"]
    assert not Owned.objects.exists()


def test_the_last_of_several_owners_deletes():
    make_blueprint("repo")
    one = make_source("one", repo=named("shared"))
    two = make_source("two", repo=named("shared"))
    sync(one)
    sync(two)
    now_has(one, repo=named())
    assert sync(one).stale["released"] == 1
    assert identifiers() == ["shared"]
    now_has(two, repo=named())
    assert sync(two).stale["deleted"] == 1
    assert identifiers() == []


def test_an_entity_of_two_kinds_goes_with_the_last_one():
    make_blueprint("repo")
    mapping = {"resources": [resource("repo"), resource("issue", blueprint="repo")]}
    source = make_source(mapping=mapping, repo=named("a", "x"), issue=named("a", "y"))
    sync(source)
    now_has(source, repo=named("x"))
    sync(source)
    assert identifiers() == ["a", "x", "y"]
    now_has(source, issue=named("y", fail_page=1))
    sync(source)
    assert identifiers() == ["a", "x", "y"]
    now_has(source, issue=named("y"))
    assert sync(source).stale["deleted"] == 1
    assert identifiers() == ["x", "y"]


def test_what_was_written_live_meanwhile_stays():
    make_blueprint("repo")
    source = make_source(repo=named("a", "b", "c", "live"))
    sync(source)
    now_has(source, repo=named("a", "b", "c"))

    def live(_kind, _number):
        pk = Entity.objects.get(identifier="live").pk
        item = ItemResult(0, "repo", "live", Status.UNCHANGED, pk=pk)
        note_seen([item], integration=source, kind="repo", run=None)

    toys.on_page.append(live)
    assert sync(source).stale["state"] == "none"
    assert "live" in identifiers()
    toys.on_page.clear()
    assert sync(source).stale["deleted"] == 1


def test_what_is_refused_or_cannot_be_told_apart_is_not_gone():
    make_blueprint("repo", properties={"n": {"type": "number"}})
    mapping = {
        "resources": [
            resource(
                "repo", identifier='.name | ltrimstr("x") | ascii_downcase', properties={"n": ".n"}
            )
        ]
    }
    source = make_source(
        mapping=mapping, repo={"items": [{"name": name, "n": 1} for name in "abcdefgh"]}
    )
    sync(source)
    items = [{"name": name, "n": 1} for name in "bcdefg"]
    # "a" has a wrong value now; something is there whose name cannot be told: perhaps "h"
    now_has(source, repo={"items": [{"name": "a", "n": "x"}, *items, {"name": 8}]})
    run = sync(source)
    assert identifiers() == list("abcdefgh")
    assert run.stale["state"] == "held"
    assert run.stale["reason"] == (
        "1 of 8 entities of repo are gone from the source, but 1 of its items failed, so it is "
        "not known which entities they stand for."
    )
    assert delete_held(run, actor=ACTOR) == 1
    assert identifiers() == list("abcdefg")


def test_a_kind_that_left_the_mapping_leaves_its_entities_to_be_confirmed():
    make_blueprint("repo")
    make_blueprint("team")
    source = make_source(repo=named("a", "b"), team=named("t", "u"))
    sync(source)
    source.mapping = toy_mapping("team")
    source.save()
    run = sync(source)
    assert run.stale["state"] == "held"
    assert run.stale["reason"] == (
        "Repo is no longer in the mapping, which leaves 2 entities behind, more than the 50% that "
        "are deleted without asking."
    )
    assert delete_held(run, actor=ACTOR) == 2
    assert (identifiers("repo"), identifiers("team")) == ([], ["t", "u"])


@pytest.mark.parametrize("goes_along", [True, False])
def test_dependents_go_along_only_where_the_mapping_lets_them(goes_along):
    make_blueprint("repo")
    relations = {"of": {"target": "repo", "title": "Of", "required": True}}
    make_blueprint("issue", relations=relations)
    mapping = toy_mapping("repo", deleteDependentEntities=goes_along)
    source = make_source(mapping=mapping, repo=named("a", "b", "c", "d"))
    sync(source)
    make_entity("issue", "i", relations={"of": "a"})
    now_has(source, repo=named("b", "c", "d"))
    run = sync(source)
    if goes_along:
        assert (identifiers("repo"), identifiers("issue")) == (["b", "c", "d"], [])
        assert undo_deletions(run, actor=ACTOR) == 2
        # the dependent was somebody else's, and still is
        assert list(Owned.objects.filter(kind="").values_list("entity__identifier", flat=True)) == [
            "a"
        ]
    else:
        assert (identifiers("repo"), identifiers("issue")) == (["a", "b", "c", "d"], ["i"])
        assert "Not deleted since other entities need them: 1." in run.stale["reason"]
        [line] = run.messages.filter(stage="delete")
        assert (line.identifier, line.level) == ("a", "warning")


def test_entities_that_need_each_other_go_together(monkeypatch):
    monkeypatch.setattr("catalog.selectors.stale.BATCH", 2)
    relations = {"of": {"target": "repo", "title": "Of", "required": True}}
    make_blueprint("repo")
    make_blueprint("issue", relations=relations)
    mapping = {
        "resources": [resource("repo"), resource("issue", relations={"of": ".of"})],
        "deleteDependentEntities": False,
        "entityDeletionThreshold": 1,
    }
    issues = [{"name": f"i{n}", "of": f"r{n}"} for n in range(5)]
    source = make_source(mapping=mapping, repo=named(*names(5)), issue={"items": issues})
    sync(source)
    now_has(source, repo=named(), issue=named())
    assert sync(source).stale["deleted"] == 10
    assert not Entity.objects.filter(blueprint__identifier__in=["repo", "issue"]).exists()


@pytest.mark.parametrize("with_entities", [True, False])
def test_a_source_goes_with_or_without_its_entities(with_entities):
    make_blueprint("team")
    make_blueprint("repo", relations={"owner": {"target": "team", "title": "Owner"}})
    mapping = {"resources": [resource("repo", relations={"owner": ".owner"})]}
    items = [{"name": "a", "owner": "core"}, {"name": "mine"}, {"name": "shared"}]
    make_entity("repo", "mine")
    source = make_source(mapping=mapping, repo={"items": items})
    other = make_source("other", repo=named("shared"))
    sync(source)
    sync(other)
    counts = delete_source(source, actor=ACTOR, delete_entities=with_entities)
    assert list(Integration.objects.values_list("identifier", flat=True)) == ["other"]
    if with_entities:
        assert counts == (2, 0)
        assert (identifiers("repo"), identifiers("team")) == (["mine", "shared"], [])
        # what it made and the other one has, too, is the other one's now
        assert list(Owned.objects.values_list("integration", "is_creator")) == [(other.pk, True)]
    else:
        assert counts == (0, 0)
        assert (identifiers("repo"), identifiers("team")) == (["a", "mine", "shared"], ["core"])


def test_owned_kinds_are_those_of_lists():
    make_blueprint("repo")
    source = make_source(repo=named("a"))
    sync(source)
    assert ownership.owned_kinds(source) == ["repo"]
