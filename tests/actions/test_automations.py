"""Automations: what starts them, what they are told, and what stops them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actions.automations import following, schedules, timers
from actions.models import Action, Firing, Run, Timer
from catalog import registry
from catalog.kernel import feed
from catalog.kernel.actors import Actor, Role
from catalog.models import Change
from catalog.services import derived, entities
from catalog.services.blueprints import patch_blueprint
from catalog.services.entities import EntityDraft, Mode, apply
from tests.catalog.following import as_row
from tests.factories import ACTOR, make_api, make_blueprint, make_browser

pytestmark = pytest.mark.django_db

TEXT = {"type": "string"}


class Feed:
    """Gives the consumer what is new, as the worker does."""

    def __init__(self):
        self.position = 0

    def rows(self):
        found = list(Change.objects.filter(id__gt=self.position).order_by("id"))
        self.position = found[-1].pk if found else self.position
        return [as_row(row) for row in found]

    def follow(self):
        following.follow(self.rows())


@pytest.fixture
def admin(db):
    make_blueprint(
        "service",
        properties={"tier": TEXT, "lease": {"type": "string", "format": "timer"}},
        relations={"uses": {"target": "service", "many": True}},
    )
    return make_api()


@pytest.fixture
def changes(admin):
    return Feed()


def automate(admin, event="ENTITY_CREATED", *expressions, combinator="and", **parts):
    """Make an automation; event: its type, or all of it."""
    if isinstance(event, str):
        event = {"type": event, "blueprintIdentifier": "service"}
    condition = {"type": "JQ", "expressions": list(expressions), "combinator": combinator}
    trigger = {"type": "automation", "event": event}
    answer = admin.post(
        "/v1/actions",
        {
            "identifier": f"a{Action.objects.count()}",
            "trigger": {**trigger, **({"condition": condition} if expressions else {})},
            "invocationMethod": {"type": "WEBHOOK", "url": "https://hooks.example.com"},
            **parts,
        },
    )
    assert answer.status_code == 201, answer.json()
    return Action.objects.get(identifier=answer.json()["action"]["identifier"])


def put(identifier, *, run="", actor=ACTOR, **properties):
    draft = EntityDraft("service", identifier, properties=properties)
    [item] = apply([draft], mode=Mode.MERGE, actor=actor, run=run).items
    assert item.error is None, item.error


def outcomes(action):
    return list(
        Firing.objects.filter(action=action).order_by("pk").values_list("outcome", "reason")
    )


STARTED = ("STARTED", "")


def test_automations_hear_what_they_listen_to(admin, changes):
    put("before")
    made, updated, gone, any_, off = (
        automate(admin, "ENTITY_CREATED"),
        automate(admin, "ENTITY_UPDATED"),
        automate(admin, "ENTITY_DELETED"),
        automate(admin, "ANY_ENTITY_CHANGE"),
        automate(admin, "ANY_ENTITY_CHANGE", publish=False),
    )
    other = automate(admin, {"type": "ENTITY_CREATED", "blueprintIdentifier": "_team"})
    put("pay", tier="gold")
    put("pay", tier="tin")
    entities.rename("service", "pay", "payments", actor=ACTOR)
    entities.delete([("service", "payments")], actor=ACTOR)
    changes.follow()
    counts = [len(outcomes(one)) for one in (made, updated, gone, any_, off, other)]
    assert counts == [1, 2, 1, 4, 0, 0]
    diffs = [one.event["diff"] for one in Firing.objects.filter(action=any_).order_by("pk")]
    before, after = diffs[1]["before"], diffs[1]["after"]
    assert diffs[0] == {"before": None, "after": {**before, **_signed(diffs[0]["after"])}}
    assert before["properties"] == {"tier": "gold"}
    assert after["properties"] == {"tier": "tin"}
    assert (before["relations"], before["blueprint"]) == ({"uses": []}, "service")
    assert (diffs[2]["before"]["identifier"], diffs[2]["after"]["identifier"]) == (
        "pay",
        "payments",
    )
    assert diffs[3]["after"] is None
    assert diffs[3]["before"]["properties"] == {"tier": "tin"}
    run = Run.objects.get(action=made)
    event = Firing.objects.get(action=made).event
    assert run.event == event
    assert (run.source, run.depth, run.trigger["operation"]) == ("AUTOMATION", 0, "CREATE")
    assert event["context"] == {
        "blueprintIdentifier": "service",
        "entityIdentifier": "pay",
        "propertyIdentifier": None,
    }
    assert event["trigger"]["by"]["user"] == {"email": ACTOR.name}


def _signed(document):
    return {key: document[key] for key in ("updatedAt", "updatedBy") if key in document}


def test_what_was_is_told_of_whatever_came_later(admin, changes):
    """The entity may have changed again, or be gone, when the consumer comes by."""
    any_ = automate(admin, "ANY_ENTITY_CHANGE")
    for tier in ("a", "b", "c"):
        put("pay", tier=tier)
    rows = changes.rows()
    put("pay", tier="later")
    entities.delete([("service", "pay")], actor=ACTOR)
    following.follow(rows[:2])
    following.follow(rows[2:])
    told = [
        tuple((side or {}).get("properties", {}).get("tier") for side in (d["before"], d["after"]))
        for d in (one.event["diff"] for one in Firing.objects.filter(action=any_).order_by("pk"))
    ]
    assert told == [(None, "a"), ("a", "b"), ("b", "c")]
    following.follow(rows)  # the same rows again
    assert len(outcomes(any_)) == Run.objects.count() == 3


CREATED = ".diff.before == null"


@pytest.mark.parametrize(
    ("_case", "expressions", "combinator", "expected"),
    [
        ("it holds", ['.diff.after.properties.tier == "gold"'], "and", STARTED),
        ("it does not", ['.diff.after.properties.tier == "tin"'], "and", None),
        ("all", [CREATED, ".diff.after.title"], "and", None),
        ("any", [CREATED, ".diff.after.title"], "or", STARTED),
        ("a value is as good as true", [".diff.after.identifier"], "and", STARTED),
        ("one fails, another says no", ["error", "false"], "and", None),
        ("one fails, another says yes", ["error", CREATED], "or", STARTED),
        ("one fails", [CREATED, '"x" | tonumber'], "and", "Expression 2 of the condition failed:"),
        ("all fail", ['error("no way")'], "or", "Expression 1 of the condition failed: no way"),
    ],
)
def test_conditions(admin, changes, _case, expressions, combinator, expected):
    action = automate(admin, "ENTITY_CREATED", *expressions, combinator=combinator)
    put("pay", tier="gold")
    changes.follow()
    found = outcomes(action)
    if isinstance(expected, str):
        [(outcome, reason)] = found
        assert outcome == "FAILED"
        assert expected in reason
        assert not Run.objects.exists()
    else:
        assert found == ([expected] if expected else [])


EVENT = {"type": "ENTITY_CREATED", "blueprintIdentifier": "service"}
JQ = {"type": "JQ", "combinator": "and"}


@pytest.mark.parametrize(
    ("trigger", "field"),
    [
        ({"event": "ENTITY_CREATED"}, "trigger.event"),
        ({"event": {"type": "ENTITY_LOST"}}, "trigger.event.type"),
        ({"event": {"type": "ENTITY_CREATED"}}, "trigger.event.blueprintIdentifier"),
        ({"event": {"type": "RUN_CREATED"}}, "trigger.event.actionIdentifier"),
        ({"event": {"type": "SCHEDULE"}}, "trigger.event.cron"),
        ({"event": {"type": "SCHEDULE", "cron": "0 0 30 2 *"}}, "trigger.event.cron"),
        (
            {"event": {"type": "SCHEDULE", "cron": "0 6 * * 1", "timezone": "Mars"}},
            "trigger.event.timezone",
        ),
        (
            {
                "event": {
                    **EVENT,
                    "type": "TIMER_PROPERTY_EXPIRED",
                    "propertyIdentifier": "tier",
                }
            },
            "trigger.event.propertyIdentifier",
        ),
        ({"event": EVENT, "condition": {"type": "SEARCH"}}, "trigger.condition"),
        ({"event": EVENT, "condition": {**JQ, "expressions": {}}}, "trigger.condition.expressions"),
        (
            {"event": EVENT, "condition": {**JQ, "combinator": "nor", "expressions": ["1"]}},
            "trigger.condition.combinator",
        ),
        (
            {"event": EVENT, "condition": {**JQ, "expressions": [".a |"]}},
            "trigger.condition.expressions[0]",
        ),
    ],
)
def test_triggers_that_could_not_work_are_refused(admin, trigger, field):
    method = {"type": "WEBHOOK", "url": "https://hooks.example.com"}
    body = {"identifier": "a", "trigger": {"type": "automation", **trigger}}
    answer = admin.post("/v1/actions", {**body, "invocationMethod": method})
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)


def test_loops_end(admin, changes):
    """Each run changes the entity again: after so many runs in a row nothing more is started."""
    action = automate(admin, "ANY_ENTITY_CHANGE")
    put("pay", tier="0")
    for n in range(1, 9):
        changes.follow()
        newest = Run.objects.order_by("-pk").first()
        put("pay", tier=str(n), run=newest.identifier)
    found = [outcome for outcome, _ in outcomes(action)]
    assert found == ["STARTED"] * 6 + ["STOPPED"] * 2
    assert list(Run.objects.order_by("pk").values_list("depth", flat=True)) == [*range(6)]
    assert "6 runs stand behind this event" in outcomes(action)[-1][1]


def test_loops_over_computed_values_end(admin, changes):
    """A computed value has no author; the run behind it is that of the change it follows."""
    patch_blueprint(
        "service",
        {"calculationProperties": {"copy": {"calculation": ".properties.tier", "type": "string"}}},
        actor=ACTOR,
    )
    differs = ".diff.before.properties.copy != .diff.after.properties.copy"
    action = automate(admin, "ENTITY_UPDATED", differs)
    put("pay", tier="0")
    run = ""
    for n in range(1, 10):
        put("pay", tier=str(n), run=run)
        derived.mark_all()
        while derived.refresh_stale() is not None:
            pass
        changes.follow()
        run = Run.objects.order_by("-pk").first().identifier
    assert {outcome for outcome, _ in outcomes(action)[-2:]} == {"STOPPED"}
    assert Run.objects.order_by("-depth").first().depth == 5


def test_one_entity_starts_so_many_runs_a_minute(admin, changes):
    action = automate(admin, "ENTITY_UPDATED")
    put("pay")
    event = {"context": {"blueprintIdentifier": "service", "entityIdentifier": "pay"}}
    Firing.objects.bulk_create(
        Firing(action=action, change=f"x{n}", event=event, outcome="STARTED", at=timezone.now())
        for n in range(99)
    )
    put("pay", tier="a")
    put("pay", tier="b")
    put("other")
    put("other", tier="c")
    changes.follow()
    assert [one[0] for one in outcomes(action)[99:]] == ["STARTED", "STOPPED", "STARTED"]
    assert "100 runs for this entity within a minute" in outcomes(action)[100][1]


def test_the_number_of_statements_does_not_grow_with_a_batch(admin, changes):
    """10,000 imported entities and one automation: nothing is asked for each of them."""
    automate(admin, "ANY_ENTITY_CHANGE", '.diff.after.properties.tier == "none"')
    counts = []
    for size in (10, 500):
        drafts = [EntityDraft("service", f"s{size}-{n}", properties={}) for n in range(size)]
        apply(drafts, mode=Mode.CREATE, actor=ACTOR)
        rows = changes.rows()
        with CaptureQueriesContext(
            connection,
        ) as captured:
            following.follow(rows)
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 8


def test_runs_are_events_too(admin, changes):
    created = automate(admin, "ENTITY_CREATED")
    ended = automate(
        admin,
        {"type": "RUN_UPDATED", "actionIdentifier": created.identifier},
        '.diff.before.status == "IN_PROGRESS" and .diff.after.status == "FAILURE"',
    )
    any_ = automate(admin, {"type": "ANY_RUN_CHANGE", "actionIdentifier": created.identifier})
    put("pay")
    changes.follow()
    run = Run.objects.get(action=created)
    if run.status == "IN_PROGRESS":
        admin.patch(f"/v1/actions/runs/{run.identifier}", {"status": "FAILURE", "summary": "no"})
    changes.follow()
    [firing] = Firing.objects.filter(action=ended)
    assert firing.event["context"]["runId"] == run.identifier
    assert firing.event["diff"]["before"]["endedAt"] is None
    assert firing.event["diff"]["after"]["action"]["identifier"] == created.identifier
    assert firing.run.depth == 1
    assert len(outcomes(any_)) == 2


def test_timers_run_out_once(admin, changes):
    now = timezone.now()
    action = automate(
        admin,
        {
            "type": "TIMER_PROPERTY_EXPIRED",
            "blueprintIdentifier": "service",
            "propertyIdentifier": "lease",
        },
    )
    past, soon, late = (now + timedelta(hours=h) for h in (-24, 1, 5))
    for name in ("a", "b", "c", "d", "past"):
        put(name, lease=(past if name == "past" else soon).isoformat())
    put("none", tier="x")
    changes.follow()
    assert Timer.objects.count() == 4
    put("b", lease=late.isoformat())
    put("c", lease=None)
    changes.follow()
    kept = Timer.objects.values_list("entity__identifier", "expires_at").order_by("entity")
    assert list(kept) == [("a", soon), ("b", late), ("d", soon)]
    put("d", lease=late.isoformat())  # the consumer has not come by yet
    assert timers.fire_expired(now) == 0
    assert timers.fire_expired(soon) == 2
    assert timers.fire_expired(soon) == 0
    [firing] = Firing.objects.filter(action=action)
    assert firing.event["context"] == {
        "blueprintIdentifier": "service",
        "entityIdentifier": "a",
        "propertyIdentifier": "lease",
    }
    assert firing.event["diff"]["after"]["properties"]["lease"] == soon.isoformat()
    entities.delete([("service", "b")], actor=ACTOR)
    changes.follow()
    assert list(Timer.objects.values_list("entity__identifier", flat=True)) == ["d"]
    schema = {"properties": {"lease": TEXT}}
    patch_blueprint("service", {"schema": schema}, actor=ACTOR)
    changes.follow()
    assert not Timer.objects.exists()
    schema = {"properties": {"lease": {**TEXT, "format": "timer"}}}
    patch_blueprint("service", {"schema": schema}, actor=ACTOR)
    changes.follow()
    assert Timer.objects.count() == 2  # "a" and "d", of which both are still to come


def test_schedules(admin):
    event = {"type": "SCHEDULE", "cron": "0 6 * * 1", "timezone": "Europe/Berlin"}
    action = automate(admin, event)
    assert action.scheduled_at > timezone.now()
    assert action.scheduled_at.weekday() == 0
    assert action.scheduled_at.hour in (4, 5)
    assert schedules.fire_due(timezone.now()) == 0
    due = datetime(2030, 7, 1, 4, tzinfo=UTC)
    Action.objects.update(scheduled_at=due)
    assert schedules.fire_due(due + timedelta(days=20)) == 1  # one for all that were missed
    action.refresh_from_db()
    assert action.scheduled_at == datetime(2030, 7, 22, 4, tzinfo=UTC)
    assert outcomes(action) == [STARTED]
    assert Run.objects.get().event["trigger"]["at"] == "2030-07-01T04:00:00.000Z"


def test_other_apps_bring_events(admin, changes):
    kind = registry.EventKind(
        name="LEVEL_CHANGED",
        title="A level changed",
        model="level",
        required=("scorecardIdentifier",),
        read=lambda rows: [
            registry.Happening(
                row,
                {"scorecardIdentifier": row.identifier},
                {
                    "resourceType": "scorecard",
                    "context": {"blueprintIdentifier": "service", "entityIdentifier": "pay"},
                    "diff": {"before": row.before, "after": row.after},
                },
            )
            for row in rows
        ],
    )
    registry.register_event_kind(kind)
    try:
        action = automate(
            admin,
            {"type": "LEVEL_CHANGED", "scorecardIdentifier": "prod"},
            '.diff.after.level == "Gold"',
        )
        for scorecard, level in (("prod", "Gold"), ("prod", "Tin"), ("other", "Gold")):
            record = feed.Record("update", "level", scorecard, before={}, after={"level": level})
            feed.record([record], actor=Actor.system("scorecards"), at=timezone.now())
        changes.follow()
        changes.position = 0
        changes.follow()
    finally:
        del registry.event_kinds["LEVEL_CHANGED"]
    assert outcomes(action) == [STARTED]


def test_the_history_is_for_admins(admin, changes):
    action = automate(admin, "ENTITY_CREATED", '.diff.after.title | test("x")', combinator="or")
    automate(admin, "ENTITY_CREATED")
    put("pay")
    put("shop")
    changes.follow()
    url = f"/v1/actions/{action.identifier}/firings"
    page = admin.get(url, {"limit": 1}).json()
    [first] = page["firings"]
    assert (first["outcome"], first["runId"]) == ("FAILED", None)
    assert first["event"]["context"]["entityIdentifier"] == "shop"
    rest = admin.get(url, {"from": page["next"]}).json()
    assert [one["event"]["context"]["entityIdentifier"] for one in rest["firings"]] == ["pay"]
    assert rest["next"] is None
    assert admin.get(url, {"outcome": "STARTED"}).json()["firings"] == []
    assert admin.get(url, {"outcome": "LOST"}).status_code == 400
    assert make_api(Role.MEMBER).get(url).status_code == 403

    browser = make_browser(role=Role.ADMIN)
    listed = browser.get("/admin/actions/firing/", {"outcome": "FAILED"}).content.decode()
    assert "create service shop" in listed
    assert "create service pay" in listed
    detail = browser.get(
        f"/admin/actions/firing/{Firing.objects.order_by('pk').first().pk}/change/"
    )
    assert "of the condition failed" in detail.content.decode()
    assert make_browser().get("/admin/actions/firing/").status_code in (302, 403)
