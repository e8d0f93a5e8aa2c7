"""Whole syncs of a toy source: what comes in, what is said of what does not, what stays flat."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.ingest import runs
from catalog.ingest.runner import run_sync
from catalog.ingest.runs import request_sync
from catalog.kernel.errors import Conflict, InvalidInput
from catalog.models import Change, Entity, KindExample, Owned, Postponed, SyncMessage, SyncRun
from tests.catalog.ingest import toy as toys
from tests.catalog.ingest.toy import (
    make_source,
    named,
    now_has,
    resource,
    sync,
    toy_mapping,
)
from tests.factories import make_blueprint, make_entity

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]

State = SyncRun.State


def identifiers(blueprint="repo"):
    rows = Entity.objects.filter(blueprint__identifier=blueprint)
    return sorted(rows.values_list("identifier", flat=True))


def lines(run, **facts):
    return list(SyncMessage.objects.filter(run=run, **facts).values_list("message", flat=True))


def test_a_sync_brings_in_what_the_source_has():
    make_blueprint("repo")
    source = make_source(repo=named("a", "b", "c", page_size=2))
    run = sync(source)
    assert run.state == State.SUCCEEDED
    assert identifiers() == ["a", "b", "c"]
    [entry] = run.kinds
    assert (entry["state"], entry["pages"], entry["fetched"]) == ("done", 2, 3)
    assert run.totals["created"] == 3
    created = Change.objects.filter(model=Change.ENTITY, action="create")
    assert {(one.actor_kind, one.actor, one.run) for one in created} == {
        ("integration", "toys", run.name)
    }
    assert Entity.objects.get(identifier="a").datasource == "idp/toy/toys"
    assert set(Owned.objects.values_list("kind", "is_creator", "run")) == {("repo", True, run.pk)}


def test_a_second_sync_writes_nothing():
    make_blueprint("repo")
    source = make_source(repo=named("a", "b"))
    sync(source)
    before = list(Entity.objects.values_list("pk", "updated_at"))
    changes = Change.objects.count()
    run = sync(source)
    assert (run.totals["unchanged"], run.totals["created"], run.totals["updated"]) == (2, 0, 0)
    assert list(Entity.objects.values_list("pk", "updated_at")) == before
    assert Change.objects.count() == changes
    assert run.stale["state"] == "none"
    assert run.stale["reason"] == "Everything that is known is still there."


def test_statements_do_not_grow_with_the_page():
    make_blueprint("repo", properties={"n": {"type": "number"}})
    mapping = {"resources": [resource("repo", properties={"n": ".n"})]}

    def statements(count, pages):
        name = f"s{count}-{pages}"
        world = {"count": count, "page_size": count // pages, "prefix": name}
        source = make_source(name, mapping=mapping, repo=world)
        with CaptureQueriesContext(connection) as captured:
            sync(source)
        return len(captured)

    statements(10, 1)  # the shapes of blueprints are cached after the first
    assert statements(40, 1) == statements(400, 1) == 50
    per_page = (statements(80, 5) - statements(80, 1)) / 4
    assert per_page == 14


def test_what_goes_wrong_with_an_item_stops_nobody_else():
    make_blueprint("repo", properties={"n": {"type": "number"}})
    items = [
        {"name": "good", "n": 1, "token": "abc"},
        {"name": "bad type", "n": 2},
        {"name": "bad-value", "n": "two", "token": "abc", "said": "s3cret-token"},
        {"n": 4},
        {"name": "bad-field", "n": 5, "url": 3},
        {"name": "left-out", "n": 6, "archived": True},
    ]
    mapping = {
        "resources": [
            resource(
                "repo",
                query=".archived | not",
                properties={"n": ".n", "url": '.url | ltrimstr("x") | split("/")'},
            )
        ]
    }
    source = make_source(mapping=mapping, repo={"items": items})
    run = sync(source)
    assert run.state == State.PARTIAL
    assert identifiers() == ["bad-field", "good"]
    [entry] = run.kinds
    counts = {
        name: entry[name] for name in ("fetched", "filtered", "failed", "rejected", "created")
    }
    assert counts == {"fetched": 6, "filtered": 1, "failed": 1, "rejected": 2, "created": 2}
    wrong = SyncMessage.objects.get(run=run, identifier="bad-value", stage="apply")
    assert (wrong.level, wrong.blueprint, wrong.field) == ("error", "repo", "properties.n")
    assert "number" in wrong.message
    # the raw object is there, without what nobody may see
    assert wrong.item == {"name": "bad-value", "n": "two", "token": "***", "said": "***"}
    field = SyncMessage.objects.filter(run=run, field="properties.url", level="warning").last()
    assert field.details["expression"] == '.url | ltrimstr("x") | split("/")'
    assert "identifier" in lines(run, field="identifier")[0]


def test_text_that_the_database_cannot_hold_stops_nobody_else():
    make_blueprint("repo", properties={"n": {"type": "string"}})
    nul = '(if .name == "{}" then "\\u0000" else "" end)'
    mapped = resource(
        "repo",
        identifier=f".name + {nul.format('name')}",
        properties={"n": f'"x" + {nul.format("value")}'},
    )
    mapped["port"]["entity"]["mappings"]["blueprint"] = f'"repo" + {nul.format("kind")}'
    source = make_source(
        mapping={"resources": [mapped]}, repo=named("good", "name", "kind", "value")
    )
    run = sync(source)
    assert (run.state, run.kinds[0]["rejected"], identifiers()) == (State.PARTIAL, 3, ["good"])


def test_lines_about_items_are_capped(monkeypatch):
    monkeypatch.setattr("catalog.ingest.messages.MAX_MESSAGES", 5)
    make_blueprint("repo", properties={"n": {"type": "number"}})
    items = [{"name": f"r{n}", "n": "x"} for n in range(9)]
    mapping = {"resources": [resource("repo", properties={"n": ".n"})]}
    run = sync(make_source(mapping=mapping, repo={"items": items}))
    assert (run.state, run.error) == (
        State.FAILED,
        "Nothing could be stored: 9 items or entities were refused. The log says why.",
    )
    assert len(lines(run, level="error")) == 5
    assert lines(run, level="warning") == ["4 more lines were left out; 5 are kept"]


@pytest.mark.parametrize(
    ("error", "state", "issue", "said"),
    [
        ("away", State.PARTIAL, "done", "503 from toy.example: try later"),
        ("forbidden", State.PARTIAL, "done", "403 from toy.example: not this list"),
        ("bug", State.PARTIAL, "done", "Unexpected answer, or a fault in Toy: KeyError: 'odd'"),
        ("refused", State.PARTIAL, "stopped", "401 from toy.example: bad token"),
    ],
)
def test_a_kind_that_fails_leaves_the_others_alone(error, state, issue, said):
    for name in ("team", "repo", "issue"):
        make_blueprint(name)
    seven = {"count": 70, "page_size": 10}
    source = make_source(team=named("t"), repo=seven, issue=named("i"))
    sync(source)
    now_has(source, repo={**seven, "fail_page": 3, "error": error}, issue=named("j"))
    run = sync(source)
    assert run.state == state
    team, repo, issues = run.kinds
    assert (team["state"], repo["state"], issues["state"]) == ("done", "failed", issue)
    assert (repo["message"], repo["fetched"]) == (said, 20)
    assert lines(run, level="error", stage="fetch", kind="repo") == [said]
    assert run.error == (said if error == "refused" else "")
    # of the half pass nothing is deleted, whatever the others do
    assert len(identifiers()) == 70
    assert identifiers("issue") == (["i"] if error == "refused" else ["j"])
    assert "repo" in run.stale["reason"]


def test_no_way_in_fails_the_run():
    make_blueprint("repo")
    source = make_source(repo=named("a"))
    sync(source)
    now_has(source, repo=named("a", fail_page=1, error="refused"))
    run = sync(source)
    assert (run.state, run.error_code) == (State.FAILED, "upstream_refused")
    assert run.error == "401 from toy.example: bad token"
    assert (run.stale["state"], identifiers()) == ("skipped", ["a"])


def test_secrets_and_settings_that_cannot_be_used_fail_the_run():
    make_blueprint("repo")
    source = make_source(repo=named("a"))
    source.settings = {**source.settings, "region": "${REGION}"}
    source.save()
    run = sync(source)
    assert run.state == State.FAILED
    assert "REGION" in run.error
    assert "settings.region" in run.error


def test_entities_come_in_whatever_order_they_name_each_other():
    make_blueprint("team", relations={"parent": {"target": "team", "title": "Parent"}})
    mapping = {
        "resources": [resource("team", relations={"parent": ".parent"})],
        "createMissingRelatedEntities": False,
    }
    # the worst order: each page names only what comes in the next one
    items = [{"name": f"t{n}", "parent": f"t{n + 1}"} for n in range(12)]
    items += [{"name": "t12"}, {"name": "orphan", "parent": "nobody"}]
    run = sync(make_source(mapping=mapping, team={"items": items, "page_size": 2}))
    assert run.state == State.PARTIAL
    assert len(identifiers("team")) == 13
    [entry] = run.kinds
    assert (entry["created"], entry["rejected"], entry["postponed"]) == (13, 1, 0)
    [line] = SyncMessage.objects.filter(run=run, level="error")
    assert (line.identifier, line.field) == ("orphan", "relations.parent")
    assert line.item == {"name": "orphan", "parent": "nobody"}
    assert not Postponed.objects.exists()


def test_missing_targets_are_made_where_the_mapping_says_so():
    make_blueprint("team")
    make_blueprint("repo", relations={"owner": {"target": "team", "title": "Owner"}})
    mapping = {"resources": [resource("repo", relations={"owner": ".owner"})]}
    source = make_source(mapping=mapping, repo={"items": [{"name": "a", "owner": "core"}]})
    run = sync(source)
    assert run.state == State.SUCCEEDED
    assert identifiers("team") == ["core"]
    # made by the source, and in none of its lists: it is never stale
    assert Owned.objects.get(entity__identifier="core").kind == ""
    assert sync(source).stale["state"] == "none"


def test_relations_and_names_may_be_found_by_search():
    make_blueprint("team", properties={"mail": {"type": "string"}})
    make_blueprint("repo", relations={"owner": {"target": "team", "title": "Owner"}})
    mapping = {
        "resources": [
            resource("team", properties={"mail": ".mail"}),
            resource(
                "repo",
                relations={
                    "owner": {
                        "combinator": '"and"',
                        "rules": [{"property": '"mail"', "operator": '"="', "value": ".by"}],
                    }
                },
            ),
        ]
    }
    source = make_source(
        mapping=mapping,
        team={"items": [{"name": "core", "mail": "core@x.example"}]},
        repo={
            "items": [{"name": "a", "by": "core@x.example"}, {"name": "b", "by": "no@x.example"}]
        },
    )
    assert sync(source).state == State.SUCCEEDED
    relations = dict(
        Entity.objects.filter(blueprint__identifier="repo").values_list("identifier", "relations")
    )
    assert relations == {"a": {"owner": "core"}, "b": {}}


def test_items_may_become_entities_of_several_kinds():
    make_blueprint("team")
    make_blueprint("repo")
    mapping = {
        "resources": [resource("repo", blueprint="repo"), resource("repo", blueprint="team")]
    }
    source = make_source(mapping=mapping, repo=named("a", "b"))
    run = sync(source)
    assert (identifiers("repo"), identifiers("team")) == (["a", "b"], ["a", "b"])
    assert run.totals["created"] == 4


def test_merge_keeps_what_the_mapping_does_not_say_and_replace_does_not():
    make_blueprint("repo", properties={"tier": {"type": "string"}})
    source = make_source(repo=named("a"))
    make_entity("repo", "a", title="Old", properties={"tier": "gold"})
    sync(source)
    entity = Entity.objects.get(identifier="a")
    assert (entity.title, entity.properties) == ("a", {"tier": "gold"})
    source.mapping = toy_mapping("repo", enableMergeEntity=False)
    source.save()
    sync(source)
    assert Entity.objects.get(identifier="a").properties == {}


def test_a_dry_run_tells_and_stores_nothing():
    make_blueprint("repo")
    source = make_source(repo=named("a", "b", "c", "gone"))
    sync(source)
    now_has(
        source,
        repo={
            "items": [{"name": "a"}, {"name": "b", "title": "B"}, {"name": "c"}, {"name": "new"}]
        },
    )
    before = list(Entity.objects.values_list("identifier", "title", "updated_at"))
    owned = list(Owned.objects.values_list("entity_id", "run", "seen_at"))
    changes = Change.objects.count()
    run = sync(source, is_dry_run=True)
    assert run.state == State.SUCCEEDED
    totals = {name: run.totals[name] for name in ("created", "updated", "unchanged")}
    assert totals == {"created": 1, "updated": 1, "unchanged": 2}
    assert (run.stale["state"], run.stale["found"]) == ("preview", 1)
    assert run.stale["sample"] == [{"blueprint": "repo", "identifier": "gone", "title": "gone"}]
    assert list(Entity.objects.values_list("identifier", "title", "updated_at")) == before
    assert list(Owned.objects.values_list("entity_id", "run", "seen_at")) == owned
    assert Change.objects.count() == changes


def test_examples_are_kept_with_secrets_masked():
    make_blueprint("repo")
    items = [{"name": f"r{n}", "password": "x", "note": "of s3cret-token"} for n in range(9)]
    source = make_source(repo={"items": items})
    for _ in range(2):
        sync(source)
    kept = list(KindExample.objects.values_list("kind", "data"))
    assert len(kept) == KindExample.KEPT
    assert kept[0] == ("repo", {"name": "r0", "password": "***", "note": "of ***"})


def test_only_the_kinds_that_were_asked_for():
    make_blueprint("repo")
    make_blueprint("team")
    source = make_source(repo=named("a"), team=named("t"))
    sync(source)
    now_has(source, repo=named("b"), team=named("u"))
    run = sync(source, only_kinds=["team"])
    assert [one["state"] for one in run.kinds] == ["skipped", "done"]
    assert (identifiers("repo"), identifiers("team")) == (["a"], ["u"])
    with pytest.raises(InvalidInput, match='has no kind "issue"; expected one of: repo, team'):
        request_sync(source, only_kinds=["issue"])


def test_one_run_waits_and_takes_up_what_is_asked_meanwhile():
    make_blueprint("repo")
    make_blueprint("team")
    source = make_source(repo=named("a"), team=named("t"))
    first = request_sync(source, only_kinds=["team"])
    again = request_sync(source, only_kinds=["repo"])
    assert (again.pk, again.only_kinds) == (first.pk, ["repo", "team"])
    assert request_sync(source).only_kinds == []
    with pytest.raises(Conflict, match="waits for its turn already"):
        request_sync(source, is_dry_run=True)
    # while it runs, another one may wait, and does not start
    assert runs.claim(first.pk) is not None
    second = request_sync(source)
    assert second.pk != first.pk
    assert runs.claim(second.pk) is None
    assert runs.startable() == []
    assert runs.claim(first.pk) is None


def test_a_run_can_be_cancelled_while_it_works():
    make_blueprint("repo")
    source = make_source(repo={"count": 50, "page_size": 10})
    run = request_sync(source)

    def cancel(_kind, number):
        if number == 3:
            runs.cancel(SyncRun.objects.get(pk=run.pk))

    toys.on_page.append(cancel)
    assert run_sync(run.pk) is False
    run.refresh_from_db()
    assert (run.state, run.stale["state"]) == (State.CANCELLED, "skipped")
    assert len(identifiers()) == 20
    with pytest.raises(Conflict, match="The run is over already: Cancelled"):
        runs.cancel(run)
    waiting = request_sync(source)
    assert runs.cancel(waiting).state == State.CANCELLED


@pytest.mark.parametrize(
    ("_case", "world", "pages"),
    [
        ("a page at a time", {"page_size": 10}, 5),
        ("in the middle of a page", {"page_size": 25}, 2),
        ("a source that knows no cursors", {"page_size": 25, "next": False}, 2),
    ],
)
def test_a_long_run_is_handed_over_and_goes_on_where_it_was(_case, world, pages, monkeypatch):
    monkeypatch.setattr("catalog.ingest.runner.BATCH", 10)
    make_blueprint("repo")
    source = make_source(repo={"count": 50, **world})
    run = request_sync(source)
    calls = 0
    while run_sync(run.pk, budget_s=0):
        calls += 1
        run.refresh_from_db()
        assert (run.state, run.claim, run.attempt) == (State.RUNNING, None, 1)
        assert run.totals["fetched"] == run.totals["created"] == Entity.objects.count()
    run.refresh_from_db()
    assert (run.state, calls) == (State.SUCCEEDED, 5 if pages == 5 else 6)
    totals = {name: run.totals[name] for name in ("pages", "fetched", "created", "unchanged")}
    assert totals == {"pages": pages, "fetched": 50, "created": 50, "unchanged": 0}


def test_imports_own_what_they_show():
    make_blueprint("repo")
    source = make_source("files", mapping={}, repo=named("a", "b", "c"))
    source.kind = "importer"
    source.save()
    run = sync(source)
    assert (run.state, run.totals["fetched"], run.totals["created"]) == (State.SUCCEEDED, 3, 3)
    assert set(Owned.objects.values_list("kind", "is_creator")) == {("importer", True)}
    now_has(source, repo=named("a", "b"))
    preview = sync(source, is_dry_run=True)
    assert (preview.stale["found"], identifiers()) == (1, ["a", "b", "c"])
    now_has(source, repo=named("a", "b", fail_page=1))
    assert sync(source).state == State.FAILED
    assert identifiers() == ["a", "b", "c"]
    now_has(source, repo=named("a", "b"))
    assert sync(source).stale["deleted"] == 1
    assert identifiers() == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"is_enabled": False}, '"toys" is off'),
        ({"runs_here": False}, '"toys" runs elsewhere'),
        ({"kind": "webhook"}, "takes live events only"),
    ],
)
def test_what_cannot_sync_says_why(change, said):
    source = make_source(repo=named("a"))
    for name, value in change.items():
        setattr(source, name, value)
    with pytest.raises(Conflict, match=said):
        request_sync(source)
