"""Initiatives: chosen entities, followed with each evaluation, looked back on day by day."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actions.models import Notification
from catalog.kernel.actors import Insider, Role
from catalog.models import Change, Entity
from catalog.services.entities import delete
from catalog.services.permissions import actor_of
from scorecards.models import Initiative, InitiativeDay, InitiativeItem
from scorecards.selectors.burndowns import burndown_of
from scorecards.selectors.exemptions import find_rule
from scorecards.selectors.initiatives import numbers_of
from scorecards.services import exemptions, initiatives, reminders
from tests.factories import ACTOR, make_api, make_blueprint, make_browser, make_entity, make_user
from tests.scorecards.goals import card, changed, evaluated, members_of

pytestmark = pytest.mark.django_db

URL = "/v1/initiatives"
TODAY = timezone.now().date()
NOW = timezone.now()


def on(days):
    return (TODAY + timedelta(days=days)).isoformat()


def at(days):
    return NOW + timedelta(days=days)


def goal(**parts):
    return {
        "title": "Silver for all",
        "scorecard": "ready",
        "level": "Silver",
        "targetOn": on(28),
        **parts,
    }


@pytest.fixture
def ready(db):
    make_blueprint("service", properties={"stars": {"type": "number"}, "docs": {"type": "string"}})
    make_entity("service", "pay", team=["core"], properties={"stars": 1})
    make_entity("service", "shop", team=["core", "web"], properties={"stars": 2, "docs": "x"})
    make_entity("service", "docs", properties={"stars": 5})
    return evaluated(card())


def save(**parts):
    return initiatives.save(goal(**parts), principal=Insider(), actor=ACTOR)


def items():
    rows = InitiativeItem.objects.order_by("identifier")
    return {
        one.identifier: "left"
        if one.left_at
        else ("regressed" if one.is_regressed else "exempt" if one.is_exempt else one.open)
        for one in rows
    }


def entity_called(identifier):
    return Entity.objects.select_related("blueprint").get(identifier=identifier)


def told(person):
    rows = Notification.objects.filter(recipient=person.email, topic="scorecards")
    return [(one.title, one.description.splitlines()) for one in rows.order_by("pk")]


def test_items_follow_the_scores(ready, django_assert_max_num_queries):
    made = save(rules=["docs"])
    assert made.baseline == {"entities": 3, "done": 0, "open": 4}
    assert items() == {"docs": 1, "pay": 2, "shop": 1}
    changed("shop", stars=3)
    assert items()["shop"] == 0
    changed("shop", stars=0)
    assert items()["shop"] == "regressed"
    changed("shop", stars=3)
    boss = make_user(role=Role.ADMIN)
    for rule in ("stars", "docs"):
        asked = exemptions.request(
            find_rule(ready, rule),
            entity_called("pay"),
            reason="x",
            principal=make_user(),
            actor=actor_of(make_user()),
        )
        exemptions.decide(asked, status="APPROVED", principal=boss, actor=actor_of(boss))
    assert items() == {"docs": 1, "pay": "exempt", "shop": 0}
    make_entity("service", "new", properties={"stars": 0})
    delete([("service", "docs")], actor=ACTOR)
    with django_assert_max_num_queries(40):
        evaluated(ready)
    assert items() == {"docs": "left", "new": 2, "pay": "exempt", "shop": 0}
    numbers = numbers_of([made.pk])[made.pk]
    assert (numbers.entities, numbers.done, numbers.open) == (3, 2, 2)
    assert (numbers.exempt, numbers.regressed, numbers.joined, numbers.left) == (1, 0, 1, 1)


@pytest.mark.parametrize(
    ("is_fixed", "expected"),
    [(False, {"new": 1, "pay": "left", "shop": 1}), (True, {"pay": 0, "shop": 1})],
)
def test_the_list_is_live_or_fixed(ready, is_fixed, expected):
    rule = {"property": "stars", "operator": "<", "value": 3}
    query = {"combinator": "and", "rules": [rule]}
    save(filter={"query": query}, isFixed=is_fixed)
    assert items() == {"pay": 1, "shop": 1}
    make_entity("service", "new", properties={"stars": 0})
    changed("pay", stars=9)
    evaluated(ready)
    assert items() == expected


def test_a_filter_may_be_that_of_cortex(ready):
    save(filter={"types": {"include": ["service"]}, "query": 'entity.tag() == "pay"'})
    assert items() == {"pay": 1}
    save(title="Nothing", filter={"types": {"exclude": ["service"]}})
    assert items() == {"pay": 1}
    body = goal(filter={"query": "entity.tag( =="})
    answer = make_api().post(URL, body)
    assert (answer.status_code, "filter" in answer.json()["message"]) == (422, True)


def test_one_that_begins_later_and_ends_by_itself(ready):
    made = save(startsOn=on(2), targetOn=on(5), isFixed=True)
    assert (made.started_at, items()) == (None, {})
    assert initiatives.snapshot(NOW) == 0
    assert initiatives.snapshot(at(2)) == 1
    assert initiatives.snapshot(at(2)) == 1
    assert items() == {"docs": 0, "pay": 1, "shop": 1}
    changed("pay", stars=3)
    changed("shop", stars=3)
    assert initiatives.snapshot(at(5)) == 1
    assert [(one.day, one.done, one.open) for one in InitiativeDay.objects.all()] == [
        (TODAY + timedelta(days=2), 1, 2),
        (TODAY + timedelta(days=5), 3, 0),
    ]
    made.refresh_from_db()
    assert made.state == Initiative.State.RUNNING
    initiatives.snapshot(at(6))
    made.refresh_from_db()
    assert made.state == Initiative.State.ENDED
    assert initiatives.snapshot(at(7)) == 0


def test_the_forecast_is_honest(ready):
    made = save(targetOn=on(40))
    Initiative.objects.filter(pk=made.pk).update(
        started_at=at(-10), starts_on=TODAY - timedelta(days=10), baseline={"open": 20}
    )
    made.refresh_from_db()
    InitiativeDay.objects.all().delete()

    def forecast(past, now):
        InitiativeDay.objects.all().delete()
        for days, open in past.items():
            InitiativeDay.objects.create(
                initiative=made, day=TODAY - timedelta(days=days), entities=20, done=0, open=open
            )
        numbers = numbers_of([made.pk])[made.pk]
        numbers = type(numbers)(entities=20, done=20 - now, open=now)
        return burndown_of(made, numbers, TODAY)

    found = forecast({5: 15}, 10)
    assert (found.per_week, found.done_on) == (7, TODAY + timedelta(days=10))
    assert found.is_on_time is True
    assert forecast({5: 20}, 20).done_on is None
    assert forecast({5: 20}, 25).per_week < 0
    assert forecast({}, 0).done_on == TODAY
    assert forecast({}, 18).is_on_time is False
    middle = [one for one in found.days if one.day == TODAY]
    assert middle[0].ideal == pytest.approx(20 * 40 / 50)
    Initiative.objects.filter(pk=made.pk).update(started_at=at(-1))
    made.refresh_from_db()
    assert forecast({}, 10).per_week is None  # a day says nothing


REFUSED = [
    ({"level": "Start"}, "level is Start; expected one of Silver, Gold"),
    ({"level": None}, "rules"),
    ({"rules": ["nope"]}, "rules.0 is nope"),
    ({"targetOn": on(-1)}, "targetOn"),
    ({"targetOn": "soon, or so"}, "targetOn"),
    ({"startsOn": on(30)}, "targetOn"),
    ({"owner": "nobody"}, "owner is nobody"),
    ({"milestones": [{"title": "x", "on": on(99), "percent": 50}]}, "milestones.0.on"),
    ({"milestones": [{"title": "x", "on": on(9), "percent": 0}]}, "milestones"),
    ({"reminders": {"timeUnit": "MINUTE"}}, "timeUnit"),
    ({"filter": {"query": {"combinator": "and", "rules": [{"operator": "="}]}}}, "rules"),
    ({"filter": {"teams": []}}, "filter is teams"),
    ({"filter": {"types": {"include": "service"}}}, "filter.types.include"),
    ({"scorecard": "nope"}, "nope"),
    ({"colour": "red"}, "colour"),
]


def test_what_is_refused(ready):
    api = make_api()
    for parts, word in REFUSED:
        answer = api.post(URL, goal(**parts))
        assert answer.status_code in (404, 422), parts
        assert word in answer.json()["message"], parts
    assert not Initiative.objects.exists()


def test_its_life_over_the_api(ready):
    api, member = make_api(), make_api(Role.MEMBER)
    assert member.post(URL, goal()).status_code == 403
    made = api.post(URL, goal(isDraft=True)).json()["initiative"]
    path = f"{URL}/{made['identifier']}"
    assert (made["state"], made["progress"]["entities"]) == ("draft", 0)
    assert member.get(path).status_code == 404
    assert [len(member.get(f"{URL}?include_drafts=true").json()["initiatives"])] == [0]
    assert len(api.get(f"{URL}?include_drafts=true").json()["initiatives"]) == 1
    assert api.post(f"{path}/end").status_code == 409
    running = api.post(f"{path}/start").json()["initiative"]
    assert (running["state"], running["daysLeft"]) == ("running", 28)
    assert api.post(f"{path}/start").status_code == 409
    assert running["progress"] == {
        "entities": 3, "done": 1, "open": 2, "exempt": 0, "regressed": 0, "joined": 0, "left": 0,
        "percentage": 33.33,
    }  # fmt: skip
    changed_to = {**running, "title": "Gold", "level": "Gold"}
    gold = api.put(path, changed_to).json()["initiative"]
    assert (gold["title"], gold["progress"]["open"], gold["baseline"]["open"]) == ("Gold", 4, 2)
    assert api.put(path, {**gold, "startsOn": on(-3)}).status_code == 422
    found = api.get(f"{path}/items?state=open&team=core&limit=1").json()
    assert [one["entity"] for one in found["items"]] == ["pay"]
    assert found["items"][0]["openRules"] == ["stars", "docs"]
    rest = api.get(f"{path}/items?state=open&team=core&from={found['next']}").json()
    assert [one["entity"] for one in rest["items"]] == ["shop"]
    assert [one["entity"] for one in api.get(f"{path}/items?rule=docs").json()["items"]] == [
        "pay",
        "docs",
    ]
    burndown = api.get(f"{path}/burndown").json()["burndown"]
    assert [one["open"] for one in burndown["days"]] == [4]
    assert burndown["forecast"] == {"perWeek": None, "doneOn": None, "isOnTime": None}
    ended = api.post(f"{path}/end").json()["initiative"]
    assert (ended["state"], ended["report"]["isReached"]) == ("ended", False)
    assert ended["report"]["teams"] == [
        {"team": "core", "entities": 2, "done": 0, "open": 3},
        {"team": "", "entities": 1, "done": 0, "open": 1},
        {"team": "web", "entities": 1, "done": 0, "open": 1},
    ]
    assert api.put(path, changed_to).status_code == 409
    assert api.post(f"{path}/cancel").status_code == 409
    assert api.delete(path).json() == {"ok": True}
    states = Change.objects.filter(model="initiative").order_by("id")
    assert [(one.action, (one.after or {}).get("state")) for one in states] == [
        ("create", "draft"),
        ("update", "running"),
        ("update", None),
        ("update", "ended"),
        ("delete", None),
    ]
    assert api.get(path).status_code == 404


def test_one_digest_for_each_owner_and_never_twice(ready):
    ann, web, lead = make_user("ann"), make_user("wes"), make_user("lead")
    members_of("core", ann)
    members_of("web", web)
    make_entity("service", "lone", properties={"stars": 0})
    evaluated(ready)
    save(owner=lead.email, reminders={"replyToEmails": ["help@example.com"]})
    save(title="Docs for all", rules=["docs"], level=None, targetOn=on(2))
    save(title="Quiet", reminders={"isDisabled": True})
    assert reminders.remind(at(6)) == 0
    assert reminders.remind(at(7)) == 3
    assert reminders.remind(at(7)) == 0
    assert told(ann) == [
        (
            "Scorecards: 2 entities open in 2 initiatives",
            [
                "Docs for all: one entity open, 5 days late",
                "- pay: Has docs",
                "Silver for all: 2 entities open, 21 days left",
                "- pay: Has three stars",
                "- shop: Has three stars",
                "Questions: help@example.com",
            ],
        )
    ]
    assert told(web)[0][0] == "Scorecards: one entity open in an initiative"
    assert told(lead)[0][1][1] == "- lone: Has three stars"
    for name in ("pay", "shop", "lone"):
        changed(name, stars=3, docs="x")
    changed("docs", docs="x")
    assert reminders.remind(at(14)) == 0


def test_drops_are_told_once_a_day_and_only_those_that_stay(ready):
    ann = make_user("ann")
    members_of("core", ann)
    changed("pay", stars=4)
    changed("shop", stars=4)
    reminders.remind(NOW)
    changed("pay", stars=1)
    changed("shop", stars=1)
    changed("shop", stars=4)  # it came back
    assert reminders.remind(at(1)) == 1
    assert told(ann) == [
        (
            "Scorecards: one level dropped",
            ["pay dropped from Silver to Start (Ready: Has three stars)"],
        )
    ]
    assert reminders.remind(at(2)) == 0


def test_the_pages_make_and_show_one_without_a_script(ready):
    boss, ann = make_browser("boss", role=Role.ADMIN), make_browser("ann")
    assert ann.get("/initiatives/new").status_code == 403
    assert "Ready" in boss.get("/initiatives/new").text
    form = f"/initiatives/new?scorecard={ready.pk}"
    typed = {
        "title": "Silver for <all>",
        "level": "Silver",
        "rules": ["docs"],
        "targetOn": on(30),
        "team": "core",
        "reminders": "on",
        "interval": "2",
        "unit": "DAY",
        "milestone-title": ["Half", ""],
        "milestone-on": [on(10), ""],
        "milestone-percent": ["50", ""],
    }
    refused = boss.post(form, {**typed, "filter": "{"})
    assert (refused.status_code, "filter is" in refused.text) == (422, True)
    assert "Silver for &lt;all&gt;" in refused.text  # nothing is lost
    answer = boss.post(form, typed)
    made = Initiative.objects.get()
    assert answer["Location"] == f"/initiatives/{made.identifier}"
    assert made.reminders == {"timeInterval": 2, "timeUnit": "DAY"}
    assert made.milestones == [{"title": "Half", "on": on(10), "percent": 50}]
    assert items() == {"pay": 2, "shop": 1}
    path = answer["Location"]
    shown = ann.get(f"{path}?state=open&rule=docs").text
    assert "<svg" in shown
    assert "Silver for &lt;all&gt;" in shown
    assert 'name="do"' not in shown
    assert "0 of 2" in ann.get("/initiatives").text
    lines = b"".join(ann.get(f"{path}/items.csv?team=web").streaming_content).decode()
    assert lines.splitlines()[1].startswith('service,shop,,"core, web",Open,1,Has three stars,')
    edit = boss.get(f"{path}/edit").text
    assert "$team" in edit
    assert ann.get(f"{path}/edit").status_code == 403
    assert ann.post(f"{path}/move", {"do": "end"}).status_code == 403
    boss.post(f"{path}/move", {"do": "end"})
    made.refresh_from_db()
    assert made.state == Initiative.State.ENDED
    assert "It ended" in ann.get(path).text
    assert "Silver for" in ann.get("/initiatives?show=over").text
    assert boss.post(f"{path}/move", {"do": "fly"}).status_code == 400


def test_pages_cost_as_much_for_many(ready, django_assert_num_queries):
    browser = make_browser()
    made = save(rules=["docs"])
    for number in range(3):
        save(title=f"Another {number}")
    for path in ("/initiatives", f"/initiatives/{made.identifier}"):
        browser.get(path)
        with CaptureQueriesContext(connection) as few:
            browser.get(path)
        make_entity("service", team=["web"], properties={"stars": 0})
        make_entity("service", properties={"stars": 0})
        evaluated(ready)
        save(title="One more")
        with django_assert_num_queries(len(few)):
            browser.get(path)


def test_the_admin_lists_them_and_leads_to_their_pages(ready):
    boss = make_browser(role=Role.ADMIN)
    made = save()
    asked = exemptions.request(
        find_rule(ready, "stars"),
        entity_called("pay"),
        reason="Old",
        days=3,
        principal=Insider("ann@example.com"),
        actor=ACTOR,
    )
    for name, row, page in (
        ("initiative", made, f"/initiatives/{made.identifier}"),
        ("exemption", asked, f"/exemptions?show=all&scorecard={ready.pk}"),
    ):
        assert "Ready" in boss.get(f"/admin/scorecards/{name}/").text
        answer = boss.get(f"/admin/scorecards/{name}/{row.pk}/change/")
        assert answer["Location"] == page
